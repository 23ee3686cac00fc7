// The gradient of a strided convolution's input, and with it a transposed convolution, in parts that are
// plain convolutions of stride 1: along one axis, the pixels i, i + stride, i + 2 stride, ... of the input
// (class i < stride) meet the same taps of the kernel, one pixel of dy after the other.
#pragma once
#include "kernels/host_device.h"

// Pixel i + stride r of the input meets dy[r + offset + a] w[first + a next] for a = 0 to count - 1.
struct ClassTaps {
  int count, offset, first, next;
};
HOST_DEVICE ClassTaps class_taps(int i, int kernel, int stride, int pad) {
  const int lowest = (i + pad) % stride;
  const int count = lowest < kernel ? (kernel - 1 - lowest) / stride + 1 : 0;
  return {count, (i + pad) / stride - count + 1, lowest + stride * (count - 1), -stride};
}
HOST_DEVICE int class_pixels(int i, int size, int stride) { return (size - 1 - i) / stride + 1; }
