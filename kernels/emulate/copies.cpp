// Asynchronous copies of the emulated device: cp.async, and TMA with its tensor maps.
#include <algorithm>

#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

namespace {

void complete(const Copy& c) {
  std::memset(c.to, 0, 16);
  if (c.bytes) std::memcpy(c.to, c.from, size_t(c.bytes));
  written(c.to, 16);
}

}  // namespace

void cp_async(void* to, const void* from, int bytes, Line line) {
  settle();
  if (bytes < 0 || bytes > 16) stop(line, fmt::format("cp_async of {} bytes; expected 0 to 16", bytes));
  if (bytes && reinterpret_cast<uintptr_t>(from) % 16)
    stop(line, "cp_async needs global memory on a 16-byte boundary");
  const Copy copy{to, from, bytes, now->copy_group};
  if (worker->set.copies == Copies::early) complete(copy);
  else now->copies.push_back(copy);
}
void cp_async_commit() { ++now->copy_group; }
void cp_async_wait(int groups) {
  settle();
  auto& copies = now->copies;
  size_t done = 0;
  for (; done < copies.size() && copies[done].group < now->copy_group - groups; ++done)
    complete(copies[done]);
  copies.erase(copies.begin(), copies.begin() + std::ptrdiff_t(done));
}

namespace {

// Calls f(shared, global) for each element of the box of a TMA copy at the coordinates `at`, in row-major
// order. `shared` is the element's address in shared memory, with the swizzle; `global` is its address in the
// tensor, or null outside the tensor.
template <class F>
void each_chunk(const TensorMap& map, unsigned char* shared, const int* at, F f) {
  const int last = map.rank - 1, row_bytes = map.box[last] * map.element_bytes;
  int64_t rows = 1;
  for (int d = 0; d < last; ++d) rows *= map.box[d];
  const int mask = map.swizzle;
  for (int64_t r = 0; r < rows; ++r) {
    bool inside = true;
    const unsigned char* row = map.data;
    for (int64_t d = last - 1, rest = r; d >= 0; rest /= map.box[d--]) {
      const int64_t i = at[d] + rest % map.box[d] * map.step[d];
      inside = inside && i >= 0 && i < map.shape[d];
      row += i * map.stride_bytes[d];
    }
    for (int b = 0; b < row_bytes; b += map.element_bytes) {
      const int64_t i = at[last] + int64_t(b / map.element_bytes) * map.step[last];
      const int64_t address = shared - worker->arena + r * row_bytes + b;
      unsigned char* s = worker->arena + (address ^ ((address >> 7 & mask) << 4));
      f(s, inside && i >= 0 && i < map.shape[last] ? const_cast<unsigned char*>(row) + i * map.element_bytes
                                                   : nullptr);
    }
  }
}
// Returns the number of bytes of a box.
int64_t box_bytes(const TensorMap& map) {
  int64_t bytes = map.element_bytes;
  for (int d = 0; d < map.rank; ++d) bytes *= map.box[d];
  return bytes;
}
// Reads the source of a TMA store into its landings.
void take(Store& s) {
  const size_t bytes = size_t(s.map.element_bytes);
  each_chunk(s.map, const_cast<unsigned char*>(s.from), s.at, [&](unsigned char* from, unsigned char* to) {
    if (!to) return;
    if (s.landings.empty() || s.landings.back().to + s.landings.back().bytes.size() != to)
      s.landings.push_back({to, {}});
    s.landings.back().bytes.insert(s.landings.back().bytes.end(), from, from + bytes);
  });
  s.read = true;
}
void require_box(const TensorMap& map, const void* p, int64_t has, int rank, const char* what, Line line) {
  if (rank != map.rank)
    stop(line, fmt::format("{} with {} coordinates of a tensor map of rank {}", what, rank, map.rank));
  require(p, has, box_bytes(map), 128, what, line);
}

}  // namespace

void Worker::deliver(size_t i) {
  const Inbound copy = inbound[i];
  inbound.erase(inbound.begin() + std::ptrdiff_t(i));
  const int bytes = copy.map.element_bytes;
  each_chunk(copy.map, copy.to, copy.at, [bytes](unsigned char* s, unsigned char* global) {
    if (global) std::memcpy(s, global, size_t(bytes));
    else std::memset(s, 0, size_t(bytes));
  });
  copy.barrier->bytes -= copy.bytes;
  flip_if_over(*copy.barrier);
}

bool Worker::deliver_one() {
  std::vector<size_t> awaited;
  for (size_t i = 0; i < inbound.size(); ++i)
    if (inbound[i].barrier->gate.first) awaited.push_back(i);
  if (awaited.empty()) return false;
  deliver(set.schedule == Schedule::reverse  ? awaited.back()
          : set.schedule == Schedule::random ? awaited[draw() % awaited.size()]
                                             : awaited.front());
  return true;
}

void tma_load(void* to, int64_t has, const TensorMap& map, void* b, uint16_t blocks, const int* at, int rank,
              Line line) {
  settle();
  require_box(map, to, has, rank, "tma_load", line);
  const int64_t bytes = box_bytes(map);
  const uint32_t targets = blocks ? blocks : 1u << now->in->rank;
  if (targets >> worker->blocks.size())
    stop(line, fmt::format("tma_load to blocks {:#x} of a cluster of {}", targets, worker->blocks.size()));
  for (int r = 0; r < int(worker->blocks.size()); ++r) {
    if (!(targets >> r & 1)) continue;
    Inbound copy{map,
                 static_cast<unsigned char*>(in_block(to, r, line)),
                 {},
                 &mbar_of(in_block(b, r, line), line),
                 bytes};
    std::copy_n(at, rank, copy.at);
    const Thread& by = *copy.barrier->by;
    if ((&by == now ? by.init_fence_time : by.init_fence_published) < copy.barrier->time)
      stop(line, fmt::format("tma_load counts at an mbarrier that thread {} initialised, with no "
                             "fence_mbarrier_init before a barrier between",
                             name(by.thread)));
    require_fences(copy.to, bytes, true, "tma_load", line);
    worker->inbound.push_back(copy);
    if (worker->set.copies == Copies::early) worker->deliver(worker->inbound.size() - 1);
  }
}
void tma_store(const TensorMap& map, const void* from, int64_t has, const int* at, int rank, Line line) {
  settle();
  require_box(map, from, has, rank, "tma_store", line);
  require_fences(from, box_bytes(map), false, "tma_store", line);
  now->line = line;
  Store s{map, static_cast<const unsigned char*>(from), {}, now->store_group, false, {}};
  std::copy_n(at, rank, s.at);
  now->stores.push_back(s);
}
void tma_store_commit() { ++now->store_group; }
// A wait with `read` only reads the sources. With late copies the bytes arrive in global memory as late as
// the rules allow: at a wait without `read`, or when the kernel has ended.
void tma_store_wait(int groups, bool read) {
  settle();
  auto& stores = now->stores;
  size_t done = 0;
  for (; done < stores.size() && stores[done].group < now->store_group - groups; ++done) {
    Store& s = stores[done];
    if (!s.read) take(s);
    if (!read || worker->set.copies == Copies::early) land(s.landings);
  }
  if (!read) stores.erase(stores.begin(), stores.begin() + std::ptrdiff_t(done));
}

}  // namespace emulate

TensorMap tensor_map(const void* data, int element_bytes, bool, const TensorBox& b, Swizzle swizzle) {
  const auto expect = [&](bool right, const char* what, int64_t found) {
    if (!right) fail(Fault::internal, "cuda: tensor map of rank {}: {}, found {}", b.rank, what, found);
  };
  expect(b.rank >= 2 && b.rank <= 5, "expected a rank of 2 to 5", b.rank);
  expect(reinterpret_cast<uintptr_t>(data) % 16 == 0, "expected an address on a 16-byte boundary",
         int64_t(reinterpret_cast<uintptr_t>(data) % 16));
  TensorMap map{};
  map.data = static_cast<unsigned char*>(const_cast<void*>(data));
  map.rank = b.rank, map.element_bytes = element_bytes, map.swizzle = (1 << int(swizzle)) - 1;
  for (int i = 0; i < b.rank; ++i) {
    const bool last = i == b.rank - 1;
    expect(b.shape[i] > 0, "expected positive sizes", b.shape[i]);
    expect(last ? b.stride[i] == 1 : b.stride[i] * element_bytes % 16 == 0,
           "expected strides of whole 16 bytes, the last 1", b.stride[i]);
    expect(b.step[i] >= 1 && b.step[i] <= 8, "expected steps of 1 to 8", b.step[i]);
    expect(b.box[i] >= 1 && (b.box[i] - 1) * b.step[i] + 1 <= 256, "expected boxes of 1 to 256", b.box[i]);
    map.shape[i] = b.shape[i], map.stride_bytes[i] = b.stride[i] * element_bytes;
    map.box[i] = b.box[i], map.step[i] = b.step[i];
  }
  const int64_t row = int64_t(b.box[b.rank - 1]) * element_bytes;
  expect(row % 16 == 0, "expected a last box dimension of whole 16 bytes", row);
  expect(swizzle == Swizzle::none || row <= (16 << int(swizzle)),
         "expected a last box dimension within the swizzle", row);
  return map;
}

}  // namespace dae
