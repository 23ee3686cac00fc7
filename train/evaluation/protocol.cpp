#include "train/evaluation/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/device/error.h"

namespace dae {

const std::vector<Protocol>& protocols() {
  using Splits = Protocol::Splits;
  static const std::vector<Protocol> all = {{"pytorch-fid", false, Splits::none},
                                            {"torch-fidelity", true, Splits::ten_shuffled},
                                            {"adm", true, Splits::chunks_of_5000},
                                            {"gan-metrics", false, Splits::ten}};
  return all;
}

const Protocol& protocol_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Protocol& p : protocols()) {
    if (p.name == name) return p;
    names.push_back(p.name);
  }
  fail(Fault::usage, "--protocol: expected one of {}, found {}", fmt::join(names, ", "), name);
}

void prepare(const Protocol& protocol, const Image& image, int64_t side, float* out) {
  struct Tap {
    int64_t low, high;
    float share;  // the weight of the high pixel
  };
  const auto taps = [&](int64_t size) {
    std::vector<Tap> all;
    const float step = float(size) / float(side);
    for (int64_t i = 0; i < side; ++i) {
      const float at =
          protocol.tensorflow ? float(i) * step : std::max((float(i) + 0.5f) * step - 0.5f, 0.0f);
      const int64_t low = std::min(int64_t(at), size - 1);
      all.push_back({low, std::min(low + 1, size - 1), at - float(low)});
    }
    return all;
  };
  const std::vector<Tap> rows = taps(image.height), columns = taps(image.width);
  // PyTorch's networks take values in [0, 1]. The order of the roundings follows theirs.
  float value[256];
  for (int b = 0; b < 256; ++b) value[b] = protocol.tensorflow ? float(b) : float(b) / 255;
  for (const Tap& y : rows) {
    const uint8_t *top = image.bytes.data() + y.low * image.width * 3,
                  *bottom = image.bytes.data() + y.high * image.width * 3;
    for (const Tap& x : columns)
      for (int64_t c = 0; c < 3; ++c) {
        const auto across = [&](const uint8_t* row) {
          const float left = value[row[x.low * 3 + c]], right = value[row[x.high * 3 + c]];
          return left + (right - left) * x.share;
        };
        const float above = across(top), v = above + (across(bottom) - above) * y.share;
        *out++ = protocol.tensorflow ? (v - 128) / 128 : 2 * v - 1;
      }
  }
}

std::vector<int64_t> NumpyPermutations::next(int64_t count) {
  std::vector<int64_t> order(size_t(count), 0);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = count - 1; i > 0; --i) {
    uint32_t mask = uint32_t(i), j;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    while ((j = uint32_t(bits_()) & mask) > uint32_t(i)) {}
    std::swap(order[size_t(i)], order[j]);
  }
  return order;
}

}  // namespace dae
