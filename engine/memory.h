// The memory pool: freed blocks are kept by size and handed out again, so a training step that repeats its
// shapes asks the system for nothing after the first. One pool a device. A block of the GPU may be handed out
// again while kernels that read it are still queued: there is one stream, so its next user runs after them.
#pragma once
#include <cstddef>
#include <memory>

#include "engine/dtype.h"
#include "engine/shape.h"

enum class Device : uint8_t { cpu, cuda };
const char* name(Device device);  // "cpu"

// Memory of the GPU that belongs to a captured graph, which writes it whenever it is launched: blocks taken
// while one is entered never go to anybody else. They go back to the pool with the last owner.
struct Arena;
std::shared_ptr<Arena> make_arena();
void enter_arena(std::shared_ptr<Arena> arena);  // this thread; null: leave it

// What counts in place of allocating and computing, while there is one on this thread.
class DryRun;  // dry_run.h
inline thread_local DryRun* dry_run = nullptr;

// A piece of memory, and for the report on exhaustion what stands in it.
struct Block {
  void* data = nullptr;
  size_t size = 0;  // bytes, as taken from the pool
  Device device = Device::cpu;
  Shape shape;
  Dtype dtype = Dtype::f32;
  const char* op = "";                        // what made it, if the tape knows
  std::shared_ptr<Arena> arena;               // where it goes back to, if not to the pool
  int64_t dry = -1;                           // in a dry run: its number there
  Block *before = nullptr, *after = nullptr;  // every live one is on a list
  Block() = default;
  Block(const Block&) = delete;
  ~Block();  // back to the pool
};

// Uninitialised memory for a tensor, aligned to 64 bytes (CPU) or 256 (CUDA); back to the pool when the last
// owner lets go. Thread-safe. Fault::internal when the device has no more: one line that says which tensors
// hold most.
std::shared_ptr<Block> allocate(Device device, const Shape& shape, Dtype dtype);

struct MemoryStats {
  int64_t live = 0;                // bytes handed out now
  int64_t peak = 0;                // the largest `live` since reset_peak()
  int64_t reserved = 0;            // bytes taken from the system, live or kept
  int64_t system_allocations = 0;  // how often the system was asked
};
MemoryStats memory_stats(Device device = Device::cpu);
void reset_peak();  // of every device

// Tests: fill every block handed out with NaN, so that an element nobody wrote is seen; and let a device have
// no more than so many bytes (0: what the system gives).
void poison_allocations(bool on);
void limit_memory(Device device, int64_t bytes);
