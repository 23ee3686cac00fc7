// Counter-based random numbers, Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// 2011). The value of element i depends on (seed, step, op, i) only. It does not depend on threads, devices
// or the order of calls.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/device/host_device.h"

namespace dae {

// Names one stream of random numbers. `step` is the training step; `op` counts the draws within the step.
struct Key {
  uint64_t seed = 0;
  uint32_t step = 0, op = 0;
  // On CUDA: device memory that holds the step and replaces `step`, or null. A captured graph is replayed in
  // later steps, so its kernels cannot use the recorded number.
  const uint32_t* clock = nullptr;
};

// Returns the key with the current step, read from `clock` if there is one. Kernels call it first.
HOST_DEVICE Key now(Key key) {
  if (key.clock) key.step = *key.clock;
  return key;
}

struct Bits4 {
  uint32_t v[4];
};

HOST_DEVICE uint32_t mulhi32(uint32_t a, uint32_t b) { return uint32_t((uint64_t(a) * b) >> 32); }

// Returns the Philox4x32-10 block of counter c and key (k0, k1).
HOST_DEVICE Bits4 philox4x32_10(Bits4 c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint32_t h0 = mulhi32(0xD2511F53u, c.v[0]), l0 = 0xD2511F53u * c.v[0];
    const uint32_t h1 = mulhi32(0xCD9E8D57u, c.v[2]), l1 = 0xCD9E8D57u * c.v[2];
    c = {{h1 ^ c.v[1] ^ k0, l1, h0 ^ c.v[3] ^ k1, l0}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// Returns the four random words of elements 4 block to 4 block + 3.
HOST_DEVICE Bits4 random4(Key k, uint64_t block) {
  return philox4x32_10({{uint32_t(block), uint32_t(block >> 32), k.step, k.op}}, uint32_t(k.seed),
                       uint32_t(k.seed >> 32));
}
// Returns the random word of element i.
HOST_DEVICE uint32_t random_bits(Key k, uint64_t i) { return random4(k, i / 4).v[i % 4]; }

// Returns a number uniform in the open interval (0, 1). It uses 23 bits, because with 24 the largest would
// round up to 1.
HOST_DEVICE float unit_uniform(uint32_t bits) { return float(bits >> 9) * 0x1p-23f + 0x1p-24f; }

// The functions below compute normal numbers by the Box-Muller transform. Every multiply-add is an explicit
// fmaf, and every other operation has one IEEE rounding. Therefore every compiler without fast-math and every
// device gives the same bits.

HOST_DEVICE float philox_log(
    float x) {  // natural logarithm of x in (0, 1), x not subnormal; polynomial of Cephes logf
  union {
    float f;
    uint32_t u;
  } b{x};
  int e = int(b.u >> 23) - 127;
  b.u = (b.u & 0x7fffffu) | 0x3f800000u;
  float m = b.f;
  if (m > 1.41421356f) {
    m *= 0.5f;
    e += 1;
  }
  const float s = m - 1.0f, z = s * s;
  float p = 7.0376836292E-2f;
  p = fmaf(p, s, -1.1514610310E-1f);
  p = fmaf(p, s, 1.1676998740E-1f);
  p = fmaf(p, s, -1.2420140846E-1f);
  p = fmaf(p, s, 1.4249322787E-1f);
  p = fmaf(p, s, -1.6668057665E-1f);
  p = fmaf(p, s, 2.0000714765E-1f);
  p = fmaf(p, s, -2.4999993993E-1f);
  p = fmaf(p, s, 3.3333331174E-1f);
  float y = p * s;
  y = y * z;
  y = fmaf(float(e), -2.12194440e-4f, y);
  y = fmaf(z, -0.5f, y);
  return fmaf(float(e), 0.693359375f, s + y);
}

// Writes the sine and the cosine of 2 pi u, u in (0, 1).
HOST_DEVICE void sincos_2pi(float u, float& sine, float& cosine) {
  const float q = floorf(fmaf(u, 4.0f, 0.5f));  // the nearest quarter turn
  const float a = fmaf(q, -0.25f, u) * 6.283185307179586f, z = a * a;
  float ps = fmaf(-1.9515295891E-4f, z, 8.3321608736E-3f);
  ps = fmaf(ps, z, -1.6666654611E-1f);
  const float az = a * z, sn = fmaf(ps, az, a);
  float pc = fmaf(2.443315711809948E-5f, z, -1.388731625493765E-3f);
  pc = fmaf(pc, z, 4.166664568298827E-2f);
  const float zz = z * z, cs = fmaf(pc, zz, fmaf(z, -0.5f, 1.0f));
  const int k = int(q) & 3;
  const float ss = (k & 1) ? cs : sn, cc = (k & 1) ? sn : cs;
  sine = (k & 2) ? -ss : ss;
  cosine = (k == 1 || k == 2) ? -cc : cc;
}

HOST_DEVICE float philox_sqrt(float x) {
#ifdef __CUDA_ARCH__
  return __fsqrt_rn(x);
#else
  return sqrtf(x);
#endif
}

// Writes four numbers distributed as N(0, 1) to z, made from the four words of r.
HOST_DEVICE void normal4(Bits4 r, float* z) {
  for (int half = 0; half < 2; ++half) {
    const float radius = philox_sqrt(-2.0f * philox_log(unit_uniform(r.v[2 * half])));
    float s, c;
    sincos_2pi(unit_uniform(r.v[2 * half + 1]), s, c);
    z[2 * half] = radius * c;
    z[2 * half + 1] = radius * s;
  }
}

}  // namespace dae
