// Splits the gradient of a strided convolution's input, and with it a transposed convolution, into plain
// convolutions of stride 1. Along one axis, the input pixels i, i + stride, i + 2 stride, ... (class i, where
// i < stride) meet the same taps of the kernel, and neighbours in a class meet neighbouring pixels of dy.
#pragma once
#include "kernels/device/host_device.h"

namespace dae {

// The taps of a class: its pixel r, which is input pixel i + stride r, meets the products
// dy[r + offset + a] w[first + a next] for a = 0 to count - 1.
struct ClassTaps {
  int count, offset, first, next;
};
// Returns the taps of class i along one axis.
HOST_DEVICE ClassTaps class_taps(int i, int kernel, int stride, int pad) {
  const int lowest = (i + pad) % stride;
  const int count = lowest < kernel ? (kernel - 1 - lowest) / stride + 1 : 0;
  return {count, (i + pad) / stride - count + 1, lowest + stride * (count - 1), -stride};
}
// Returns the number of pixels of class i on an axis of `size` pixels.
HOST_DEVICE int class_pixels(int i, int size, int stride) { return (size - 1 - i) / stride + 1; }

}  // namespace dae
