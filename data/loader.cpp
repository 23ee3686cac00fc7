#include "data/loader.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "data/dataset.h"
#include "kernels/error.h"
#include "kernels/philox.h"

namespace {

constexpr size_t kAhead = 2;  // batches kept ready
// Streams of the data's random numbers, apart from those of training (steps start at 0) by their step.
constexpr uint32_t kOrderStep = 0xFFFFFFFF, kFlipStep = 0xFFFFFFFE;

std::unique_ptr<Dataset> open(const LoaderOptions& o) {
  if (o.kind == "cifar10") return open_cifar10(o.path);
  if (o.kind == "tensors") return open_tensors(o.path);
  if (o.kind == "procedural") return open_procedural(o.seed, o.size);
  if (o.kind == "toy") return open_toy(o.seed, o.variance, o.count ? o.count : 4000);
  fail(Fault::usage, "data.kind: expected cifar10, tensors, toy or procedural, found \"{}\"", o.kind);
}

}  // namespace

struct Loader::State {
  LoaderOptions options;
  std::unique_ptr<Dataset> data;
  int64_t count = 0, per_epoch = 0, made = 0;
  std::vector<int64_t> order;
  int64_t order_epoch = -1;
  std::deque<Batch> ready;
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

  Batch make(int64_t number) {
    shuffle(number / per_epoch);
    Batch batch;
    batch.shape = data->shape();
    const int64_t each =
        std::accumulate(batch.shape.begin(), batch.shape.end(), int64_t{1}, std::multiplies<>());
    const bool image = batch.shape.size() == 3;
    batch.shape.insert(batch.shape.begin(), options.batch);
    batch.values.resize(size_t(options.batch * each));
    for (int64_t i = 0; i < options.batch; ++i) {
      const int64_t index = order[size_t(number % per_epoch * options.batch + i)];
      float* out = batch.values.data() + i * each;
      data->get(index, out);
      batch.labels.push_back(data->label(index));
      const uint64_t position = uint64_t(number * options.batch + i);
      if (options.flip && image && (random_bits(Key{options.seed, kFlipStep, 0}, position) & 1)) {
        const int64_t w = batch.shape[2], c = batch.shape[3];
        for (int64_t row = 0; row < batch.shape[1]; ++row)
          for (int64_t a = 0, b = w - 1; a < b; ++a, --b)
            std::swap_ranges(out + (row * w + a) * c, out + (row * w + a + 1) * c, out + (row * w + b) * c);
      }
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
        Batch batch = make(made++);
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
  s.data = open(options);
  s.count = options.count ? std::min(options.count, s.data->size()) : s.data->size();
  s.per_epoch = s.count / options.batch;
  if (s.per_epoch < 1)
    fail(Fault::usage, "train.batch: {} examples a batch, but data.kind {} has {}; choose a smaller batch",
         options.batch, options.kind, s.count);
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

Batch Loader::next() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->error || !state_->ready.empty(); });
  state_->waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (state_->ready.empty()) std::rethrow_exception(state_->error);
  Batch batch = std::move(state_->ready.front());
  state_->ready.pop_front();
  state_->changed.notify_all();
  return batch;
}

double Loader::wait() const { return state_->waited; }
const Batch* Loader::noise() const { return state_->data->noise(); }

std::string Loader::manifest() const {
  const State& s = *state_;
  return nlohmann::ordered_json{{"kind", s.options.kind},
                                {"path", s.options.path},
                                {"count", s.count},
                                {"shape", s.data->shape()},
                                {"crc32", fmt::format("{:08x}", s.data->hash())}}
      .dump(2);
}
