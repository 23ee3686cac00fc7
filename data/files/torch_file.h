// Reads checkpoints of torch.save (.pth, .pt, .ckpt). Such a file is a zip with data.pkl and data/N for each
// storage; before PyTorch 1.6 it is a sequence of pickles and raw storages. The reader builds only tensors
// and plain containers (pickle.h); anything else in the file is an error that names it.
#pragma once
#include <deque>
#include <memory>
#include <utility>

#include "data/files/tensor_entry.h"
#include "data/files/zip.h"

namespace dae {

class TorchFile {
 public:
  // Reads a file. Fault::data, one line with the file and what was found. Tensors can share a storage, so
  // their bytes together can exceed the file's; more than 100 times the file and more than 64 MiB is an
  // error.
  explicit TorchFile(const std::string& path);
  TorchFile(const std::string& path, std::string content);  // for a file already read
  // Returns the tensors, contiguous. The name of each is the path to it: the keys of dicts and the positions
  // in lists, joined by dots; "tensor" if the file is one tensor.
  const std::vector<TensorEntry>& entries() const { return entries_; }
  // Returns what the containers hold besides tensors (numbers, texts, None ...), as paths and texts.
  const std::vector<std::pair<std::string, std::string>>& values() const { return values_; }
  const std::string& path() const { return path_; }

 private:
  friend class TorchReader;
  std::string path_, content_;
  std::unique_ptr<Zip> zip_;
  std::deque<std::string> gathered_;  // the bytes of tensors that are not contiguous in their storages
  std::vector<TensorEntry> entries_;
  std::vector<std::pair<std::string, std::string>> values_;
};

inline bool is_pickle(std::string_view content) {  // protocol 2 to 5
  return content.size() > 1 && content[0] == '\x80' && content[1] >= 2 && content[1] <= 5;
}

}  // namespace dae
