// A file of tensors in one of the formats that the program reads: safetensors, NumPy's .npz and .npy,
// PyTorch's .pth, .pt and .ckpt. The bytes of the file tell the format, not its name.
#pragma once
#include <memory>
#include <utility>

#include "data/files/npz.h"
#include "data/files/safetensors.h"
#include "data/files/torch_file.h"

namespace dae {

class TensorFile {
 public:
  explicit TensorFile(const std::string& path);              // Fault::data, one line, for any other file
  TensorFile(const std::string& path, std::string content);  // for a file already read
  const std::string& path() const { return path_; }
  const char* format() const;  // "safetensors", "npz" or "pytorch"
  const std::vector<TensorEntry>& entries() const;
  const TensorEntry* find(const std::string& name) const;  // null: there is none
  // Returns what the file holds besides tensors, as names and texts: metadata, numbers, texts.
  std::vector<std::pair<std::string, std::string>> values() const;

 private:
  std::string path_;
  std::unique_ptr<Safetensors> safetensors_;  // two of the three are null
  std::unique_ptr<Npz> npz_;
  std::unique_ptr<TorchFile> torch_;
};

}  // namespace dae
