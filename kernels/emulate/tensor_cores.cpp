// Tensor cores of the emulated device: their arithmetic, ldmatrix, stmatrix and mma.
#include <algorithm>
#include <cmath>

#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

float half_value(uint16_t bits, bool bfloat) { return bfloat ? bf16_value(bits) : f16_value(bits); }

namespace {

// Returns the exponent of 2 of x, but at least `least`, which is the exponent of subnormals. For zero it
// returns a number so small that it is never the largest.
int exponent(float x, int least) {
  const uint32_t bits = __float_as_uint(x) << 1;
  return bits == 0 ? -1000 : std::max(int(bits >> 24) - 127, least);
}
float towards_zero(double x) {
  const float f = float(x);
  return std::abs(double(f)) > std::abs(x) ? std::nextafter(f, 0.0f) : f;
}

// Adds `products` products to each d[c], with the arithmetic measured on GPUs (Khattak and Mikaitis, arXiv
// 2512.07004; Xie et al., arXiv 2511.10909). The previous sum and the products are aligned to the largest
// exponent, where the exponent of a product is the sum of the exponents of its factors. Bits more than `bits`
// below it are truncated. The rest is added without error and truncated to f32.
void add_truncated(float* d, int n, const float* x, int step, const float* y, int products, int bits,
                   int least) {
  for (int c = 0; c < n; ++c) {
    int top = exponent(d[c], -126);
    float plain = d[c];
    for (int k = 0; k < products; ++k) {
      top = std::max(top, exponent(x[k * step], least) + exponent(y[k * n + c], least));
      plain += x[k * step] * y[k * n + c];
    }
    if (!std::isfinite(plain) || top < -500) {  // infinity or NaN, or all terms are zero
      d[c] = plain;
      continue;
    }
    const double up = std::ldexp(1.0, bits - top);
    double sum = std::trunc(double(d[c]) * up);
    for (int k = 0; k < products; ++k) sum += std::trunc(double(x[k * step]) * double(y[k * n + c]) * up);
    d[c] = towards_zero(std::ldexp(sum, top - bits));
  }
}

}  // namespace

void add_products(float* d, int n, const float* x, int step, const float* y, bool bfloat) {
  const bool hopper = worker->set.capability >= 90;
  const int at_once = hopper ? 16 : 8, bits = hopper ? 25 : 24, least = bfloat ? -126 : -14;
  if (worker->set.tensor_cores == TensorCores::truncate)
    for (int k = 0; k < 16; k += at_once)
      add_truncated(d, n, x + k * step, step, y + k * n, at_once, bits, least);
  else
    for (int k = 0; k < 16; ++k)
      for (int c = 0; c < n; ++c) d[c] += x[k * step] * y[k * n + c];
}

namespace {

struct Matrices {
  uint32_t* r;
  unsigned char* row;
  int count;
  bool transpose, store;
};
// ldmatrix and stmatrix. Lane l holds the elements (l / 4, 2 (l % 4) + {0, 1}) of each 8x8 matrix; lanes 8 i
// to 8 i + 7 pass the addresses of the rows of matrix i.
void move_matrices(void* const* lanes) {
  for (int l = 0; l < 32; ++l) {
    const Matrices& mine = *static_cast<Matrices*>(lanes[l]);
    for (int i = 0; i < mine.count; ++i)
      for (int e = 0; e < 2; ++e) {
        int row = l / 4, column = 2 * (l % 4) + e;
        if (mine.transpose) std::swap(row, column);
        uint16_t* shared =
            reinterpret_cast<uint16_t*>(static_cast<Matrices*>(lanes[8 * i + row])->row) + column;
        uint16_t* own = reinterpret_cast<uint16_t*>(mine.r + i) + e;
        if (mine.store) *shared = *own;
        else *own = *shared;
      }
  }
}

struct Mma {
  float* d;
  const uint32_t *a, *b;
  bool bfloat;
};
void multiply(void* const* lanes) {
  float a[16][16], b[16][8], d[16][8];
  const auto half = [](uint32_t pair, int e, bool bfloat) {
    return half_value(uint16_t(pair >> (16 * e)), bfloat);
  };
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(lanes[l]);
    const int g = l / 4, t = 2 * (l % 4);
    for (int i = 0; i < 4; ++i)
      for (int e = 0; e < 2; ++e) a[g + 8 * (i % 2)][t + 8 * (i / 2) + e] = half(m.a[i], e, m.bfloat);
    for (int i = 0; i < 2; ++i)
      for (int e = 0; e < 2; ++e) b[t + 8 * i + e][g] = half(m.b[i], e, m.bfloat);
    for (int i = 0; i < 4; ++i) d[g + 8 * (i / 2)][t + i % 2] = m.d[i];
  }
  for (int r = 0; r < 16; ++r) add_products(d[r], 8, a[r], 1, b[0], static_cast<Mma*>(lanes[0])->bfloat);
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(lanes[l]);
    for (int i = 0; i < 4; ++i) m.d[i] = d[l / 4 + 8 * (i / 2)][2 * (l % 4) + i % 2];
  }
}

}  // namespace

void ldmatrix(uint32_t* r, const void* row, int matrices, bool transpose, Line line) {
  Matrices mine{r, static_cast<unsigned char*>(const_cast<void*>(row)), matrices, transpose, false};
  settle();
  if (lane() < 8 * matrices) was_read(row, 16);
  warp_meet("ldmatrix", 0xffffffffu, &mine, move_matrices, line);
}
void stmatrix(void* row, const uint32_t* r, bool transpose, Line line) {
  Matrices mine{const_cast<uint32_t*>(r), static_cast<unsigned char*>(row), 4, transpose, true};
  warp_meet("stmatrix", 0xffffffffu, &mine, move_matrices, line);
  written(row, 16);
}
void mma(float* d, const uint32_t* a, const uint32_t* b, bool bfloat, Line line) {
  Mma mine{d, a, b, bfloat};
  warp_meet("mma_m16n8k16", 0xffffffffu, &mine, multiply, line);
}

}  // namespace emulate

}  // namespace dae
