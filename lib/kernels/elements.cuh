// Numbers as CUDA kernels read and write them: float32, bfloat16 or float16 in memory, float32 in registers.
//   ELEMENT   0 float32, 1 bfloat16, 2 float16
// Two 16-bit numbers share a register until they are used: taken apart at once, a load would be waited for at once.
#pragma once
#ifdef EMULATED
#include "emulated.h"
#else
#define DEVICE __device__ __forceinline__
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
DEVICE float exp2_(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float from_half(unsigned x) {  // the lower 16 bits
  float y;
  asm("{.reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, low;}" : "=f"(y) : "r"(x));
  return y;
}
DEVICE unsigned to_halves(float low, float high) {
  unsigned y;
  asm("{.reg .b16 low, high; cvt.rn.f16.f32 low, %1; cvt.rn.f16.f32 high, %2; mov.b32 %0, {low, high};}"
      : "=r"(y)
      : "f"(low), "f"(high));
  return y;
}
#endif

constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

#if ELEMENT == 0
typedef float element;
#else
typedef unsigned short element;
#if ELEMENT == 1
DEVICE float lower(unsigned x) { return __uint_as_float(x << 16); }
DEVICE float upper(unsigned x) { return __uint_as_float(x & 0xffff0000u); }
#if !defined(EMULATED) && __CUDA_ARCH__ >= 800
DEVICE unsigned pair(float low, float high) {
  unsigned y;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}
#else
DEVICE unsigned nearest(float x) {  // ties to even, as the instruction rounds
  const unsigned bits = __float_as_uint(x);
  return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
DEVICE unsigned pair(float low, float high) { return nearest(low) | nearest(high) << 16; }
#endif
#else
DEVICE float lower(unsigned x) { return from_half(x); }
DEVICE float upper(unsigned x) { return from_half(x >> 16); }
DEVICE unsigned pair(float low, float high) { return to_halves(low, high); }
#endif
#endif

// V neighbours in memory, loaded and stored at once.
template <int V>
struct alignas(sizeof(element) * V) Packed {
#if ELEMENT == 0
  float x[V];
  DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < V; i++) x[i] = 0.f;
  }
  DEVICE void set(const float *v) {
#pragma unroll
    for (int i = 0; i < V; i++) x[i] = v[i];
  }
  DEVICE float get(int i) const { return x[i]; }
#else
  unsigned x[V / 2];
  DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < V / 2; i++) x[i] = 0;
  }
  DEVICE void set(const float *v) {
#pragma unroll
    for (int i = 0; i < V; i += 2) x[i / 2] = pair(v[i], v[i + 1]);
  }
  DEVICE float get(int i) const { return i % 2 ? upper(x[i / 2]) : lower(x[i / 2]); }
#endif
};
#if ELEMENT != 0
template <>
struct Packed<1> {
  unsigned short x;
  DEVICE void clear() { x = 0; }
  DEVICE void set(const float *v) { x = (unsigned short)pair(v[0], 0.f); }
  DEVICE float get(int) const { return lower(x); }
};
#endif

DEVICE float sigmoid(float x) { return reciprocal(1.f + exp2_(-LOG2_E * x)); }

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), and log(1 + e) / e by a polynomial on 0 .. 1, within 3e-8.
DEVICE float softplus(float x) {
  const float e = exp2_(-LOG2_E * fabsf(x));
  float p = -0.00325637846f;
  p = fmaf(p, e, 0.0199071616f);
  p = fmaf(p, e, -0.0570642017f);
  p = fmaf(p, e, 0.106142648f);
  p = fmaf(p, e, -0.153118625f);
  p = fmaf(p, e, 0.196781173f);
  p = fmaf(p, e, -0.249545589f);
  p = fmaf(p, e, 0.333300054f);
  p = fmaf(p, e, -0.499999046f);
  p = fmaf(p, e, 1.f);
  return fmaf(p, e, fmaxf(x, 0.f));
}

// K numbers from shared memory, in as few instructions as their alignment allows.
template <int K>
DEVICE void fetch(float *v, const float *p) {
  if constexpr (K % 4 == 0) {
#pragma unroll
    for (int i = 0; i < K; i += 4) {
      const float4 x = *(const float4 *)(p + i);
      v[i] = x.x, v[i + 1] = x.y, v[i + 2] = x.z, v[i + 3] = x.w;
    }
  } else if constexpr (K % 2 == 0) {
#pragma unroll
    for (int i = 0; i < K; i += 2) {
      const float2 x = *(const float2 *)(p + i);
      v[i] = x.x, v[i + 1] = x.y;
    }
  } else {
#pragma unroll
    for (int i = 0; i < K; i++) v[i] = p[i];
  }
}
