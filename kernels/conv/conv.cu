// The CUDA functions of conv.h: each runs the variant that kernels/variants.h chooses, or one given by the
// caller.
#include <algorithm>

#include "kernels/matmul/matmul.h"
#include "kernels/variants.h"

namespace dae {

namespace {

#ifdef DAE_CUDNN
constexpr bool kCudnn = true;
#else
constexpr bool kCudnn = false;
#endif

int64_t pixels(const ConvShape& s) { return s.n * s.oh() * s.ow(); }

bool is_product(const ConvShape& s) {
  return s.kh == 1 && s.kw == 1 && s.stride == 1 && s.pad_top == 0 && s.pad_left == 0 && s.pad_bottom == 0 &&
         s.pad_right == 0;
}
bool fits_cudnn(const ConvShape& s) {
  return kCudnn && s.n > 0 && s.pad_top == s.pad_bottom && s.pad_left == s.pad_right;
}

template <class T>
ConvVariant chosen(ConvPass pass, Cuda where, const T* a, const T* b, const ConvShape& s, bool bias = false) {
  return choose(defaults::kConv, s, [&](ConvVariant v) { return conv_takes(v, pass, where, a, b, s, bias); });
}

}  // namespace

template <class T>
bool conv_takes(ConvVariant variant, ConvPass pass, Cuda where, const T* a, const T* b, const ConvShape& s,
                bool bias) {
  if (variant == ConvVariant::naive) return true;
  if (variant == ConvVariant::product) return is_product(s) && !bias;
  // The other variants count in 32 bits.
  if (std::max({pixels(s), s.n * s.h * s.w, s.kh * s.kw * std::max(s.ci, s.co)}) > 0x7fffff00) return false;
  if (variant == ConvVariant::mma) return true;
  if (variant == ConvVariant::direct) return conv_direct_fits<T>(pass, s);
  if (variant == ConvVariant::cudnn) return fits_cudnn(s);
  if constexpr (!std::is_same_v<T, float>) return conv_wgmma_fits(where, a, b, s);
  return false;
}

template <class T>
void conv_forward_by(ConvVariant variant, Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias,
                     const ConvShape& s) {
  if (variant == ConvVariant::product) return matmul(where, y, x, weight, pixels(s), s.co, s.ci, false, true);
  if constexpr (kCudnn)
    if (variant == ConvVariant::cudnn) return conv_forward_cudnn(where, y, x, weight, bias, s);
  if constexpr (!std::is_same_v<T, float>)
    if (variant == ConvVariant::wgmma) return conv_forward_wgmma(where, y, x, weight, bias, s);
  if (variant == ConvVariant::naive) return conv_forward_naive(where, y, x, weight, bias, s);
  if (variant == ConvVariant::direct) return conv_forward_direct(where, y, x, weight, bias, s);
  conv_forward_mma(where, y, x, weight, bias, s);
}
template <class T>
void conv_backward_input_by(ConvVariant variant, Cuda where, T* dx, const T* dy, const T* weight,
                            const ConvShape& s) {
  if (variant == ConvVariant::product)
    return matmul(where, dx, dy, weight, pixels(s), s.ci, s.co, false, false);
  if constexpr (kCudnn)
    if (variant == ConvVariant::cudnn) return conv_backward_input_cudnn(where, dx, dy, weight, s);
  if constexpr (!std::is_same_v<T, float>)
    if (variant == ConvVariant::wgmma) return conv_backward_input_wgmma(where, dx, dy, weight, s);
  if (variant == ConvVariant::naive) return conv_backward_input_naive(where, dx, dy, weight, s);
  if (variant == ConvVariant::direct) return conv_backward_input_direct(where, dx, dy, weight, s);
  conv_backward_input_mma(where, dx, dy, weight, s);
}
template <class T>
void conv_backward_weight_by(ConvVariant variant, Cuda where, Wide<T>* dw, const T* dy, const T* x,
                             const ConvShape& s) {
  if (variant == ConvVariant::product) return matmul(where, dw, dy, x, s.co, s.ci, pixels(s), true, false);
  if constexpr (kCudnn)
    if (variant == ConvVariant::cudnn) return conv_backward_weight_cudnn(where, dw, dy, x, s);
  if constexpr (!std::is_same_v<T, float>)
    if (variant == ConvVariant::wgmma) return conv_backward_weight_wgmma(where, dw, dy, x, s);
  if (variant == ConvVariant::naive) return conv_backward_weight_naive(where, dw, dy, x, s);
  if (variant == ConvVariant::direct) return conv_backward_weight_direct(where, dw, dy, x, s);
  conv_backward_weight_mma(where, dw, dy, x, s);
}

template <class T>
void conv_forward(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  conv_forward_by(chosen(ConvPass::forward, where, x, weight, s, bias != nullptr), where, y, x, weight, bias,
                  s);
}
template <class T>
void conv_backward_input(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  conv_backward_input_by(chosen(ConvPass::backward_input, where, dy, weight, s), where, dx, dy, weight, s);
}
template <class T>
void conv_backward_weight(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  conv_backward_weight_by(chosen(ConvPass::backward_weight, where, dy, x, s), where, dw, dy, x, s);
}

#define INSTANTIATE(T)                                                                                      \
  template bool conv_takes(ConvVariant, ConvPass, Cuda, const T*, const T*, const ConvShape&, bool);        \
  template void conv_forward_by(ConvVariant, Cuda, T*, const T*, const T*, const float*, const ConvShape&); \
  template void conv_backward_input_by(ConvVariant, Cuda, T*, const T*, const T*, const ConvShape&);        \
  template void conv_backward_weight_by(ConvVariant, Cuda, float*, const T*, const T*, const ConvShape&);   \
  template void conv_forward(Cuda, T*, const T*, const T*, const float*, ConvShape);                        \
  template void conv_backward_input(Cuda, T*, const T*, const T*, ConvShape);                               \
  template void conv_backward_weight(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
