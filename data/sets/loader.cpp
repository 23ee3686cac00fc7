#include "data/sets/loader.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "data/images/augment.h"
#include "data/images/image.h"
#include "data/streams.h"
#include "kernels/device/error.h"
#include "kernels/device/philox.h"

namespace dae {

namespace {

constexpr size_t kAhead = 2;    // batches kept ready
constexpr int64_t kFirst = 32;  // examples in first()

// Flips one image of a batch left to right. `shape` is that of the batch.
void mirror(std::vector<double>& image, const std::vector<int64_t>& shape) {
  const int64_t width = shape[2], channels = shape[3];
  for (auto row = image.begin(); row != image.end(); row += width * channels)
    for (int64_t a = 0, b = width - 1; a < b; ++a, --b)
      std::swap_ranges(row + a * channels, row + (a + 1) * channels, row + b * channels);
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const LoaderOptions& o) {
  const bool from_files = o.kind == "cifar10" || o.kind == "folder" || o.kind == "tensors";
  if (from_files && o.path.empty())
    fail(Fault::usage, "data.path: expected where the {} data lie, found nothing; set data.path", o.kind);
  if (o.kind == "cifar10" && o.size != 32)
    fail(Fault::usage, "data.size: expected 32 for data.kind cifar10, found {}", o.size);
  if (o.kind == "cifar10") return open_cifar10(o.path);
  if (o.kind == "folder") return open_folder(o.path, o.size, o.filter);
  if (o.kind == "tensors") return open_tensors(o.path);
  if (o.kind == "procedural") return open_procedural(o.seed, o.size);
  if (o.kind == "toy") return open_toy(o.seed, o.variance, o.count ? o.count : 4000);
  fail(Fault::usage, "data.kind: expected cifar10, folder, tensors, toy or procedural, found \"{}\"", o.kind);
}

struct Loader::State {
  LoaderOptions options;
  std::unique_ptr<Dataset> data;
  int64_t count = 0, per_epoch = 0, made = 0;
  std::vector<int64_t> order;
  int64_t order_epoch = -1;
  RawBatch first;
  std::deque<RawBatch> ready;
  std::exception_ptr error;
  bool stop = false;
  double waited = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;

  void shuffle(int64_t epoch) {
    if (epoch == order_epoch) return;
    order_epoch = epoch;
    std::iota(order.begin(), order.end(), int64_t{0});
    if (!options.shuffle) return;
    const Key key{options.seed, kOrderStep, uint32_t(epoch)};
    for (int64_t i = count - 1; i > 0; --i) {
      const uint64_t wide = uint64_t(random_bits(key, uint64_t(i))) * uint64_t(i + 1);
      std::swap(order[size_t(i)], order[size_t(wide >> 32)]);
    }
  }

  RawBatch make_first() const {
    RawBatch batch;
    batch.shape = data->shape();
    std::vector<double> example(
        size_t(std::accumulate(batch.shape.begin(), batch.shape.end(), int64_t{1}, std::multiplies<>())));
    batch.shape.insert(batch.shape.begin(), std::min(kFirst, count));
    if (options.f64) batch.values = std::vector<double>();
    for (int64_t i = 0; i < batch.shape[0]; ++i) {
      data->get(i, {}, example.data());
      std::visit([&](auto& to) { to.insert(to.end(), example.begin(), example.end()); }, batch.values);
      batch.labels.push_back(data->label(i));
    }
    return batch;
  }

  RawBatch make(int64_t number) {
    shuffle(number / per_epoch);
    RawBatch batch;
    batch.shape = data->shape();
    std::vector<double> example(
        size_t(std::accumulate(batch.shape.begin(), batch.shape.end(), int64_t{1}, std::multiplies<>())));
    const uint32_t views = options.two_views ? 2 : 1;
    batch.shape.insert(batch.shape.begin(), views * options.batch);
    if (options.f64) batch.values = std::vector<double>();
    for (uint32_t view = 0; view < views; ++view)
      for (int64_t i = 0; i < options.batch; ++i) {
        const int64_t index = order[size_t(number % per_epoch * options.batch + i)];
        const auto position = uint64_t(number * options.batch + i);
        const auto random = [&](uint32_t step) { return random_bits(Key{options.seed, step, 0}, position); };
        std::optional<uint32_t> crop;
        if (options.crop == "random") crop = random(kCropStep);
        data->get(index, crop, example.data());
        if (options.two_views)
          augment(draw_augmentation(Key{options.seed, kAugmentStep, view}, position, batch.shape[1],
                                    batch.shape[2]),
                  batch.shape[1], batch.shape[2], example);
        else if (options.flip && batch.shape.size() == 4 && (random(kFlipStep) & 1))
          mirror(example, batch.shape);
        std::visit([&](auto& to) { to.insert(to.end(), example.begin(), example.end()); }, batch.values);
        batch.labels.push_back(data->label(index));
      }
    return batch;
  }

  void run() {
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stop || ready.size() < kAhead; });
        if (stop) return;
      }
      try {
        RawBatch batch = make(made++);
        std::lock_guard lock(mutex);
        ready.push_back(std::move(batch));
      } catch (...) {
        std::lock_guard lock(mutex);
        error = std::current_exception();
        stop = true;
      }
      changed.notify_all();
    }
  }
};

Loader::Loader(const LoaderOptions& options) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.options = options;
  s.data = open_dataset(options);
  s.count = options.count ? options.count : s.data->size();
  if (s.count > s.data->size())
    fail(Fault::usage, "data.count: expected at most the {} examples of data.kind {}, found {}",
         s.data->size(), options.kind, s.count);
  s.per_epoch = s.count / options.batch;
  if (s.per_epoch < 1)
    fail(Fault::usage, "train.batch: {} examples a batch, but data.kind {} has {}; choose a smaller batch",
         options.batch, options.kind, s.count);
  if (const std::vector<int64_t> shape = s.data->shape();
      options.two_views && (shape.size() != 3 || shape[2] != 3))
    fail(Fault::usage, "data.augment: expected images of 3 channels, found examples of shape ({})",
         fmt::join(shape, ", "));
  s.first = s.make_first();
  s.order.resize(size_t(s.count));
  s.made = options.start;
  s.thread = std::thread([&s] { s.run(); });
}

Loader::~Loader() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

const RawBatch& Loader::first() const { return state_->first; }

RawBatch Loader::next() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->error || !state_->ready.empty(); });
  state_->waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (state_->ready.empty()) std::rethrow_exception(state_->error);
  RawBatch batch = std::move(state_->ready.front());
  state_->ready.pop_front();
  state_->changed.notify_all();
  return batch;
}

std::vector<int64_t> Loader::example_shape() const { return state_->data->shape(); }
double Loader::wait() const { return state_->waited; }
std::string Loader::skipped() const { return state_->data->skipped(); }
const NoiseRows& Loader::noise() const { return state_->data->noise(); }

std::string Loader::manifest() const {
  const State& s = *state_;
  nlohmann::ordered_json manifest{
      {"kind", s.options.kind}, {"path", s.options.path}, {"count", s.count}, {"shape", s.data->shape()}};
  for (const auto& [name, value] : s.data->hashes()) manifest[name] = fmt::format("{:08x}", value);
  if (s.options.kind == "folder") manifest["jpeg_decoder"] = jpeg_decoder();
  if (const std::string files = s.data->skipped(); !files.empty()) manifest["skipped"] = files;
  return manifest.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace dae
