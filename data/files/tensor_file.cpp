#include "data/files/tensor_file.h"

#include "data/files/file.h"

namespace dae {

TensorFile::TensorFile(const std::string& path) : TensorFile(path, read_file(path)) {}

TensorFile::TensorFile(const std::string& path, std::string content) : path_(path) {
  // PyTorch's zip differs from NumPy's by a member data.pkl, whose name occurs in the bytes of the zip.
  const bool zip = is_zip(content), pickled = zip && content.find("data.pkl") != std::string::npos;
  if (pickled || is_pickle(content)) torch_ = std::make_unique<TorchFile>(path, std::move(content));
  else if (zip || is_npy(content)) npz_ = std::make_unique<Npz>(path, std::move(content));
  else safetensors_ = std::make_unique<Safetensors>(path, std::move(content));
}

const char* TensorFile::format() const { return torch_ ? "pytorch" : npz_ ? "npz" : "safetensors"; }

const std::vector<TensorEntry>& TensorFile::entries() const {
  return torch_ ? torch_->entries() : npz_ ? npz_->entries() : safetensors_->entries();
}

const TensorEntry* TensorFile::find(const std::string& name) const {
  for (const TensorEntry& e : entries())
    if (e.name == name) return &e;
  return nullptr;
}

std::vector<std::pair<std::string, std::string>> TensorFile::values() const {
  if (torch_) return torch_->values();
  if (npz_) return {};
  return {safetensors_->metadata().begin(), safetensors_->metadata().end()};
}

}  // namespace dae
