#include "engine/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "kernels/error.h"

namespace {

struct Pool {
  std::mutex mutex;
  std::unordered_map<size_t, std::vector<void*>> kept;  // by block size
  MemoryStats stats;
  bool poison = false;
};
Pool& pool() {
  static Pool* p = new Pool;  // never destroyed: tensors may outlive every static
  return *p;
}

// Blocks come in four sizes per power of two, so that nearby requests share blocks and at most a quarter is
// wasted.
size_t block_size(size_t bytes) {
  size_t power = 256;
  while (power * 2 <= bytes) power *= 2;
  const size_t step = power / 4;
  return bytes <= power ? power : (bytes + step - 1) / step * step;
}

}  // namespace

std::shared_ptr<void> allocate(Device device, size_t bytes) {
  if (device != Device::cpu) fail(Fault::usage, "memory: this build has no CUDA; use --device cpu");
  Pool& p = pool();
  const size_t size = block_size(bytes);
  void* block = nullptr;
  {
    std::lock_guard lock(p.mutex);
    auto& kept = p.kept[size];
    if (!kept.empty()) {
      block = kept.back();
      kept.pop_back();
    } else {
      block = std::aligned_alloc(size >= (size_t{1} << 21) ? size_t{1} << 21 : 64, size);
      if (!block) {
        fail(Fault::internal,
             "memory: {} bytes asked for with {} in use; the system has no more: use a smaller batch", size,
             p.stats.live);
      }
      if (size >= (size_t{1} << 21)) madvise(block, size, MADV_HUGEPAGE);
      ++p.stats.system_allocations;
      p.stats.reserved += int64_t(size);
    }
    p.stats.live += int64_t(size);
    if (p.stats.live > p.stats.peak) p.stats.peak = p.stats.live;
  }
  if (p.poison) std::memset(block, 0xFF, size);  // every bit set is a NaN in f32 and f64
  return std::shared_ptr<void>(block, [size](void* freed) {
    Pool& q = pool();
    std::lock_guard lock(q.mutex);
    q.kept[size].push_back(freed);
    q.stats.live -= int64_t(size);
  });
}

MemoryStats memory_stats() {
  std::lock_guard lock(pool().mutex);
  return pool().stats;
}
void reset_peak() {
  std::lock_guard lock(pool().mutex);
  pool().stats.peak = pool().stats.live;
}
void poison_allocations(bool on) { pool().poison = on; }
