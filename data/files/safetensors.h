// The safetensors format: the length of the header (8 bytes), the header (JSON), the bytes of the tensors.
// The reader does not trust the file: it checks every number of the header against the file before it uses
// it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "data/files/tensor_entry.h"

namespace dae {

class Safetensors {
 public:
  // Reads a file. Fault::data, one line with the file, the tensor, what was expected and what was found.
  explicit Safetensors(const std::string& path);
  Safetensors(std::string path, std::string content);                   // for a file already read
  const std::vector<TensorEntry>& entries() const { return entries_; }  // in the order of their bytes
  const TensorEntry* find(const std::string& name) const;               // null: there is none
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }
  const std::string& content() const { return content_; }  // the whole file

 private:
  std::string path_, content_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// Writes a file, whole or not at all (file.h).
void save_safetensors(const std::string& path, const std::vector<TensorEntry>& entries,
                      const std::map<std::string, std::string>& metadata);

}  // namespace dae
