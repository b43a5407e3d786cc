// The selective scan and its gradient on a CPU, as a plain C library: no torch header, compiled in a second or two.
//
// Channels lie in SIMD lanes, states in registers, time runs in tiles. A task owns a few blocks of LANES channels of
// one batch entry, walks through time once, and shares the rows of B and C among its blocks. Tasks are cut without
// regard to the number of threads, so that results do not depend on it. The backward pass restarts from the states
// that the forward pass kept at the start of every tile. Contract: lib/kernels/__init__.py.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>
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
constexpr int TILE = 32;                    // steps between checkpoints
constexpr int REVERSE = LANES == 16 ? 8 : 4;  // states that the backward pass holds in registers at once

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));

extern "C" {
struct View {  // strides in elements, of (batch, channel, time), or of (batch, group, state, time)
    void *data;
    int64_t strides[4];
    int64_t bfloat16;
};

struct Problem {
    int64_t batch, channels, length, states;
    int64_t groups, groups_B, groups_C;  // zero where B or C is one (D, N) matrix for all times
    int64_t blocks;                      // per task
    int64_t softplus, threads;
    View u, delta, z, B, C, out;
    const float *A, *D, *bias, *initial;
    float *last, *saved, *work;
    View grad_out, grad_u, grad_delta, grad_z;
    const float *grad_last;
    float *grad_A, *grad_B, *grad_C, *grad_D, *grad_bias, *grad_initial;
};
}

namespace {

inline vec splat(float x) { return x - vec{}; }

#if defined(__AVX512F__)
inline vec bounded(vec x, float, float) { return x; }
inline vec nearest(vec x) { return (vec)_mm512_roundscale_ps((__m512)x, 0); }
inline vec scaled(vec p, vec n) { return (vec)_mm512_scalef_ps((__m512)p, (__m512)n); }
#else
inline vec bounded(vec x, float low, float high) {  // NaN stays NaN
    x = x < low ? splat(low) : x;
    return x > high ? splat(high) : x;
}
inline vec nearest(vec x) { return (x + 12582912.f) - 12582912.f; }  // 1.5 * 2^23
inline vec scaled(vec p, vec n) { return (vec)((ints)p + ((ints)(n + 12582912.f) << 23)); }
#endif

inline vec exp2(vec x) {  // 1 at 0, else within 2e-7 of its value
    x = bounded(x, -126, 128);
    vec n = nearest(x), f = x - n;
    vec p = f * 1.326472712e-3f + 9.671512645e-3f;
    p = p * f + 5.550733743e-2f;
    p = p * f + 2.402224209e-1f;
    p = p * f + 6.931469776e-1f;
    return scaled(p * f + 1.f, n);
}

inline vec exp(vec x) {  // natural, reduced by log 2 in two words: for steps and gates, once per token and channel
    x = bounded(x, -87, 88);
    vec n = nearest(x * 1.44269504f), f = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = f * 1.384355978e-3f + 8.374235946e-3f;
    p = p * f + 4.166800742e-2f;
    p = p * f + 1.666643034e-1f;
    p = p * f + 4.999999417e-1f;
    p = p * f + 1.f;
    return scaled(p * f + 1.f, n);
}

inline vec sigmoid(vec x) { return 1.f / (1.f + exp(-x)); }

inline vec softplus(vec x) {  // max(x, 0) + log1p(exp(-|x|)), the logarithm by its series in s = e / (2 + e)
    vec e = exp(x < 0.f ? x : -x), s = e / (2.f + e), q = s * s;
    vec p = q * (1 / 13.f) + 1 / 11.f;
    p = p * q + 1 / 9.f;
    p = p * q + 1 / 7.f;
    p = p * q + 1 / 5.f;
    p = p * q + 1 / 3.f;
    p = p * q + 1.f;
    return (x < 0.f ? vec{} : x) + 2.f * s * p;
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

inline float read(const View &view, int64_t at) {
    if (!view.bfloat16) return ((const float *)view.data)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)view.data)[at] << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

inline void write(const View &view, int64_t at, float value) {
    if (!view.bfloat16) {
        ((float *)view.data)[at] = value;
        return;
    }
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    ((uint16_t *)view.data)[at] = nan ? 0x7fc0 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to nearest even
}

struct Block {  // the place of LANES channels, `lanes` of them real, over one tile
    int64_t batch, channel, start;
    int lanes, steps;
};

void load(const View &view, const Block &at, vec *rows, int ahead) {
    int64_t first = at.batch * view.strides[0] + at.channel * view.strides[1] + at.start * view.strides[2];
    bool whole = view.strides[1] == 1 && at.lanes == LANES && !view.bfloat16;
    for (int t = 0; t < at.steps; t++) {
        if (whole) {
            const float *row = (const float *)view.data + first + t * view.strides[2];
            std::memcpy(&rows[t], row, sizeof(vec));
            __builtin_prefetch(row + ahead * view.strides[2]);
        } else {
            rows[t] = vec{};
            for (int i = 0; i < at.lanes; i++) rows[t][i] = read(view, first + i * view.strides[1] + t * view.strides[2]);
        }
    }
}

void store(const View &view, const Block &at, const vec *rows, int ahead) {
    int64_t first = at.batch * view.strides[0] + at.channel * view.strides[1] + at.start * view.strides[2];
    bool whole = view.strides[1] == 1 && at.lanes == LANES && !view.bfloat16;
    for (int t = 0; t < at.steps; t++) {
        if (whole) {
            float *row = (float *)view.data + first + t * view.strides[2];
            std::memcpy(row, &rows[t], sizeof(vec));
            __builtin_prefetch(row + ahead * view.strides[2], 1);
        } else
            for (int i = 0; i < at.lanes; i++) write(view, first + i * view.strides[1] + t * view.strides[2], rows[t][i]);
    }
}

// (D, N) matrices and (B, D, N) states as N vectors of channels, and back
void load_states(const float *from, int64_t N, int lanes, vec *to) {
    for (int64_t n = 0; n < N; n++) {
        to[n] = vec{};
        if (from)
            for (int i = 0; i < lanes; i++) to[n][i] = from[i * N + n];
    }
}

void store_states(const vec *from, int64_t N, int lanes, float *to) {
    for (int64_t n = 0; n < N; n++)
        for (int i = 0; i < lanes; i++) to[i * N + n] = from[n][i];
}

vec load_channels(const float *from, const Block &at) {
    vec row = {};
    if (from)
        for (int i = 0; i < at.lanes; i++) row[i] = from[at.channel + i];
    return row;
}

// B or C: varying, a row of N floats per step, shared by all channels; static, N vectors of channels
template <bool VARYING> struct Matrix {
    const float *rows;
    int64_t stride;
    float at(int t, int n) const { return rows[t * stride + n]; }
};
template <> struct Matrix<false> {
    const vec *rows;
    int64_t stride;
    vec at(int, int n) const { return rows[n]; }
};

template <int COUNT, class MB, class MC>
void scan(int steps, const vec *delta, const vec *x, MB B, MC C, const vec *A, vec *state, vec *y) {
    vec h[COUNT], a[COUNT];
    for (int n = 0; n < COUNT; n++) h[n] = state[n], a[n] = A[n];
    for (int t = 0; t < steps; t++) {
        vec d = delta[t], input = x[t], sums[2] = {y[t], {}};
#pragma GCC unroll 16
        for (int n = 0; n < COUNT; n++) {
            h[n] = exp2(d * a[n]) * h[n] + input * B.at(t, n);
            sums[n & 1] += h[n] * C.at(t, n);
        }
        y[t] = sums[0] + sums[1];
    }
    for (int n = 0; n < COUNT; n++) state[n] = h[n];
}

template <int COUNT, class MB, class MC>  // as `scan`; keeps the decay of every step and the state before it
void replay(int steps, const vec *delta, const vec *x, MB B, MC C, const vec *A, const vec *state, vec *y, vec *before,
            vec *decays) {
    vec h[COUNT];
    for (int n = 0; n < COUNT; n++) before[n] = h[n] = state[n];
    for (int t = 0; t < steps; t++) {
        vec d = delta[t], input = x[t], sums[2] = {y[t], {}};
#pragma GCC unroll 16
        for (int n = 0; n < COUNT; n++) {
            vec decay = decays[t * COUNT + n] = exp2(d * A[n]);
            before[(t + 1) * COUNT + n] = h[n] = decay * h[n] + input * B.at(t, n);
            sums[n & 1] += h[n] * C.at(t, n);
        }
        y[t] = sums[0] + sums[1];
    }
}

struct Gradients {  // of one block over one tile, for some states; rows of B and C follow each other by `stride`
    vec *state, *A, *B, *C, *x, *delta;
    int64_t stride_B, stride_C;
};

template <int COUNT, class MB, class MC>
void reverse(int steps, const vec *delta, const vec *x, MB B, MC C, const vec *A, const vec *grad_y, const vec *before,
             const vec *decays, Gradients grad) {
    vec g[COUNT], grad_A[COUNT];
    for (int n = 0; n < COUNT; n++) g[n] = grad.state[n], grad_A[n] = grad.A[n];
    for (int t = steps - 1; t >= 0; t--) {
        vec d = delta[t], input = x[t], dy = grad_y[t], dx = grad.x[t], dd = grad.delta[t];
        vec *row_B = grad.B + t * grad.stride_B, *row_C = grad.C + t * grad.stride_C;
#pragma GCC unroll 8
        for (int n = 0; n < COUNT; n++) {
            g[n] += dy * C.at(t, n);
            row_C[n] += dy * before[(t + 1) * COUNT + n];
            row_B[n] += g[n] * input;
            dx += g[n] * B.at(t, n);
            g[n] *= decays[t * COUNT + n];
            vec product = g[n] * before[t * COUNT + n];
            dd += product * A[n];
            grad_A[n] += product * d;
        }
        grad.x[t] = dx, grad.delta[t] = dd;
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
    for (; n < N; n++) f(std::integral_constant<int, 1>{}, n);
}

struct Work {  // hands out pieces of one thread's workspace; with a null base it only counts
    char *base;
    int64_t used = 0;
    template <class T> T *take(int64_t count) {
        T *piece = (T *)(base + used);
        used += (count * (int64_t)sizeof(T) + 63) / 64 * 64;
        return piece;
    }
};

// What a task needs: its channels' constants, the rows of one tile, and, for the backward pass, what is kept per step.
struct Buffers {
    vec *A2, *A, *state, *grad_state, *grad_A;                  // per block: N vectors of channels
    vec *u, *delta, *x, *z, *y, *raw, *dy, *grad_x, *grad_delta;  // per step of a tile
    vec *static_B, *static_C, *grad_B, *grad_C;                 // N vectors per block if static, else N per step
    float *B, *C;                                               // N floats per step
    vec *before, *decays;

    Buffers(const Problem &p, Work &work, bool backward) {
        int64_t N = p.states, all = p.blocks * N;
        for (vec **one : {&A2, &A, &state}) *one = work.take<vec>(all);
        for (vec **one : {&u, &delta, &x, &z, &y, &raw}) *one = work.take<vec>(TILE);
        static_B = work.take<vec>(p.groups_B ? 0 : all), static_C = work.take<vec>(p.groups_C ? 0 : all);
        B = work.take<float>(p.groups_B ? TILE * N : 0), C = work.take<float>(p.groups_C ? TILE * N : 0);
        if (!backward) return;
        for (vec **one : {&grad_state, &grad_A}) *one = work.take<vec>(all);
        for (vec **one : {&dy, &grad_x, &grad_delta}) *one = work.take<vec>(TILE);
        grad_B = work.take<vec>(p.groups_B ? TILE * N : all), grad_C = work.take<vec>(p.groups_C ? TILE * N : all);
        before = work.take<vec>((TILE + 1) * REVERSE), decays = work.take<vec>(TILE * REVERSE);
    }
};

// One batch entry, and some blocks of one group: the unit of parallel work.
struct Task {
    int64_t batch, group, part, width, first, last;  // width: channels of a group; first, last: blocks within it

    Task(const Problem &p, int64_t number) {
        width = p.channels / p.groups;
        int64_t blocks = (width + LANES - 1) / LANES, parts = (blocks + p.blocks - 1) / p.blocks;
        part = number % parts, group = number / parts % p.groups, batch = number / parts / p.groups;
        first = part * p.blocks, last = std::min(blocks, first + p.blocks);
    }
    static int64_t count(const Problem &p) {
        int64_t blocks = (p.channels / p.groups + LANES - 1) / LANES;
        return p.batch * p.groups * ((blocks + p.blocks - 1) / p.blocks);
    }
    Block block(int64_t k, int64_t start, int64_t length) const {
        int lanes = (int)std::min<int64_t>(LANES, width - (first + k) * LANES);
        return {batch, group * width + (first + k) * LANES, start, lanes, (int)std::min<int64_t>(TILE, length - start)};
    }
    vec *saved(const Problem &p, int64_t tile, int64_t k) const {
        int64_t blocks = (width + LANES - 1) / LANES, tiles = (p.length + TILE - 1) / TILE;
        return (vec *)p.saved + (((batch * tiles + tile) * p.groups + group) * blocks + first + k) * p.states;
    }
};

// Rows of a varying B or C for one tile: N floats per step.
void load_rows(const View &view, int64_t groups, const Problem &p, const Task &task, int64_t start, int steps, float *rows) {
    int64_t at = task.batch * view.strides[0] + task.group * groups / p.groups * view.strides[1] + start * view.strides[3];
    for (int t = 0; t < steps; t++)
        for (int64_t n = 0; n < p.states; n++)
            rows[t * p.states + n] = read(view, at + n * view.strides[2] + t * view.strides[3]);
}

void load_constants(const Problem &p, const Task &task, const Buffers &my) {
    int64_t N = p.states;
    for (int64_t k = 0; k < task.last - task.first; k++) {
        Block at = task.block(k, 0, p.length);
        load_states(p.A + at.channel * N, N, at.lanes, my.A + k * N);
        for (int64_t n = 0; n < N; n++) my.A2[k * N + n] = my.A[k * N + n] * 1.44269504f;
        if (!p.groups_B) load_states((const float *)p.B.data + at.channel * N, N, at.lanes, my.static_B + k * N);
        if (!p.groups_C) load_states((const float *)p.C.data + at.channel * N, N, at.lanes, my.static_C + k * N);
    }
}

// Inputs of one block over one tile: u, the step size, their product, and what the step size came from.
void load_inputs(const Problem &p, const Block &at, const Buffers &my, int ahead) {
    vec bias = load_channels(p.bias, at);
    load(p.u, at, my.u, ahead);
    load(p.delta, at, my.raw, ahead);
    for (int t = 0; t < at.steps; t++) {
        my.raw[t] += bias;
        my.delta[t] = p.softplus ? softplus(my.raw[t]) : my.raw[t];
        my.x[t] = my.delta[t] * my.u[t];
        my.y[t] = vec{};
    }
    if (p.z.data) load(p.z, at, my.z, ahead);
}

template <bool VARYING> Matrix<VARYING> matrix(const float *rows, const vec *fixed, int64_t N, int64_t n) {
    if constexpr (VARYING)
        return {rows + n, N};
    else
        return {fixed + n, 0};
}

template <bool VB, bool VC> void forward_task(const Problem &p, const Task &task, Work work) {
    Buffers my(p, work, false);
    int64_t N = p.states, count = task.last - task.first;
    load_constants(p, task, my);
    for (int64_t k = 0; k < count; k++) {
        Block at = task.block(k, 0, p.length);
        const float *initial = p.initial ? p.initial + (task.batch * p.channels + at.channel) * N : nullptr;
        load_states(initial, N, at.lanes, my.state + k * N);
    }
    for (int64_t start = 0; start < p.length; start += TILE) {
        int steps = (int)std::min<int64_t>(TILE, p.length - start);
        if (VB) load_rows(p.B, p.groups_B, p, task, start, steps, my.B);
        if (VC) load_rows(p.C, p.groups_C, p, task, start, steps, my.C);
        for (int64_t k = 0; k < count; k++) {
            Block at = task.block(k, start, p.length);
            vec *state = my.state + k * N, D = load_channels(p.D, at);
            if (p.saved) std::memcpy(task.saved(p, start / TILE, k), state, N * sizeof(vec));
            load_inputs(p, at, my, TILE);
            in_runs<VB && VC ? 16 : 4>(N, [&](auto run, int64_t n) {
                auto B = matrix<VB>(my.B, my.static_B + k * N, N, n);
                auto C = matrix<VC>(my.C, my.static_C + k * N, N, n);
                scan<run.value>(steps, my.delta, my.x, B, C, my.A2 + k * N + n, state + n, my.y);
            });
            for (int t = 0; t < steps; t++) {
                my.y[t] += D * my.u[t];
                if (p.z.data) my.y[t] *= my.z[t] * sigmoid(my.z[t]);
            }
            store(p.out, at, my.y, TILE);
        }
    }
    for (int64_t k = 0; k < count; k++) {
        Block at = task.block(k, 0, p.length);
        store_states(my.state + k * N, N, at.lanes, p.last + (task.batch * p.channels + at.channel) * N);
    }
}

// Gradient of a varying B or C: lanes are summed into this task's own row of partial sums, (part, batch, group, T, N).
void store_rows(const Problem &p, const Task &task, int64_t groups, int64_t start, int steps, const vec *rows, float *to) {
    int64_t N = p.states, within = p.groups / groups, parts = Task::count(p) / p.batch / p.groups;
    int64_t part = task.group % within * parts + task.part;
    to += (((part * p.batch + task.batch) * groups + task.group / within) * p.length + start) * N;
    for (int64_t i = 0; i < steps * N; i++) to[i] = sum<LANES>(rows[i]);
}

template <bool VB, bool VC> void backward_task(const Problem &p, const Task &task, Work work) {
    Buffers my(p, work, true);
    int64_t N = p.states, count = task.last - task.first;
    load_constants(p, task, my);
    for (int64_t k = 0; k < count; k++) {
        Block at = task.block(k, 0, p.length);
        const float *last = p.grad_last ? p.grad_last + (task.batch * p.channels + at.channel) * N : nullptr;
        load_states(last, N, at.lanes, my.grad_state + k * N);
    }
    std::fill_n(my.grad_A, count * N, vec{});
    std::fill_n(my.grad_B, VB ? 0 : count * N, vec{});
    std::fill_n(my.grad_C, VC ? 0 : count * N, vec{});
    for (int64_t start = (p.length - 1) / TILE * TILE; start >= 0; start -= TILE) {
        int steps = (int)std::min<int64_t>(TILE, p.length - start);
        if (VB) load_rows(p.B, p.groups_B, p, task, start, steps, my.B), std::fill_n(my.grad_B, steps * N, vec{});
        if (VC) load_rows(p.C, p.groups_C, p, task, start, steps, my.C), std::fill_n(my.grad_C, steps * N, vec{});
        for (int64_t k = 0; k < count; k++) {
            Block at = task.block(k, start, p.length);
            vec D = load_channels(p.D, at), grad_D = {}, grad_bias = {};
            const vec *saved = task.saved(p, start / TILE, k);
            load_inputs(p, at, my, -TILE);
            load(p.grad_out, at, my.dy, -TILE);
            for (int t = 0; t < steps; t++) {
                my.raw[t] = p.softplus ? sigmoid(my.raw[t]) : splat(1.f);  // its slope is all that is needed from here on
                my.grad_delta[t] = my.grad_x[t] = vec{};
            }
            if (p.z.data)
                for (int t = 0; t < steps; t++) {  // the gate's value goes into dy, its slope and dy into z
                    vec gate = sigmoid(my.z[t]), slope = gate * (1.f + my.z[t] * (1.f - gate));
                    vec through = my.dy[t] * slope;
                    my.dy[t] *= my.z[t] * gate;
                    my.z[t] = through;
                }
            in_runs<VB && VC ? REVERSE : 4>(N, [&](auto run, int64_t n) {
                auto B = matrix<VB>(my.B, my.static_B + k * N, N, n);
                auto C = matrix<VC>(my.C, my.static_C + k * N, N, n);
                replay<run.value>(steps, my.delta, my.x, B, C, my.A2 + k * N + n, saved + n, my.y, my.before, my.decays);
                Gradients grad = {my.grad_state + k * N + n, my.grad_A + k * N + n, my.grad_B + (VB ? n : k * N + n),
                                  my.grad_C + (VC ? n : k * N + n), my.grad_x, my.grad_delta, VB ? N : 0, VC ? N : 0};
                reverse<run.value>(steps, my.delta, my.x, B, C, my.A + k * N + n, my.dy, my.before, my.decays, grad);
            });
            for (int t = 0; t < steps; t++) {
                grad_D += my.dy[t] * my.u[t];
                if (p.z.data) my.z[t] *= my.y[t] + D * my.u[t];
                my.grad_delta[t] = (my.grad_delta[t] + my.grad_x[t] * my.u[t]) * my.raw[t];
                my.grad_x[t] = my.grad_x[t] * my.delta[t] + my.dy[t] * D;
                grad_bias += my.grad_delta[t];
            }
            store(p.grad_u, at, my.grad_x, -TILE);
            store(p.grad_delta, at, my.grad_delta, -TILE);
            if (p.z.data) store(p.grad_z, at, my.z, -TILE);
            for (int i = 0; i < at.lanes; i++) {  // zeroed by the caller, (B, D)
                p.grad_D[task.batch * p.channels + at.channel + i] += grad_D[i];
                p.grad_bias[task.batch * p.channels + at.channel + i] += grad_bias[i];
            }
        }
        if (VB) store_rows(p, task, p.groups_B, start, steps, my.grad_B, p.grad_B);
        if (VC) store_rows(p, task, p.groups_C, start, steps, my.grad_C, p.grad_C);
    }
    for (int64_t k = 0; k < count; k++) {
        Block at = task.block(k, 0, p.length);
        int64_t place = (task.batch * p.channels + at.channel) * N;
        store_states(my.grad_A + k * N, N, at.lanes, p.grad_A + place);
        store_states(my.grad_state + k * N, N, at.lanes, p.grad_initial + place);
        if (!VB) store_states(my.grad_B + k * N, N, at.lanes, p.grad_B + place);
        if (!VC) store_states(my.grad_C + k * N, N, at.lanes, p.grad_C + place);
    }
}

}  // namespace

extern "C" int64_t work_bytes(const Problem *p, int64_t backward) {  // of one thread
    Work counter{nullptr};
    Buffers(*p, counter, backward);
    return counter.used;
}

namespace {

template <bool VB, bool VC> void run(const Problem &p, bool backward) {
    int64_t count = Task::count(p), bytes = work_bytes(&p, backward);
    std::atomic<int64_t> next{0};
#pragma omp parallel for schedule(static, 1) num_threads(p.threads)
    for (int64_t worker = 0; worker < p.threads; worker++) {
#if defined(__SSE__)
        unsigned mode = _mm_getcsr();
        _mm_setcsr(mode | 0x8040);  // a decayed state is zero, not a slow denormal
#endif
        for (int64_t number; (number = next++) < count;) {
            Work mine{(char *)p.work + worker * bytes};
            backward ? backward_task<VB, VC>(p, Task(p, number), mine) : forward_task<VB, VC>(p, Task(p, number), mine);
        }
#if defined(__SSE__)
        _mm_setcsr(mode);
#endif
    }
}

void dispatch(const Problem &p, bool backward) {
    if (p.groups_B && p.groups_C) return run<true, true>(p, backward);
    if (p.groups_B) return run<true, false>(p, backward);
    if (p.groups_C) return run<false, true>(p, backward);
    return run<false, false>(p, backward);
}

}  // namespace

extern "C" {
int64_t lanes() { return LANES; }
int64_t tile() { return TILE; }
void forward(const Problem *p) { dispatch(*p, false); }
void backward(const Problem *p) { dispatch(*p, true); }
}
