// The sizes of a tensor's dimensions, outermost first. Every tensor is contiguous and row-major, so the shape
// alone says where an element lies.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

namespace dae {

class Shape {
 public:
  static constexpr int kMaxRank = 6;
  Shape() = default;  // rank 0: a scalar
  Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) push_back(d);
  }

  int rank() const { return rank_; }
  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  int64_t operator[](int i) const { return dims_[i < 0 ? rank_ + i : i]; }  // -1 is the last dimension
  int64_t& operator[](int i) { return dims_[i < 0 ? rank_ + i : i]; }
  int64_t back() const { return dims_[rank_ - 1]; }
  const int64_t* begin() const { return dims_; }
  const int64_t* end() const { return dims_ + rank_; }
  void push_back(int64_t d);
  bool operator==(const Shape& other) const;
  std::string str() const;  // "(2, 3, 4)"

 private:
  int64_t dims_[kMaxRank] = {};
  int rank_ = 0;
};

}  // namespace dae
