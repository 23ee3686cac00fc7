// The convolutions of conv.h by cuDNN in NHWC, as a yardstick of the other variants; never a default. This
// file is built only with -DDAE_CUDNN=ON, by nvcc. The first call of a shape lets cuDNN time all of its
// algorithms and keeps the fastest deterministic one, so it cannot be captured in a graph. f32 is computed by
// multiply-adds, not TF32; 16-bit types on tensor cores with sums in f32. cuDNN's weight gradient has the
// type of the images, so dw is rounded to that type. cuDNN's bias has it too, so the f32 bias is added in a
// separate pass. Not run on a GPU yet.
#include <cudnn.h>

#include <array>
#include <map>

#include "kernels/conv/variants.h"
#include "kernels/convert/convert.h"
#include "kernels/cuda/map.cuh"

namespace dae {

namespace {

void check(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS)
    fail(Fault::internal, "cudnn: {}: {}", what, cudnnGetErrorString(status));
}

template <class T>
constexpr cudnnDataType_t kType = std::is_same_v<T, float>  ? CUDNN_DATA_FLOAT
                                  : std::is_same_v<T, bf16> ? CUDNN_DATA_BFLOAT16
                                                            : CUDNN_DATA_HALF;

cudnnHandle_t handle(Cuda where) {
  static const cudnnHandle_t made = [] {
    cudnnHandle_t h;
    check(cudnnCreate(&h), "cudnnCreate");
    return h;
  }();
  check(cudnnSetStream(made, where.stream), "cudnnSetStream");
  return made;
}

// One pass over one shape: its cuDNN descriptors and the fastest algorithm.
template <class Algorithm>
struct Plan {
  cudnnTensorDescriptor_t x{}, y{};
  cudnnFilterDescriptor_t w{};
  cudnnConvolutionDescriptor_t conv{};
  Algorithm algorithm{};
  size_t bytes = 0;

  template <class T>
  void describe(T, const ConvShape& s) {
    check(cudnnCreateTensorDescriptor(&x), "a tensor"), check(cudnnCreateTensorDescriptor(&y), "a tensor");
    check(cudnnCreateFilterDescriptor(&w), "a filter");
    check(cudnnCreateConvolutionDescriptor(&conv), "a convolution");
    check(cudnnSetTensor4dDescriptor(x, CUDNN_TENSOR_NHWC, kType<T>, int(s.n), int(s.ci), int(s.h), int(s.w)),
          "a tensor");
    check(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NHWC, kType<T>, int(s.n), int(s.co), int(s.oh()),
                                     int(s.ow())),
          "a tensor");
    check(cudnnSetFilter4dDescriptor(w, kType<T>, CUDNN_TENSOR_NHWC, int(s.co), int(s.ci), int(s.kh),
                                     int(s.kw)),
          "a filter");
    check(cudnnSetConvolution2dDescriptor(conv, int(s.pad_top), int(s.pad_left), int(s.stride), int(s.stride),
                                          1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
          "a convolution");
    check(cudnnSetConvolutionMathType(conv, std::is_same_v<T, float> ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH),
          "a convolution");
  }
  // Chooses the algorithm. find(most, count, results) is one of cudnnFind..., which sort by time.
  template <class Result, class Find>
  void choose(const ConvShape& s, Find find) {
    constexpr int kMost = 16;
    Result results[kMost];
    int count = 0;
    check(find(kMost, &count, results), "looking for an algorithm");
    for (int i = 0; i < count; ++i)
      if (results[i].status == CUDNN_STATUS_SUCCESS && results[i].determinism == CUDNN_DETERMINISTIC) {
        check(cudnnSetConvolutionMathType(conv, results[i].mathType), "a convolution");
        algorithm = results[i].algo, bytes = results[i].memory;
        return;
      }
    fail(Fault::internal, "cudnn: no deterministic algorithm for {}x{}x{}x{}, {} x {} taps, stride {} -> {}",
         s.n, s.h, s.w, s.ci, s.kh, s.kw, s.stride, s.co);
  }
};

// Returns the plan of a shape; the first call makes it. find(plan, most, count, results) is one of
// cudnnFind..., which differs by pass.
template <class T, class Result, class Find>
const auto& plan_for(const ConvShape& s, Find find) {
  using P = Plan<decltype(Result::algo)>;
  using Key = std::array<int64_t, 12>;
  static std::map<Key, P> plans;
  const Key key{s.n,  s.h,      s.w,       s.ci,       s.co,         s.kh,
                s.kw, s.stride, s.pad_top, s.pad_left, s.pad_bottom, s.pad_right};
  if (const auto found = plans.find(key); found != plans.end()) return found->second;
  P made;
  made.describe(T(), s);
  made.template choose<Result>(
      s, [&](int most, int* count, Result* results) { return find(made, most, count, results); });
  return plans[key] = made;
}

constexpr float kOne = 1, kZero = 0;

}  // namespace

template <class T>
void conv_forward_cudnn(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  const cudnnHandle_t h = handle(where);
  using Result = cudnnConvolutionFwdAlgoPerf_t;
  const auto& p = plan_for<T, Result>(s, [&](const auto& p, int most, int* count, Result* results) {
    return cudnnFindConvolutionForwardAlgorithm(h, p.x, p.w, p.conv, p.y, most, count, results);
  });
  check(cudnnConvolutionForward(h, &kOne, p.x, x, p.w, weight, p.conv, p.algorithm, workspace(where, p.bytes),
                                p.bytes, &kZero, p.y, y),
        "cudnnConvolutionForward");
  if (bias)
    map_rows(
        where, "conv_cudnn_bias", s.n * s.oh() * s.ow(), s.co,
        [=] __device__(int64_t, int c, float v) { return v + bias[c]; }, y, static_cast<const T*>(y));
}

template <class T>
void conv_backward_input_cudnn(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  const cudnnHandle_t h = handle(where);
  using Result = cudnnConvolutionBwdDataAlgoPerf_t;
  const auto& p = plan_for<T, Result>(s, [&](const auto& p, int most, int* count, Result* results) {
    return cudnnFindConvolutionBackwardDataAlgorithm(h, p.w, p.y, p.conv, p.x, most, count, results);
  });
  check(cudnnConvolutionBackwardData(h, &kOne, p.w, weight, p.y, dy, p.conv, p.algorithm,
                                     workspace(where, p.bytes), p.bytes, &kZero, p.x, dx),
        "cudnnConvolutionBackwardData");
}

template <class T>
void conv_backward_weight_cudnn(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  const cudnnHandle_t h = handle(where);
  using Result = cudnnConvolutionBwdFilterAlgoPerf_t;
  const auto& p = plan_for<T, Result>(s, [&](const auto& p, int most, int* count, Result* results) {
    return cudnnFindConvolutionBackwardFilterAlgorithm(h, p.x, p.y, p.conv, p.w, most, count, results);
  });
  const int64_t size = s.co * s.kh * s.kw * s.ci;
  const size_t scratch = (p.bytes + 255) / 256 * 256;
  constexpr bool kWide = std::is_same_v<T, float>;
  char* const memory = static_cast<char*>(workspace(where, scratch + (kWide ? 0 : size_t(size) * sizeof(T))));
  void* const to = kWide ? static_cast<void*>(dw) : memory + scratch;
  check(cudnnConvolutionBackwardFilter(h, &kOne, p.x, x, p.y, dy, p.conv, p.algorithm, memory, p.bytes,
                                       &kZero, p.w, to),
        "cudnnConvolutionBackwardFilter");
  if constexpr (!kWide) convert(where, dw, static_cast<const T*>(to), size);
}

#define INSTANTIATE(T)                                                                     \
  template void conv_forward_cudnn(Cuda, T*, const T*, const T*, const float*, ConvShape); \
  template void conv_backward_input_cudnn(Cuda, T*, const T*, const T*, ConvShape);        \
  template void conv_backward_weight_cudnn(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
