// Shared memory of the emulated device, and who wrote it.
#include "kernels/emulate/cluster.h"

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
void out_of_range(int64_t index, int64_t size, Line line) {
  stop(line, fmt::format("index {} of {} elements of shared memory", index, size));
}
void require(const void* view, int64_t has, int64_t needs, int align, const char* what, Line line) {
  if (has < needs)
    stop(line, fmt::format("{} needs {} bytes of shared memory, and {} are left", what, needs, has));
  if ((static_cast<const unsigned char*>(view) - worker->arena) % align)
    stop(line, fmt::format("{} needs shared memory on a {}-byte boundary", what, align));
}

void require_fence(const void* p, int64_t bytes, const char* what, Line line) {
  Block& b = block_of(p, line);
  const int64_t begin = static_cast<const unsigned char*>(p) - b.shared;
  for (int64_t g = begin / kGranule; g <= (begin + bytes - 1) / kGranule; ++g) {
    const Written& w = b.written[size_t(g)];
    if (w.time <= b.start || w.by->fence_time > w.time || b.fence_covers > w.time) continue;
    stop(line, fmt::format("{} uses shared memory that thread {} wrote, with no fence_proxy_async between",
                           what, name(w.by->thread)));
  }
}

}  // namespace emulate
