// The safetensors format: 8 bytes of header length, a JSON header, the tensors' bytes. The reader treats the
// file as hostile: every number in the header is checked against the file before anything is used.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "data/tensor_entry.h"

class Safetensors {
 public:
  // Fault::data, one line with the file, the tensor, what was expected and found.
  explicit Safetensors(const std::string& path);
  Safetensors(std::string path, std::string content);                   // of a file already read
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

// Written whole or not at all (file.h).
void save_safetensors(const std::string& path, const std::vector<TensorEntry>& entries,
                      const std::map<std::string, std::string>& metadata);
