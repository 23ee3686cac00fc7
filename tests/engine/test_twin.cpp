// The op table on CUDA against the CPU: f32, bf16 and f16, forward and every gradient. On a GPU if there is
// one, otherwise on the emulated device in four schedules, whose results must be equal bit by bit.
//
// Limits on the relative norm, fixed before any error was seen:
//   f32       2e-5 forward, 1e-4 for gradients, as f32 against f64 in test_ops.cpp: sums of up to a thousand
//             terms in another order; exp and log differ in the last bits
//   16 bits   4 u (u = 2^-8 for bf16, 2^-11 for f16): the CPU computes in f32 on the rounded inputs, so a
//             result differs by its own rounding, at most u in norm, and by that of at most three
//             intermediate tensors
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "engine/optimizer.h"
#include "tests/rows/rows.h"
#include "tests/support/orders.h"

namespace dae {

namespace {

struct Limit {
  Dtype dtype;
  double forward, gradient;
};
constexpr Limit kLimits[] = {
    {Dtype::f32, 2e-5, 1e-4}, {Dtype::bf16, 0x1p-6, 0x1p-6}, {Dtype::f16, 0x1p-9, 0x1p-9}};

// Runs the row on CUDA in every order and checks that the bits are the same.
Outcome run_on_cuda(const Row& row, Dtype dtype) {
  Outcome first;
  in_every_order([&] {
    Outcome again = run_row(row, row.run, dtype, dtype, Device::cuda);
    if (first.y) CHECK(same_bits(again, first));
    else first = std::move(again);
  });
  return first;
}

void check_rows(const std::vector<Row>& rows) {
  poison_allocations(true);
  for (const Row& row : rows) {
    const std::string name = row.op + ": " + row.label;
    CAPTURE(name);
    for (const Limit& limit : kLimits) {
      CAPTURE(dae::name(limit.dtype));
      const Outcome cuda = run_on_cuda(row, limit.dtype);
      const Outcome cpu = run_row(row, row.run, Dtype::f32, limit.dtype);
      if (cuda.y.dtype() == Dtype::i64) CHECK(same_bits(cuda.y, cpu.y));
      else CHECK(relative_error(cuda.y, cpu.y) <= limit.forward);
      REQUIRE(cuda.dx.size() == cpu.dx.size());
      for (size_t i = 0; i < cpu.dx.size(); ++i) {
        CAPTURE(i);
        CHECK(relative_error(cuda.dx[i], cpu.dx[i]) <= limit.gradient);
      }
    }
  }
}

}  // namespace

// Every op gives the same results on CUDA and on the CPU. Each family is a test case, so that bench/gpu.py
// can run it alone.
TEST_CASE("ops: elementwise") { check_rows(elementwise_rows()); }
TEST_CASE("ops: activations") { check_rows(activation_rows()); }
TEST_CASE("ops: reductions") { check_rows(reduce_rows()); }
TEST_CASE("ops: softmax") { check_rows(softmax_rows()); }
TEST_CASE("ops: losses") { check_rows(loss_rows()); }
TEST_CASE("ops: shapes") { check_rows(shape_rows()); }
TEST_CASE("ops: products") { check_rows(matmul_rows()); }
TEST_CASE("ops: attention") { check_rows(attention_rows()); }
TEST_CASE("ops: convolutions") { check_rows(conv_rows()); }
TEST_CASE("ops: norms") { check_rows(norm_rows()); }
TEST_CASE("ops: resampling") { check_rows(resample_rows()); }
TEST_CASE("ops: random numbers") { check_rows(random_rows()); }
TEST_CASE("ops: look-up") { check_rows(lookup_rows()); }
TEST_CASE("ops: quantisation") { check_rows(vq_rows()); }
TEST_CASE("ops: no family is left out") {
  REQUIRE(gpu_count() > 0);  // every case here must fail without a GPU (tests/without_gpu.sh)
  size_t count = 0;
  for (auto family :
       {elementwise_rows, activation_rows, reduce_rows, softmax_rows, loss_rows, shape_rows, matmul_rows,
        attention_rows, conv_rows, norm_rows, resample_rows, random_rows, lookup_rows, vq_rows})
    count += family().size();
  CHECK(count == all_rows().size());
}

TEST_CASE("random numbers have the same bits on CUDA and on the CPU, rounded to the type") {
  const Key key{0x123456789abcdef, 77, 5};
  for (const Limit& limit : kLimits) {
    CAPTURE(name(limit.dtype));
    for (const int64_t n : {1, 37, 1024, 4099}) {
      const Tensor gaussian = normal({n}, key, limit.dtype, Device::cuda);
      CHECK(same_bits(gaussian, normal({n}, key).to(limit.dtype)));
      const Tensor flat = uniform({n}, -2, 3, key, limit.dtype, Device::cuda);
      CHECK(same_bits(flat, uniform({n}, -2, 3, key).to(limit.dtype)));
    }
  }
  const Tensor x = uniform({3, 5, 7, 11}, -1, 1, key);
  const Tensor dropped = dropout(x.to(Device::cuda), 0.3, key);
  CHECK(same_bits(dropped, dropout(x, 0.3, key)));
  const Tensor thinned = channel_dropout(x.to(Device::cuda), 0.3, key);
  CHECK(same_bits(thinned, channel_dropout(x, 0.3, key)));
}

TEST_CASE("an index outside the table is one clear error on both devices, and the next step goes on") {
  for (const Device device : {Device::cpu, Device::cuda})
    for (const double wrong : {-1, 5}) {
      const Tensor table = uniform({5, 8}, -1, 1, Key{5, 0, 0}).to(device);
      const Tensor index = Tensor::of({3}, {0, wrong, 4}, Dtype::i64).to(device);
      const Tensor good = Tensor::of({3}, {0, 2, 4}, Dtype::i64).to(device);
      std::string line;
      try {
        embedding(table, index).to(Device::cpu);
      } catch (const Error& e) { line = e.what(); }
      CAPTURE(line);
      CHECK(line.find(fmt::format("embedding: index {} is not in [0, 5)", wrong)) != std::string::npos);
      CHECK(same_bits(embedding(table, good).to(Device::cpu).part(8, {8}),
                      table.to(Device::cpu).part(16, {8})));
    }
}

TEST_CASE("a code outside the codebook is one clear error on both devices, and counts nowhere") {
  for (const Device device : {Device::cpu, Device::cuda})
    for (const double wrong : {-1, 5, 1 << 20}) {
      const Tensor index = Tensor::of({3}, {0, wrong, 4}, Dtype::i64).to(device);
      std::string line;
      try {
        code_usage(index, 5).to(Device::cpu);
      } catch (const Error& e) { line = e.what(); }
      CAPTURE(line);
      CHECK(line.find(fmt::format("code_usage: index {} is not in [0, 5)", wrong)) != std::string::npos);
      const Tensor good = Tensor::of({3}, {0, 4, 4}, Dtype::i64).to(device);
      CHECK(code_usage(good, 5).to(Device::cpu).values() == std::vector<double>{1, 0, 0, 0, 2});
    }
}

TEST_CASE("a label outside the classes is one clear error on both devices, in either kernel") {
  for (const Device device : {Device::cpu, Device::cuda})
    for (const int64_t classes : {5, 1100})  // a warp for each row, a block for each row
      for (const double wrong : {-1.0, double(classes)}) {
        const Tensor logits = uniform({3, classes}, -1, 1, Key{5, 0, 0}).to(device);
        const Tensor label = Tensor::of({3}, {0, wrong, 4}, Dtype::i64).to(device);
        const Tensor good = Tensor::of({3}, {0, 2, 4}, Dtype::i64).to(device);
        std::string line;
        try {
          cross_entropy(logits, label).item();
        } catch (const Error& e) { line = e.what(); }
        CAPTURE(line);
        CHECK(line.find("cross_entropy: ") == 0);
        CHECK(line.find(fmt::format("{} ", wrong)) != std::string::npos);
        CHECK(line.find(fmt::format("is not in [0, {})", classes)) != std::string::npos);
        CHECK(cross_entropy(logits, good).item() > 0);
      }
}

TEST_CASE("the maximum of a window with a NaN is NaN, wherever it lies in the window, on both devices") {
  for (int64_t at = 0; at < 4; ++at) {
    Tensor x = uniform({1, 2, 2, 1}, -1, 1, Key{3, uint32_t(at), 0});
    x.data<float>()[at] = std::nanf("");
    for (const Device device : {Device::cpu, Device::cuda}) {
      CAPTURE(at);
      CAPTURE(name(device));
      CHECK(std::isnan(max_pool(x.to(device), 2, 2, 0).item()));
    }
  }
}

TEST_CASE("tensors move between devices and types, and each device's memory is its own") {
  const Tensor x = uniform({7, 31}, -3, 3, Key{5, 0, 0}), there = x.to(Device::cuda);
  CHECK(there.device() == Device::cuda);
  CHECK(same_bits(there.to(Device::cpu), x));
  CHECK(same_bits(there.clone(), x));
  CHECK(there.part(31, {31}).values() == x.part(31, {31}).values());
  for (const Limit& a : kLimits)
    for (const Limit& b : kLimits) CHECK(same_bits(there.to(a.dtype).to(b.dtype), x.to(a.dtype).to(b.dtype)));
  Tensor to = Tensor::full({7, 31}, 9, Dtype::f64);
  to.copy_from(there.to(Dtype::f16));
  CHECK(same_bits(to, x.to(Dtype::f16).to(Dtype::f64)));
  CHECK(Tensor::full({5}, 0.1, Dtype::bf16, Device::cuda).values() ==
        Tensor::full({5}, 0.1, Dtype::bf16).values());

  CHECK_THROWS_AS(there.data<float>(), Error);  // the host may not read it
  CHECK_THROWS_AS(mul(x, there), Error);        // nor may a CPU kernel
  CHECK_THROWS_AS(mul(there, x), Error);        // nor may a CUDA kernel read memory of the host
  CHECK_THROWS_AS(mul(there, there.to(Dtype::bf16)), Error);
}

// Limit 2e-6: about a dozen roundings for each element and step, which do not grow.
TEST_CASE("AdamW steps on CUDA as on the CPU, and the 16-bit copies follow") {
  struct Layer : Module {
    explicit Layer(const Build& build) : Module(build) { add_uniform(weight, "weight", {37, 113}, 1); }
    Param weight;
  };
  for (const bool decoupled : {true, false}) {
    std::vector<AdamW::Moments> moments;
    std::vector<Tensor> values;
    for (const Device device : {Device::cpu, Device::cuda}) {
      Rng init(3);
      Layer layer(Build{Dtype::f32, &init, device});
      AdamW optimizer({.beta1 = 0.8, .beta2 = 0.9, .decoupled = decoupled, .ema = 0.7});
      optimizer.add_group({.name = "layer", .params = layer.params(), .lr = 1e-2, .weight_decay = 0.1});
      const Tensor low = device == Device::cuda ? layer.weight.in(Dtype::bf16) : Tensor{};
      for (uint32_t step = 1; step <= 3; ++step) {
        layer.weight.grad = uniform({37, 113}, -1, 1, Key{23, step, 0}).to(device);
        optimizer.set_lr_factor(0.5);
        optimizer.step();
      }
      if (low) CHECK(same_bits(low, layer.weight.value.to(Dtype::bf16)));
      values.push_back(layer.weight.value);
      moments.push_back(optimizer.moments(layer.weight));
    }
    CHECK(relative_error(values[1], values[0]) <= 2e-6);
    for (Tensor AdamW::Moments::*t : {&AdamW::Moments::m, &AdamW::Moments::v, &AdamW::Moments::ema})
      CHECK(relative_error(moments[1].*t, moments[0].*t) <= 2e-6);
  }
}

// The limit is that of the test above. An overflow in the last of the parameters must be found too.
TEST_CASE("a group of more parameters than one launch takes") {
  struct Many : Module {
    explicit Many(const Build& build) : Module(build) {
      for (int i = 0; i < 230; ++i) add_uniform(p[i], fmt::format("p{}", i), {1 + i % 7, 3}, 1);
    }
    Param p[230];
  };
  std::vector<std::vector<Tensor>> values;
  for (const Device device : {Device::cpu, Device::cuda}) {
    Rng init(3);
    Many many(Build{Dtype::f32, &init, device});
    AdamW optimizer({.ema = 0.7, .loss_scale = device == Device::cuda ? 4.0 : 0.0});
    optimizer.add_group({.name = "many", .params = many.params(), .lr = 1e-2, .weight_decay = 0.1});
    const double scale_now = device == Device::cuda ? 4 : 1;
    for (uint32_t step = 1; step <= 3; ++step) {
      for (uint32_t i = 0; i < 230; ++i)
        many.p[i].grad =
            scale(uniform(many.p[i].value.shape(), -1, 1, Key{23, step, i}), scale_now).to(device);
      optimizer.step();
    }
    std::vector<Tensor> mine;
    for (Param& p : many.p) mine.push_back(p.value.to(Device::cpu)), mine.push_back(optimizer.moments(p).ema);
    if (device == Device::cuda) {
      for (Param& p : many.p) p.grad = Tensor::full(p.value.shape(), 1, Dtype::f32, device);
      many.p[229].grad = Tensor::full(many.p[229].value.shape(), INFINITY, Dtype::f32, device);
      optimizer.step();
      CHECK(optimizer.loss_scale().scale == 2);
      CHECK(same_bits(many.p[0].value, mine[0]));
    }
    values.push_back(mine);
  }
  for (size_t i = 0; i < values[0].size(); ++i) {
    CAPTURE(i);
    CHECK(relative_error(values[1][i], values[0][i]) <= 2e-6);
  }
}

TEST_CASE("exhaustion of the device names its tensors and leaves the host's alone") {
  // No other test has left blocks of these sizes in the pool.
  limit_memory(Device::cuda, memory_stats(Device::cuda).live + (int64_t{64} << 20));
  const Tensor one = Tensor::zeros({1 << 23}, Dtype::f32, Device::cuda);  // 32 MiB
  const Tensor host({1 << 25});
  std::string line;
  try {
    const Tensor more = Tensor::zeros({1 << 24}, Dtype::f32, Device::cuda);
  } catch (const Error& e) { line = e.what(); }
  CAPTURE(line);
  CHECK(line.find("cuda: 64.0 MiB asked for, for f32 (16777216)") != std::string::npos);
  CHECK(line.find("32.0 MiB in 1 x f32 (8388608)") != std::string::npos);
  CHECK(line.find("33554432") == std::string::npos);
  limit_memory(Device::cuda, 0);
}

}  // namespace dae
