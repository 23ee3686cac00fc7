// How the public implementations prepare images for Inception and cut the Inception Score, by name:
//   pytorch-fid     mseitz/pytorch-fid: half-pixel bilinear, 2 x - 1; no Inception Score
//   torch-fidelity  torch-fidelity, whose numbers agree with TensorFlow's: its bilinear without half pixels,
//                   (byte - 128) / 128; 10 splits, shuffled as NumPy's RandomState(2020) does
//   adm             the evaluator of guided-diffusion: as torch-fidelity; chunks of 5000 in order
//   gan-metrics     the CIFAR-10 code: as pytorch-fid; 10 splits in order
#pragma once
#include <random>
#include <string>
#include <vector>

#include "data/image.h"

struct Protocol {
  std::string name;
  bool tensorflow;  // resize and scale as TensorFlow's graph does, or as PyTorch's networks want it
  enum class Splits { none, ten, ten_shuffled, chunks_of_5000 } splits;
};
const std::vector<Protocol>& protocols();
const Protocol& protocol_named(const std::string& name);  // Fault::usage with the names there are

// The network's image, (side, side, 3), of a picture of any size. Both ways take the two pixels around a
// source position on each axis and no average over more; position of target i: (i + 1/2) in/out - 1/2, or i
// in/out.
void prepare(const Protocol& protocol, const Image& image, int64_t side, float* out);

// numpy.random.RandomState(seed)'s permutations of 0 .. count - 1, one after another: Mersenne Twister, and
// Fisher-Yates from the end with masked rejection.
class NumpyPermutations {
 public:
  explicit NumpyPermutations(uint32_t seed) : bits_(seed) {}
  std::vector<int64_t> next(int64_t count);

 private:
  std::mt19937 bits_;
};
