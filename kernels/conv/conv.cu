// Which variant convolves, by what the hardware and the instructions can do: the first of
//   product   1x1 of stride 1 without padding: a matrix product, which has its own choice (matmul.cu)
//   naive     sizes that do not fit the 32 bits in which the others count
//   direct    at most four channels on one side, where mma would gather element by element or fill 4 of its
//             128 columns
//   wgmma     bf16 and f16 on Hopper, where TMA can read the images and the channels fill half a box of 64
//   mma       everything else
// Not measured on a GPU.
#include <algorithm>

#include "kernels/conv/conv.h"
#include "kernels/matmul/matmul.h"

namespace {

enum class Variant { product, naive, direct, wgmma, mma };

int64_t pixels(const ConvShape& s) { return s.n * s.oh() * s.ow(); }

bool is_product(const ConvShape& s) {
  return s.kh == 1 && s.kw == 1 && s.stride == 1 && s.pad_top == 0 && s.pad_left == 0 && s.pad_bottom == 0 &&
         s.pad_right == 0;
}
bool is_large(const ConvShape& s) {
  return std::max({pixels(s), s.n * s.h * s.w, s.kh * s.kw * std::max(s.ci, s.co)}) > 0x7fffff00;
}

// a, b: the two inputs; product, direct: whether these variants can take the call at all.
template <class T>
Variant choose(Cuda where, const T* a, const T* b, const ConvShape& s, bool product, bool direct) {
  if (product && is_product(s)) return Variant::product;
  if (is_large(s)) return Variant::naive;
  if (direct) return Variant::direct;
  if constexpr (!std::is_same_v<T, float>)
    if (std::min(s.ci, s.co) >= 32 && conv_wgmma_fits(where, a, b, s)) return Variant::wgmma;
  return Variant::mma;
}

}  // namespace

template <class T>
void conv_forward(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  switch (choose(where, x, weight, s, !bias, conv_forward_direct_fits<T>(s))) {
    case Variant::product:
      return matmul(where, y, x, weight, pixels(s), s.co, s.ci, false, true);
    case Variant::naive:
      return conv_forward_naive(where, y, x, weight, bias, s);
    case Variant::direct:
      return conv_forward_direct(where, y, x, weight, bias, s);
    case Variant::wgmma:
      if constexpr (!std::is_same_v<T, float>) return conv_forward_wgmma(where, y, x, weight, bias, s);
      [[fallthrough]];  // f32 never gets here
    case Variant::mma:
      return conv_forward_mma(where, y, x, weight, bias, s);
  }
}
template <class T>
void conv_backward_input(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  switch (choose(where, dy, weight, s, true, conv_backward_input_direct_fits<T>(s))) {
    case Variant::product:
      return matmul(where, dx, dy, weight, pixels(s), s.ci, s.co, false, false);
    case Variant::naive:
      return conv_backward_input_naive(where, dx, dy, weight, s);
    case Variant::direct:
      return conv_backward_input_direct(where, dx, dy, weight, s);
    case Variant::wgmma:
      if constexpr (!std::is_same_v<T, float>) return conv_backward_input_wgmma(where, dx, dy, weight, s);
      [[fallthrough]];  // f32 never gets here
    case Variant::mma:
      return conv_backward_input_mma(where, dx, dy, weight, s);
  }
}
template <class T>
void conv_backward_weight(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  switch (choose(where, dy, x, s, true, false)) {
    case Variant::product:
      return matmul(where, dw, dy, x, s.co, s.ci, pixels(s), true, false);
    case Variant::naive:
      return conv_backward_weight_naive(where, dw, dy, x, s);
    case Variant::wgmma:
      if constexpr (!std::is_same_v<T, float>) return conv_backward_weight_wgmma(where, dw, dy, x, s);
      [[fallthrough]];  // f32 never gets here
    default:
      return conv_backward_weight_mma(where, dw, dy, x, s);
  }
}

#define INSTANTIATE(T)                                                               \
  template void conv_forward(Cuda, T*, const T*, const T*, const float*, ConvShape); \
  template void conv_backward_input(Cuda, T*, const T*, const T*, ConvShape);        \
  template void conv_backward_weight(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
