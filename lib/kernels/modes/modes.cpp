// A bank of damped modes on a CPU: per channel, a sum of M recurrences of one complex number each.
//
//     h[t] = decay h[t-1] + x[t]        y[t] = Re(sum over the modes of weight h[t]) + skip x[t]
//
// What it cannot be faster than: per token, channel and mode, four multiply-adds for the state and two for the output.
// With 8 modes that is 48 a sample, three instructions of 16 lanes, where a sample moves 8 bytes. The direct form
// y[t] = 2 Re(decay) y[t-1] - |decay|^2 y[t-2] + ... would need four, but float32 coefficients misplace its slow poles.
//
// Channels lie in SIMD lanes, the states of four modes in registers, time runs in tiles. A task is one block of LANES
// channels of one batch entry: results do not depend on the number of threads. Contract: lib/kernels/modes.py.

#include <algorithm>
#include <vector>

#include "rows.h"

constexpr int TILE = 32, RUN = 4;  // steps read and written at once; modes in registers at once

extern "C" {
struct Bank {
    int64_t batch, channels, length, modes, threads;
    View x, out;                                  // (batch, channel, time)
    const float *decay, *weight, *skip, *initial;  // (D, M, 2), (D, M, 2), (D), (B, D, M, 2)
    float *last;                                  // (B, D, M, 2)
};
}

namespace {

struct Complex {
    vec re, im;
};

void gather(const float *from, int64_t modes, int lanes, Complex *to) {
    for (int64_t m = 0; m < modes; m++)
        for (int i = 0; i < lanes; i++) {
            to[m].re[i] = from[2 * (i * modes + m)];
            to[m].im[i] = from[2 * (i * modes + m) + 1];
        }
}

void scatter(const Complex *from, int64_t modes, int lanes, float *to) {
    for (int64_t m = 0; m < modes; m++)
        for (int i = 0; i < lanes; i++) {
            to[2 * (i * modes + m)] = from[m].re[i];
            to[2 * (i * modes + m) + 1] = from[m].im[i];
        }
}

template <int COUNT>
void advance(int steps, const Complex *decay, const Complex *weight, const vec *x, Complex *state, vec *y) {
    Complex a[COUNT], c[COUNT], h[COUNT];
    for (int m = 0; m < COUNT; m++) a[m] = decay[m], c[m] = weight[m], h[m] = state[m];
    for (int t = 0; t < steps; t++) {
        vec input = x[t], real = y[t], imaginary = {};
#pragma GCC unroll 4
        for (int m = 0; m < COUNT; m++) {
            vec before = h[m].re;
            h[m].re = fma(a[m].re, before, fnma(a[m].im, h[m].im, input));
            h[m].im = fma(a[m].re, h[m].im, a[m].im * before);
            real = fma(c[m].re, h[m].re, real);
            imaginary = fnma(c[m].im, h[m].im, imaginary);
        }
        y[t] = real + imaginary;
    }
    std::copy_n(h, COUNT, state);
}

void run_block(const Bank &p, int64_t batch, int64_t channel) {
    int64_t M = p.modes, row = (batch * p.channels + channel) * M * 2;
    int lanes = (int)std::min<int64_t>(LANES, p.channels - channel);
    std::vector<Complex> work(3 * M);  // zeros, which they stay in lanes without a channel
    Complex *decay = work.data(), *weight = decay + M, *state = weight + M;
    gather(p.decay + channel * M * 2, M, lanes, decay);
    gather(p.weight + channel * M * 2, M, lanes, weight);
    gather(p.initial + row, M, lanes, state);
    vec x[TILE], y[TILE], skip = {};
    for (int i = 0; i < lanes; i++) skip[i] = p.skip[channel + i];
    for (int64_t start = 0; start < p.length; start += TILE) {
        int steps = (int)std::min<int64_t>(TILE, p.length - start);
        Block at = {batch, channel, start, lanes, steps};
        load(p.x, at, x);
        for (int t = 0; t < steps; t++) y[t] = skip * x[t];
        int64_t m = 0;
        for (; m + RUN <= M; m += RUN) advance<RUN>(steps, decay + m, weight + m, x, state + m, y);
        if (M - m == 3) advance<3>(steps, decay + m, weight + m, x, state + m, y);
        if (M - m == 2) advance<2>(steps, decay + m, weight + m, x, state + m, y);
        if (M - m == 1) advance<1>(steps, decay + m, weight + m, x, state + m, y);
        store(p.out, at, y);
    }
    scatter(state, M, lanes, p.last + row);
}

}  // namespace

extern "C" {
int64_t lanes() { return LANES; }

void run(const Bank *p) {
    int64_t blocks = (p->channels + LANES - 1) / LANES;
#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (int64_t task = 0; task < p->batch * blocks; task++) {
#if defined(__SSE__)
        unsigned mode = _mm_getcsr();
        _mm_setcsr(mode | 0x8040);  // a decayed state is zero, not a slow denormal
#endif
        run_block(*p, task / blocks, task % blocks * LANES);
#if defined(__SSE__)
        _mm_setcsr(mode);
#endif
    }
}

// One token of every batch entry, in contiguous memory.
void step(int64_t batch, int64_t channels, int64_t modes, const float *x, const float *decay, const float *weight,
          const float *skip, const float *initial, float *last, float *out) {
    View from = {(void *)x, {channels, 1, channels, 0}, 0}, to = {out, {channels, 1, channels, 0}, 0};
    Bank p = {batch, channels, 1, modes, 1, from, to, decay, weight, skip, initial, last};
    run(&p);
}
}
