#include "engine/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/dry_run.h"
#include "kernels/device/gpu.h"

namespace dae {

using Kept = std::unordered_map<size_t, std::vector<void*>>;  // by block size
struct Arena {
  Kept kept;
  ~Arena();
};

namespace {

struct Pool {
  Kept kept;
  MemoryStats stats;
  int64_t limit = 0;
};
struct Pools {
  std::mutex mutex;
  Pool of[2];
  Block live;  // the head of the list of live blocks
  bool poison = false;
  Pools() { live.before = live.after = &live; }
};
Pools& pools() {
  static Pools* p = new Pools;  // never destroyed: tensors may outlive every static
  return *p;
}

thread_local std::shared_ptr<Arena> entered;

// Under AddressSanitizer the pool is off, so that it sees an access beside a block and one after the block's end.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif

// Returns the size of the block for a request. There are four sizes for each power of two, so that requests
// of similar size share blocks and at most a quarter of a block is wasted. Without the pool, and on the
// emulated device, a block has exactly the size asked for, so that an access behind the end is seen.
size_t block_size(Device device, size_t bytes) {
  if (!kPooled || (kCuda == CudaBuild::emulated && device == Device::cuda)) return std::max<size_t>(bytes, 1);
  size_t power = 256;
  while (power * 2 <= bytes) power *= 2;
  const size_t step = power / 4;
  return bytes <= power ? power : (bytes + step - 1) / step * step;
}

void* system_allocate(Device device, size_t size) {
  if constexpr (kHasCuda)
    if (device == Device::cuda) return gpu_allocate(size);
  const bool large = size >= size_t{1} << 21;
  void* data = nullptr;
  if (posix_memalign(&data, large ? size_t{1} << 21 : 64, size)) return nullptr;
  if (large) madvise(data, size, MADV_HUGEPAGE);
  return data;
}
void system_free(Device device, void* data) {
  if constexpr (kHasCuda)
    if (device == Device::cuda) return gpu_free(data);
  std::free(data);
}

// A value with every bit set is a NaN in each floating type.
void poison(const Block& block) {
  if constexpr (kHasCuda)
    if (block.device == Device::cuda) return gpu_fill_bytes(block.data, 0xFF, block.size);
  std::memset(block.data, 0xFF, block.size);
}

std::string readable(int64_t bytes) {
  return bytes < int64_t{10} << 20 ? fmt::format("{:.1f} KiB", double(bytes) / 1024)
                                   : fmt::format("{:.1f} MiB", double(bytes) / (1 << 20));
}

// Returns the live tensors of a device, summed by shape, type and op, as text: the five that hold most.
std::string holders(const Pools& p, Device device) {
  struct Total {
    int64_t bytes = 0, count = 0;
  };
  std::map<std::string, Total> by_kind;
  for (const Block* b = p.live.after; b != &p.live; b = b->after)
    if (b->device == device) {
      Total& t =
          by_kind[fmt::format("{} {}{}{}", name(b->dtype), b->shape.str(), *b->op ? " by " : "", b->op)];
      t.bytes += int64_t(b->size), ++t.count;
    }
  std::vector<std::pair<std::string, Total>> sorted(by_kind.begin(), by_kind.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(5, sorted.size()); ++i)
    text += fmt::format("{}{} in {} x {}", i ? "; " : "", readable(sorted[i].second.bytes),
                        sorted[i].second.count, sorted[i].first);
  return text.empty() ? "no tensor" : text;
}

void* take(Kept& kept, size_t size) {
  std::vector<void*>& blocks = kept[size];
  if (blocks.empty()) return nullptr;
  void* data = blocks.back();
  blocks.pop_back();
  return data;
}

// Returns the memory of a block: a kept block of that size, or new memory from the system. If the system has
// none, all kept blocks go back to it and it is asked again. Null if that fails too.
void* take(Pools& p, Device device, size_t size) {
  Pool& pool = p.of[int(device)];
  if (void* data = take(pool.kept, size)) return data;
  const auto ask = [&]() -> void* {
    if (pool.limit && pool.stats.reserved + int64_t(size) > pool.limit) return nullptr;
    return system_allocate(device, size);
  };
  void* data = ask();
  if (!data && !entered) {  // not in a capture: freeing waits for the device, and a capture must not wait
    for (auto& [of_size, blocks] : pool.kept) {
      for (void* block : blocks) system_free(device, block), pool.stats.reserved -= int64_t(of_size);
      blocks.clear();
    }
    data = ask();
  }
  if (!data) return nullptr;
  ++pool.stats.system_allocations;
  pool.stats.reserved += int64_t(size);
  return data;
}

void give_back(Pools& p, Device device, size_t size, void* data) {
  Pool& pool = p.of[int(device)];
  if (kPooled) return pool.kept[size].push_back(data);
  system_free(device, data);
  pool.stats.reserved -= int64_t(size);
}

}  // namespace

const char* name(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

std::shared_ptr<Block> allocate(Device device, const Shape& shape, Dtype dtype) {
  if (!kHasCuda && device == Device::cuda)
    fail(Fault::usage, "memory: this build has no CUDA; use --device cpu");
  const size_t size = block_size(device, size_t(shape.size() * size_of(dtype)));
  if (dry_run) return dry_run->allocate(device, size, shape, dtype);
  const auto block = std::make_shared<Block>();
  block->size = size, block->device = device, block->shape = shape, block->dtype = dtype;
  Pools& p = pools();
  {
    std::lock_guard lock(p.mutex);
    MemoryStats& stats = p.of[int(device)].stats;
    void* data = nullptr;
    if (device == Device::cuda && entered) {
      block->arena = entered;
      data = take(entered->kept, size);
    }
    if (!data) data = take(p, device, size);
    if (!data)
      fail(Fault::internal,
           "memory: {}: {} asked for, for {} {}, with {} in use, most of it {}; use a smaller batch",
           name(device), readable(int64_t(size)), name(dtype), shape.str(), readable(stats.live),
           holders(p, device));
    block->data = data;
    block->before = p.live.before, block->after = &p.live;
    block->before->after = block->after->before = block.get();
    stats.live += int64_t(size);
    stats.peak = std::max(stats.peak, stats.live);
  }
  if (p.poison) poison(*block);
  return block;
}

Block::~Block() {
  if (!data) return;  // the allocation failed, or this is the head of the list
  if (dry >= 0) {
    munmap(data, size);
    if (dry_run) dry_run->released(*this);
    return;
  }
  Pools& p = pools();
  std::lock_guard lock(p.mutex);
  before->after = after, after->before = before;
  p.of[int(device)].stats.live -= int64_t(size);
  if (arena) arena->kept[size].push_back(data);
  else give_back(p, device, size, data);
}

Arena::~Arena() {
  std::lock_guard lock(pools().mutex);
  for (const auto& [size, blocks] : kept)
    for (void* block : blocks) give_back(pools(), Device::cuda, size, block);
}
std::shared_ptr<Arena> make_arena() { return std::make_shared<Arena>(); }
void enter_arena(std::shared_ptr<Arena> arena) { entered = std::move(arena); }

MemoryStats memory_stats(Device device) {
  std::lock_guard lock(pools().mutex);
  return pools().of[int(device)].stats;
}
void reset_peak() {
  std::lock_guard lock(pools().mutex);
  for (Pool& pool : pools().of) pool.stats.peak = pool.stats.live;
}
void poison_allocations(bool on) { pools().poison = on; }
void limit_memory(Device device, int64_t bytes) {
  std::lock_guard lock(pools().mutex);
  pools().of[int(device)].limit = bytes;
}

}  // namespace dae
