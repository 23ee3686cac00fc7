// What this build and this machine have, what each thing missing costs, and whether the arithmetic is right.
#pragma once
#include <string>
#include <vector>

#include "engine/memory.h"

struct Feature {
  std::string name;   // "oneDNN"
  bool there = true;  // false: `state` says what is missing
  std::string state;  // a version, a device, or what was not found
  std::string costs;  // what its lack costs, and the way out; empty where it is there
};
std::vector<Feature> examine_machine();

struct Check {
  std::string name;
  bool passed = false;
  std::string found;  // in words: an error, a difference
};
// A few ops against known values, and that their bits do not depend on the number of threads.
std::vector<Check> check_arithmetic(Device device);
// A file written whole into the temporary folder and read back.
Check check_files();
