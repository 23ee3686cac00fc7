// Whole files: read with a limit, hashed, written so that a reader sees the old file or the new one and
// nothing between.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

// Errors are Fault::data, one line with the path and the system's reason.
std::string read_file(const std::string& path, int64_t limit = int64_t{1} << 40);
uint32_t crc_of(std::string_view bytes, uint32_t start = 0);  // CRC-32, going on from `start`
// Makes a folder and those above it that are missing.
void make_folder(const std::string& path);
// Makes the folder of a file to be written, and tries that the file can be: what cannot be saved is refused
// before the work. The file itself stays as it is.
void prepare_output(const std::string& path);
// To a temporary name beside `path`, synced, renamed over it, the folder synced.
void write_file(const std::string& path, std::string_view content);
// The same with the content written in pieces by `fill`.
void write_file(const std::string& path,
                const std::function<void(const std::function<void(const void*, size_t)>&)>& fill);
