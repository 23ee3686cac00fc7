// The Frechet distance between Gaussians fitted to features: FID (Heusel et al. 2017), sFID (Nash et al.
// 2021).
#pragma once
#include <string>
#include <vector>

#include "engine/tensor.h"

struct Statistics {
  std::vector<double> mean, covariance;  // (width), (width, width) unbiased
  int64_t count = 0;                     // images; 0: not known
  int64_t width() const { return int64_t(mean.size()); }
};

// Of features (count, width), f32: mean and second moment summed in f64, in an order that does not depend on
// the number of threads.
Statistics statistics_of(const Tensor& rows);

// Eigenvalues of a symmetric matrix (n, n), ascending, by LAPACK on one thread.
std::vector<double> symmetric_eigenvalues(std::vector<double> matrix);

// |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^{1/2}. With S1 = U L U^T the last trace is the sum of the roots
// of the eigenvalues of L^{1/2} U^T S2 U L^{1/2}, which is symmetric. LAPACK runs on one thread, as
// OpenBLAS's bits change with their number. Fault::usage if the widths differ.
double frechet_distance(const Statistics& a, const Statistics& b);
