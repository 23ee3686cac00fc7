// Whole files: read up to a limit, hashed, and written so that a reader sees either the old file or the new
// one, and never a part. Errors are Fault::data, one line with the path and the system's reason.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace dae {

// Returns the content of a file; an error if it has more than `limit` bytes.
std::string read_file(const std::string& path, int64_t limit = int64_t{1} << 40);
// Returns the CRC-32 of `bytes`. `start` is the CRC-32 of the bytes before them, 0 for none.
uint32_t crc_of(std::string_view bytes, uint32_t start = 0);
// Makes a folder and the missing folders above it.
void make_folder(const std::string& path);
// Makes the folder of an output file and checks that the file can be written, so that a long run does not
// fail at its end. Does not change the file itself.
void prepare_output(const std::string& path);
// Writes a temporary file beside `path`, syncs it, renames it to `path`, and syncs the folder.
void write_file(const std::string& path, std::string_view content);
// The same for content that comes in pieces: calls `fill` with a function that writes one piece.
void write_file(const std::string& path,
                const std::function<void(const std::function<void(const void*, size_t)>&)>& fill);

}  // namespace dae
