// The memory pool: freed blocks are kept by size and handed out again, so a training step that repeats its
// shapes asks the system for nothing after the first.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

enum class Device : uint8_t { cpu, cuda };

// Uninitialised memory, aligned to 64 bytes; back to the pool when the last owner lets go. Thread-safe.
std::shared_ptr<void> allocate(Device device, size_t bytes);

struct MemoryStats {
  int64_t live = 0;                // bytes handed out now
  int64_t peak = 0;                // the largest `live` since reset_peak()
  int64_t reserved = 0;            // bytes taken from the system, live or kept
  int64_t system_allocations = 0;  // how often the system was asked
};
MemoryStats memory_stats();
void reset_peak();

// Tests: fill every block handed out with NaN, so that an element nobody wrote is seen.
void poison_allocations(bool on);
