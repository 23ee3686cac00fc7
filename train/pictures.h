// Tensors of images as files. x is (N, H, W, C) in [-1, 1]; a byte is round(127.5 x + 127.5), clamped.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/tensor.h"

std::vector<uint8_t> bytes_of(const Tensor& x);
void save_grid(const std::string& path, const Tensor& x, int64_t columns);  // PNG, row by row
void save_arrays(const std::string& path, const Tensor& x);                 // npz: arr_0, uint8, NHWC
Tensor side_by_side(const Tensor& x, const Tensor& y);  // (2N, H, W, C): x0, y0, x1, y1, ...
