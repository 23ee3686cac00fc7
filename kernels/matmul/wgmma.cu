// Matrix products on Hopper (wgmma_tile.cuh), bf16 and f16 (shapes: matmul.h):
//   y[q, i, j] = sum_p op(a)[q, i, p] op(b)[q, p, j] + beta y[q, i, j], or an epilogue of the sum
// a is read n / 128 times and b m / 128 times, mostly from the second-level cache, 2 bytes an element; 64
// FLOPs a byte. Long sums over few tiles are cut into parts as in mma.cu. TMA needs operands on 16-byte
// boundaries, with rows that are a multiple of 16 bytes. Not measured on a GPU yet.
#include "kernels/matmul/wgmma_tile.cuh"

namespace dae {

namespace {

// The destination of the sums: y (items or parts, m, n) itself, or ...
template <class Y>
struct Plain {
  Y* y;
  int n;
  float beta;
  bool aligned;
  const float* bias;
  __device__ Plain of(int64_t z, int m) const { return {y + z * m * n, n, beta, aligned, bias}; }
  __device__ Y* row(int r) const { return y + int64_t(r) * n; }
};
// ... y through an epilogue.
template <class T>
struct Finished {
  Finish<T> finish;
  __device__ const Finished& of(int64_t, int) const { return *this; }
};

template <class Out, class T, Major kA, Major kB>
struct Product {
  using Type = T;
  static constexpr Major kAMajor = kA, kBMajor = kB;
  struct Part {  // one tile of y of one item or part
    TileAt at;
    int z, q, begin, steps;
  };
  TensorMap a, b;
  Out out;
  int items, m, n, k, splits, depth, tiles_m, tiles_n;

  HOST_DEVICE int units() const { return items * tiles_m * tiles_n; }
  __device__ Part part(int unit) const {
    const int tiles = tiles_m * tiles_n, z = unit / tiles, q = z / splits, begin = (z - q * splits) * depth;
    const int steps = (min(k, begin + depth) - begin + kWgmmaDepth - 1) / kWgmmaDepth;
    return {tile_at(unit - z * tiles, tiles_m, tiles_n), z, q, begin, steps};
  }
  __device__ void load(Shared<T> to_a, Shared<T> to_b, Shared<Mbarrier> full, const Part& t, int step) const {
    const int p = t.begin + step * kWgmmaDepth;
    load_tile<kA>(to_a, a, full, t.q, t.at.row, p);
    load_tile<kB>(to_b, b, full, t.q, t.at.column, p);
  }
  template <Major kMajor>
  __device__ static void load_tile(Shared<T> to, const TensorMap& map, Shared<Mbarrier> full, int q,
                                   int first, int p) {
    if constexpr (kMajor == Major::k) {
      tma_load(to, map, full, q, first, p);
    } else {
      tma_load(to.slice(0, kWgmmaStage / 2), map, full, q, p, first);
      tma_load(to.slice(kWgmmaStage / 2, kWgmmaStage / 2), map, full, q, p, first + 64);
    }
  }
  __device__ void write(const Part& t, int r, int c, const float* v) const {
    const auto& to = out.of(t.z, m);
    if (t.at.row + r < m && t.at.column + c < n) write_row(to, t.at.row + r, t.at.column + c, v, 8);
  }
};

template <Major kMajor, class T>
TensorMap map_of(const T* x, int64_t batch, int64_t rows, int64_t columns) {
  return tensor_map(x, {batch, rows, columns}, {1, kMajor == Major::k ? kTile : kWgmmaDepth, 64});
}

template <Major kA, Major kB, class Out, class T>
void multiply(Cuda where, const Out& out, const T* a, const T* b, const MatmulShape& s,
              const Splits& splits) {
  multiply_tiles_wgmma(
      where, "matmul_wgmma",
      Product<Out, T, kA, kB>{
          kA == Major::k ? map_of<kA>(a, s.batch, s.m, s.k) : map_of<kA>(a, s.batch, s.k, s.m),
          kB == Major::k ? map_of<kB>(b, s.batch, s.n, s.k) : map_of<kB>(b, s.batch, s.k, s.n), out,
          int(s.batch) * splits.count, int(s.m), int(s.n), int(s.k), splits.count, splits.depth,
          int(ceil_div(s.m, kTile)), int(ceil_div(s.n, kTile))});
}

template <class Y, class T>
void multiply(Cuda where, Y* y, const T* a, const T* b, const MatmulShape& s, Splits splits, float beta) {
  const Plain<Y> out{y, int(s.n), beta, on_16_bytes(y) && s.n % Pack<Y>::size == 0, nullptr};
  if (s.transpose_a && s.transpose_b) multiply<Major::mn, Major::k>(where, out, a, b, s, splits);
  else if (s.transpose_a) multiply<Major::mn, Major::mn>(where, out, a, b, s, splits);
  else if (s.transpose_b) multiply<Major::k, Major::k>(where, out, a, b, s, splits);
  else multiply<Major::k, Major::mn>(where, out, a, b, s, splits);
}

}  // namespace

template <class T>
bool matmul_wgmma_fits(Cuda where, const T* a, const T* b, MatmulShape s) {
  constexpr int64_t kSize = Pack<T>::size;
  return compute_capability(where) == 90 && s.batch > 0 && s.m > 0 && s.n > 0 && s.k > 0 && on_16_bytes(a) &&
         on_16_bytes(b) && (s.transpose_a ? s.m : s.k) % kSize == 0 &&
         (s.transpose_b ? s.k : s.n) % kSize == 0;
}

template <class Y, class T>
void matmul_wgmma(Cuda where, Y* y, const T* a, const T* b, MatmulShape s, double beta) {
  const Splits splits(s.batch, s.m, s.n, s.k);
  in_splits(where, y, s.m * s.n, splits.count, float(beta),
            [&](auto* to, float keep) { multiply(where, to, a, b, s, splits, keep); });
}

template <class T>
void linear_wgmma(Cuda where, T* y, const T* x, const T* w, MatmulShape s, const Epilogue<T>& e) {
  const Splits splits(1, s.m, s.n, s.k);
  const Finish<T> finish(y, s.n, e);
  if (splits.count > 1)
    return add_splits(where, s.m * s.n, splits.count, finish,
                      [&](float* parts) { multiply(where, parts, x, w, s, splits, 0); });
  multiply<Major::k, Major::k>(where, Finished<T>{finish}, x, w, s, splits);
}

#define INSTANTIATE(T)                                                                       \
  template void linear_wgmma(Cuda, T*, const T*, const T*, MatmulShape, const Epilogue<T>&); \
  template bool matmul_wgmma_fits(Cuda, const T*, const T*, MatmulShape);                    \
  template void matmul_wgmma(Cuda, float*, const T*, const T*, MatmulShape, double);         \
  template void matmul_wgmma(Cuda, T*, const T*, const T*, MatmulShape, double);
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
