// What a scan is cut into: tasks, their blocks of channels, their workspace, and how it is filled and emptied.

#pragma once

#include <algorithm>
#include <initializer_list>

#include "rows.h"

constexpr int TILE = 32;                      // steps between checkpoints
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
    const int32_t *seq_idx;  // (batch, length), or null: a state passes between tokens of one number only
    int64_t sequences;       // which have states of their own in initial, last and their gradients; 0: rows have
};
}

namespace {

// A tile's steps, cut where another sequence begins; without borders it is one piece. Each piece but the first begins
// at a border, and the first one does where it is another sequence than the last step of the tile before.
struct Pieces {
    const int32_t *numbers;  // of the row
    int64_t start;
    int count = 0, cuts[TILE + 1];  // the first step of each, and the end
    bool crossing = false;

    Pieces(const Problem &p, int64_t batch, int64_t start, int steps)
        : numbers(p.seq_idx ? p.seq_idx + batch * p.length : nullptr), start(start) {
        cuts[count++] = 0;
        if (numbers) {
            crossing = start && numbers[start] != numbers[start - 1];
            for (int t = 1; t < steps; t++)
                if (numbers[start + t] != numbers[start + t - 1]) cuts[count++] = t;
        }
        cuts[count] = steps;
    }
    bool begins(int j) const { return j || crossing; }
    int64_t number(int j, int before = 0) const { return numbers[start + cuts[j] - before]; }
};

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
    vec *A2, *A, *state, *grad_state, *grad_A;                                // per block: N vectors of channels
    vec *u, *delta, *x, *z, *y, *slope = nullptr, *dy, *grad_x, *grad_delta;  // per step of a tile
    vec *static_B, *static_C, *grad_B, *grad_C;  // N vectors per block if static, else N per step
    float *B, *C;                                // N floats per step
    vec *before, *decays, *entering;

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
        entering = work.take<vec>(REVERSE);
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
    int64_t blocks() const { return last - first; }
    Block block(int64_t k, int64_t start, int64_t length) const {
        int lanes = (int)std::min<int64_t>(LANES, width - (first + k) * LANES);
        return {batch, group * width + (first + k) * LANES, start, lanes, (int)std::min<int64_t>(TILE, length - start)};
    }
    vec *saved(const Problem &p, int64_t tile, int64_t k) const {
        int64_t blocks = (width + LANES - 1) / LANES, tiles = (p.length + TILE - 1) / TILE;
        return (vec *)p.saved + (((batch * tiles + tile) * p.groups + group) * blocks + first + k) * p.states;
    }
};

// States n0, n0 + 1 .. of a block's channels as vectors: of row `row` of a (.., D, N) matrix, or zeros; and back.
void load_some(const Problem &p, const Block &at, int64_t n0, const float *from, int64_t row, int64_t count, vec *to) {
    std::fill_n(to, count, vec{});
    if (!from) return;
    const float *first = from + (row * p.channels + at.channel) * p.states + n0;
    for (int64_t n = 0; n < count; n++)
        for (int i = 0; i < at.lanes; i++) to[n][i] = first[i * p.states + n];
}

void store_some(const Problem &p, const Block &at, int64_t n0, const vec *from, int64_t count, float *to, int64_t row) {
    float *first = to + (row * p.channels + at.channel) * p.states + n0;
    for (int64_t n = 0; n < count; n++)
        for (int i = 0; i < at.lanes; i++) first[i * p.states + n] = from[n][i];
}

// All states of all of a task's blocks, N vectors each.
void load_states(const Problem &p, const Task &task, const float *from, int64_t row, vec *to) {
    for (int64_t k = 0; k < task.blocks(); k++, to += p.states)
        load_some(p, task.block(k, 0, p.length), 0, from, row, p.states, to);
}

void store_states(const Problem &p, const Task &task, const vec *from, float *to, int64_t row) {
    for (int64_t k = 0; k < task.blocks(); k++, from += p.states)
        store_some(p, task.block(k, 0, p.length), 0, from, p.states, to, row);
}

vec load_channels(const float *from, const Block &at) {
    vec row = {};
    if (from)
        for (int i = 0; i < at.lanes; i++) row[i] = from[at.channel + i];
    return row;
}

void add_channels(vec row, const Problem &p, const Block &at, float *to) {  // to (B, D), zeroed by the caller
    for (int i = 0; i < at.lanes; i++) to[at.batch * p.channels + at.channel + i] += row[i];
}

void load_constants(const Problem &p, const Task &task, const Buffers &my) {
    load_states(p, task, p.A, 0, my.A);
    for (int64_t i = 0; i < task.blocks() * p.states; i++) my.A2[i] = my.A[i] * 1.44269504f;
    if (!p.groups_B) load_states(p, task, (const float *)p.B.data, 0, my.static_B);
    if (!p.groups_C) load_states(p, task, (const float *)p.C.data, 0, my.static_C);
}

// The row of initial and last states at a token; and these states where another sequence than a row's first begins.
int64_t state_row(const Problem &p, const Task &task, int64_t t) { return p.sequences ? p.seq_idx[t] : task.batch; }
const float *own(const Problem &p, const float *states) { return p.sequences ? states : nullptr; }

// Rows of a varying B or C for one tile, N floats per step: in the tensor itself where they lie so, else in a buffer.
struct Lines {
    const float *first;
    int64_t stride;
};

Lines load_rows(const View &view, int64_t groups, const Problem &p, const Task &task, int64_t start, int steps,
                float *rows) {
    int64_t group = task.group * groups / p.groups;
    int64_t at = task.batch * view.strides[0] + group * view.strides[1] + start * view.strides[3];
    if (view.strides[2] == 1 && !view.bfloat16) return {(const float *)view.data + at, view.strides[3]};
    for (int t = 0; t < steps; t++)
        for (int64_t n = 0; n < p.states; n++)
            rows[t * p.states + n] = read(view, at + n * view.strides[2] + t * view.strides[3]);
    return {rows, p.states};
}

// Gradient of a varying B or C: lanes are summed into this task's own row of partial sums, (part, batch, group, T, N).
void store_rows(const Problem &p, const Task &task, int64_t groups, int64_t start, int steps, const vec *rows,
                float *to) {
    int64_t N = p.states, within = p.groups / groups, parts = Task::count(p) / p.batch / p.groups;
    int64_t part = task.group % within * parts + task.part;
    to += (((part * p.batch + task.batch) * groups + task.group / within) * p.length + start) * N;
    for (int64_t i = 0, left = steps * N; left > 0; i += 4, left -= 4) {
        vec four[4] = {};
        std::copy_n(rows + i, std::min<int64_t>(4, left), four);
        auto found = lane_sums(four);
        std::memcpy(to + i, &found, std::min<int64_t>(4, left) * sizeof(float));
    }
}

// Inputs of one block over one tile: the step size and its slope over delta, its product with u.
void load_inputs(const Problem &p, const Block &at, const Buffers &my, const Rows &u, vec D) {
    vec bias = load_channels(p.bias, at);
    Rows delta = loaded(p.delta, at, my.delta);
    for (int t = 0; t < at.steps; t++) {
        vec d = delta.at(t) + bias, x = u.at(t);
        if (p.softplus) d = softplus(d, my.slope ? my.slope + t : nullptr);
        my.delta[t] = d;
        my.x[t] = d * x;
        my.y[t] = D * x;
    }
}

// What comes back to one block over one tile, through the gate; z becomes the gate's slope times it.
void load_gradients(const Problem &p, const Block &at, const Buffers &my) {
    Rows dy = loaded(p.grad_out, at, my.dy);
    if (p.z.data) {
        Rows z = loaded(p.z, at, my.z);
        for (int t = 0; t < at.steps; t++) {
            vec value = z.at(t), gate = sigmoid(value), back = dy.at(t), through = back * gate;
            my.dy[t] = through * value;
            my.z[t] = through * (1.f + value * (1.f - gate));
        }
    } else {
        for (int t = 0; t < at.steps; t++) my.dy[t] = dy.at(t);
    }
}

// Rows of the tile that comes `step` after `start`.
Ahead next(const Problem &p, const Task &task, int64_t start, int64_t step, std::initializer_list<const View *> views) {
    Ahead ahead(task.blocks());
    Block at = task.block(0, start + step, p.length);
    if (at.start >= 0 && at.start < p.length)
        for (const View *view : views) ahead.add(*view, at);
    return ahead;
}

}  // namespace
