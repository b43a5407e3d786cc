// The selective scan and its gradient on a CPU, as a plain C library: without torch's headers it compiles in seconds.
//
// Channels lie in SIMD lanes, states in registers, time runs in tiles. A task owns a few blocks of LANES channels of
// one batch entry, walks through time once, and shares the rows of B and C among its blocks. Tasks are cut without
// regard to the number of threads, so that results do not depend on it. The backward pass restarts from the states
// that the forward pass kept at the start of every tile. Contract: lib/kernels/scan/__init__.py.
//
// What it cannot be faster than, per token and channel: N + 2 exponentials (a decay per state, softplus, SiLU), one
// logarithm, one reciprocal; of float32, 12 bytes read and 4 written, backward 16 and 12. With AVX-512 a register of
// channels takes 12 instructions a state and 48 a token, as many as 4 states; backward 20 and 63. So with 4 states in
// place of 16, two fifths of the time remain where memory keeps up, not a quarter.

#include <atomic>

#include "states.h"
#include "tasks.h"

namespace {

template <bool VARYING> Matrix<VARYING> matrix(const Lines &rows, const vec *fixed, int64_t n) {
    if constexpr (VARYING)
        return {rows.first + n, rows.stride};
    else
        return {fixed + n, 0};
}

// PACKED: whether rows hold several sequences. Compiled apart: a loop over pieces would cost others a sixth backward.
template <bool VB, bool VC, bool PACKED> void forward_task(const Problem &p, const Task &task, Work work) {
    Buffers my(p, work, false);
    int64_t N = p.states, count = task.blocks();
    auto views = {&p.u, &p.delta, &p.z, &p.out};
    load_constants(p, task, my);
    load_states(p, task, p.initial, state_row(p, task, 0), my.state);
    for (int64_t start = 0; start < p.length; start += TILE) {
        int steps = (int)std::min<int64_t>(TILE, p.length - start);
        Pieces pieces(p, task.batch, start, steps);
        Lines rows_B = VB ? load_rows(p.B, p.groups_B, p, task, start, steps, my.B) : Lines{};
        Lines rows_C = VC ? load_rows(p.C, p.groups_C, p, task, start, steps, my.C) : Lines{};
        Ahead ahead = next(p, task, start, TILE, views);
        for (int64_t k = 0; k < count; k++) {
            Block at = task.block(k, start, p.length);
            vec *state = my.state + k * N, D = load_channels(p.D, at);
            if (p.saved) std::memcpy(task.saved(p, start / TILE, k), state, N * sizeof(vec));
            Rows u = loaded(p.u, at, my.u), out = rows_in(p.out, at, my.y);
            load_inputs(p, at, my, u, D);
            in_runs<VB && VC ? 16 : 4>(N, [&](auto run, int64_t n) {
                auto B = matrix<VB>(rows_B, my.static_B + k * N, n);
                auto C = matrix<VC>(rows_C, my.static_C + k * N, n);
                if constexpr (!PACKED) {
                    scan<run.value>(steps, my.delta, my.x, B, C, my.A2 + k * N + n, state + n, my.y,
                                    n ? nullptr : &ahead);
                    return;
                }
                for (int j = 0, t = 0; j < pieces.count; t = pieces.cuts[++j]) {
                    if (pieces.begins(j)) {
                        if (p.sequences) store_some(p, at, n, state + n, run.value, p.last, pieces.number(j, 1));
                        load_some(p, at, n, own(p, p.initial), pieces.number(j), run.value, state + n);
                    }
                    scan<run.value>(pieces.cuts[j + 1] - t, my.delta + t, my.x + t, B.from(t), C.from(t),
                                    my.A2 + k * N + n, state + n, my.y + t, n ? nullptr : &ahead);
                }
            });
            if (p.z.data) {
                Rows z = loaded(p.z, at, my.z);
                for (int t = 0; t < steps; t++) out.put(t, my.y[t] * (z.at(t) * sigmoid(z.at(t))));
            } else {
                for (int t = 0; t < steps; t++) out.put(t, my.y[t]);
            }
            stored(p.out, at, out, my.y);
        }
    }
    store_states(p, task, my.state, p.last, state_row(p, task, p.length - 1));
}

template <bool VB, bool VC, bool PACKED> void backward_task(const Problem &p, const Task &task, Work work) {
    Buffers my(p, work, true);
    int64_t N = p.states, count = task.blocks();
    auto views = {&p.u, &p.delta, &p.z, &p.grad_out, &p.grad_u, &p.grad_delta, &p.grad_z};
    load_constants(p, task, my);
    load_states(p, task, p.grad_last, state_row(p, task, p.length - 1), my.grad_state);
    std::fill_n(my.grad_A, count * N, vec{});
    std::fill_n(my.grad_B, VB ? 0 : count * N, vec{});
    std::fill_n(my.grad_C, VC ? 0 : count * N, vec{});
    for (int64_t start = (p.length - 1) / TILE * TILE; start >= 0; start -= TILE) {
        int steps = (int)std::min<int64_t>(TILE, p.length - start);
        Pieces pieces(p, task.batch, start, steps);
        Lines rows_B = VB ? load_rows(p.B, p.groups_B, p, task, start, steps, my.B) : Lines{};
        Lines rows_C = VC ? load_rows(p.C, p.groups_C, p, task, start, steps, my.C) : Lines{};
        if (VB) std::fill_n(my.grad_B, steps * N, vec{});
        if (VC) std::fill_n(my.grad_C, steps * N, vec{});
        Ahead ahead = next(p, task, start, -TILE, views);
        for (int64_t k = 0; k < count; k++) {
            Block at = task.block(k, start, p.length);
            vec D = load_channels(p.D, at), grad_D = {}, grad_bias = {};
            const vec *saved = task.saved(p, start / TILE, k);
            Rows u = loaded(p.u, at, my.u);
            load_inputs(p, at, my, u, D);
            load_gradients(p, at, my);
            in_runs<VB && VC ? REVERSE : 4>(N, [&](auto run, int64_t n) {
                auto B = matrix<VB>(rows_B, my.static_B + k * N, n);
                auto C = matrix<VC>(rows_C, my.static_C + k * N, n);
                Gradients grad = {my.grad_state + k * N + n, my.grad_A + k * N + n, my.grad_B + (VB ? n : k * N + n),
                                  my.grad_C + (VC ? n : k * N + n), my.grad_x, my.grad_delta, VB ? N : 0, VC ? N : 0};
                if constexpr (!PACKED) {
                    replay<run.value>(steps, my.delta, my.x, B, C, my.A2 + k * N + n, saved + n, my.y, my.before,
                                      my.decays, n ? nullptr : &ahead);
                    reverse<run.value>(steps, my.delta, my.x, B, C, my.A + k * N + n, my.dy, my.before, my.decays,
                                       !n, grad);
                    return;
                }
                for (int j = pieces.count - 1; j >= 0; j--) {
                    int t = pieces.cuts[j], length = pieces.cuts[j + 1] - t;
                    const vec *entering = saved + n;
                    if (pieces.begins(j)) {
                        entering = my.entering;
                        load_some(p, at, n, own(p, p.initial), pieces.number(j), run.value, my.entering);
                    }
                    replay<run.value>(length, my.delta + t, my.x + t, B.from(t), C.from(t), my.A2 + k * N + n, entering,
                                      my.y + t, my.before, my.decays, n ? nullptr : &ahead);
                    reverse<run.value>(length, my.delta + t, my.x + t, B.from(t), C.from(t), my.A + k * N + n,
                                       my.dy + t, my.before, my.decays, !n, grad.from(t));
                    if (!pieces.begins(j)) continue;
                    if (p.sequences) store_some(p, at, n, grad.state, run.value, p.grad_initial, pieces.number(j));
                    load_some(p, at, n, own(p, p.grad_last), pieces.number(j, 1), run.value, grad.state);
                }
            });
            Rows grad_u = rows_in(p.grad_u, at, my.grad_x), grad_delta = rows_in(p.grad_delta, at, my.grad_delta);
            for (int t = 0; t < steps; t++) {
                vec x = u.at(t), dx = my.grad_x[t], dy = my.dy[t], step = fma(dx, x, my.grad_delta[t]);
                if (p.softplus) step *= my.slope[t];
                grad_delta.put(t, step), grad_bias += step;
                grad_u.put(t, dx * my.delta[t] + dy * D), grad_D += dy * x;
            }
            stored(p.grad_u, at, grad_u, my.grad_x), stored(p.grad_delta, at, grad_delta, my.grad_delta);
            if (p.z.data) {
                Rows grad_z = rows_in(p.grad_z, at, my.z);
                for (int t = 0; t < steps; t++) grad_z.put(t, my.z[t] * my.y[t]);
                stored(p.grad_z, at, grad_z, my.z);
            }
            add_channels(grad_D, p, at, p.grad_D), add_channels(grad_bias, p, at, p.grad_bias);
        }
        if (VB) store_rows(p, task, p.groups_B, start, steps, my.grad_B, p.grad_B);
        if (VC) store_rows(p, task, p.groups_C, start, steps, my.grad_C, p.grad_C);
    }
    store_states(p, task, my.grad_A, p.grad_A, task.batch);
    store_states(p, task, my.grad_state, p.grad_initial, state_row(p, task, 0));
    if (!VB) store_states(p, task, my.grad_B, p.grad_B, task.batch);
    if (!VC) store_states(p, task, my.grad_C, p.grad_C, task.batch);
}

}  // namespace

extern "C" int64_t work_bytes(const Problem *p, int64_t backward) {  // of one thread
    Work counter{nullptr};
    Buffers(*p, counter, backward);
    return counter.used;
}

namespace {

template <bool VB, bool VC, bool PACKED> void run_tasks(const Problem &p, bool backward) {
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
            Task task(p, number);
            backward ? backward_task<VB, VC, PACKED>(p, task, mine) : forward_task<VB, VC, PACKED>(p, task, mine);
        }
#if defined(__SSE__)
        _mm_setcsr(mode);
#endif
    }
}

template <bool VB, bool VC> void run(const Problem &p, bool backward) {
    p.seq_idx ? run_tasks<VB, VC, true>(p, backward) : run_tasks<VB, VC, false>(p, backward);
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
