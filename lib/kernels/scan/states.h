// The recurrence itself, for one register of channels over one tile of time: forward, again, and in reverse.

#pragma once

#include <type_traits>

#include "rows.h"

namespace {

// B or C: varying, a row of N floats per step, shared by all channels; static, N vectors of channels
template <bool VARYING> struct Matrix {
    const float *rows;
    int64_t stride;
    float at(int t, int n) const { return rows[t * stride + n]; }
    Matrix from(int t) const { return {rows + t * stride, stride}; }
};
template <> struct Matrix<false> {
    const vec *rows;
    int64_t stride;
    vec at(int, int n) const { return rows[n]; }
    Matrix from(int) const { return *this; }
};

template <int COUNT, class MB, class MC>
void scan(int steps, const vec *delta, const vec *x, MB B, MC C, const vec *A, vec *state, vec *y,
          Ahead *ahead) {
    vec h[COUNT], a[COUNT];
    for (int n = 0; n < COUNT; n++) h[n] = state[n], a[n] = A[n];
    for (int t = 0; t < steps; t++) {
        if (ahead) ahead->fetch();
        vec d = delta[t], input = x[t], sums[2] = {y[t], {}};
#pragma GCC unroll 16
        for (int n = 0; n < COUNT; n++) {
            h[n] = fma(exp2(d * a[n]), h[n], input * B.at(t, n));
            sums[n & 1] += h[n] * C.at(t, n);
        }
        y[t] = sums[0] + sums[1];
    }
    for (int n = 0; n < COUNT; n++) state[n] = h[n];
}

template <int COUNT, class MB, class MC>  // as `scan`; keeps the decay of every step and the state before it
void replay(int steps, const vec *delta, const vec *x, MB B, MC C, const vec *A, const vec *state, vec *y,
            vec *before, vec *decays, Ahead *ahead) {
    vec h[COUNT];
    for (int n = 0; n < COUNT; n++) before[n] = h[n] = state[n];
    for (int t = 0; t < steps; t++) {
        if (ahead) ahead->fetch();
        vec d = delta[t], input = x[t], sums[2] = {y[t], {}};
#pragma GCC unroll 16
        for (int n = 0; n < COUNT; n++) {
            vec decay = decays[t * COUNT + n] = exp2(d * A[n]);
            before[(t + 1) * COUNT + n] = h[n] = fma(decay, h[n], input * B.at(t, n));
            sums[n & 1] += h[n] * C.at(t, n);
        }
        y[t] = sums[0] + sums[1];
    }
}

struct Gradients {  // of one block over one tile, for some states; rows of B and C follow each other by `stride`
    vec *state, *A, *B, *C, *x, *delta;
    int64_t stride_B, stride_C;
    Gradients from(int t) const {
        return {state, A, B + t * stride_B, C + t * stride_C, x + t, delta + t, stride_B, stride_C};
    }
};

// `first`: whether gradients of x and delta are to be set, not added to.
template <int COUNT, class MB, class MC>
void reverse(int steps, const vec *delta, const vec *x, MB B, MC C, const vec *A, const vec *grad_y,
             const vec *before, const vec *decays, bool first, Gradients grad) {
    vec g[COUNT], grad_A[COUNT];
    for (int n = 0; n < COUNT; n++) g[n] = grad.state[n], grad_A[n] = grad.A[n];
    for (int t = steps - 1; t >= 0; t--) {
        vec d = delta[t], input = x[t], dy = grad_y[t], dx[2] = {}, dd[2] = {};
        if (!first) dx[0] = grad.x[t], dd[0] = grad.delta[t];
        vec *row_B = grad.B + t * grad.stride_B, *row_C = grad.C + t * grad.stride_C;
#pragma GCC unroll 8
        for (int n = 0; n < COUNT; n++) {
            g[n] += dy * C.at(t, n);
            row_C[n] += dy * before[(t + 1) * COUNT + n];
            row_B[n] += g[n] * input;
            dx[n & 1] += g[n] * B.at(t, n);
            g[n] *= decays[t * COUNT + n];
            vec product = g[n] * before[t * COUNT + n];
            dd[n & 1] += product * A[n];
            grad_A[n] += product * d;
        }
        grad.x[t] = dx[0] + dx[1], grad.delta[t] = dd[0] + dd[1];
    }
    for (int n = 0; n < COUNT; n++) grad.state[n] = g[n], grad.A[n] = grad_A[n];
}

// Applies f<COUNT>(first state) to all N states in runs of at most LIMIT.
template <int LIMIT, class F> void in_runs(int64_t N, F f) {
    int64_t n = 0;
    if constexpr (LIMIT >= 16)
        for (; n + 16 <= N; n += 16) f(std::integral_constant<int, 16>{}, n);
    if constexpr (LIMIT >= 8)
        for (; n + 8 <= N; n += 8) f(std::integral_constant<int, 8>{}, n);
    for (; n + 4 <= N; n += 4) f(std::integral_constant<int, 4>{}, n);
    for (; n + 2 <= N; n += 2) f(std::integral_constant<int, 2>{}, n);
    for (; n < N; n++) f(std::integral_constant<int, 1>{}, n);
}

}  // namespace
