#include "kernels/lookup/lookup.h"

#include "kernels/cpu/parallel.h"

namespace dae {

template <class T>
void embedding_forward(Cpu, T* y, const T* table, const int64_t* index, int64_t rows, int64_t,
                       int64_t channels) {
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      std::copy_n(table + index[r] * channels, channels, y + r * channels);
  });
}

// A thread owns a slice of the channels, so that no two threads write the same element, and the rows are
// added in their order.
template <class T>
void embedding_backward(Cpu, T* dtable, const T* dy, const int64_t* index, int64_t rows, int64_t entries,
                        int64_t channels) {
  parallel_for(channels, 64, [=](int64_t begin, int64_t end) {
    for (int64_t k = 0; k < entries; ++k)
      std::fill(dtable + k * channels + begin, dtable + k * channels + end, T(0));
    for (int64_t r = 0; r < rows; ++r) {
      T* out = dtable + index[r] * channels;
      const T* in = dy + r * channels;
#pragma omp simd
      for (int64_t c = begin; c < end; ++c) out[c] += in[c];
    }
  });
}

#define INSTANTIATE(T)                                                                           \
  template void embedding_forward(Cpu, T*, const T*, const int64_t*, int64_t, int64_t, int64_t); \
  template void embedding_backward(Cpu, T*, const T*, const int64_t*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
