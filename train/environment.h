// What a run was made with and on: facts that a report shows and a reader needs to compare figures.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/memory.h"

// "program", "compiler", "device", "CPU", "threads", "oneDNN", "JPEG", "system", in this order. device: a
// GPU's name, or "cpu".
std::vector<std::pair<std::string, std::string>> environment(Device device);
std::string cpu_name();
std::string utc_now();  // "2026-11-24T18:30:05Z"
std::string version();  // "0.1.0 (3f2a1bc)": with the commit, where it is known
// Bytes that programs can still have, as the system says; 0: it does not say.
int64_t memory_available();
int64_t memory_total();
