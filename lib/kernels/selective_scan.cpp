// The selective scan and its gradient on a CPU, as a plain C library: without torch's headers it compiles in seconds.
//
// Channels lie in SIMD lanes, states in registers, time runs in tiles. A task owns a few blocks of LANES channels of
// one batch entry, walks through time once, and shares the rows of B and C among its blocks. Tasks are cut without
// regard to the number of threads, so that results do not depend on it. The backward pass restarts from the states
// that the forward pass kept at the start of every tile. Contract: lib/kernels/__init__.py.

#include <algorithm>
#include <atomic>
#include <initializer_list>

#include "rows.h"
#include "states.h"

constexpr int TILE = 32;                    // steps between checkpoints
constexpr int REVERSE = LANES == 16 ? 8 : 4;  // states that the backward pass holds in registers at once

extern "C" {
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
    vec *u, *delta, *x, *z, *y, *slope = nullptr, *dy, *grad_x, *grad_delta;  // per step of a tile
    vec *static_B, *static_C, *grad_B, *grad_C;                 // N vectors per block if static, else N per step
    float *B, *C;                                               // N floats per step
    vec *before, *decays;

    Buffers(const Problem &p, Work &work, bool backward) {
        int64_t N = p.states, all = p.blocks * N;
        for (vec **one : {&A2, &A, &state}) *one = work.take<vec>(all);
        for (vec **one : {&u, &delta, &x, &z, &y}) *one = work.take<vec>(TILE);
        static_B = work.take<vec>(p.groups_B ? 0 : all), static_C = work.take<vec>(p.groups_C ? 0 : all);
        B = work.take<float>(p.groups_B ? TILE * N : 0), C = work.take<float>(p.groups_C ? TILE * N : 0);
        if (!backward) return;
        for (vec **one : {&grad_state, &grad_A}) *one = work.take<vec>(all);
        for (vec **one : {&slope, &dy, &grad_x, &grad_delta}) *one = work.take<vec>(TILE);
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

// Inputs of one block over one tile: u, the step size and its slope over delta, their product.
void load_inputs(const Problem &p, const Block &at, const Buffers &my) {
    vec bias = load_channels(p.bias, at);
    load(p.u, at, my.u);
    load(p.delta, at, my.delta);
    for (int t = 0; t < at.steps; t++) {
        my.delta[t] += bias;
        if (p.softplus) my.delta[t] = softplus(my.delta[t], my.slope ? my.slope + t : nullptr);
        my.x[t] = my.delta[t] * my.u[t];
        my.y[t] = vec{};
    }
    if (p.z.data) load(p.z, at, my.z);
}

Ahead next(const Problem &p, const Block &at, std::initializer_list<const View *> views) {
    Ahead ahead;
    if (at.start >= 0 && at.start < p.length)
        for (const View *view : views) ahead.add(*view, at);
    return ahead;
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
            load_inputs(p, at, my);
            Ahead ahead = k + 1 < count ? next(p, task.block(k + 1, start, p.length), {&p.u, &p.delta, &p.z, &p.out})
                                        : next(p, task.block(0, start + TILE, p.length), {&p.u, &p.delta, &p.z, &p.out});
            in_runs<VB && VC ? 16 : 4>(N, [&](auto run, int64_t n) {
                auto B = matrix<VB>(my.B, my.static_B + k * N, N, n);
                auto C = matrix<VC>(my.C, my.static_C + k * N, N, n);
                scan<run.value>(steps, my.delta, my.x, B, C, my.A2 + k * N + n, state + n, my.y, n ? Ahead{} : ahead);
            });
            for (int t = 0; t < steps; t++) {
                my.y[t] += D * my.u[t];
                if (p.z.data) my.y[t] *= my.z[t] * sigmoid(my.z[t]);
            }
            store(p.out, at, my.y);
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
    auto inputs = {&p.u, &p.delta, &p.z, &p.grad_out, &p.grad_u, &p.grad_delta, &p.grad_z};
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
            load_inputs(p, at, my);
            load(p.grad_out, at, my.dy);
            for (int t = 0; t < steps; t++) my.grad_delta[t] = my.grad_x[t] = vec{};
            if (p.z.data)
                for (int t = 0; t < steps; t++) {  // the gate's value goes into dy, its slope and dy into z
                    vec gate = sigmoid(my.z[t]), slope = gate * (1.f + my.z[t] * (1.f - gate));
                    vec through = my.dy[t] * slope;
                    my.dy[t] *= my.z[t] * gate;
                    my.z[t] = through;
                }
            Ahead ahead = k + 1 < count ? next(p, task.block(k + 1, start, p.length), inputs)
                                        : next(p, task.block(0, start - TILE, p.length), inputs);
            in_runs<VB && VC ? REVERSE : 4>(N, [&](auto run, int64_t n) {
                auto B = matrix<VB>(my.B, my.static_B + k * N, N, n);
                auto C = matrix<VC>(my.C, my.static_C + k * N, N, n);
                replay<run.value>(steps, my.delta, my.x, B, C, my.A2 + k * N + n, saved + n, my.y, my.before, my.decays,
                                  n ? Ahead{} : ahead);
                Gradients grad = {my.grad_state + k * N + n, my.grad_A + k * N + n, my.grad_B + (VB ? n : k * N + n),
                                  my.grad_C + (VC ? n : k * N + n), my.grad_x, my.grad_delta, VB ? N : 0, VC ? N : 0};
                reverse<run.value>(steps, my.delta, my.x, B, C, my.A + k * N + n, my.dy, my.before, my.decays, grad);
            });
            for (int t = 0; t < steps; t++) {
                grad_D += my.dy[t] * my.u[t];
                if (p.z.data) my.z[t] *= my.y[t] + D * my.u[t];
                my.grad_delta[t] += my.grad_x[t] * my.u[t];
                if (p.softplus) my.grad_delta[t] *= my.slope[t];
                my.grad_x[t] = my.grad_x[t] * my.delta[t] + my.dy[t] * D;
                grad_bias += my.grad_delta[t];
            }
            store(p.grad_u, at, my.grad_x);
            store(p.grad_delta, at, my.grad_delta);
            if (p.z.data) store(p.grad_z, at, my.z);
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
int64_t threaded() {
#if defined(_OPENMP)
    return 1;
#else
    return 0;
#endif
}
void forward(const Problem *p) { dispatch(*p, false); }
void backward(const Problem *p) { dispatch(*p, true); }
}
