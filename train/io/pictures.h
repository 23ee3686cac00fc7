// Writes tensors of images as files. x is (N, H, W, C) in [-1, 1]. A byte is round(127.5 x + 127.5), clamped
// to 0 .. 255.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace dae {

// Returns the values of x as bytes.
std::vector<uint8_t> bytes_of(const Tensor& x);
// Writes a PNG with the images in a grid, row by row.
void save_grid(const std::string& path, const Tensor& x, int64_t columns);
// Writes an .npz file with arr_0, uint8, (N, H, W, C).
void save_arrays(const std::string& path, const Tensor& x);
// Returns x and y interleaved, (2N, H, W, C): x0, y0, x1, y1, ...
Tensor side_by_side(const Tensor& x, const Tensor& y);

}  // namespace dae
