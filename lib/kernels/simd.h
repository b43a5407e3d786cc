// One SIMD register of channels, and the functions of it that a scan needs.

#pragma once

#include <cstdint>
#include <cstring>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));

namespace {

inline vec splat(float x) { return x - vec{}; }

#if defined(__AVX512F__)
inline vec bounded(vec x, float, float) { return x; }  // those below bear any finite x
inline vec nearest(vec x) { return (vec)_mm512_roundscale_ps((__m512)x, 0); }
inline vec scaled(vec p, vec n) { return (vec)_mm512_scalef_ps((__m512)p, (__m512)n); }
#else
inline vec bounded(vec x, float low, float high) {  // NaN stays NaN
    x = x < low ? splat(low) : x;
    return x > high ? splat(high) : x;
}
inline vec nearest(vec x) { return (x + 12582912.f) - 12582912.f; }  // 1.5 * 2^23
inline vec scaled(vec p, vec n) { return p * (vec)((ints)(n + 12583039.f) << 23); }  // n + 127: an exponent
#endif

// a * b + c and c - a * b, rounded once where the processor can: of a sum of two products, a compiler fuses now one, now
// the other
#if defined(__AVX512F__)
inline vec fma(vec a, vec b, vec c) { return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
inline vec fnma(vec a, vec b, vec c) { return (vec)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c); }
#elif defined(__FMA__)
inline vec fma(vec a, vec b, vec c) { return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
inline vec fnma(vec a, vec b, vec c) { return (vec)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#else
inline vec fma(vec a, vec b, vec c) { return a * b + c; }
inline vec fnma(vec a, vec b, vec c) { return c - a * b; }
#endif

#if defined(__AVX512F__)
// 2^x of x in 32nds, which two registers hold for one octave, and of what is left of x, at most 1/64.
struct Octave {
    float powers[2 * LANES];
    constexpr Octave() : powers() {
        double power = 1;
        for (float &one : powers) one = (float)power, power *= 1.0218971486541166;  // 2^(1/32)
    }
};
alignas(64) constexpr Octave OCTAVE;

inline vec rounded(vec x) { return (vec)_mm512_roundscale_ps((__m512)x, 5 << 4); }  // to a 32nd

inline vec power(vec n, vec f) {
    vec low, high, place = n + 393216.f;  // 1.5 * 2^18: a 32nd is the last bit
    std::memcpy(&low, OCTAVE.powers, sizeof low);
    std::memcpy(&high, OCTAVE.powers + LANES, sizeof high);
    vec s = (vec)_mm512_permutex2var_ps((__m512)low, (__m512i)place, (__m512)high);
    vec p = f * (f * 2.402286944e-1f + 6.931573421e-1f);
    return (vec)_mm512_scalef_ps((__m512)fma(s, p, s), (__m512)n);  // scales by the power of n's whole part
}

inline vec exp2(vec x) {  // 1 at 0, else within 2e-7 of its value
    vec n = rounded(x);
    return power(n, x - n);
}

// exp(-|x|), its exponent in base 2 in two words: for steps and gates, once per token and channel
inline vec exp_minus(vec x) {
    x = (vec)((ints)x | INT32_MIN);
    x = (vec)_mm512_max_ps((__m512)splat(-104.f), (__m512)x);  // there it is 0; NaN stays NaN
    vec n = rounded(x * 1.44269504f);
    return power(n, fma(x, splat(1.92596299e-8f), fma(x, splat(1.44269502f), -n)));
}
#else
inline vec exp2(vec x) {  // 1 at 0, else within 2e-7 of its value
    x = bounded(x, -127, 128);  // at -127 it is 0: times a huge step, the least number above 0 would not be small
    vec n = nearest(x), f = x - n;
    vec p = f * 1.326472712e-3f + 9.671512645e-3f;
    p = p * f + 5.550733743e-2f;
    p = p * f + 2.402224209e-1f;
    p = p * f + 6.931469776e-1f;
    return scaled(p * f + 1.f, n);
}

// exp(-|x|), reduced by log 2 in two words: for steps and gates, once per token and channel
inline vec exp_minus(vec x) {
    x = (vec)((ints)x | INT32_MIN);
    vec n = nearest(x * 1.44269504f), f = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = f * 1.384355978e-3f + 8.374235946e-3f;
    p = p * f + 4.166800742e-2f;
    p = p * f + 1.666643034e-1f;
    p = p * f + 4.999999417e-1f;
    p = p * f + 1.f;
    return x < -87.f ? vec{} : scaled(p * f + 1.f, n);  // far below, f and p are anything; NaN stays NaN
}
#endif

#if defined(__AVX512F__)
inline vec inverse(vec x) {  // of x >= 1, by one Newton step
    vec r = (vec)_mm512_rcp14_ps((__m512)x);
    return r * (2.f - x * r);
}
#else
inline vec inverse(vec x) { return 1.f / x; }
#endif

inline vec sigmoid(vec x) {
    vec small = exp_minus(x), s = inverse(1.f + small);
    return x < 0.f ? small * s : s;
}

// max(x, 0) + log1p(exp(-|x|)), the logarithm within 1e-7 of its value; its slope is sigmoid(x)
inline vec softplus(vec x, vec *slope = nullptr) {
    vec e = exp_minus(x);
    vec p = e * 5.364816615e-3f - 3.006576317e-2f;
    p = p * e + 7.920449115e-2f;
    p = p * e - 1.375379884e-1f;
    p = p * e + 1.915365342e-1f;
    p = p * e - 2.485716332e-1f;
    p = p * e + 3.332132258e-1f;
    p = p * e - 4.999964796e-1f;
    if (slope) *slope = (x < 0.f ? e : splat(1.f)) * inverse(1.f + e);
    return (x < 0.f ? vec{} : x) + fma(e * e, p, e);
}

template <int COUNT> struct Row { typedef float type __attribute__((vector_size(4 * COUNT))); };

template <int COUNT> inline float sum(typename Row<COUNT>::type x) {
    typename Row<COUNT / 2>::type low, high;
    std::memcpy(&low, &x, sizeof low);
    std::memcpy(&high, (char *)&x + sizeof low, sizeof high);
    if constexpr (COUNT == 2)
        return low[0] + high[0];
    else
        return sum<COUNT / 2>(low + high);
}

// Sums over the lanes of four registers.
inline Row<4>::type lane_sums(const vec (&x)[4]) {
#if defined(__AVX__)
    auto both = [](vec a, vec b) {  // within 128 bits: sums of a's pairs, then of b's
#if defined(__AVX512F__)
        auto even = _mm512_shuffle_ps((__m512)a, (__m512)b, 0x88), odd = _mm512_shuffle_ps((__m512)a, (__m512)b, 0xdd);
#else
        auto even = _mm256_shuffle_ps((__m256)a, (__m256)b, 0x88), odd = _mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd);
#endif
        return (vec)even + (vec)odd;
    };
    vec quarters = both(both(x[0], x[1]), both(x[2], x[3]));
    Row<4>::type parts[LANES / 4], total = {};
    std::memcpy(parts, &quarters, sizeof quarters);
    for (auto part : parts) total += part;
    return total;
#else
    return Row<4>::type{sum<LANES>(x[0]), sum<LANES>(x[1]), sum<LANES>(x[2]), sum<LANES>(x[3])};
#endif
}

}  // namespace
