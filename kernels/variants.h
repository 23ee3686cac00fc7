// The variant that each heavy op takes by default on CUDA: the first variant in the list of its family that
// supports the call and whose condition on the shape, if it has one, is true. The order follows from byte and
// FLOP counts, which the files of the variants give; it has not been measured on a GPU. `dae bench --device
// cuda` times every variant. This file is the only place for the defaults.
#pragma once
#include "kernels/attention/variants.h"
#include "kernels/conv/variants.h"
#include "kernels/matmul/variants.h"
#include "kernels/vq/variants.h"

namespace dae {

template <class Variant, class Shape>
struct Choice {
  Variant variant;
  bool (*pays)(const Shape&) = nullptr;  // whether the variant is worthwhile for the shape; null: for all
};

// Returns the first variant of the list that pays for the shape and for which takes(variant) is true. If
// there is none, it returns the last variant, which supports every call.
template <class Variant, class Shape, int Size, class Takes>
Variant choose(const Choice<Variant, Shape> (&list)[Size], const Shape& shape, Takes takes) {
  for (const auto& choice : list)
    if ((!choice.pays || choice.pays(shape)) && takes(choice.variant)) return choice.variant;
  return list[Size - 1].variant;
}

namespace defaults {

inline constexpr Choice<MatmulVariant, MatmulShape> kMatmul[] = {
    {MatmulVariant::wgmma},  // moves the same bytes as mma, which cannot use Hopper's full tensor-core rate
    {MatmulVariant::mma},
    {MatmulVariant::naive},
};

inline constexpr Choice<ConvVariant, ConvShape> kConv[] = {
    {ConvVariant::product},
    {ConvVariant::direct},  // here mma would gather element by element, or fill 4 of its 128 columns
    {ConvVariant::wgmma,    // the channels fill at least half of a box of 64
     [](const ConvShape& s) { return s.ci >= 32 && s.co >= 32; }},
    {ConvVariant::mma},
    {ConvVariant::naive},
};

inline constexpr Choice<AttentionVariant, AttentionShape> kAttentionForward[] = {
    {AttentionVariant::whole},
    {AttentionVariant::tiled},
    {AttentionVariant::blocks},
    {AttentionVariant::naive},
};
inline constexpr Choice<AttentionVariant, AttentionShape> kAttentionBackward[] = {
    // It computes more products than tiled, but it writes no f32 parts of dq where tiled would split the
    // keys.
    {AttentionVariant::whole, [](const AttentionShape& s) { return s.head_dim > 64 && s.keys > 128; }},
    {AttentionVariant::tiled},
    {AttentionVariant::blocks},
    {AttentionVariant::naive},
};

inline constexpr Choice<NearestVariant, NearestShape> kNearest[] = {
    {NearestVariant::tensor, [](const NearestShape& s) { return s.codes >= 16; }},  // at least 1/8 of a tile
    {NearestVariant::naive},
};

}  // namespace defaults

}  // namespace dae
