// NumPy's files: .npy holds one array, .npz is a zip of .npy files. The reader trusts neither: it checks
// every number before it uses it. Images are stored as `arr_0`, uint8, (N, H, W, C), the layout of the ADM
// evaluator.
#pragma once
#include <deque>
#include <memory>

#include "data/files/tensor_entry.h"
#include "data/files/zip.h"

namespace dae {

class Npz {
 public:
  // Reads a .npz, or a .npy whose array is then called arr_0. The bytes tell the two apart, not the name. The
  // arrays are booleans, integers or floats, little-endian. Arrays in Fortran order are converted to C order.
  // Fault::data, one line with the file, the array, what was expected and what was found.
  explicit Npz(const std::string& path);
  Npz(const std::string& path, std::string content);                    // for a file already read
  const std::vector<TensorEntry>& entries() const { return entries_; }  // the names without .npy
  const TensorEntry* find(const std::string& name) const;               // null: there is none
  const std::string& path() const { return path_; }

 private:
  void add(const std::string& name, std::string_view npy);
  std::string path_, npy_;
  std::unique_ptr<Zip> zip_;
  std::deque<std::string> turned_;  // the bytes of arrays that were in Fortran order
  std::vector<TensorEntry> entries_;
};

// Writes a .npz without compression, whole or not at all (file.h). The bytes equal those of np.savez, except
// for the dates and its zip64 sizes.
void save_npz(const std::string& path, const std::vector<TensorEntry>& entries);

inline bool is_npy(std::string_view content) { return content.substr(0, 6) == "\x93NUMPY"; }

}  // namespace dae
