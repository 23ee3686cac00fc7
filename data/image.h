// Pictures out: a PNG, or an npz that NumPy reads.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

// bytes (height, width, channels), 1 or 3 channels. Written whole or not at all (file.h).
void save_png(const std::string& path, const uint8_t* bytes, int64_t height, int64_t width, int64_t channels);
// One array named arr_0, uint8, stored without compression.
void save_npz(const std::string& path, const uint8_t* bytes, std::vector<int64_t> shape);
