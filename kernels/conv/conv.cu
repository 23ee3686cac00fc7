// Which variant convolves: a 1x1 convolution is a matrix product, which has its own choice; otherwise mma,
// and naive where sizes do not fit the 32 bits in which mma counts. Not measured on a GPU yet.
#include <algorithm>

#include "kernels/conv/conv.h"
#include "kernels/matmul/matmul.h"

namespace {

int64_t pixels(const ConvShape& s) { return s.n * s.oh() * s.ow(); }

bool is_product(const ConvShape& s) {
  return s.kh == 1 && s.kw == 1 && s.stride == 1 && s.pad_top == 0 && s.pad_left == 0 && s.pad_bottom == 0 &&
         s.pad_right == 0;
}
bool is_large(const ConvShape& s) {
  return std::max({pixels(s), s.n * s.h * s.w, s.kh * s.kw * std::max(s.ci, s.co)}) > 0x7fffff00;
}

}  // namespace

template <class T>
void conv_forward(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  if (is_product(s) && !bias) return matmul(where, y, x, weight, pixels(s), s.co, s.ci, false, true);
  if (is_large(s)) return conv_forward_naive(where, y, x, weight, bias, s);
  conv_forward_mma(where, y, x, weight, bias, s);
}
template <class T>
void conv_backward_input(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  if (is_product(s)) return matmul(where, dx, dy, weight, pixels(s), s.ci, s.co, false, false);
  if (is_large(s)) return conv_backward_input_naive(where, dx, dy, weight, s);
  conv_backward_input_mma(where, dx, dy, weight, s);
}
template <class T>
void conv_backward_weight(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  if (is_product(s)) return matmul(where, dw, dy, x, s.co, s.ci, pixels(s), true, false);
  if (is_large(s)) return conv_backward_weight_naive(where, dw, dy, x, s);
  conv_backward_weight_mma(where, dw, dy, x, s);
}

#define INSTANTIATE(T)                                                               \
  template void conv_forward(Cuda, T*, const T*, const T*, const float*, ConvShape); \
  template void conv_backward_input(Cuda, T*, const T*, const T*, ConvShape);        \
  template void conv_backward_weight(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
