// The kernels behind the three convolutions on CUDA, by name, for kernels/variants.h, tests and benchmarks.
// All give the same result up to rounding.
//   naive     one thread for each element of the result; any size; the oracle of the others
//   mma       a product gathered from images: bf16 and f16 on tensor cores of sm_80, f32 by multiply-adds
//   wgmma     the same products on Hopper (sm_90a), bf16 and f16, from boxes that TMA can read
//   direct    at most 4 channels on one side, from images in shared memory
//   product   1x1 of stride 1 without padding and, in the forward pass, without bias: a matrix product, by
//             the variant that matmul chooses
//   cudnn     cuDNN, the yardstick; built with -DDAE_CUDNN=ON; equal padding on opposite sides
#pragma once
#include "kernels/conv/conv.h"

namespace dae {

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

// conv_takes returns whether a variant can compute a pass whose inputs are a and b, in the order of its
// arguments; `bias` says whether a forward pass has one. The functions ..._by compute the pass by that
// variant.
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

}  // namespace dae
