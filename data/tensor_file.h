// A file of tensors in any of the formats that the program reads, told apart by their bytes: safetensors,
// .npz and .npy, PyTorch's .pth, .pt and .ckpt.
#pragma once
#include <memory>
#include <utility>

#include "data/npz.h"
#include "data/safetensors.h"
#include "data/torch_file.h"

class TensorFile {
 public:
  explicit TensorFile(const std::string& path);  // Fault::data, one line
  TensorFile(const std::string& path, std::string content);
  const std::string& path() const { return path_; }
  const char* format() const;  // "safetensors", "npz" or "pytorch"
  const std::vector<TensorEntry>& entries() const;
  const TensorEntry* find(const std::string& name) const;  // null: there is none
  // What stands beside the tensors: metadata, numbers, texts.
  std::vector<std::pair<std::string, std::string>> values() const;

 private:
  std::string path_;
  std::unique_ptr<Safetensors> safetensors_;  // one of the three
  std::unique_ptr<Npz> npz_;
  std::unique_ptr<TorchFile> torch_;
};
