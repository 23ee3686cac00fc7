// The kernels of vector quantisation on CUDA against the CPU's, each in every order. The indices must be
// equal: both take the smallest distance in f64 and the lowest index on ties.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernels/vq/variants.h"
#include "tests/support/device_array.h"
#include "tests/support/orders.h"

namespace dae {

namespace {

double draw(uint32_t op, int64_t i) { return double(random_bits(Key{5, 0, op}, uint64_t(i))) * 0x1p-31 - 1; }

struct Case {
  std::string label;
  int64_t rows, codes, channels;
  double middle, spread;  // the middle and the spread of the codes
  int64_t different;      // how many codes differ; if fewer than `codes`, each code is drawn from these
};
const Case kCases[] = {
    {"one of each", 1, 1, 1, 0, 1, 1},
    {"prime", 67, 131, 37, 0, 1, 131},
    {"several blocks", 131, 301, 64, 0, 1, 301},
    {"few channels", 41, 150, 3, 0, 1, 150},
    {"an untrained codebook", 37, 140, 72, 0, 1.0 / 1024, 140},
    {"the first of two or three equal codes", 67, 140, 16, 0, 1, 70},
    {"the first of many equal codes", 37, 150, 16, 0, 1, 7},
    {"nearer to each other than rounding in f32", 37, 150, 40, 1, 1e-5, 150},
};

template <class T>
void compare(const Case& c) {
  CAPTURE(c.label);
  CAPTURE(sizeof(T));
  std::vector<T> z(static_cast<size_t>(c.rows * c.channels));
  std::vector<float> rounded(z.size()), codebook(static_cast<size_t>(c.codes * c.channels));
  for (size_t i = 0; i < z.size(); ++i) z[i] = T(float(draw(1, int64_t(i)))), rounded[i] = float(z[i]);
  for (int64_t k = 0; k < c.codes; ++k) {
    const int64_t which = c.different == c.codes ? k : int64_t((draw(9, k) + 1) / 2 * double(c.different));
    for (int64_t i = 0; i < c.channels; ++i)
      codebook[size_t(k * c.channels + i)] = float(c.middle + c.spread * draw(2, which * c.channels + i));
  }
  std::vector<int64_t> expected(static_cast<size_t>(c.rows));
  nearest_code(Cpu{}, expected.data(), rounded.data(), codebook.data(), c.rows, c.codes, c.channels);
  const Array<T> z_there(z);
  const Array<float> codebook_there(codebook);
  Array<int64_t> found(c.rows);
  in_every_order([&] {
    for (const NearestVariant v : kNearestVariants) {
      found.poison();
      nearest_code_by(v, device(), found.data, z_there.data, codebook_there.data,
                      {c.rows, c.codes, c.channels});
      CHECK(found.download() == expected);
    }
  });
}

}  // namespace

TEST_CASE("the nearest code is that of the CPU") {
  for (const Case& c : kCases) {
    compare<float>(c);
    compare<bf16>(c);
    compare<f16>(c);
  }
}

TEST_CASE("usage counts are those of the CPU") {
  for (int64_t n : {0, 1, 67, 1027}) {
    const int64_t codes = 13;
    std::vector<int64_t> index(static_cast<size_t>(n)), expected(codes, -1);
    for (int64_t i = 0; i < n; ++i) index[size_t(i)] = int64_t((draw(3, i) + 1) * 5);
    code_usage(Cpu{}, expected.data(), index.data(), n, codes);
    const Array<int64_t> there(index);
    Array<int64_t> found(codes);
    in_every_order([&] {
      found.poison();
      code_usage(device(), found.data, there.data, n, codes);
      CHECK(found.download() == expected);
    });
  }
}

}  // namespace dae
