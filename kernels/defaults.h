// Which variant each heavy op takes on CUDA by default: the first of its family's list that can take the call
// and, where the list says so, that pays for its shape. Unmeasured on a GPU: the order is by byte and FLOP
// counts, which the files of the variants give. `dae bench --device cuda` times every variant beside the
// others; what it finds is written here and nowhere else.
#pragma once
#include "kernels/attention/variants.h"
#include "kernels/conv/variants.h"
#include "kernels/matmul/variants.h"
#include "kernels/vq/variants.h"

template <class Variant, class Shape>
struct Choice {
  Variant variant;
  bool (*pays)(const Shape&) = nullptr;  // null: wherever it can
};

// The last of a list can take every call.
template <class Variant, class Shape, int Size, class Takes>
Variant choose(const Choice<Variant, Shape> (&list)[Size], const Shape& shape, Takes takes) {
  for (const auto& choice : list)
    if ((!choice.pays || choice.pays(shape)) && takes(choice.variant)) return choice.variant;
  return list[Size - 1].variant;
}

namespace defaults {

inline constexpr Choice<MatmulVariant, MatmulShape> kMatmul[] = {
    {MatmulVariant::wgmma},  // the same bytes as mma; half of Hopper's tensor cores is out of mma's reach
    {MatmulVariant::mma},
    {MatmulVariant::naive},
};

inline constexpr Choice<ConvVariant, ConvShape> kConv[] = {
    {ConvVariant::product},
    {ConvVariant::direct},  // mma would gather element by element, or fill 4 of its 128 columns
    {ConvVariant::wgmma,    // channels that fill half a box of 64
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
    // More products than tiled, but no f32 parts of dq where tiled would cut the keys in two.
    {AttentionVariant::whole, [](const AttentionShape& s) { return s.head_dim > 64 && s.keys > 128; }},
    {AttentionVariant::tiled},
    {AttentionVariant::blocks},
    {AttentionVariant::naive},
};

inline constexpr Choice<NearestVariant, NearestShape> kNearest[] = {
    {NearestVariant::tensor, [](const NearestShape& s) { return s.codes >= 16; }},  // an eighth of a tile
    {NearestVariant::naive},
};

}  // namespace defaults
