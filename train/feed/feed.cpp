#include "train/feed/feed.h"

#include <algorithm>
#include <filesystem>

#include "data/sets/loader.h"
#include "engine/ops.h"

namespace dae {

namespace {

class DrawnNoise : public Noise {
 public:
  DrawnNoise(uint64_t seed, uint32_t step, Device device, const uint32_t* clock)
      : rng_(seed, step, clock), device_(device) {}
  Tensor normal(const Shape& shape, Dtype dtype) override {
    return dae::normal(shape, rng_.next(), dtype, device_);
  }
  Key key() override { return rng_.next(); }
  NormalSample sample(const Tensor& mu, const Tensor& logvar) override {
    return sample_normal(mu, logvar, rng_.next());
  }

 private:
  Rng rng_;
  Device device_;
};

// Takes normals from the rows of the data set's noise tensor, in order over all steps. Keys of masks are
// still drawn.
class RecordedNoise : public Noise {
 public:
  RecordedNoise(Tensor rows, int64_t& used, uint64_t seed, uint32_t step, Device device)
      : rows_(std::move(rows)), used_(used), rng_(seed, step), device_(device) {}
  Tensor normal(const Shape& shape, Dtype dtype) override {
    const int64_t width = rows_.size() / rows_.dim(0), count = shape[0];
    if (shape.size() != count * width || used_ + count > rows_.dim(0))
      fail(Fault::data,
           "noise: row {}: expected {} more rows for a draw of shape {}, found a tensor of shape {}", used_,
           count, shape.str(), rows_.shape().str());
    used_ += count;
    return slice(rows_, 0, used_ - count, used_).with_shape(shape).to(dtype).to(device_);
  }
  Key key() override { return rng_.next(); }

 private:
  Tensor rows_;
  int64_t& used_;
  Rng rng_;
  Device device_;
};

template <class T>
Tensor tensor_of(const std::vector<T>& values, const std::vector<int64_t>& dims) {
  Shape shape;
  for (const int64_t d : dims) shape.push_back(d);
  Tensor t(shape, dtype_of<T>());
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

LoaderOptions loader_options(const Recipe& recipe) {
  LoaderOptions options;
  options.kind = recipe.data.kind, options.path = recipe.data.path;
  options.size = recipe.data.size, options.count = recipe.data.count;
  options.filter = recipe.data.filter, options.crop = recipe.data.crop;
  options.variance = recipe.data.variance;
  options.batch = recipe.train.batch, options.seed = recipe.seed;
  options.shuffle = recipe.data.shuffle, options.flip = recipe.data.flip;
  options.two_views = recipe.data.augment == "simclr";
  options.f64 = recipe.dtype == "f64";
  return options;
}

}  // namespace

struct Feed::State {
  Loader loader;
  Dtype dtype;
  Device device;
  Tensor recorded;  // recorded rows of noise; empty if the data has none

  Batch batch_of(const RawBatch& raw) const {
    const Tensor x = std::visit([&](const auto& values) { return tensor_of(values, raw.shape); }, raw.values);
    return {x.to(dtype).to(device), tensor_of(raw.labels, {int64_t(raw.labels.size())}).to(device)};
  }
};

Feed::Feed(const Recipe& recipe, int64_t batches_taken) {
  LoaderOptions options = loader_options(recipe);
  options.start = batches_taken;
  state_.reset(new State{Loader(options), dtype_from(recipe.dtype), recipe.device, {}});
  const NoiseRows& noise = state_->loader.noise();
  if (noise.rows) state_->recorded = tensor_of(noise.values, {noise.rows, noise.width});
}

Feed::~Feed() = default;

std::vector<int64_t> Feed::example_shape() const { return state_->loader.example_shape(); }

Batch Feed::first() const { return state_->batch_of(state_->loader.first()); }
Batch Feed::next() { return state_->batch_of(state_->loader.next()); }

double Feed::wait() const { return state_->loader.wait(); }
std::string Feed::skipped() const { return state_->loader.skipped(); }
std::string Feed::manifest() const { return state_->loader.manifest(); }

std::unique_ptr<Noise> Feed::noise(int64_t& used, uint64_t seed, uint32_t step, const uint32_t* clock) const {
  if (!state_->recorded) return drawn_noise(seed, step, state_->device, clock);
  if (clock)
    fail(Fault::usage,
         "train.graph: expected noise that is drawn on the device, found recorded rows in the data; add "
         "--set train.graph=false");
  return std::make_unique<RecordedNoise>(state_->recorded, used, seed, step, state_->device);
}

Examples::Examples(const Recipe& recipe)
    : data_(open_dataset(loader_options(recipe))), dtype_(dtype_from(recipe.dtype)), device_(recipe.device) {
  size_ = recipe.data.count ? std::min(recipe.data.count, data_->size()) : data_->size();
}

Batch Examples::get(const std::vector<int64_t>& numbers) const {
  Shape shape{int64_t(numbers.size())};
  for (const int64_t d : data_->shape()) shape.push_back(d);
  Tensor x(shape, Dtype::f64), labels(Shape{shape[0]}, Dtype::i64);
  for (int64_t i = 0; i < shape[0]; ++i) {
    data_->get(numbers[size_t(i)], {}, x.data<double>() + i * (shape.size() / shape[0]));
    labels.data<int64_t>()[i] = data_->label(numbers[size_t(i)]);
  }
  return {x.to(dtype_).to(device_), labels.to(device_)};
}

Batch Examples::range(int64_t begin, int64_t end) const {
  std::vector<int64_t> numbers;
  for (int64_t i = begin; i < end; ++i) numbers.push_back(i % size_);
  return get(numbers);
}

Batch Examples::draw(int64_t count, Key key) const {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i)
    numbers.push_back(int64_t((uint64_t(random_bits(key, uint64_t(i))) * uint64_t(size_)) >> 32));
  return get(numbers);
}

std::optional<Recipe> held_out(const Recipe& recipe) {
  Recipe out = recipe;
  out.data.count = 0;
  if (recipe.data.validation) {
    out.data.path = *recipe.data.validation;
    return out;
  }
  if (recipe.data.kind == "procedural") {
    ++out.seed;
    return out;
  }
  out.data.path += "/test_batch.bin";
  std::error_code none;
  if (recipe.data.kind == "cifar10" && std::filesystem::exists(out.data.path, none)) return out;
  return {};
}

std::unique_ptr<Noise> drawn_noise(uint64_t seed, uint32_t step, Device device, const uint32_t* clock) {
  return std::make_unique<DrawnNoise>(seed, step, device, clock);
}

}  // namespace dae
