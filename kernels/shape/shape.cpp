#include "kernels/shape/shape.h"

#include <cstring>

#include "kernels/cpu/parallel.h"

namespace dae {

template <class T>
void copy_axis(Cpu, T* y, int64_t to, int64_t y_begin, const T* x, int64_t from, int64_t x_begin,
               int64_t count, int64_t outer, int64_t inner) {
  parallel_for(outer, std::max<int64_t>(1, kStreamGrain / std::max<int64_t>(1, count * inner)),
               [=](int64_t begin, int64_t end) {
                 for (int64_t o = begin; o < end; ++o)
                   std::memcpy(y + (o * to + y_begin) * inner, x + (o * from + x_begin) * inner,
                               size_t(count * inner) * sizeof(T));
               });
}

template <class T>
void permute(Cpu, T* y, const T* x, const int64_t* dims, const int* order, int rank) {
  if (rank == 0) {
    y[0] = x[0];
    return;
  }
  int64_t x_stride[8], size[8], stride[8], total = 1;
  for (int i = rank - 1; i >= 0; --i) x_stride[i] = total, total *= dims[i];
  for (int i = 0; i < rank; ++i) size[i] = dims[order[i]], stride[i] = x_stride[order[i]];
  const int64_t last = size[rank - 1], step = stride[rank - 1], rows = last ? total / last : 0;
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / std::max<int64_t>(1, last)),
               [=](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   int64_t rest = r, from = 0;
                   for (int i = rank - 2; i >= 0; --i) from += rest % size[i] * stride[i], rest /= size[i];
                   if (step == 1) std::copy_n(x + from, last, y + r * last);
                   else
                     for (int64_t j = 0; j < last; ++j) y[r * last + j] = x[from + j * step];
                 }
               });
}

#define INSTANTIATE(T)                                                                                       \
  template void copy_axis(Cpu, T*, int64_t, int64_t, const T*, int64_t, int64_t, int64_t, int64_t, int64_t); \
  template void permute(Cpu, T*, const T*, const int64_t*, const int*, int);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
