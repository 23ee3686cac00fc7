// What a training step reads: batches of the recipe's data as tensors, its noise, and pictures written.
#pragma once
#include <memory>
#include <string>

#include "train/experiment.h"

class Feed {
 public:
  Feed(const Recipe& recipe, int64_t batches_taken);
  ~Feed();
  Tensor next();                 // (B, H, W, C) or (B, D) in the recipe's dtype
  double wait() const;           // seconds that next() waited for data so far
  std::string manifest() const;  // JSON: what was read, with hashes
  // Noise of one step: recorded rows if the data has them (`used` counts those taken), otherwise drawn.
  std::unique_ptr<Noise> noise(int64_t& used, uint64_t seed, uint32_t step) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Noise numbered by (seed, step, draw).
std::unique_ptr<Noise> drawn_noise(uint64_t seed, uint32_t step);
inline constexpr uint32_t kPictureStep = 0xFFFFFFFFu;  // the step number of noise for pictures
