// The options of every verb.
#pragma once
#include <cstdint>
#include <optional>

#include "engine/memory.h"

namespace dae {

struct Options {  // options that stand before or after any verb
  Device device = Device::cpu;
  int threads = 0;  // of the CPU; 0: the default (kernels/cpu/parallel.h)
  std::optional<uint64_t> seed;
  bool json = false;  // print one JSON object on stdout; everything that is not a result goes to stderr
  bool quiet = false;
  bool verbose = false;
};

}  // namespace dae
