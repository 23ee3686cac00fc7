// The tape as models use it: partial backwards over one graph, networks through which only the gradient of
// the input passes, frozen groups, long chains, misuse.
#include <doctest/doctest.h>
#include <pthread.h>

#include <algorithm>
#include <cmath>

#include "engine/nn.h"
#include "engine/optimizer.h"
#include "models/losses.h"

namespace dae {

namespace {

constexpr Dtype kType = Dtype::f64;

double norm(const Tensor& t) {
  double squares = 0;
  for (const double v : t.values()) squares += v * v;
  return std::sqrt(squares);
}

// Returns ||a - b|| / ||b||. The same f64 arithmetic in two orders differs by 1e-15 an operation; kSame
// allows a few hundred operations in a row.
constexpr double kSame = 1e-12;
double relative_error(const Tensor& a, const Tensor& b) {
  REQUIRE(a);
  REQUIRE(b);
  REQUIRE(a.shape() == b.shape());
  return norm(sub(a.detach(), b.detach())) / norm(b);
}

// Checks the gradient of a smooth f along a random direction of p by central differences. Their errors are
// h^2 and eps / h; the limit 1e-6 is two orders above both.
void check_derivative(const Param& p, const Tensor& gradient, const std::function<double()>& f) {
  INFO(p.name);
  REQUIRE(gradient);
  Tensor at = p.value.detach();
  const Tensor start = at.clone(), direction = normal(at.shape(), Key{11, 0, 0}, kType);
  const double h = 1e-5;
  const auto value = [&](double step) {
    at.copy_from(add(start, scale(direction, step)));
    return f();
  };
  const double difference = (value(h) - value(-h)) / (2 * h);
  at.copy_from(start);
  const double expected = sum(mul(gradient, direction)).item();
  CHECK(std::abs(difference - expected) <= 1e-6 * norm(gradient) * norm(direction));
  CHECK(norm(gradient) > 0);
}

// ---- a small VQGAN ----------------------------------------------------------------------------------------

struct Autoencoder : Module {
  explicit Autoencoder(const Build& build) : Module(build) { add_normal(codebook, "codebook", {5, 4}, 0.5); }

  struct Output {
    Tensor z, quantized, codebook_loss, rec;
  };
  // Replaces each row of z (R, 4) by its nearest code. The losses move the codes towards z and, times beta, z
  // towards its code.
  Output operator()(const Tensor& x) const {
    Tensor h = silu(conv_in(x));
    const Shape grid = h.shape();
    Output out;
    out.z = reshape(h, {-1, 4});
    out.quantized = embedding(codebook.value, nearest_code(out.z, codebook.value));
    out.codebook_loss =
        mse_loss(out.z.detach(), out.quantized) + 0.25 * mse_loss(out.z, out.quantized.detach());
    out.rec = decode(straight_through(out.z, out.quantized), grid);
    return out;
  }
  Tensor decode(const Tensor& code, const Shape& grid) const {
    return conv_out(silu(conv_mid(upsample_nearest(reshape(code, grid), 2))));
  }
  Conv2d conv_in{this, "conv_in", 2, 4, 3, 2, 1};
  Conv2d conv_mid{this, "conv_mid", 4, 6, 3, 1, 1};
  Conv2d conv_out{this, "conv_out", 6, 2, 3, 1, 1};
  Param codebook;
};

struct Critic : Module {
  explicit Critic(const Build& build) : Module(build) {}
  Tensor operator()(const Tensor& x) { return conv1(norm0(conv0(x), Act::silu)); }
  Conv2d conv0{this, "conv0", 2, 5, 3, 2, 1};
  BatchNorm norm0{this, "norm0", 5};
  Conv2d conv1{this, "conv1", 5, 1, 3, 1, 1};
};

struct Vqgan {
  Rng init{3};
  Autoencoder vq{Build{kType, &init}};
  Critic critic{Build{kType, &init}};
  Tensor x = normal({3, 8, 6, 2}, Key{4, 0, 0}, kType);
  Vqgan() { vq.name_params(""), critic.name_params("critic"); }
};

int64_t live() { return memory_stats().live; }

}  // namespace

TEST_CASE("a VQGAN step: two partial backwards set a weight, then the full one") {
  Vqgan m;
  const Autoencoder::Output out = m.vq(m.x);
  const Tensor nll = mse_loss(out.rec, m.x), g = scale(mean(m.critic(out.rec)), -1);
  Param* last[] = {&m.vq.conv_out.weight};

  const int64_t before = nodes_run();
  const Tensor d_nll = grad(nll, last, true)[0];
  CHECK(nodes_run() - before == 2);  // mse_loss, conv2d: nothing below the weight
  const Tensor d_g = grad(g, last, true)[0];
  const Tensor lambda = adaptive_weight(d_nll, d_g);
  CHECK_FALSE(lambda.tracked());
  CHECK(std::abs(lambda.item() - norm(d_nll) / (norm(d_g) + 1e-4)) <= kSame * lambda.item());
  CHECK(lambda.item() > 0);

  const Tensor loss = nll + scale_by(g, lambda) + out.codebook_loss;
  backward(loss, m.vq.params());

  // The step written out. The decoder sees the codes. The encoder gets the decoder's gradient at the codes as
  // if it were the gradient at z, and the gradient of the term with beta. The codebook gets the codebook loss
  // alone.
  const Tensor code = out.quantized.detach(), z = out.z.detach();
  const auto decoder_loss = [&] {
    const NoGrad off;
    const Tensor rec = m.vq.decode(code, {3, 4, 3, 4});
    return mse_loss(rec, m.x).item() - lambda.item() * mean(m.critic(rec)).item();
  };
  for (Param* p : {&m.vq.conv_mid.weight, &m.vq.conv_mid.bias, &m.vq.conv_out.weight, &m.vq.conv_out.bias})
    check_derivative(*p, p->grad, decoder_loss);
  check_derivative(m.vq.codebook, m.vq.codebook.grad, [&] {
    const NoGrad off;
    return mse_loss(z, embedding(m.vq.codebook.value, nearest_code(z, m.vq.codebook.value))).item();
  });
  Tensor leaf = code;
  track(leaf);
  const Tensor rec = m.vq.decode(leaf, {3, 4, 3, 4});
  const Tensor at_code[] = {leaf};
  const Tensor dz = grad(mse_loss(rec, m.x) - scale_by(mean(m.critic(rec)), lambda), at_code)[0];
  for (Param* p : {&m.vq.conv_in.weight, &m.vq.conv_in.bias})
    check_derivative(*p, p->grad, [&] {
      const NoGrad off;
      const Tensor now = reshape(silu(m.vq.conv_in(m.x)), {-1, 4});
      return sum(mul(dz, now)).item() + 0.25 * mse_loss(now, code).item();
    });

  // Without the straight-through estimator the encoder would get no gradient.
  CHECK(norm(m.vq.conv_in.weight.grad) > 0);
  CHECK(relative_error(last[0]->grad, add(d_nll, scale_by(d_g, lambda))) < kSame);
  for (Param* p : m.critic.params()) CHECK_FALSE(p->grad);
}

TEST_CASE("the adaptive weight is clamped, and a constant") {
  const auto weight = [](double a, double b) {
    return adaptive_weight(Tensor::of({2}, {a, 0}, kType), Tensor::of({2}, {0, b}, kType));
  };
  CHECK(weight(3, 2).item() == doctest::Approx(3 / 2.0001));
  CHECK(weight(0, 2).item() == 0);
  CHECK(weight(5, 0).item() == 1e4);  // 5e4 before the clamp
  CHECK(weight(0.5, 0).item() == doctest::Approx(5e3));
  CHECK(weight(3, -2).shape() == Shape{});
  Tensor a = Tensor::of({2}, {1, 2}, kType);
  track(a);
  CHECK_FALSE(adaptive_weight(a, a).tracked());
}

TEST_CASE("several losses over one graph: gradients with keep add up to the gradient of the sum") {
  Vqgan m;
  const Autoencoder::Output out = m.vq(m.x);
  const Tensor first = l1_loss(out.rec, m.x), second = out.codebook_loss, third = mean(square(out.rec));
  const std::vector<Param*> params = m.vq.params();
  const Grads all = grad(first + second + third, params, true);
  for (const Tensor* loss : {&first, &second, &third}) backward(*loss, params, {loss != &third, {}});
  for (size_t i = 0; i < params.size(); ++i) {
    INFO(params[i]->name);
    CHECK(relative_error(params[i]->grad, all[i]) < kSame);
  }
}

TEST_CASE("a generator's step computes no weight gradient of the discriminator it passes through") {
  Rng init(5);
  // The weights are so large that a gradient of one of them would show in the peak of the memory.
  struct Wide : Module {
    explicit Wide(const Build& build) : Module(build) {}
    Linear in{this, "in", 2, 600}, mid{this, "mid", 600, 600};
    LayerNorm norm{this, "norm", 600};
    Linear out{this, "out", 600, 1};
    Tensor operator()(const Tensor& x) const { return out(leaky_relu(norm(mid(in(x))), 0.2)); }
  };
  struct Small : Module {
    explicit Small(const Build& build) : Module(build) {}
    Linear only{this, "only", 3, 2};
    Tensor operator()(const Tensor& z) const { return only(z); }
  };
  Wide critic(Build{kType, &init});
  Small generator(Build{kType, &init});
  const Tensor z = normal({4, 3}, Key{6, 0, 0}, kType);
  const int64_t weight = critic.mid.weight.value.bytes();

  // Every use of the discriminator's weight goes through a node that counts requests for its gradient.
  int asked = 0;
  Tensor& used = critic.mid.weight.value;
  const Tensor kept = used;
  used = record("probe", used.detach(), {used}, [&](const Tensor& dy, const Needs&) -> Grads {
    ++asked;
    return {dy};
  });
  const Tensor loss = bce_with_logits(critic(generator(z)), 1);
  const int64_t before = nodes_run(), held = live();
  reset_peak();
  const Grads g = grad(loss, generator.params(), true);
  // bce, 3 x linear, leaky_relu, layer_norm, and the generator's linear.
  CHECK(nodes_run() - before == 7);
  CHECK(asked == 0);
  CHECK(memory_stats().peak - held < weight / 2);
  CHECK(norm(g[0]) > 0);

  const Tensor all[] = {kept};
  reset_peak();
  CHECK(norm(grad(loss, all, {true, {}})[0]) > 0);  // now the gradient is asked for
  CHECK(asked == 1);
  CHECK(memory_stats().peak - held >= weight);
}

TEST_CASE("norms: dx has the same bits whether or not the gradients of gain and offset are asked for") {
  const Tensor x = normal({3, 5, 7}, Key{7, 0, 0}, kType), dy = normal({3, 5, 7}, Key{7, 0, 1}, kType);
  const Tensor w = uniform({7}, 0.5, 1.5, Key{7, 0, 2}, kType), b = normal({7}, Key{7, 0, 3}, kType);
  const auto dx_of = [&](int kind, bool with_weights) {
    Tensor in = x.clone(), gain = w.clone(), offset = b.clone(), mean = Tensor::full({7}, 0.1, kType),
           var = Tensor::full({7}, 1.3, kType);
    for (Tensor* t : {&in, &gain, &offset}) track(*t);
    const Tensor y = kind == 2   ? group_norm(in, gain, offset, 1, 1e-5, Act::silu)
                     : kind == 1 ? batch_norm(in, gain, offset, mean, var, true, 0.1, 1e-5, Act::silu)
                                 : batch_norm(in, gain, offset, mean, var, false, 0.1, 1e-5, Act::silu);
    std::vector<Tensor> wrt = {in};
    if (with_weights) wrt.insert(wrt.end(), {gain, offset});
    return grad(y, wrt, {false, dy})[0].values();
  };
  for (int kind = 0; kind < 3; ++kind) {
    CAPTURE(kind);
    CHECK(dx_of(kind, false) == dx_of(kind, true));
  }
}

TEST_CASE("a frozen group records nothing, keeps no activations and gets no gradient") {
  Vqgan m;
  AdamW optimizer;
  std::vector<Param*> encoder = m.vq.conv_in.params(), rest;
  for (Param* p : m.vq.params())
    if (std::find(encoder.begin(), encoder.end(), p) == encoder.end()) rest.push_back(p);
  optimizer.add_group({"encoder", encoder});
  optimizer.add_group({"decoder", rest});

  int64_t before = live();
  Tensor z = silu(m.vq.conv_in(m.x));
  CHECK(z.tracked());
  CHECK(live() - before > z.bytes());  // the convolution's output is kept for silu's backward
  z = {};

  optimizer.freeze("encoder");
  before = live();
  z = silu(m.vq.conv_in(m.x));
  CHECK_FALSE(z.tracked());
  CHECK(live() - before < 2 * z.bytes());
  const Autoencoder::Output out = m.vq(m.x);
  const int64_t nodes = nodes_run();
  backward(l1_loss(out.rec, m.x) + out.codebook_loss, optimizer.trainable());
  // The nodes are l1_loss, conv2d, silu and conv2d of the decoder, two adds, mse_loss and embedding. Nothing
  // below conv_mid runs.
  CHECK(nodes_run() - nodes == 8);
  for (Param* p : encoder) CHECK_FALSE(p->grad);
  for (Param* p : rest) CHECK(p->grad);
  const std::vector<double> weights = encoder[0]->value.values(), other = rest[0]->value.values();
  optimizer.step();
  CHECK(encoder[0]->value.values() == weights);
  CHECK(rest[0]->value.values() != other);
}

namespace {
void* long_chains(void* done) {
  Tensor x = Tensor::full({1}, 1, kType);
  track(x);
  const Tensor wrt[] = {x};
  const auto chain = [&] {
    Tensor y = x;
    for (int i = 0; i < 200000; ++i) y = shift(y, 1e-6);
    return y;
  };
  {
    const Tensor y = chain();
    const double slope = grad(y, wrt, {true, {}})[0].item();
    if (slope != 1) return nullptr;
  }                    // frees a chain whose nodes have not run
  grad(chain(), wrt);  // freed after its nodes have run
  {
    // These closures hold the tensor with its node, instead of its detached value.
    Tensor y = x;
    for (int i = 0; i < 200000; ++i)
      y = record("holder", y.detach(), {y}, [y](const Tensor& dy, const Needs&) -> Grads { return {dy}; });
  }
  *static_cast<bool*>(done) = true;
  return nullptr;
}
}  // namespace

TEST_CASE("a chain of 200,000 ops runs backward and is freed on a stack of 256 KiB") {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  pthread_t thread;
  bool done = false;
  REQUIRE(pthread_create(&thread, &attributes, long_chains, &done) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  CHECK(done);
}

TEST_CASE("misuse is an error that says what to do") {
  Vqgan m;
  const std::vector<Param*> params = m.vq.params();
  SUBCASE("backward twice over a graph that was not kept") {
    const Tensor loss = l1_loss(m.vq(m.x).rec, m.x);
    backward(loss, params);
    CHECK_THROWS_WITH_AS(backward(loss, params),
                         "grad: l1_loss: this part of the graph was freed by an earlier backward; pass keep",
                         Error);
  }
  SUBCASE("a second loss over a part that the first has freed") {
    const Autoencoder::Output out = m.vq(m.x);
    const Tensor first = l1_loss(out.rec, m.x), second = mean(out.rec);
    backward(first, params);
    CHECK_THROWS_WITH_AS(backward(second, params),
                         "grad: conv2d: this part of the graph was freed by an earlier backward; pass keep",
                         Error);
  }
  SUBCASE("a parameter stepped between forward and backward") {
    AdamW optimizer;
    optimizer.add_group({"all", params});
    const Tensor loss = l1_loss(m.vq(m.x).rec, m.x);
    backward(loss, params, {true, {}});
    optimizer.step();
    CHECK_THROWS_WITH_AS(backward(loss, params),
                         "grad: conv2d: a parameter it used was changed after the forward pass", Error);
    backward(l1_loss(m.vq(m.x).rec, m.x), params);  // a new graph is fine
  }
  SUBCASE("a loss of more than one element") { CHECK_THROWS_AS(backward(m.vq(m.x).rec, params), Error); }
}

}  // namespace dae
