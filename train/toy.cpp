#include "train/toy.h"

#include <exception>
#include <numeric>

#include "engine/optimizer.h"
#include "kernels/parallel.h"
#include "models/toy_vae.h"

namespace {

constexpr int64_t kLatent = 2;
constexpr uint32_t kShuffleStep = 0xD2000000u;

Tensor to_tensor(const std::vector<float>& x, int64_t dim) {
  Tensor t({int64_t(x.size()) / dim, dim});
  std::copy(x.begin(), x.end(), t.data<float>());
  return t;
}
std::vector<float> to_vector(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.size()}; }

// Fisher-Yates.
std::vector<int64_t> shuffled(int64_t n, Key key) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[i], order[(uint64_t(random_bits(key, i)) * uint64_t(i + 1)) >> 32]);
  return order;
}

uint64_t run_seed(uint64_t master, int64_t run) {
  const Bits4 bits = random4({master, 0, 0xD3u}, run);
  return uint64_t(bits.v[0]) << 32 | bits.v[1];
}

}  // namespace

const std::vector<ToyConfig>& toy_configs() {
  static const std::vector<ToyConfig> configs = {{"VAE (64,128)", 64, 128, false},
                                                 {"VAE (128,64)", 128, 64, false},
                                                 {"VAE (128,128)", 128, 128, false},
                                                 {"DAE (128,128)", 128, 128, true}};
  return configs;
}

ToyAccuracy train_toy(const ToyConfig& config, const ToySpec& spec, const ToyBudget& budget, double weight,
                      uint64_t seed) {
  const ToyData train = make_toy(spec, budget.train, seed, 0), test = make_toy(spec, budget.test, seed, 1);
  const int64_t dim = spec.dim;

  Rng init(seed);
  const Build build{Dtype::f32, &init};
  ToyVae vae(build, dim, kLatent, config.encoder_hidden, config.decoder_hidden / (config.dae ? 2 : 1));
  AdamW optimizer;
  optimizer.add_group({"encoder", vae.encoder.params()});
  optimizer.add_group({"decoder", vae.decoder->params()});

  uint32_t step = 0;
  bool stage_two = false;
  for (int64_t epoch = 0; epoch < budget.epochs; ++epoch) {
    if (config.dae && epoch == budget.epochs / 2) {
      stage_two = true;
      optimizer.freeze("encoder");
      const std::unique_ptr<Mlp> weak = std::move(vae.decoder);  // until the optimizer has let go of it
      vae.make_decoder(build, config.decoder_hidden);
      optimizer.rebuild("decoder", vae.decoder->params());
    }
    const auto order = shuffled(budget.train, {seed, kShuffleStep, uint32_t(epoch)});
    for (int64_t begin = 0; begin + budget.batch <= budget.train; begin += budget.batch) {
      ++step;
      Tensor x({budget.batch, dim});
      for (int64_t i = 0; i < budget.batch; ++i)
        std::copy_n(&train.x[order[begin + i] * dim], dim, x.data<float>() + i * dim);
      const auto [mu, logvar] = vae.encode(x);
      const Tensor z =
          stage_two ? mu : reparameterize(mu, logvar, normal({budget.batch, kLatent}, {seed, step, 0}));
      Tensor loss = (weight * double(dim)) * mse_loss(vae.decode(z), x);
      if (!stage_two) loss = loss + kl_normal(mu, logvar);
      backward(loss, optimizer.trainable());
      optimizer.step();
    }
  }

  NoGrad off;
  const Tensor train_mu = vae.encode(to_tensor(train.x, dim)).mu,
               test_mu = vae.encode(to_tensor(test.x, dim)).mu;
  return {
      nearest_neighbour_accuracy(to_vector(train_mu), train.label, to_vector(test_mu), test.label, kLatent),
      nearest_neighbour_accuracy(train.x, train.label, to_vector(vae.decode(test_mu)), test.label, dim)};
}

std::vector<ToyResult> toy_study(const ToyOptions& options) {
  std::vector<ToyResult> results;
  for (double weight : options.weights)
    for (const ToyConfig& config : toy_configs())
      results.push_back({config, weight, std::vector<ToyAccuracy>(options.seeds)});

  const int64_t jobs = int64_t(results.size()) * options.seeds;
  std::vector<std::exception_ptr> errors(jobs);  // none may leave a parallel region
  parallel_for(jobs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t job = begin; job < end; ++job) try {
        ToyResult& result = results[job / options.seeds];
        const int64_t run = job % options.seeds;
        result.runs[run] = train_toy(result.config, options.spec, options.budget, result.weight,
                                     run_seed(options.master, run));
      } catch (...) { errors[job] = std::current_exception(); }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  return results;
}
