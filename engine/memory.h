// The memory pool of each device. Freed blocks are kept by size and handed out again, so training asks the
// system for no memory after the first steps. A block of GPU memory can be handed out again while kernels
// that read it are still queued: all kernels run in one stream, so the next user runs after them.
#pragma once
#include <cstddef>
#include <memory>

#include "engine/dtype.h"
#include "engine/shape.h"

namespace dae {

enum class Device : uint8_t { cpu, cuda };
const char* name(Device device);  // "cpu"

// An arena holds the GPU memory of a captured graph. Each launch of the graph writes that memory, so blocks
// that are taken while the arena is entered are never handed out to other users. They go back to the pool
// when the last owner of the arena lets go.
struct Arena;
std::shared_ptr<Arena> make_arena();
void enter_arena(std::shared_ptr<Arena> arena);  // for this thread; null: leave the arena

// The dry run of this thread, or null. While there is one, allocate() gives memory that nothing touches,
// dispatch() calls no kernel, and the dry run counts both.
class DryRun;  // dry_run.h
inline thread_local DryRun* dry_run = nullptr;

// A piece of memory. Shape, dtype and op say what it holds, for the message when a device has no more memory.
struct Block {
  void* data = nullptr;
  size_t size = 0;  // bytes, as taken from the pool
  Device device = Device::cpu;
  Shape shape;
  Dtype dtype = Dtype::f32;
  const char* op = "";                        // the op that made it, if one was named (Tensor::made_by)
  std::shared_ptr<Arena> arena;               // goes back to this arena; null: to the pool
  int64_t dry = -1;                           // its number in the dry run; -1: no dry run made it
  Block *before = nullptr, *after = nullptr;  // neighbours in the list of all live blocks
  Block() = default;
  Block(const Block&) = delete;
  ~Block();  // gives the memory back to the pool or the arena
};

// Returns uninitialised memory for a tensor, aligned to 64 bytes (CPU) or 256 bytes (CUDA). It goes back to
// the pool when the last owner lets go. Thread-safe. Fault::internal if the device has no more memory; the
// message names the tensors that hold most. Fault::usage for CUDA in a build without it.
std::shared_ptr<Block> allocate(Device device, const Shape& shape, Dtype dtype);

struct MemoryStats {
  int64_t live = 0;                // bytes handed out at present
  int64_t peak = 0;                // the largest `live` since reset_peak()
  int64_t reserved = 0;            // bytes taken from the system: live ones and kept ones
  int64_t system_allocations = 0;  // how many blocks were taken from the system
};
MemoryStats memory_stats(Device device = Device::cpu);
void reset_peak();  // for every device

// For tests. poison_allocations fills every block with NaN as it is handed out, which reveals elements that
// nobody wrote. limit_memory sets the most bytes that a device may take from the system; 0: no limit.
void poison_allocations(bool on);
void limit_memory(Device device, int64_t bytes);

}  // namespace dae
