// All calls to oneDNN (2.6 and 3.x).
#ifdef DAE_ONEDNN
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <signal.h>

#include "kernels/device/error.h"
#include "kernels/matmul/gemm.h"

namespace dae {

namespace {

// oneDNN splits some sums by the number of threads that it sees. With one thread the bits are always the
// same.
struct OneThread {
  OneThread() : threads(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads); }
  int threads;
};

// Blocks signals during a call. Up to version 3.11 the generated sgemm keeps the stack pointer in a heap
// buffer (oneDNN issue 4845), and the kernel would write a signal's frame below it.
struct NoSignals {
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  sigset_t before;
};

}  // namespace

void gemm_onednn(float* y, int64_t ldy, const float* a, int64_t lda, const float* b, int64_t ldb, int64_t m,
                 int64_t n, int64_t k, bool transpose_a, bool transpose_b, float beta) {
  const OneThread one;
  const NoSignals none;
  const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                                          lda, b, ldb, beta, y, ldy);
  if (status != dnnl_success)
    fail(Fault::internal,
         "matmul: ({}, {}) x ({}, {}): expected oneDNN to multiply, found status {}; "
         "build with -DDAE_ONEDNN=OFF",
         m, k, k, n, static_cast<int>(status));
}

}  // namespace dae
#endif
