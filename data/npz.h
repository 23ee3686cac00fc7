// NumPy's files: .npy, one array, and .npz, a zip of them. The reader treats both as hostile. Images, here as
// for the ADM evaluator and others, are `arr_0`, uint8, (N, H, W, C).
#pragma once
#include <deque>
#include <memory>

#include "data/tensor_entry.h"
#include "data/zip.h"

class Npz {
 public:
  // A .npz, or a .npy whose one array is then called arr_0 (by its bytes, not its name). Booleans, integers
  // and floats, little-endian; arrays in Fortran's order are turned to C's. Fault::data, one line with the
  // file, the array, what was expected and found.
  explicit Npz(const std::string& path);
  Npz(const std::string& path, std::string content);                    // of a file already read
  const std::vector<TensorEntry>& entries() const { return entries_; }  // names without .npy
  const TensorEntry* find(const std::string& name) const;               // null: there is none
  const std::string& path() const { return path_; }

 private:
  void add(const std::string& name, std::string_view npy);
  std::string path_, npy_;
  std::unique_ptr<Zip> zip_;
  std::deque<std::string> turned_;  // arrays that were in Fortran's order
  std::vector<TensorEntry> entries_;
};

// The bytes that np.savez writes (but for its dates and sizes in zip64), stored without compression. Written
// whole or not at all (file.h).
void save_npz(const std::string& path, const std::vector<TensorEntry>& entries);

inline bool is_npy(std::string_view content) { return content.substr(0, 6) == "\x93NUMPY"; }
