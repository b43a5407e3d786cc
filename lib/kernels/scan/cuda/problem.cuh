// One scan as the kernels see it, and what a block of threads works on. Filled in by problem.py: the same fields.
//
// Set when compiled (plan.py says why they are what they are):
//   THREADS of a block; LANES of them share a channel, and each holds SHARE of its STATES states
//   TILE, UNROLL               steps that are staged, steps that are unrolled, forward
//   TILE_BACK, SUB             steps that are staged, steps whose states stay in registers, backward
//   CHECKPOINT                 steps between the states that the forward pass keeps
//   KEEP HAS_Z HAS_D HAS_BIAS SOFTPLUS FIXED_B FIXED_C
//   PACKED                     whether rows hold several sequences: see borders.cuh
//   TIME_FIRST, TIME_FIRST_B, TIME_FIRST_C   whether time is the contiguous axis of u, delta, z .., of B, of C
//   VECTOR, VECTOR_B, VECTOR_C               elements that can be loaded at once
//   BLOCKS, BLOCKS_BACK        blocks per multiprocessor that registers are to suffice for
#pragma once
#include "elements.cuh"
typedef long long wide;
#ifndef PACKED
#define PACKED 0
#endif

constexpr int CHANNELS = THREADS / LANES;  // of a block
constexpr int WARPS = THREADS / 32;
constexpr int PADDED = LANES * SHARE;  // states of a channel, filled up
constexpr int ROW = PADDED + 4;        // of a tile of B or C in shared memory: 16 bytes aligned, banks apart
constexpr int ROW_PAIRS = TIME_FIRST ? CHANNELS + 1 : CHANNELS, ROW_OUT = TIME_FIRST ? CHANNELS + 1 : CHANNELS + 8;
constexpr int VARYING = (FIXED_B ? 0 : STATES) + (FIXED_C ? 0 : STATES);  // partial sums of a token
static_assert(THREADS % 32 == 0 && 32 % LANES == 0 && PADDED >= STATES, "lanes");
static_assert(TILE % UNROLL == 0 && TILE_BACK % SUB == 0 && TILE % TILE_BACK == 0 && TILE_BACK % UNROLL == 0, "tiles");
static_assert(CHECKPOINT % TILE == 0, "checkpoints");

struct Problem {
  const element *u, *delta, *z, *B, *C;
  element *out;
  const float *A, *D, *bias, *fixed_B, *fixed_C, *initial;
  float *last, *saved, *ends, *steps;  // ends, steps (segments, batch, D, N), (segments, batch, D)
  const element *grad_out;
  element *grad_u, *grad_delta, *grad_z, *grad_B, *grad_C;
  float *dense;                        // (tiles, batch, D, N): states at the start of each tile of this slice
  const float *carry;                  // gradient of the state after this slice, or null
  float *carried;                      // gradient of the state before it
  float *part_A, *part_D, *part_bias;  // (segments, batch, D, N), (segments, batch, D): sums over time
  float *part_B, *part_C;              // (segments, batch, D, N), where B and C are fixed
  float *part_rows;                    // (blocks, batch, tokens, VARYING): sums over a block's channels
  float *grad_A, *grad_D, *grad_bias, *grad_fixed_B, *grad_fixed_C;
  const int *seq_idx;                  // (batch, length), numbers of sequences
  const float *grad_last;              // (sequences, D, N), as initial and last, where sequences have states of their own
  float *grad_initial, *crossed;       // crossed (segments, batch): whether another sequence begins in a segment
  wide stride_u[3], stride_delta[3], stride_z[3], stride_out[3], stride_B[4], stride_C[4];
  wide stride_grad_out[3], stride_grad_u[3], stride_grad_delta[3], stride_grad_z[3], stride_grad_B[4], stride_grad_C[4];
  int batch, channels, length;
  int run, blocks_of_run;  // channels with one group of B and one of C, and blocks that cover them
  int group_B, group_C;    // channels of a group
  int blocks;              // of all channels
  int first, stop;         // steps of this slice
  int span, segments;      // steps of a segment, and how many make up the slice
  int add, finish;         // whether sums of a later slice are added to; whether this slice is the last of them
  int sequences;           // which have states of their own; 0 where rows have
};

struct Place {
  int thread, lane, channel;  // in the block
  int sequence, segment;
  int first, stop;  // channels
  int from, to;     // steps
};

DEVICE Place place(const Problem &p) {
  Place w;
  w.thread = threadIdx.x, w.lane = w.thread % LANES, w.channel = w.thread / LANES;
  w.sequence = blockIdx.y, w.segment = blockIdx.z;
  const int run = blockIdx.x / p.blocks_of_run * p.run;
  w.first = run + blockIdx.x % p.blocks_of_run * CHANNELS;
  w.stop = min(run + p.run, w.first + CHANNELS);
  w.from = p.first + w.segment * p.span;
  w.to = min(w.from + p.span, p.stop);
  return w;
}

// A thread's states of its channel, from the row `at` of an array of (D, N); zeros where there is no channel or state.
DEVICE void load_states(float *h, const float *x, wide at, const Problem &p, const Place &w, float scale = 1.f) {
  const int channel = w.first + w.channel;
#pragma unroll
  for (int i = 0; i < SHARE; i++) {
    const int state = w.lane * SHARE + i;
    h[i] = x && channel < w.stop && state < STATES ? x[(at * p.channels + channel) * STATES + state] * scale : 0.f;
  }
}

DEVICE void store_states(const float *h, float *x, wide at, const Problem &p, const Place &w, bool add = false) {
  const int channel = w.first + w.channel, state = w.lane * SHARE;
  if (channel >= w.stop) return;
  float *y = x + (at * p.channels + channel) * STATES + state;
  if constexpr (SHARE % 4 == 0 && STATES == PADDED) {
#pragma unroll
    for (int i = 0; i < SHARE; i += 4) {
      float4 v = make_float4(h[i], h[i + 1], h[i + 2], h[i + 3]);
      if (add) {
        const float4 before = *(const float4 *)(y + i);
        v = make_float4(before.x + v.x, before.y + v.y, before.z + v.z, before.w + v.w);
      }
      *(float4 *)(y + i) = v;
    }
  } else {
#pragma unroll
    for (int i = 0; i < SHARE; i++)
      if (state + i < STATES) y[i] = add ? y[i] + h[i] : h[i];
  }
}

DEVICE void copy(float *to, const float *from) {
#pragma unroll
  for (int i = 0; i < SHARE; i++) to[i] = from[i];
}

DEVICE float step_size(float raw) {
#if SOFTPLUS
  return softplus(raw);
#else
  return raw;
#endif
}

// e^(step A). Past the end, a state stays as it is, whatever A: 0 times infinity is not a number.
DEVICE float decay(float step, float scaled_A, bool inside) { return inside ? exp2_(step * scaled_A) : 1.f; }

// A thread's share of a row of B or C: from the staged tile, or from its registers where the row is always the same.
template <bool FIXED>
DEVICE void row_of(float *row, const float *fixed, const float *rows, int t, const Place &w) {
  if constexpr (FIXED) {
#pragma unroll
    for (int i = 0; i < SHARE; i++) row[i] = fixed[i];
  } else {
    fetch<SHARE>(row, rows + t * ROW + w.lane * SHARE);
  }
}

// Whole tiles and the last one are compiled apart: only that one asks at each step whether it is inside.
template <bool VALUE>
struct Flag {
  static constexpr bool value = VALUE;
};

// The state that reaches a segment, or its gradient, from what the segments before it, or after it, end with.
DEVICE void arrive(float *h, const float *scaled_A, const Problem &p, const Place &w, bool backward) {
  const int channel = w.first + w.channel, count = backward ? p.segments - 1 - w.segment : w.segment;
#pragma unroll 4
  for (int k = 0; k < count; k++) {
    const wide at = (wide)(backward ? p.segments - 1 - k : k) * p.batch + w.sequence;
    const float steps = channel < w.stop ? p.steps[at * p.channels + channel] : 0.f;
    float end[SHARE];
    load_states(end, p.ends, at, p, w);
    const bool passes = !PACKED || p.crossed[at] == 0.f;
#pragma unroll
    for (int i = 0; i < SHARE; i++) h[i] = passes ? fmaf(exp2_(scaled_A[i] * steps), h[i], end[i]) : end[i];
  }
}
