// The Frechet distance between Gaussians fitted to features: FID (Heusel et al. 2017) and sFID (Nash et al.
// 2021).
#pragma once
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace dae {

struct Statistics {
  std::vector<double> mean, covariance;  // (width); (width, width), unbiased
  int64_t count = 0;                     // images; 0: not known
  int64_t width() const { return int64_t(mean.size()); }
};

// Returns mean and covariance of the features, (count, width) in f32. Sums are in f64 and in an order that
// does not depend on the number of threads.
Statistics statistics_of(const Tensor& rows);

// Returns the eigenvalues of a symmetric matrix (n, n), ascending. LAPACK computes them on one thread.
std::vector<double> symmetric_eigenvalues(std::vector<double> matrix);

// Returns the squared Frechet distance of two Gaussians (m1, S1) and (m2, S2):
//   |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^{1/2}
// With S1 = U L U^T the last trace is the sum of the square roots of the eigenvalues of
//   L^{1/2} U^T S2 U L^{1/2},
// which is symmetric. LAPACK runs on one thread, because OpenBLAS's bits change with the number of threads.
// Throws Fault::usage if the widths differ.
double frechet_distance(const Statistics& a, const Statistics& b);

}  // namespace dae
