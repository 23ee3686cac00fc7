// The attention kernels on CUDA against the CPU's in f64 on the same rounded inputs, each in every order.
//
// The limits were fixed before any error was seen. A result is rounded to T once; mma rounds p and ds once
// before. So the norm of the difference may be 3 units of T; in f32, with sums of 1000 terms, 1e-5.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/attention/variants.h"
#include "tests/support/device_array.h"
#include "tests/support/orders.h"

namespace dae {

namespace {

template <class T>
constexpr double kLimit = std::is_same_v<T, float>  ? 1e-5
                          : std::is_same_v<T, bf16> ? 3 * 0x1p-8
                                                    : 3 * 0x1p-11;

template <class T>
std::vector<T> random(int64_t n, uint32_t op, double size) {
  std::vector<T> x(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i)
    x[size_t(i)] = T(float(size * (double(random_bits(Key{5, 0, op}, uint64_t(i))) * 0x1p-31 - 1)));
  return x;
}
template <class T>
std::vector<double> wide(const std::vector<T>& x) {
  return {x.begin(), x.end()};
}
template <class T>
double error(const std::vector<T>& a, const std::vector<double>& b) {
  double d = 0, n = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double v = double(float(a[i])) - b[i];
    d += v * v, n += b[i] * b[i];
  }
  return std::sqrt(d / n);  // an element that nobody wrote is NaN, which fails every comparison
}

struct Case {
  std::string label;
  int64_t batch, heads, queries, keys, head_dim;
  bool causal;
  int64_t unmasked;
  bool packed;
};

template <class T>
struct Problem {
  explicit Problem(const Case& c) {
    const int64_t width = c.heads * c.head_dim;
    const int64_t stride = c.packed ? 3 * width : width;
    shape = {c.batch, c.heads, c.queries, c.keys, c.head_dim, stride, stride, c.causal, c.unmasked};
    k_at = c.packed ? width : 0, v_at = 2 * k_at;
    q = random<T>(c.batch * c.queries * stride, 1, 2);
    k = c.packed ? q : random<T>(c.batch * c.keys * stride, 2, 2);
    v = c.packed ? q : random<T>(c.batch * c.keys * stride, 3, 1);
    dy = random<T>(c.batch * c.queries * width, 4, 1);
    statistics = c.batch * c.heads * c.queries;
  }
  template <class V, class U>
  struct Result {
    std::vector<V> y, dq, dk, dv;
    std::vector<U> lse;
  };
  // Packs the three gradients into one array, as a packed projection has them.
  template <class V, class U>
  void join(Result<V, U>& r) const {
    if (k_at == 0) return;
    for (size_t i = 0; i < r.dq.size(); ++i) {
      const int64_t part = int64_t(i) % (3 * k_at) / k_at;
      if (part > 0) r.dq[i] = part == 1 ? r.dk[i] : r.dv[i];
    }
    r.dk = r.dv = r.dq;
  }
  Result<double, double> expected() const {
    Result<double, double> r{std::vector<double>(dy.size()), std::vector<double>(q.size()),
                             std::vector<double>(k.size()), std::vector<double>(v.size()),
                             std::vector<double>(size_t(statistics))};
    const auto q64 = wide(q), k64 = wide(k), v64 = wide(v), dy64 = wide(dy);
    attention_forward(Cpu{}, r.y.data(), r.lse.data(), q64.data(), k64.data() + k_at, v64.data() + v_at,
                      shape);
    attention_backward(Cpu{}, r.dq.data(), r.dk.data() + k_at, r.dv.data() + v_at, dy64.data(), r.y.data(),
                       r.lse.data(), q64.data(), k64.data() + k_at, v64.data() + v_at, shape);
    join(r);
    return r;
  }

  AttentionShape shape;
  int64_t k_at, v_at, statistics;
  std::vector<T> q, k, v, dy;
};

template <class T>
struct OnDevice {
  explicit OnDevice(const Problem<T>& p)
      : p(p),
        q(p.q),
        k(p.k),
        v(p.v),
        dy(p.dy),
        y(int64_t(p.dy.size())),
        dq(int64_t(p.q.size())),
        dk(int64_t(p.k.size())),
        dv(int64_t(p.v.size())),
        lse(p.statistics) {}
  template <class Forward, class Back>
  typename Problem<T>::template Result<T, float> found(Forward forward, Back backward) {
    y.poison(), dq.poison(), dk.poison(), dv.poison(), lse.poison();
    const T *k_in = k.data + p.k_at, *v_in = v.data + p.v_at;
    forward(device(), AttentionForward<T>{y.data, lse.data, q.data, k_in, v_in, p.shape});
    backward(device(), AttentionBackward<T>{dq.data, dk.data + p.k_at, dv.data + p.v_at, dy.data, y.data,
                                            lse.data, q.data, k_in, v_in, p.shape});
    typename Problem<T>::template Result<T, float> r{y.download(), dq.download(), dk.download(),
                                                     dv.download(), lse.download()};
    p.join(r);
    return r;
  }
  const Problem<T>& p;
  const Array<T> q, k, v, dy;
  Array<T> y, dq, dk, dv;
  Array<float> lse;
};

template <class T, class Forward, class Backward>
void compare(const std::string& variant, const Case& c, Forward forward, Backward backward) {
  CAPTURE(variant);
  CAPTURE(c.label);
  CAPTURE(sizeof(T));
  const Problem<T> problem(c);
  OnDevice<T> there(problem);
  const auto expected = problem.expected();
  in_every_order([&] {
    const auto found = there.found(forward, backward);
    CHECK(error(found.y, expected.y) < kLimit<T>);
    CHECK(error(found.lse, expected.lse) < 1e-5);
    CHECK(error(found.dq, expected.dq) < kLimit<T>);
    CHECK(error(found.dk, expected.dk) < kLimit<T>);
    CHECK(error(found.dv, expected.dv) < kLimit<T>);
  });
}

const Case kNaive[] = {
    {"prime", 2, 3, 7, 13, 5, false, 0, false},
    {"one token, packed", 2, 1, 1, 1, 3, false, 0, true},
    {"causal, packed, unmasked", 1, 2, 23, 23, 8, true, 5, true},
    {"causal, fewer queries", 1, 2, 5, 37, 7, true, 0, false},
};
const Case kTiled[] = {
    {"one token", 1, 2, 1, 1, 32, false, 0, true},
    {"T = 64, d = 64, packed", 1, 2, 64, 64, 64, false, 0, true},
    {"prime, d = 72", 1, 2, 67, 131, 72, false, 0, false},
    {"causal, d = 104, packed", 1, 1, 101, 101, 104, true, 0, true},
    {"causal, unmasked, d = 32, packed", 2, 1, 73, 73, 32, true, 29, true},
    {"causal, fewer queries, d = 128", 1, 1, 5, 150, 128, true, 0, false},
    {"the prior: T = 256, causal, d = 64, one block a head", 1, 1, 256, 256, 64, true, 0, true},
    {"the wide prior: T = 256, causal, d = 104, packed", 1, 1, 256, 256, 104, true, 0, true},
    {"DiT-XL: T = 64, d = 72, packed", 1, 2, 64, 64, 72, false, 0, true},
    {"more keys than one block takes, d = 128", 1, 1, 37, 131, 128, false, 0, false},
    {"causal, more than one block takes, d = 40", 1, 1, 301, 301, 40, true, 0, true},
};

const Case kWhole[] = {
    {"one token", 1, 2, 1, 1, 32, false, 0, true},
    {"DiT-L: T = 64, d = 64, packed", 1, 2, 64, 64, 64, false, 0, true},
    {"DiT-XL: T = 64, d = 72, packed", 1, 2, 64, 64, 72, false, 0, true},
    {"the prior: T = 256, causal, d = 64, packed", 1, 1, 256, 256, 64, true, 0, true},
    {"the wide prior: T = 256, causal, d = 104, packed", 1, 1, 256, 256, 104, true, 0, true},
    {"T = 256, d = 128", 1, 1, 256, 256, 128, false, 0, false},
    {"prime, more keys, d = 72", 2, 1, 37, 131, 72, false, 0, false},
    {"prime, more queries, d = 40", 1, 1, 149, 17, 40, false, 0, false},
    {"causal, unmasked, d = 32, packed", 2, 1, 73, 73, 32, true, 29, true},
    {"causal, fewer queries, d = 128", 1, 1, 5, 150, 128, true, 0, false},
    {"causal, prime, d = 8", 1, 3, 251, 251, 8, true, 0, true},
};

const Case kBlocks[] = {
    {"one token, d = 32", 1, 2, 1, 1, 32, false, 0, true},
    {"prime, d = 64", 1, 2, 37, 67, 64, false, 0, false},
    {"causal, unmasked, d = 72, packed", 1, 1, 73, 73, 72, true, 29, true},
    {"causal, fewer queries, d = 104", 1, 2, 5, 50, 104, true, 0, false},
    {"d = 256", 1, 1, 33, 37, 256, false, 0, false},
};
const Case kWide[] = {
    {"d = 512, packed", 1, 1, 67, 67, 512, false, 0, true},
    {"causal, d = 400", 1, 1, 33, 41, 400, true, 0, false},
    {"VQGAN: d = 512 over 256 tokens, packed", 1, 1, 256, 256, 512, false, 0, true},
    {"KL-f8: d = 512, nine of 1024 queries", 1, 1, 9, 1024, 512, false, 0, false},
    {"KL-f8: d = 512, nine of 1024 keys", 1, 1, 1024, 9, 512, false, 0, false},
};

}  // namespace

TEST_CASE("naive attention is that of the CPU") {
  auto run = [](Cuda where, const auto& a) { attention_naive(where, a); };
  for (const Case& c : kNaive) {
    compare<float>("naive", c, run, run);
    compare<bf16>("naive", c, run, run);
    compare<f16>("naive", c, run, run);
  }
}

TEST_CASE("tiled attention is that of the CPU") {
  auto run = [](Cuda where, const auto& a) { attention_tiled(where, a); };
  for (const Case& c : kTiled) {
    REQUIRE(attention_tiled_takes(Problem<bf16>(c).shape));
    compare<bf16>("tiled", c, run, run);
    compare<f16>("tiled", c, run, run);
  }
}

TEST_CASE("whole-sequence attention is that of the CPU") {
  auto run = [](Cuda where, const auto& a) { attention_whole(where, a); };
  for (const Case& c : kWhole) {
    REQUIRE(attention_whole_takes(Problem<bf16>(c).shape));
    compare<bf16>("whole", c, run, run);
    compare<f16>("whole", c, run, run);
  }
}

TEST_CASE("attention by blocks is that of the CPU") {
  auto run = [](Cuda where, const auto& a) { attention_blocks(where, a); };
  for (const Case& c : kBlocks) {
    REQUIRE(attention_blocks_takes<float>(Problem<float>(c).shape));
    compare<float>("blocks", c, run, run);
    compare<bf16>("blocks", c, run, run);
  }
  for (const Case& c : kWide) {
    REQUIRE(attention_blocks_takes<bf16>(Problem<bf16>(c).shape));
    compare<bf16>("blocks", c, run, run);
    compare<f16>("blocks", c, run, run);
  }
}

}  // namespace dae
