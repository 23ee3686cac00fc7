// Element types and memory: conversions, parts, 16-bit weights in files, copies of parameters, and the
// message of a pool that has no more memory.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "engine/module.h"
#include "engine/ops.h"

namespace dae {

namespace {

struct OneLayer : Module {
  explicit OneLayer(const Build& build) : Module(build) {
    add_uniform(weight, "weight", {3, 5}, 1);
    add_constant(bias, "bias", {3}, 0.5);
  }
  Param weight, bias;
};

}  // namespace

TEST_CASE("conversions round to the type and keep what it holds") {
  const Tensor x = scale(uniform({7, 31}, -300, 300, Key{3, 0, 0}, Dtype::f64), 1 / 3.0);
  for (const auto& [dtype, epsilon] :
       {std::pair{Dtype::f32, 0x1p-24}, {Dtype::bf16, 0x1p-8}, {Dtype::f16, 0x1p-11}}) {
    CAPTURE(name(dtype));
    const Tensor y = x.to(dtype);
    CHECK(y.dtype() == dtype);
    CHECK(y.bytes() == y.size() * size_of(dtype));
    const auto before = x.values(), after = y.values(), again = y.to(Dtype::f64).to(dtype).values();
    double worst = 0;
    for (size_t i = 0; i < before.size(); ++i)
      worst = std::max(worst, std::fabs(after[i] - before[i]) / std::fabs(before[i]));
    CHECK(worst <= epsilon * 1.001);  // an f64 passes through f32 on its way to 16 bits
    CHECK(worst > epsilon / 4);
    CHECK(after == again);
    CHECK(dtype_from(name(dtype)) == dtype);
  }
  CHECK(Tensor::of({3}, {1.9, -1.9, 7}, Dtype::i64).values() == std::vector<double>{1, -1, 7});
  CHECK_THROWS_AS(dtype_from("i64"), Error);
}

TEST_CASE("a part shares the memory of the whole") {
  const Tensor x = uniform({5, 7}, -1, 1, Key{3, 0, 1});
  const Tensor row = x.part(14, {7});
  const auto all = x.values(), some = row.values();
  CHECK(std::equal(some.begin(), some.end(), all.begin() + 14));
  row.data<float>()[3] = 42;
  CHECK(x.values()[17] == 42);
  CHECK_THROWS_AS(x.part(29, {7}), Error);
}

TEST_CASE("permute counts axes from the end too, once each, forward and backward") {
  Param p;
  p.value = uniform({2, 3, 5}, -1, 1, Key{3, 0, 2}, Dtype::f64);
  track(p.value);
  const Tensor weights = uniform({2, 5, 3}, -1, 1, Key{3, 0, 3}, Dtype::f64);
  Param* const wrt[] = {&p};
  const auto both = [&](const std::vector<int>& order) {
    const Tensor y = permute(p.value, order);
    return std::pair(y.values(), grad(sum(mul(y, weights)), wrt)[0].values());
  };
  CHECK(both({0, -1, 1}) == both({0, 2, 1}));
  CHECK(both({-3, 2, -2}) == both({0, 2, 1}));
  for (const std::vector<int>& order : {std::vector<int>{0, 0, 1}, {0, -3, 1}, {0, 1, 3}, {0, 1, -4}, {0, 1}})
    CHECK_THROWS_AS(permute(p.value, order), Error);
}

TEST_CASE("data() gives the elements only as what they are") {
  const Tensor x = Tensor::zeros({2}, Dtype::bf16);
  CHECK_THROWS_AS(x.data<float>(), Error);
  CHECK_THROWS_AS(sum(x), Error);  // only CUDA computes in 16 bits
}

TEST_CASE("the 16-bit copy of a parameter stands for it on the tape and follows its values") {
  Rng init(5);
  OneLayer layer(Build{Dtype::bf16, &init});
  CHECK(layer.weight.value.dtype() == Dtype::f32);
  CHECK(layer.bias.value.dtype() == Dtype::f32);
  const Tensor low = layer.weight.in(Dtype::bf16);
  CHECK(low.dtype() == Dtype::bf16);
  CHECK(low.node() == layer.weight.value.node());
  CHECK(layer.weight.in(Dtype::f32).raw() == layer.weight.value.raw());
  layer.weight.value.copy_from(Tensor::full({3, 5}, 0.1));
  layer.weight.changed();
  CHECK(layer.weight.in(Dtype::bf16).raw() == low.raw());
  CHECK(low.values() == std::vector<double>(15, double(float(bf16(0.1f)))));
  layer.weight.freeze(true);
  CHECK(!layer.weight.in(Dtype::bf16).tracked());
}

TEST_CASE("exhaustion names the tensors that hold most, and kept blocks are given back first") {
  const int64_t before = memory_stats(Device::cpu).reserved;
  limit_memory(Device::cpu, before + (int64_t{50} << 20));
  {
    std::vector<Tensor> large;
    for (int i = 0; i < 3; ++i) large.push_back(Tensor::full({1 << 22}, 1));  // 16 MiB each
    const Tensor one = square(Tensor::full({1 << 10}, 2));
    std::string line;
    try {
      scale(large[0], 2);
    } catch (const Error& e) { line = e.what(); }
    CAPTURE(line);
    CHECK(line.find("16.0 MiB asked for") != std::string::npos);
    CHECK(line.find("48.0 MiB in 3 x f32 (4194304)") != std::string::npos);
    CHECK(line.find("f32 (1024) by square") != std::string::npos);
    CHECK(line.find('\n') == std::string::npos);
  }
  const Tensor larger({3 << 22});  // fits only once the three blocks are given back
  CHECK(larger.size() == 3 << 22);
  limit_memory(Device::cpu, 0);
}

}  // namespace dae
