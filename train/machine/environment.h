// The environment of a run: program, compiler and machine. A reader needs it to compare figures of two runs.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/memory.h"

namespace dae {

// Returns the facts "program", "compiler", "device", "CPU", "threads", "oneDNN", "JPEG" and "system", in this
// order. The value of "device" is a GPU's name or "cpu".
std::vector<std::pair<std::string, std::string>> environment(Device device);
// Returns the CPU's model, or "unknown".
std::string cpu_name();
// Returns the time now: "2026-11-24T18:30:05Z".
std::string utc_now();
// Returns the program's version: "0.1.0 (3f2a1bc)", with the commit where it is known.
std::string version();
// Return the bytes of memory that programs can still get, and all bytes, as Linux reports them. 0: unknown.
int64_t memory_available();
int64_t memory_total();

}  // namespace dae
