// wgmma on the emulated device: products of a warpgroup, which run when a thread waits for them.
#include <algorithm>

#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

uint64_t operand(const void* tile, int64_t has, int64_t skip, int next_bytes, Line line) {
  require(tile, has, 1024, 1024, "a wgmma operand", line);
  const int64_t address = static_cast<const unsigned char*>(tile) - block_of(tile, line).shared + skip;
  return uint64_t(address >> 4 & 0x3fff) | uint64_t(next_bytes >> 4) << 16 | uint64_t{1024 >> 4} << 32 |
         uint64_t{1} << 62;
}

namespace {

// Returns the offset in shared memory of element (row, k) of an operand, where `row` is a row of a or a
// column of b. The layout is the 128-byte swizzle (PTX ISA, wgmma.mma_async, shared memory matrix layout).
int64_t operand_address(uint64_t descriptor, bool transposed, int row, int k) {
  const int64_t start = int64_t(descriptor & 0x3fff) << 4, leading = int64_t(descriptor >> 16 & 0x3fff) << 4,
                stride = int64_t(descriptor >> 32 & 0x3fff) << 4;
  const int64_t address = transposed
                              ? start + row / 64 * leading + k / 8 * stride + k % 8 * 128 + row % 64 * 2
                              : start + row / 8 * stride + row % 8 * 128 + 2 * k;
  return address ^ (address >> 3 & 0x70);
}

// Writes rows `first` to first + rows - 1 of an operand to out (16, rows), with the index (k, row).
void read_operand(float* out, uint64_t descriptor, bool transposed, bool bfloat, int first, int rows) {
  const unsigned char* shared = now->in->shared;
  for (int k = 0; k < 16; ++k)
    for (int r = 0; r < rows; ++r) {
      uint16_t bits;
      std::memcpy(&bits, shared + operand_address(descriptor, transposed, first + r, k), 2);
      out[k * rows + r] = half_value(bits, bfloat);
    }
}

void check_operand(uint64_t descriptor, bool transposed, int first, int rows, Line line) {
  const Block& b = *now->in;
  int64_t last = -1;
  for (int k = 0; k < 16; k += transposed ? 1 : 8)
    for (int r = 0; r < rows; r += transposed ? 8 : 1) {
      const int64_t address = operand_address(descriptor, transposed, first + r, k);
      if (address + 16 > b.used)
        stop(line,
             fmt::format("wgmma reads shared memory at {}, and the block has {} bytes", address, b.used));
      if (address / kGranule != last) require_fences(b.shared + address, 16, false, "wgmma", line);
      last = address / kGranule;
    }
}

struct WgmmaLane {
  Wgmma op;
  Line line;
};
Warp& my_warp() { return now->in->warps[size_t(now->rank / 32)]; }

void issue_wgmma(void* const* lanes) {
  const WgmmaLane& first = *static_cast<WgmmaLane*>(lanes[0]);
  const Wgmma& o = first.op;
  Warp& w = my_warp();
  const int n = o.size * 2;
  if (!w.fenced) stop(first.line, "wgmma with no wgmma_fence before it since the last wait");
  if (now->in->threads < (now->rank / 128 + 1) * 128)
    stop(first.line, "wgmma needs a whole warpgroup of 128 threads");
  WgmmaOp op{n,
             {},
             {},
             {},
             {},
             first.line,
             o.a_descriptor,
             o.b_descriptor,
             o.a_transposed,
             o.b_transposed,
             o.bfloat,
             o.accumulate,
             now->rank / 32 % 4 * 16,
             ++w.wgmmas};
  if (o.a) op.a.resize(256);
  else check_operand(o.a_descriptor, o.a_transposed, op.row, 16, first.line);
  check_operand(o.b_descriptor, o.b_transposed, 0, n, first.line);
  Accumulator* sum = nullptr;
  for (Accumulator& a : w.accumulators)
    if (a.key == o.d) sum = &a;
  const bool pending = sum != nullptr;
  if (!pending) {
    w.accumulators.push_back({o.d, {}, n, std::vector<float>(size_t(16 * n))});
    sum = &w.accumulators.back();
  }
  for (int l = 0; l < 32; ++l) {
    const Wgmma& mine = static_cast<WgmmaLane*>(lanes[l])->op;
    op.d[l] = sum->d[l] = mine.d;
    op.a_registers[l] = mine.a;
    if (mine.a) std::copy_n(mine.a, 4, op.a_bits[l].begin());
    for (int i = 0; o.a && i < 4; ++i)
      for (int e = 0; e < 2; ++e)
        op.a[size_t((2 * (l % 4) + 8 * (i / 2) + e) * 16 + l / 4 + 8 * (i % 2))] =
            half_value(uint16_t(mine.a[i] >> (16 * e)), o.bfloat);
    for (int i = 0; !pending && i < o.size; ++i)
      sum->value[size_t((l / 4 + 8 * (i % 4 / 2)) * n + 8 * (i / 4) + 2 * (l % 4) + i % 2)] = mine.d[i];
    std::memset(mine.d, 0xFF, size_t(o.size) * 4);  // NaN until the wait
  }
  w.open.push_back(std::move(op));
  worker->wake(now->in->wgmma_gates[now->rank / 128]);
}

void run_wgmma(Warp& w, WgmmaOp& op, int64_t last) {
  if (op.done || op.number > last) return;
  op.done = true;
  for (int l = 0; l < 32; ++l)
    if (op.a_registers[l] && !std::equal(op.a_bits[l].begin(), op.a_bits[l].end(), op.a_registers[l]))
      stop(op.line, "registers of a wgmma's a changed before the wait for it");
  float from_shared[256], b[16 * 256];
  if (op.a.empty()) read_operand(from_shared, op.a_descriptor, op.a_transposed, op.bfloat, op.row, 16);
  const float* a = op.a.empty() ? from_shared : op.a.data();
  read_operand(b, op.b_descriptor, op.b_transposed, op.bfloat, 0, op.n);
  for (Accumulator& sum : w.accumulators) {
    if (sum.key != op.d[0]) continue;
    for (int r = 0; r < 16; ++r) {
      float* d = sum.value.data() + r * op.n;
      if (!op.accumulate) std::fill_n(d, op.n, 0.0f);
      add_products(d, op.n, a + r, 16, b, op.bfloat);
    }
  }
}

// Returns the number of the last wgmma that a wait for all but the newest `groups` groups completes.
int64_t last_awaited(const Warp& w, int groups) {
  int64_t last = 0;
  for (size_t i = 0; i + size_t(groups) < w.committed.size(); ++i)
    if (!w.committed[i].empty()) last = w.committed[i].back().number;
  return last;
}

struct WgmmaWait {
  int groups;
};
void finish_wgmma(void* const* lanes) {
  Warp& w = my_warp();
  const int left = static_cast<WgmmaWait*>(lanes[0])->groups;
  const int64_t last = last_awaited(w, left);
  for (int i = 0; last && i < 4; ++i) {  // the parts of the four warps are one instruction
    Warp& other = now->in->warps[size_t(now->rank / 128 * 4 + i)];
    for (auto& group : other.committed)
      for (WgmmaOp& op : group) run_wgmma(other, op, last);
    for (WgmmaOp& op : other.open) run_wgmma(other, op, last);
  }
  while (w.committed.size() > size_t(left)) w.committed.pop_front();
  const auto busy = [&](const Accumulator& sum) {
    const auto uses = [&](const WgmmaOp& op) { return op.d[0] == sum.key; };
    for (const auto& group : w.committed)
      if (std::any_of(group.begin(), group.end(), uses)) return true;
    return std::any_of(w.open.begin(), w.open.end(), uses);
  };
  for (size_t i = 0; i < w.accumulators.size();) {
    const Accumulator& sum = w.accumulators[i];
    if (busy(sum)) {
      ++i;
      continue;
    }
    for (int l = 0; l < 32; ++l)
      for (int j = 0; j < sum.n / 2; ++j)
        sum.d[l][j] =
            sum.value[size_t((l / 4 + 8 * (j % 4 / 2)) * sum.n + 8 * (j / 4) + 2 * (l % 4) + j % 2)];
    w.accumulators.erase(w.accumulators.begin() + std::ptrdiff_t(i));
  }
  w.fenced = false;
}

}  // namespace

void wgmma(Wgmma mine, Line line) {
  WgmmaLane operands{mine, line};
  now->line = line;
  warp_meet("wgmma_m64k16", 0xffffffffu, &operands, issue_wgmma, line);
}
void wgmma_fence(Line line) {
  int none = 0;
  warp_meet(
      "wgmma_fence", 0xffffffffu, &none, [](void* const*) { my_warp().fenced = true; }, line);
}
void wgmma_commit(Line line) {
  int none = 0;
  warp_meet(
      "wgmma_commit", 0xffffffffu, &none,
      [](void* const*) {
        Warp& w = my_warp();
        w.committed.push_back(std::move(w.open));
        w.open.clear();
      },
      line);
}
void wgmma_wait(int groups, Line line) {
  settle();
  const int64_t last = last_awaited(my_warp(), groups);
  const int group = now->rank / 128;
  for (size_t i = 0; last && i < 4; ++i)
    while (now->in->warps[size_t(group * 4) + i].wgmmas < last)
      worker->wait_at(now->in->wgmma_gates[group], "the other warps' wgmma", line);
  WgmmaWait mine{groups};
  warp_meet("wgmma_wait", 0xffffffffu, &mine, finish_wgmma, line);
}

}  // namespace emulate

}  // namespace dae
