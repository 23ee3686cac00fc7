// Shared memory of the emulated device, and the records of its writers and readers.
#include <algorithm>

#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

void* dynamic_shared(int64_t begin, int64_t bytes, Line line) {
  Block& b = *now->in;
  if (bytes < 0 || begin + bytes > b.dynamic_bytes)
    stop(line, fmt::format("{} bytes of dynamic shared memory from {} on; the launch gave {}", bytes, begin,
                           b.dynamic_bytes));
  return b.shared + begin;
}
void* static_shared(const void* name, int64_t bytes) {
  Block& b = *now->in;
  for (const auto& [known, offset] : b.statics)
    if (known == name) return b.shared + offset;
  const int64_t offset = b.used;
  b.used = (b.used + bytes + 15) / 16 * 16;
  const int64_t total = shared_total(b.used - (b.dynamic_bytes + 15) / 16 * 16, b.dynamic_bytes);
  if (total > worker->most_shared) refuse_shared(worker->kernel_name, total, worker->most_shared);
  std::memset(b.shared + offset, 0xFF, size_t(b.used - offset));
  b.statics.emplace_back(name, offset);
  return b.shared + offset;
}
void* in_block(void* mine, int rank, Line line) {
  const Block& b = block_of(mine, line);
  if (rank < 0 || rank >= int(worker->blocks.size()))
    stop(line, fmt::format("block {} of a cluster of {}", rank, worker->blocks.size()));
  return worker->blocks[size_t(rank)]->shared + (static_cast<unsigned char*>(mine) - b.shared);
}

void accessed(void* data, int bytes) {
  settle();
  Thread& t = *now;
  if (worker->set.schedule == Schedule::random && worker->draw() % 8 == 0) worker->next();
  t.access = static_cast<unsigned char*>(data), t.access_bytes = bytes;
  std::memcpy(t.before, data, size_t(std::min(bytes, 16)));
}
void written(void* data, int bytes) {
  Block& b = block_of(data, now->line);
  const int64_t begin = static_cast<unsigned char*>(data) - b.shared;
  for (int64_t g = begin / kGranule; g <= (begin + bytes - 1) / kGranule; ++g)
    b.written[size_t(g)] = {worker->clock, now};
}
void was_read(const void* data, int bytes) {
  if (now->in->mbarriers.empty()) return;  // without an mbarrier no TMA load can overwrite it
  Block& b = block_of(data, now->line);
  const int64_t begin = static_cast<const unsigned char*>(data) - b.shared;
  for (int64_t g = begin / kGranule; g <= (begin + bytes - 1) / kGranule; ++g)
    b.read[size_t(g)] = {worker->clock, now};
}
void out_of_range(int64_t index, int64_t size, Line line) {
  stop(line, fmt::format("index {} of {} elements of shared memory", index, size));
}
void require(const void* view, int64_t has, int64_t needs, int align, const char* what, Line line) {
  if (has < needs)
    stop(line, fmt::format("{} needs {} bytes of shared memory, and {} are left", what, needs, has));
  if ((static_cast<const unsigned char*>(view) - worker->arena) % align)
    stop(line, fmt::format("{} needs shared memory on a {}-byte boundary", what, align));
}

// Proxies (PTX ISA, memory consistency model). Ordinary accesses reach shared memory through the generic
// proxy, TMA and wgmma through the async proxy. Barriers order accesses of the generic proxy only. The
// emulated device requires the following order:
//   - Written, then used by TMA or wgmma: the writing thread calls fence_proxy_async after its write. If
//     another thread starts the use, a barrier of any kind follows the fence. The PTX manual lets a proxy
//     fence "take effect within a single thread" and gives no rule by which the fence of one thread covers
//     the writes of another. In CUTLASS and the CUDA guide every writer calls the fence before the barrier.
//   - Read, then overwritten by TMA: a barrier that waits for the read (mbarrier_arrive, __syncthreads,
//     barrier_sync, cluster_sync) or a fence follows the read. CUTLASS frees the stages of its pipelines with
//     mbarrier_arrive only. Program order and __syncwarp are not enough, because the loads may be in flight
//     when TMA starts. (The manual's model requires the fence for reads too, but no known kernel calls it.)
//   - Used by TMA or wgmma and waited for, then read or written: nothing. Their completion is a proxy fence.
void require_fences(const void* p, int64_t bytes, bool overwrites, const char* what, Line line) {
  Block& b = block_of(p, line);
  const int64_t begin = static_cast<const unsigned char*>(p) - b.shared;
  for (int64_t g = begin / kGranule; g <= (begin + bytes - 1) / kGranule; ++g) {
    const Touched &w = b.written[size_t(g)], &r = b.read[size_t(g)];
    if (w.time > b.start && (w.by == now ? w.by->fence_time : w.by->fence_published) <= w.time)
      stop(line, fmt::format(
                     "{} uses shared memory that thread {} wrote, with no fence_proxy_async {} between", what,
                     name(w.by->thread), w.by->fence_time > w.time ? "before a barrier" : "by that thread"));
    if (overwrites && r.time > b.start && std::max(r.by->reads_published, r.by->fence_time) <= r.time)
      stop(line, fmt::format("{} fills shared memory that thread {} read, with no barrier of the block, "
                             "mbarrier_arrive or fence_proxy_async by that thread between",
                             what, name(r.by->thread)));
  }
}

}  // namespace emulate

}  // namespace dae
