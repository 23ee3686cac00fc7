// What weakens a decoder in stage 1 of the DAE schedule, if not its width: dropout after each hidden
// activation.
#pragma once
#include <functional>

#include "engine/ops.h"

using Masks = std::function<Key()>;  // where dropout draws its keys; empty where nothing is dropped

struct Weakness {
  double drop = 0;
  bool channels = true;  // whole channels of an image, or single elements
  Tensor operator()(const Tensor& h, const Masks& masks) const {
    if (drop == 0) return h;
    return channels ? channel_dropout(h, drop, masks()) : dropout(h, drop, masks());
  }
};
