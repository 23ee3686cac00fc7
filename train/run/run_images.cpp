#include "train/run/run_images.h"

#include <algorithm>

#include "engine/ops.h"
#include "train/feed/feed.h"
#include "train/io/pictures.h"

namespace dae {

namespace {

class Samples : public ImageSet {
 public:
  Samples(Trained run, int64_t count) : run_(std::move(run)), count_(count) {}
  int64_t size() const override { return count_; }
  std::vector<Image> read(int64_t begin, int64_t end) override {
    const NoGrad off;
    if (begin != begin_) drawn_ = begin_ = 0, waiting_.clear(), noise_ = nullptr;
    if (!noise_) noise_ = drawn_noise(run_.recipe.seed, kPictureStep, run_.recipe.device);
    std::vector<Image> out;
    while (begin_ < end) {
      if (waiting_.empty()) {
        const int64_t n = std::min(kSamplesAtOnce, count_ - drawn_);
        const Tensor x = run_.learner->generator()->generate(n, *noise_);
        const std::vector<uint8_t> bytes = bytes_of(x);
        for (int64_t i = n; i-- > 0;)  // reversed: the next image is at the back
          waiting_.push_back(image_of(bytes.data() + i * x.size() / n, x.dim(1), x.dim(2), x.dim(3)));
        drawn_ += n;
      }
      if (begin_++ >= begin) out.push_back(std::move(waiting_.back()));
      waiting_.pop_back();
    }
    return out;
  }

 private:
  Trained run_;
  int64_t count_, drawn_ = 0, begin_ = 0;  // begin_: the next image to return
  std::unique_ptr<Noise> noise_;
  std::vector<Image> waiting_;  // drawn and not returned yet, in reverse order
};

// Throws Fault::usage if there are fewer examples. Examples::range would repeat them, and an image measured
// twice would count twice.
void check_count(const Examples& examples, int64_t count) {
  if (count > examples.size())
    fail(Fault::usage, "--count: expected at most the {} examples of the run's data, found {}",
         examples.size(), count);
}

}  // namespace

std::unique_ptr<ImageSet> samples_of(Trained run, int64_t count) {
  check_makes_images(run, false);
  return std::make_unique<Samples>(std::move(run), count);
}

std::unique_ptr<ImageSet> data_of(const Recipe& recipe, int64_t count) {
  const Examples examples(recipe);
  check_count(examples, count);
  std::vector<uint8_t> bytes;
  Shape shape;
  for (int64_t begin = 0; begin < count; begin += kExamplesAtOnce) {
    const Tensor x = examples.range(begin, std::min(begin + kExamplesAtOnce, count)).x;
    const std::vector<uint8_t> some = bytes_of(x);
    bytes.insert(bytes.end(), some.begin(), some.end());
    shape = x.shape();
  }
  return images_of(std::move(bytes), shape[1], shape[2], shape[3]);
}

Reconstructed reconstructions_of(const Trained& run, int64_t count) {
  check_makes_images(run, true);
  const Examples examples(run.recipe);
  if (count == 0) count = examples.size();
  check_count(examples, count);
  std::vector<uint8_t> before, after;
  int64_t h = 0, w = 0, c = 0;
  reconstruct_data(run, count, [&](const Tensor& x, const Tensor& y) {
    const std::vector<uint8_t> from = bytes_of(x), to = bytes_of(y);
    before.insert(before.end(), from.begin(), from.end()), after.insert(after.end(), to.begin(), to.end());
    h = x.dim(1), w = x.dim(2), c = x.dim(3);
  });
  return {images_of(std::move(before), h, w, c), images_of(std::move(after), h, w, c)};
}

}  // namespace dae
