// Dropout after each hidden activation of a decoder. It weakens the decoder in stage 1 of the DAE schedule;
// the other way to weaken it is a smaller width.
#pragma once
#include <functional>

#include "engine/ops.h"

namespace dae {

using Masks = std::function<Key()>;  // gives dropout its next key; may be empty if nothing is dropped

struct Weakness {
  double drop = 0;       // the probability that a channel or an element is dropped
  bool channels = true;  // drops whole channels of an image; false: single elements
  Tensor operator()(const Tensor& h, const Masks& masks) const {
    if (drop == 0) return h;
    return channels ? channel_dropout(h, drop, masks()) : dropout(h, drop, masks());
  }
};

}  // namespace dae
