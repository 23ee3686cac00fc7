// The products of matmul.h by cuBLASLt, as a yardstick of the other variants; never a default. This file is
// built only with -DDAE_CUBLAS=ON, by nvcc. cuBLASLt is column-major: a row-major matrix counts as its
// transpose, so the file computes y^T = op(b)^T op(a)^T. Sums are in f32; products of f32 are in f32, not
// TF32. The first call of a shape times up to eight algorithms that the heuristics offer and keeps the
// fastest, so it cannot be captured in a graph. An epilogue is a separate pass over y, as cuBLASLt has no
// gate and no SiLU. Not run on a GPU yet.
#include <cublasLt.h>

#include <map>
#include <tuple>

#include "kernels/matmul/epilogue.cuh"

namespace dae {

namespace {

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(Fault::internal, "cublas: {}: {}", what, cublasLtGetStatusString(status));
}

template <class T>
constexpr cudaDataType_t kType = std::is_same_v<T, float>  ? CUDA_R_32F
                                 : std::is_same_v<T, bf16> ? CUDA_R_16BF
                                                           : CUDA_R_16F;
constexpr size_t kScratch = size_t{32} << 20;

cublasLtHandle_t handle() {
  static const cublasLtHandle_t made = [] {
    cublasLtHandle_t h;
    check(cublasLtCreate(&h), "cublasLtCreate");
    return h;
  }();
  return made;
}

cublasLtMatrixLayout_t layout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t batch) {
  cublasLtMatrixLayout_t made;
  check(cublasLtMatrixLayoutCreate(&made, type, uint64_t(columns), uint64_t(rows), columns), "a layout");
  const int32_t count = int32_t(batch);
  const int64_t stride = rows * columns;
  check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)),
        "a batch");
  check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                         sizeof(stride)),
        "a batch");
  return made;
}

uint32_t alignment(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return uint32_t(std::min<uintptr_t>(address & (~address + 1), 256));
}

struct Plan {
  cublasLtMatmulDesc_t operation{};
  cublasLtMatrixLayout_t a{}, b{}, y{};
  cublasLtMatmulAlgo_t algorithm{};

  template <class T, class Y>
  void run(Cuda where, Y* to, const T* from_a, const T* from_b, float beta, const cublasLtMatmulAlgo_t& by,
           void* scratch) const {
    const float one = 1;
    check(cublasLtMatmul(handle(), operation, &one, from_b, b, from_a, a, &beta, to, y, to, y, &by, scratch,
                         kScratch, where.stream),
          "cublasLtMatmul");
  }
};

// Returns the shortest time of three calls of f, in seconds. f has been called once before.
template <class F>
double seconds(Cuda where, F f) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "an event"), check(cudaEventCreate(&end), "an event");
  float best = INFINITY;
  for (int i = 0; i < 3; ++i) {
    float milliseconds = 0;
    check(cudaEventRecord(begin, where.stream), "an event");
    f();
    check(cudaEventRecord(end, where.stream), "an event");
    check(cudaEventSynchronize(end), "an event");
    check(cudaEventElapsedTime(&milliseconds, begin, end), "an event");
    best = std::min(best, milliseconds);
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return best * 1e-3;
}

// Returns the fastest plan for a call. The algorithms write to `trial`, so that y keeps the values that beta
// needs.
template <class Y, class T>
Plan make_plan(Cuda where, const T* a, const T* b, const MatmulShape& s, float beta, uint32_t y_alignment,
               void* scratch, Y* trial) {
  Plan plan;
  check(cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a product");
  const cublasOperation_t of_b = s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                          of_a = s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &of_b, sizeof(of_b)),
        "a product");
  check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, &of_a, sizeof(of_a)),
        "a product");
  plan.a = s.transpose_a ? layout(kType<T>, s.k, s.m, s.batch) : layout(kType<T>, s.m, s.k, s.batch);
  plan.b = s.transpose_b ? layout(kType<T>, s.n, s.k, s.batch) : layout(kType<T>, s.k, s.n, s.batch);
  plan.y = layout(kType<Y>, s.m, s.n, s.batch);

  cublasLtMatmulPreference_t preference;
  check(cublasLtMatmulPreferenceCreate(&preference), "a preference");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(preference, which, &value, sizeof(value)), "a preference");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(kScratch));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(b));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, y_alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, y_alignment);
  constexpr int kMost = 8;
  cublasLtMatmulHeuristicResult_t found[kMost];
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(handle(), plan.operation, plan.b, plan.a, plan.y, plan.y, preference,
                                       kMost, found, &count),
        "cublasLtMatmulAlgoGetHeuristic");
  cublasLtMatmulPreferenceDestroy(preference);
  if (count == 0)
    fail(Fault::internal, "cublas: no algorithm for {} x {} x {}, batch {}", s.m, s.n, s.k, s.batch);
  double best = INFINITY;
  for (int i = 0; i < count; ++i) {
    const auto run = [&] { plan.run(where, trial, a, b, beta, found[i].algo, scratch); };
    run();
    const double taken = seconds(where, run);
    if (taken < best) best = taken, plan.algorithm = found[i].algo;
  }
  return plan;
}

template <class T>
__global__ void __launch_bounds__(256) finish_kernel(Finish<T> finish, const T* product, int64_t size) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < size) finish(i, float(product[i]));
}

}  // namespace

template <class Y, class T>
void matmul_cublas(Cuda where, Y* y, const T* a, const T* b, MatmulShape s, double beta) {
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, bool, bool, bool, uint32_t, uint32_t, uint32_t>;
  static std::map<Key, Plan> plans;  // for these types
  const Key key{s.batch,       s.m,       s.n,          s.k,          s.transpose_a,
                s.transpose_b, beta == 0, alignment(a), alignment(b), alignment(y)};
  const auto found = plans.find(key);
  const size_t trial = found == plans.end() ? size_t(s.batch * s.m * s.n) * sizeof(Y) : 0;
  char* const scratch = static_cast<char*>(workspace(where, kScratch + trial));
  const Plan& plan = trial ? plans[key] = make_plan(where, a, b, s, float(beta), alignment(y), scratch,
                                                    reinterpret_cast<Y*>(scratch + kScratch))
                           : found->second;
  plan.run(where, y, a, b, float(beta), plan.algorithm, scratch);
}

template <class T>
void linear_cublas(Cuda where, T* y, const T* x, const T* w, MatmulShape s, const Epilogue<T>& e) {
  matmul_cublas(where, y, x, w, s, 0);
  launch(where, "linear_cublas", finish_kernel<T>, ceil_div(s.m * s.n, 256), 256, 0, Finish<T>(y, s.n, e), y,
         s.m * s.n);
}

#define INSTANTIATE(Y, T) template void matmul_cublas(Cuda, Y*, const T*, const T*, MatmulShape, double);
INSTANTIATE(float, float)
INSTANTIATE(float, bf16)
INSTANTIATE(bf16, bf16)
INSTANTIATE(float, f16)
INSTANTIATE(f16, f16)
template void linear_cublas(Cuda, float*, const float*, const float*, MatmulShape, const Epilogue<float>&);
template void linear_cublas(Cuda, bf16*, const bf16*, const bf16*, MatmulShape, const Epilogue<bf16>&);
template void linear_cublas(Cuda, f16*, const f16*, const f16*, MatmulShape, const Epilogue<f16>&);

}  // namespace dae
