#include "kernels/attention/attention.h"

#include <cmath>

#include "kernels/cpu/ordered_sums.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd_math.h"
#include "kernels/matmul/gemm.h"

namespace dae {

namespace {

// A block of scores, kQueries by kKeys, stays in the second-level cache.
constexpr int64_t kQueries = 64, kKeys = 256;

int64_t blocks_of(int64_t n, int64_t block) { return (n + block - 1) / block; }

template <class T>
T scale_of(const AttentionShape& s) {
  return T(1 / std::sqrt(double(s.head_dim)));
}

}  // namespace

// A task is a block of queries of one head. The softmax advances over blocks of keys: `top` is the largest
// score so far and `total` the sum of e^(score - top). When top grows, the old y and total are scaled down.
template <class T>
void attention_forward(Cpu, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape) {
  const int64_t blocks = blocks_of(shape.queries, kQueries);
  parallel_for(shape.batch * shape.heads * blocks, 1, [&](int64_t begin, int64_t end) {
    const AttentionShape s = shape;
    const T scale = scale_of<T>(s);
    const int64_t width = s.heads * s.head_dim;
    thread_local Scratch<T> scratch;
    T* p = scratch.get(kQueries * kKeys);
    for (int64_t task = begin; task < end; ++task) {
      const AttentionHead head(s, task / blocks);
      const int64_t i0 = task % blocks * kQueries, rows = std::min(kQueries, s.queries - i0);
      const int64_t keys = s.visible(i0 + rows - 1);
      T* out = y + head.y + i0 * width;
      T top[kQueries];
      double total[kQueries];
      for (int64_t j0 = 0; j0 < keys; j0 += kKeys) {
        const int64_t columns = std::min(kKeys, keys - j0), kv = head.kv + j0 * s.kv_stride;
        gemm(p, kKeys, q + head.q + i0 * s.q_stride, s.q_stride, k + kv, s.kv_stride, rows, columns,
             s.head_dim, false, true);
        for (int64_t i = 0; i < rows; ++i) {
          T* row = p + i * kKeys;
          const int64_t n = std::clamp<int64_t>(s.visible(i0 + i) - j0, 0, columns);
          std::fill(row + n, row + columns, T(0));
          if (n == 0) continue;
          const T before = top[i], highest = scale * lane_max(row, n);
          top[i] = j0 == 0 || highest > before ? highest : before;
          const T shift = top[i];
#pragma omp simd
          for (int64_t j = 0; j < n; ++j) row[j] = fast_exp(multiply_add(scale, row[j], -shift));
          const double sum = lane_sum(0, n, [=](int64_t j) { return row[j]; });
          if (j0 == 0) {
            total[i] = sum;
          } else {
            const T shrink = fast_exp(before - shift);
            total[i] = total[i] * double(shrink) + sum;
            T* yi = out + i * width;
#pragma omp simd
            for (int64_t c = 0; c < s.head_dim; ++c) yi[c] *= shrink;
          }
        }
        gemm(out, width, p, kKeys, v + kv, s.kv_stride, rows, s.head_dim, columns, false, false, j0 > 0);
      }
      for (int64_t i = 0; i < rows; ++i) {
        const T inverse = T(1 / total[i]);
        T* yi = out + i * width;
#pragma omp simd
        for (int64_t c = 0; c < s.head_dim; ++c) yi[c] *= inverse;
        lse[head.lse + i0 + i] = T(double(top[i]) + std::log(total[i]));
      }
    }
  });
}

// A task is one part of the keys of one head, and it alone writes their dk and dv. If there are few heads,
// the keys are cut into several parts. Each part then has its own dq, and these are added in order.
template <class T>
void attention_backward(Cpu, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse, const T* q,
                        const T* k, const T* v, const AttentionShape& shape) {
  constexpr int64_t kTasks = 8;
  const int64_t heads = shape.batch * shape.heads, width = shape.heads * shape.head_dim;
  if (heads * shape.queries == 0) return;
  const int64_t part_blocks = blocks_of(blocks_of(shape.keys, kKeys), blocks_of(kTasks, heads));
  const int64_t part_keys = part_blocks * kKeys, parts = blocks_of(shape.keys, part_keys);
  const int64_t rows_all = shape.batch * shape.queries, part_size = rows_all * width;
  thread_local Scratch<T> partial_scratch;
  T* partial = parts > 1 ? partial_scratch.get(parts * part_size) : nullptr;
  if (partial) std::fill_n(partial, parts * part_size, T(0));

  parallel_for(heads * parts, 1, [&](int64_t begin, int64_t end) {
    const AttentionShape s = shape;
    const T scale = scale_of<T>(s);
    thread_local Scratch<T> scratch;
    T* p = scratch.get(2 * kQueries * kKeys);
    T* ds = p + kQueries * kKeys;
    for (int64_t task = begin; task < end; ++task) {
      const AttentionHead head(s, task / parts);
      const int64_t part = task % parts, last = std::min(s.keys, (part + 1) * part_keys);
      T* dq_head = partial ? partial + part * part_size + head.y : dq + head.q;
      const int64_t dq_stride = partial ? width : s.q_stride;
      for (int64_t j0 = part * part_keys; j0 < last; j0 += kKeys) {
        const int64_t columns = std::min(kKeys, s.keys - j0), kv = head.kv + j0 * s.kv_stride;
        double keep = 0;  // beta for dk and dv: the first term overwrites them
        for (int64_t i0 = 0; i0 < s.queries; i0 += kQueries) {
          const int64_t rows = std::min(kQueries, s.queries - i0);
          if (s.visible(i0 + rows - 1) <= j0) continue;
          const T* qi = q + head.q + i0 * s.q_stride;
          const T* dyi = dy + head.y + i0 * width;
          const T* yi = y + head.y + i0 * width;
          gemm(p, kKeys, qi, s.q_stride, k + kv, s.kv_stride, rows, columns, s.head_dim, false, true);
          gemm(ds, kKeys, dyi, width, v + kv, s.kv_stride, rows, columns, s.head_dim, false, true);
          for (int64_t i = 0; i < rows; ++i) {
            T *pi = p + i * kKeys, *dsi = ds + i * kKeys;
            const int64_t n = std::clamp<int64_t>(s.visible(i0 + i) - j0, 0, columns);
            const T shift = lse[head.lse + i0 + i],
                    dot = T(lane_sum(i * width, i * width + s.head_dim,
                                     [=](int64_t c) { return double(dyi[c]) * double(yi[c]); }));
#pragma omp simd
            for (int64_t j = 0; j < n; ++j) {
              pi[j] = fast_exp(multiply_add(scale, pi[j], -shift));
              dsi[j] = scale * pi[j] * (dsi[j] - dot);
            }
            std::fill(pi + n, pi + columns, T(0));
            std::fill(dsi + n, dsi + columns, T(0));
          }
          gemm(dv + kv, s.kv_stride, p, kKeys, dyi, width, columns, s.head_dim, rows, true, false, keep);
          gemm(dk + kv, s.kv_stride, ds, kKeys, qi, s.q_stride, columns, s.head_dim, rows, true, false, keep);
          gemm(dq_head + i0 * dq_stride, dq_stride, ds, kKeys, k + kv, s.kv_stride, rows, s.head_dim, columns,
               false, false, partial || j0 > 0);
          keep = 1;
        }
      }
    }
  });
  if (!partial) return;
  parallel_for(rows_all, std::max<int64_t>(1, kStreamGrain / (parts * width)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   T* out = dq + r * shape.q_stride;
                   std::copy_n(partial + r * width, width, out);
                   for (int64_t part = 1; part < parts; ++part) {
                     const T* in = partial + part * part_size + r * width;
#pragma omp simd
                     for (int64_t c = 0; c < width; ++c) out[c] += in[c];
                   }
                 }
               });
}

#define INSTANTIATE(T)                                                                                \
  template void attention_forward(Cpu, T*, T*, const T*, const T*, const T*, const AttentionShape&);  \
  template void attention_backward(Cpu, T*, T*, T*, const T*, const T*, const T*, const T*, const T*, \
                                   const T*, const AttentionShape&);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
