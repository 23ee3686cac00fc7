// Checkpoints as torch.save writes them (.pth, .pt, .ckpt): a zip with data.pkl and data/N for each storage,
// or, before PyTorch 1.6, pickles and raw storages one behind the other. Only tensors and plain containers
// are built (pickle.h); anything else in the file is an error that names it.
#pragma once
#include <deque>
#include <memory>
#include <utility>

#include "data/tensor_entry.h"
#include "data/zip.h"

class TorchFile {
 public:
  // Fault::data, one line with the file and what was found. However they share storages, tensors may claim
  // 100 times the file's bytes together, or 64 MiB.
  explicit TorchFile(const std::string& path);
  TorchFile(const std::string& path, std::string content);  // of a file already read
  // Tensors, contiguous, by the path to them: the keys of dicts and the positions in lists, joined by dots;
  // "tensor" if the file is one tensor.
  const std::vector<TensorEntry>& entries() const { return entries_; }
  // What else stands beside them (numbers, texts, None ...), as text.
  const std::vector<std::pair<std::string, std::string>>& values() const { return values_; }
  const std::string& path() const { return path_; }

 private:
  friend class TorchReader;
  std::string path_, content_;
  std::unique_ptr<Zip> zip_;
  std::deque<std::string> gathered_;  // tensors that are not contiguous in their storages
  std::vector<TensorEntry> entries_;
  std::vector<std::pair<std::string, std::string>> values_;
};

inline bool is_pickle(std::string_view content) {  // of protocol 2 or later
  return content.size() > 1 && content[0] == '\x80' && content[1] >= 2 && content[1] <= 5;
}
