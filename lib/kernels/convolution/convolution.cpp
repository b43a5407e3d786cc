// The causal depthwise convolution with SiLU behind it and its gradient on a CPU, as a plain C library.
//
// Channels lie in SIMD lanes, four tokens are under way at once, and of these a task walks along all its channels: rows
// come from memory whole. A task is a span of one batch entry's tokens in WIDTH channels. Tasks are cut without regard
// to the batch and the number of threads, so that an output's bits depend on neither. Backward a task walks from its
// last token to its first; before them it takes the slopes of the K - 1 tokens behind it, which another task has, too.
// Contract: lib/kernels/convolution/__init__.py.

#include <algorithm>

#include "rows.h"

constexpr int MOST_TAPS = 4, STEPS = 4, SPAN = 128;
constexpr int WIDTH = 256;  // channels of a task: what it keeps of them stays in the nearest cache

extern "C" {
struct Problem {
    int64_t batch, length, channels, taps, threads;
    View x, past, out, grad_out, grad_x, grad_past;  // of (batch, channel, time); channels are neighbours
    const float *weight, *bias;                      // (E, K), (E)
    float *parts;  // (B, runs, K + 1, E): the parameters' gradients of each span of tokens, the bias's last
};
}

namespace {

typedef uint16_t bfloat16;
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));

inline vec get(const float *from) {
    vec x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

inline vec get(const bfloat16 *from) {
    halves x;
    std::memcpy(&x, from, sizeof x);
    return (vec)(__builtin_convertvector(x, words) << 16);
}

inline void put(vec x, float *to) { std::memcpy(to, &x, sizeof x); }

inline void put(vec x, bfloat16 *to) {
    words bits = (words)x, rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to nearest even
    rounded = (bits & 0x7fffffff) > 0x7f800000 ? words{} + 0x7fc0 : rounded;
    halves found = __builtin_convertvector(rounded, halves);
    std::memcpy(to, &found, sizeof found);
}

struct Task {
    int64_t batch, run, first, last, channel, width;  // tokens first .. last - 1, `width` channels from `channel` on

    Task(const Problem &p, int64_t number) {
        int64_t parts = (p.channels + WIDTH - 1) / WIDTH;
        channel = number % parts * WIDTH, run = number / parts % runs(p), batch = number / parts / runs(p);
        width = std::min<int64_t>(WIDTH, p.channels - channel);
        first = run * SPAN, last = std::min(p.length, first + SPAN);
    }
    static int64_t runs(const Problem &p) { return std::max<int64_t>(1, (p.length + SPAN - 1) / SPAN); }
    static int64_t count(const Problem &p) { return p.batch * runs(p) * ((p.channels + WIDTH - 1) / WIDTH); }

    template <class T> T *row(const View &view, int64_t t) const {
        return (T *)view.data + batch * view.strides[0] + t * view.strides[2] + channel;
    }
    // Inputs and incoming gradients: before the first token come those of the past or zeros, after the last one zeros.
    template <class T> T *row_or_zeros(const Problem &p, const View &view, int64_t t) const {
        static T zeros[WIDTH];
        if (t < 0) return p.past.data ? row<T>(p.past, t + p.taps - 1) : zeros;
        return t < p.length ? row<T>(view, t) : zeros;
    }
};

// The last channels of a row, `left` of them, where they do not fill a register; the other lanes are zero.
template <class T> inline vec get_some(const T *from, int64_t left) {
    T whole[LANES] = {};
    std::memcpy(whole, from, left * sizeof(T));
    return get(whole);
}

template <class T> inline void put_some(vec x, T *to, int64_t left) {
    T whole[LANES];
    put(x, whole);
    std::memcpy(to, whole, left * sizeof(T));
}

#if defined(__AVX512F__)
inline vec get_some(const float *from, int64_t left) {
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1 << left) - 1), from);
}
inline void put_some(vec x, float *to, int64_t left) {
    _mm512_mask_storeu_ps(to, (__mmask16)((1 << left) - 1), (__m512)x);
}
#endif

template <class T> inline vec get(const T *from, int64_t left) {
    return left < LANES ? get_some(from, left) : get(from);
}

template <class T> inline void put(vec x, T *to, int64_t left) { left < LANES ? put_some(x, to, left) : put(x, to); }

// What a task keeps of each of its channels, rows of WIDTH; beyond the last channel all is zero.
template <int TAPS> struct Kept {
    alignas(64) float weight[TAPS + 1][WIDTH] = {};  // the bias is the last row
    alignas(64) float sums[TAPS + 1][WIDTH];         // of the parameters' gradients
    alignas(64) float ahead[TAPS][WIDTH];            // gradients of the K - 1 sums after those under way

    Kept(const Problem &p, const Task &task) {
        for (int64_t c = 0; c < task.width; c++) {
            for (int k = 0; k < TAPS; k++) weight[k][c] = p.weight[(task.channel + c) * TAPS + k];
            weight[TAPS][c] = p.bias ? p.bias[task.channel + c] : 0;
        }
    }
};

// The sums of the tokens t .. t + STEPS - 1, of which SiLU is taken. Beyond a sequence's last token they are of no use.
template <class T, int TAPS> struct Window {
    T *inputs[TAPS - 1 + STEPS];
    int count;  // tokens that are there
    vec x[TAPS - 1 + STEPS], w[TAPS], sums[STEPS];

    Window(const Problem &p, const Task &task, int64_t t) : count((int)std::min<int64_t>(STEPS, p.length - t)) {
        for (int i = 0; i < TAPS - 1 + STEPS; i++) inputs[i] = task.row_or_zeros<T>(p, p.x, t - TAPS + 1 + i);
    }
    void add(const Kept<TAPS> &my, int64_t channel, int64_t left) {
        for (int i = 0; i < TAPS - 1 + STEPS; i++) x[i] = get(inputs[i] + channel, left);
        for (int k = 0; k < TAPS; k++) w[k] = get(my.weight[k] + channel);
        for (int i = 0; i < STEPS; i++) {
            sums[i] = get(my.weight[TAPS] + channel);
            for (int k = 0; k < TAPS; k++) sums[i] = fma(w[k], x[i + k], sums[i]);
        }
    }
};

template <class T, int TAPS> void forward_task(const Problem &p, const Task &task) {
    Kept<TAPS> my(p, task);
    for (int64_t t = task.first; t < task.last; t += STEPS) {
        Window<T, TAPS> window(p, task, t);
        T *out[STEPS];
        for (int i = 0; i < window.count; i++) out[i] = task.row<T>(p.out, t + i);
        for (int64_t channel = 0; channel < task.width; channel += LANES) {
            int64_t left = task.width - channel;
            window.add(my, channel, left);
            for (int i = 0; i < STEPS; i++) {
                vec value = window.sums[i] * sigmoid(window.sums[i]);
                if (i < window.count) put(value, out[i] + channel, left);
            }
        }
    }
}

// Gradients of the tokens from t on; of those behind a task's last one, only what the ones before need.
template <class T, int TAPS> void gradients(const Problem &p, const Task &task, Kept<TAPS> &my, int64_t t) {
    Window<T, TAPS> window(p, task, t);
    T *grad_out[STEPS], *grad_x[STEPS];
    for (int i = 0; i < STEPS; i++) grad_out[i] = task.row_or_zeros<T>(p, p.grad_out, t + i);
    for (int i = 0; i < window.count; i++) grad_x[i] = task.row<T>(p.grad_x, t + i);
    for (int64_t channel = 0; channel < task.width; channel += LANES) {
        int64_t left = task.width - channel;
        vec grads[STEPS + TAPS - 1];
        window.add(my, channel, left);
        for (int i = 0; i < STEPS; i++) {
            vec sum = window.sums[i], gate = sigmoid(sum);
            grads[i] = get(grad_out[i] + channel, left) * (gate * (1.f + sum * (1.f - gate)));
            if (i >= window.count) grads[i] = vec{};  // the slope may be no number
        }
        for (int k = 0; k < TAPS - 1; k++) grads[STEPS + k] = get(my.ahead[k] + channel);
        for (int k = 0; k < TAPS - 1; k++) put(grads[k], my.ahead[k] + channel);
        if (t >= task.last) continue;
        for (int i = 0; i < STEPS; i++) {
            vec total = window.w[TAPS - 1] * grads[i];
            for (int k = 1; k < TAPS; k++) total = fma(window.w[TAPS - 1 - k], grads[i + k], total);
            if (i < window.count) put(total, grad_x[i] + channel, left);
        }
        vec bias = get(my.sums[TAPS] + channel);
        for (int i = 0; i < STEPS; i++) bias += grads[i];
        put(bias, my.sums[TAPS] + channel);
        for (int k = 0; k < TAPS; k++) {
            vec total = get(my.sums[k] + channel);
            for (int i = 0; i < STEPS; i++) total = fma(grads[i], window.x[i + k], total);
            put(total, my.sums[k] + channel);
        }
    }
}

// Gradients of the inputs before the first token, which reach those after it alone.
template <class T, int TAPS> void past_gradients(const Problem &p, const Task &task, Kept<TAPS> &my) {
    for (int before = 1; before < TAPS; before++) {
        T *row = task.row<T>(p.grad_past, TAPS - 1 - before);
        for (int64_t channel = 0; channel < task.width; channel += LANES) {
            vec total = {};
            for (int k = before; k < TAPS; k++)
                total = fma(get(my.weight[TAPS - 1 - k] + channel), get(my.ahead[k - before] + channel), total);
            put(total, row + channel, task.width - channel);
        }
    }
}

template <class T, int TAPS> void backward_task(const Problem &p, const Task &task) {
    Kept<TAPS> my(p, task);
    std::memset(my.sums, 0, sizeof my.sums);
    std::memset(my.ahead, 0, sizeof my.ahead);
    int64_t end = std::min(p.length, task.last + TAPS - 1);
    for (int64_t t = (end - 1) / STEPS * STEPS; end && t >= task.first; t -= STEPS) gradients<T, TAPS>(p, task, my, t);
    if (p.grad_past.data && !task.first) past_gradients<T, TAPS>(p, task, my);
    float *to = p.parts + (task.batch * Task::runs(p) + task.run) * (TAPS + 1) * p.channels + task.channel;
    for (int k = 0; k <= TAPS; k++) std::copy_n(my.sums[k], task.width, to + k * p.channels);
}

template <class T, int TAPS> void run(const Problem &p, bool backward) {
    int64_t count = Task::count(p);
#pragma omp parallel for schedule(dynamic) num_threads(p.threads) if (p.threads > 1)
    for (int64_t number = 0; number < count; number++) {
        Task task(p, number);
        backward ? backward_task<T, TAPS>(p, task) : forward_task<T, TAPS>(p, task);
    }
}

template <int TAPS> void dispatch(const Problem &p, bool backward) {
    if (p.taps == TAPS) return p.x.bfloat16 ? run<bfloat16, TAPS>(p, backward) : run<float, TAPS>(p, backward);
    if constexpr (TAPS < MOST_TAPS) dispatch<TAPS + 1>(p, backward);
}

}  // namespace

extern "C" {
int64_t most_taps() { return MOST_TAPS; }
int64_t span() { return SPAN; }
void forward(const Problem *p) { dispatch<1>(*p, false); }
void backward(const Problem *p) { dispatch<1>(*p, true); }
}
