// Protocols: how public implementations prepare images for Inception and split images for the Inception
// Score.
//   pytorch-fid     mseitzer/pytorch-fid. Bilinear resize with half-pixel centres, then 2 x - 1.
//                   No Inception Score.
//   torch-fidelity  torch-fidelity, whose numbers agree with TensorFlow's. TensorFlow's bilinear resize
//                   without half-pixel centres, then (byte - 128) / 128. 10 splits, shuffled as NumPy's
//                   RandomState(2020) does.
//   adm             The evaluator of guided-diffusion. Prepares as torch-fidelity; chunks of 5000 in order.
//   gan-metrics     pytorch-image-generation-metrics, used for CIFAR-10. Prepares as pytorch-fid; 10 splits
//                   in order.
#pragma once
#include <random>
#include <string>
#include <vector>

#include "data/images/image.h"

namespace dae {

struct Protocol {
  std::string name;
  bool tensorflow;  // true: resize and scale as TensorFlow's graph does; false: as pytorch-fid does
  enum class Splits { none, ten, ten_shuffled, chunks_of_5000 } splits;
};
// Returns all protocols.
const std::vector<Protocol>& protocols();
// Returns the protocol of that name. Throws Fault::usage, with the known names, if there is none.
const Protocol& protocol_named(const std::string& name);

// Writes the network's input of an image of any size to `out`, (side, side, 3). Both kinds of resize
// interpolate between the two nearest pixels on each axis and do not average over more. The source position
// of target pixel i is
//   (i + 1/2) in/out - 1/2   with half-pixel centres,
//   i in/out                 without them.
void prepare(const Protocol& protocol, const Image& image, int64_t side, float* out);

// The successive permutations of 0 .. count - 1 that numpy.random.RandomState(seed) draws: a Mersenne
// Twister, and Fisher-Yates from the end with masked rejection.
class NumpyPermutations {
 public:
  explicit NumpyPermutations(uint32_t seed) : bits_(seed) {}
  std::vector<int64_t> next(int64_t count);

 private:
  std::mt19937 bits_;
};

}  // namespace dae
