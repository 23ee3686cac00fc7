// Examines this build and this machine: what they have, what a missing part costs, and whether the arithmetic
// is right.
#pragma once
#include <string>
#include <vector>

#include "engine/memory.h"

namespace dae {

struct Feature {
  std::string name;   // "oneDNN"
  bool there = true;  // false: it is missing
  std::string state;  // a version, a device, or what is missing
  std::string costs;  // what a missing part costs, and how to get it; empty if it is there
};
// Returns the features of this build and this machine.
std::vector<Feature> examine_machine();

struct Check {
  std::string name;
  bool passed = false;
  std::string found;  // in words: an error or a difference
};
// Runs a few ops on `device` and returns the checks of their results against known values. One check compares
// the bits of a gradient for several numbers of threads.
std::vector<Check> check_arithmetic(Device device);
// Writes a file into the temporary folder, reads it back and returns the check.
Check check_files();

}  // namespace dae
