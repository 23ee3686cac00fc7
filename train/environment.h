// What a run was made with and on: facts that a report shows and a reader needs to compare figures.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// "program", "compiler", "CPU", "threads", "oneDNN", "system", in this order.
std::vector<std::pair<std::string, std::string>> environment();
std::string version();  // "0.1.0 (3f2a1bc)": with the commit, where it is known
// Bytes that programs can still have, as the system says; 0: it does not say.
int64_t memory_available();
int64_t memory_total();
