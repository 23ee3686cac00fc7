#include "train/evaluation/frechet.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>

#include "kernels/matmul/matmul.h"

namespace dae {

extern "C" void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda,
                        double* w, double* work, const int* lwork, int* iwork, const int* liwork, int* info);

namespace {

// The function is looked up at run time, so that a LAPACK other than OpenBLAS works too.
void lapack_on_one_thread() {
  if (void* set = dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) reinterpret_cast<void (*)(int)>(set)(1);
}

// Returns the eigenvalues of the symmetric a (n, n), ascending. With `vectors`, row i of a becomes the i-th
// eigenvector.
std::vector<double> symmetric_eigen(std::vector<double>& a, int n, bool vectors) {
  lapack_on_one_thread();
  const int lwork = vectors ? 1 + 6 * n + 2 * n * n : 2 * n + 1, liwork = vectors ? 3 + 5 * n : 1;
  std::vector<double> values(size_t(n), 0), work(size_t(lwork), 0);
  std::vector<int> iwork(size_t(liwork), 0);
  int info = 0;
  dsyevd_(vectors ? "V" : "N", "U", &n, a.data(), &n, values.data(), work.data(), &lwork, iwork.data(),
          &liwork, &info);
  if (info)
    fail(Fault::data,
         "frechet: expected covariances whose eigenvalues can be found, found dsyevd info {}; "
         "are all features finite?",
         info);
  return values;
}

std::vector<double> product(const std::vector<double>& a, const std::vector<double>& b, int64_t n,
                            bool transpose_b) {
  std::vector<double> y(a.size());
  matmul(Cpu{}, y.data(), a.data(), b.data(), n, n, n, false, transpose_b);
  return y;
}

}  // namespace

std::vector<double> symmetric_eigenvalues(std::vector<double> matrix) {
  return symmetric_eigen(matrix, int(std::lround(std::sqrt(double(matrix.size())))), false);
}

Statistics statistics_of(const Tensor& rows) {
  constexpr int64_t kChunk = 64;
  const int64_t count = rows.dim(0), d = rows.dim(1);
  Statistics out{std::vector<double>(size_t(d), 0), std::vector<double>(size_t(d * d), 0), count};
  std::vector<double> chunk;
  const float* from = rows.data<float>();
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t n = std::min(kChunk, count - begin);
    chunk.assign(from + begin * d, from + (begin + n) * d);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < d; ++j) out.mean[size_t(j)] += chunk[size_t(i * d + j)];
    matmul(Cpu{}, out.covariance.data(), chunk.data(), chunk.data(), d, d, n, true, false, 1);
  }
  for (double& m : out.mean) m /= double(count);
  for (int64_t i = 0; i < d; ++i)
    for (int64_t j = 0; j < d; ++j) {
      double& s = out.covariance[size_t(i * d + j)];
      s = (s - double(count) * out.mean[size_t(i)] * out.mean[size_t(j)]) / double(count - 1);
    }
  return out;
}

double frechet_distance(const Statistics& a, const Statistics& b) {
  const int64_t n = a.width();
  if (b.width() != n)
    fail(Fault::usage, "frechet: expected statistics of one layer, found {} and {} features; see --layer", n,
         b.width());
  double distance = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double apart = a.mean[size_t(i)] - b.mean[size_t(i)];
    distance += apart * apart + a.covariance[size_t(i * n + i)] + b.covariance[size_t(i * n + i)];
  }
  std::vector<double> u = a.covariance;
  const std::vector<double> l = symmetric_eigen(u, int(n), true);
  for (int64_t i = 0; i < n; ++i) {
    const double root = std::sqrt(std::max(l[size_t(i)], 0.0));
    for (int64_t j = 0; j < n; ++j) u[size_t(i * n + j)] *= root;
  }
  std::vector<double> m = product(product(u, b.covariance, n, false), u, n, true);
  double trace = 0;
  for (const double v : symmetric_eigen(m, int(n), false)) trace += std::sqrt(std::max(v, 0.0));
  return distance - 2 * trace;
}

}  // namespace dae
