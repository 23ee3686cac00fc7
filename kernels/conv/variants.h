// The kernels behind the three convolutions on CUDA, by name, for kernels/defaults.h, tests and benchmarks.
// All give the same result up to rounding.
//   naive    a thread an element of the result, any size; the oracle of the others
//   mma      a product gathered from images: tensor cores of sm_80 for bf16 and f16, multiply-adds for f32
//   wgmma    the same products on Hopper (sm_90a), bf16 and f16, from boxes that TMA can read
//   direct   few channels on one side, at most 4, from images in shared memory
//   product  1x1 of stride 1 without padding (forward: or bias): a matrix product, by matmul's own choice
//   cudnn    cuDNN, the yardstick; built with -DDAE_CUDNN=ON; padding alike on opposite sides
#pragma once
#include "kernels/conv/conv.h"

enum class ConvVariant { naive, mma, wgmma, direct, product, cudnn };
inline constexpr ConvVariant kConvVariants[] = {ConvVariant::naive,   ConvVariant::mma,
                                                ConvVariant::wgmma,   ConvVariant::direct,
                                                ConvVariant::product, ConvVariant::cudnn};
inline const char* name(ConvVariant v) {
  constexpr const char* kNames[] = {"naive", "mma", "wgmma", "direct", "product", "cudnn"};
  return kNames[int(v)];
}
enum class ConvPass { forward, backward_input, backward_weight };
inline constexpr ConvPass kConvPasses[] = {ConvPass::forward, ConvPass::backward_input,
                                           ConvPass::backward_weight};
inline const char* name(ConvPass p) {
  constexpr const char* kNames[] = {"forward", "backward input", "backward weight"};
  return kNames[int(p)];
}

// Whether a variant can take a pass whose inputs are a and b, in the order of its arguments, forward with a
// bias or without; and the pass by it.
template <class T>
bool conv_takes(ConvVariant variant, ConvPass pass, Cuda, const T* a, const T* b, const ConvShape& shape,
                bool bias = false);
template <class T>
void conv_forward_by(ConvVariant variant, Cuda, T* y, const T* x, const T* weight, const Wide<T>* bias,
                     const ConvShape& shape);
template <class T>
void conv_backward_input_by(ConvVariant variant, Cuda, T* dx, const T* dy, const T* weight,
                            const ConvShape& shape);
template <class T>
void conv_backward_weight_by(ConvVariant variant, Cuda, Wide<T>* dw, const T* dy, const T* x,
                             const ConvShape& shape);

#define CONV_VARIANT(name)                                                                                 \
  template <class T>                                                                                       \
  void conv_forward_##name(Cuda, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape shape); \
  template <class T>                                                                                       \
  void conv_backward_input_##name(Cuda, T* dx, const T* dy, const T* weight, ConvShape shape);             \
  template <class T>                                                                                       \
  void conv_backward_weight_##name(Cuda, Wide<T>* dw, const T* dy, const T* x, ConvShape shape);
CONV_VARIANT(naive)
CONV_VARIANT(mma)
CONV_VARIANT(wgmma)
CONV_VARIANT(direct)
CONV_VARIANT(cudnn)
#undef CONV_VARIANT
template <class T>
bool conv_wgmma_fits(Cuda, const T* a, const T* b, const ConvShape& shape);
template <class T>
bool conv_direct_fits(ConvPass pass, const ConvShape& shape);
template <class T>
bool conv_backward_weight_direct_fits(const ConvShape& shape);
