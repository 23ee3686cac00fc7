// Layers against PyTorch: the outputs, and the gradients of every input for a recorded dy. The limits are
// 1e-10 in f64 and 1e-5 in f32.
#include <map>

#include "tests/support/golden.h"

namespace dae {

namespace {
using V = const std::vector<Tensor>&;
struct Case {
  std::vector<std::string> inputs;  // recorded names in the order of `run`; integers have no gradient
  std::function<Tensor(V)> run;
};

const Golden& golden() {
  static const Golden file("ops.safetensors");
  return file;
}

const std::vector<std::string> kX = {"x"}, kAffine = {"x", "weight", "bias"};

std::map<std::string, Case> cases() {
  auto conv = [](int64_t stride, Pad pad) {
    return Case{kAffine, [=](V x) { return conv2d(x[0], x[1], x[2], stride, pad); }};
  };
  auto transposed = [](int64_t stride, int64_t pad) {
    return Case{kAffine, [=](V x) { return conv_transpose2d(x[0], x[1], x[2], stride, pad); }};
  };
  auto batch = [](bool training) {
    const std::string name = training ? "batch_norm_train" : "batch_norm_eval";
    return Case{kAffine, [=](V x) {
                  Tensor mean = golden()[name + ".mean_before"].to(x[0].dtype()).clone();
                  Tensor var = golden()[name + ".var_before"].to(x[0].dtype()).clone();
                  const Tensor y = batch_norm(x[0], x[1], x[2], mean, var, training, 0.1, 1e-5);
                  const double limit = x[0].dtype() == Dtype::f64 ? 1e-10 : 1e-5;
                  CHECK(relative_error(mean, golden()[name + ".mean_after"]) < limit);
                  CHECK(relative_error(var, golden()[name + ".var_after"]) < limit);
                  return y;
                }};
  };
  return {
      {"conv_k3s1p1", conv(1, 1)},
      {"conv_k5s2p2", conv(2, 2)},
      {"conv_k4s2p1", conv(2, 1)},
      {"conv_pad_right_bottom", conv(2, {0, 0, 1, 1})},
      {"conv_transpose_k4s2p1", transposed(2, 1)},
      {"conv_transpose_k2s1p0", transposed(1, 0)},
      {"batch_norm_train", batch(true)},
      {"batch_norm_eval", batch(false)},
      {"group_norm", {kAffine, [](V x) { return group_norm(x[0], x[1], x[2], 3, 1e-6); }}},
      {"layer_norm", {kAffine, [](V x) { return layer_norm(x[0], x[1], x[2], 1e-5); }}},
      {"gelu", {kX, [](V x) { return gelu(x[0]); }}},
      {"gelu_tanh", {kX, [](V x) { return gelu_tanh(x[0]); }}},
      {"silu", {kX, [](V x) { return silu(x[0]); }}},
      {"softplus", {kX, [](V x) { return softplus(x[0]); }}},
      {"softmax", {kX, [](V x) { return softmax(x[0]); }}},
      {"cross_entropy", {{"input", "target"}, [](V x) { return cross_entropy(x[0], x[1]); }}},
      {"embedding", {{"weight", "index"}, [](V x) { return embedding(x[0], x[1]); }}},
      {"bce_target_0", {kX, [](V x) { return bce_with_logits(x[0], 0); }}},
      {"bce_target_1", {kX, [](V x) { return bce_with_logits(x[0], 1); }}},
      {"max_pool", {kX, [](V x) { return max_pool(x[0], 3, 2, 1); }}},
      {"avg_pool", {kX, [](V x) { return avg_pool(x[0], 3, 2, 1, false); }}},
      {"avg_pool_count_pad", {kX, [](V x) { return avg_pool(x[0], 3, 2, 1, true); }}},
      {"upsample_nearest", {kX, [](V x) { return upsample_nearest(x[0], 2); }}},
  };
}

void compare(const std::string& name, const Case& c, Dtype dtype, double limit) {
  INFO(name, " in ", dae::name(dtype));
  std::vector<Tensor> inputs, leaves;
  std::vector<std::string> of;
  for (const std::string& input : c.inputs) {
    Tensor t = from_torch(golden()[name + "." + input]).clone();
    if (t.dtype() != Dtype::i64) {
      t = t.to(dtype);
      track(t);
      leaves.push_back(t), of.push_back(input);
    }
    inputs.push_back(t);
  }
  const Tensor y = c.run(inputs);
  CHECK(relative_error(y, from_torch(golden()[name + ".y"])) < limit);
  const Grads grads = grad(y, leaves, {.dy = from_torch(golden()[name + ".dy"]).to(dtype)});
  for (size_t i = 0; i < grads.size(); ++i) {
    INFO("gradient of ", of[i]);
    REQUIRE(grads[i]);
    CHECK(relative_error(grads[i], from_torch(golden()[name + ".d" + of[i]])) < limit);
  }
}
}  // namespace

TEST_CASE("layers equal PyTorch's in f64") {
  for (const auto& [name, c] : cases()) compare(name, c, Dtype::f64, 1e-10);
}

TEST_CASE("layers equal PyTorch's in f32") {
  for (const auto& [name, c] : cases()) compare(name, c, Dtype::f32, 1e-5);
}

TEST_CASE("every recorded layer is compared") {
  const auto known = cases();
  for (const std::string& name : golden().names(""))
    CHECK_MESSAGE(known.contains(name.substr(0, name.find('.'))), name);
}

}  // namespace dae
