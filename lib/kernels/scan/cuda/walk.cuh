// The walk forward through time, once for each of three ends: outputs, ends of segments, states to start again from.
//
// A block holds CHANNELS channels of one sequence and walks over TILE steps at a time. Its threads read the next tile
// into registers while they work on this one, make step sizes once a token and channel, and pass them on through
// shared memory; states stay in registers from the first token to the last.
#pragma once
#include "borders.cuh"
#include "lanes.cuh"
#include "tiles.cuh"

enum { OUTPUTS, ENDS, STATES_OF_TILES };

template <int WANTED>
DEVICE void walk(const Problem &p) {
  constexpr bool FULL = WANTED == OUTPUTS;
  typedef Sequences<TILE> S;
  typedef Rows<TILE, TIME_FIRST_B, VECTOR_B> RowsB;
  typedef Rows<TILE, TIME_FIRST_C, VECTOR_C> RowsC;
  constexpr int V = S::V, GROUPS = S::GROUPS;
  SHARED(float2, pairs, TILE * ROW_PAIRS);  // step size, and step size times input
  SHARED(float, outs, FULL ? TILE * ROW_OUT : 4);
  SHARED(float, rows_B, FIXED_B ? 4 : TILE * ROW);
  SHARED(float, rows_C, FULL && !FIXED_C ? TILE * ROW : 4);
  SHARED(float, shared_D, CHANNELS);
  SHARED(float, shared_bias, CHANNELS);
  SHARED(bool, borders, PACKED ? TILE : 1);
  bool crossed = false;

  Place w = place(p);
  int kept_from = w.from;
  if (WANTED == STATES_OF_TILES) {  // from the last kept state on, which may lie before the slice
    kept_from = p.first;
    w.from = (p.first / CHECKPOINT + w.segment) * CHECKPOINT;
    w.to = min(w.from + CHECKPOINT, p.stop);
  }
  if (w.thread < CHANNELS) {
    const int channel = w.first + w.thread;
    shared_D[w.thread] = HAS_D && channel < w.stop ? p.D[channel] : 0.f;
    shared_bias[w.thread] = HAS_BIAS && channel < w.stop ? p.bias[channel] : 0.f;
  }
  float a[SHARE], h[SHARE], fixed_b[SHARE], fixed_c[SHARE], sum = 0.f;
  load_states(a, p.A, 0, p, w, LOG2_E);  // e^(step A) is 2^(step a)
  if (FIXED_B) load_states(fixed_b, p.fixed_B, 0, p, w);
  if (FIXED_C && FULL) load_states(fixed_c, p.fixed_C, 0, p, w);
  if (WANTED == STATES_OF_TILES)
    load_states(h, p.saved, (wide)(w.from / CHECKPOINT) * p.batch + w.sequence, p, w);
  else
    load_states(h, FULL ? p.initial : nullptr, state_row(p, w, 0), p, w);  // a segment's end is what it adds to zeros
  if (FULL) arrive(h, a, p, w, false);

  typename S::Vector next_u[GROUPS], next_delta[GROUPS], now_z[GROUPS];
  typename RowsB::Vector next_B[RowsB::GROUPS];
  typename RowsC::Vector next_C[RowsC::GROUPS];
  const element *u = p.u + S::offset(p.stride_u, w, w.from), *delta = p.delta + S::offset(p.stride_delta, w, w.from);
  const element *z = FULL && HAS_Z ? p.z + S::offset(p.stride_z, w, w.from) : nullptr;
  element *out = FULL ? p.out + S::offset(p.stride_out, w, w.from) : nullptr;
  const element *B = FIXED_B ? nullptr : p.B + RowsB::offset(p.stride_B, w.first / p.group_B, w, w.from);
  const element *C = FIXED_C || !FULL ? nullptr : p.C + RowsC::offset(p.stride_C, w.first / p.group_C, w, w.from);
  S::load(next_u, u, p.stride_u, w, w.from);
  S::load(next_delta, delta, p.stride_delta, w, w.from);
  if (!FIXED_B) RowsB::load(next_B, B, p.stride_B, w, w.from);
  if (!FIXED_C && FULL) RowsC::load(next_C, C, p.stride_C, w, w.from);
  __syncthreads();

#pragma unroll 1
  for (int start = w.from; start < w.to; start += TILE) {
    float skip[GROUPS][V];
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      float step[V], inflow[V], bias[V], D[V];
      S::by_channel(bias, shared_bias, w.thread, g);
      S::by_channel(D, shared_D, w.thread, g);
#pragma unroll
      for (int i = 0; i < V; i++) {
        const float x = next_u[g].get(i), size = step_size(next_delta[g].get(i) + bias[i]);
        step[i] = start + S::step(w.thread, g, i) < w.to ? size : 0.f;  // no step: the state stays
        inflow[i] = step[i] * x;
        skip[g][i] = HAS_D ? x * D[i] : 0.f;
      }
      S::put_pairs(pairs, w.thread, g, step, inflow);
    }
    if (!FIXED_B) RowsB::put(rows_B, next_B, w.thread);
    if (!FIXED_C && FULL) RowsC::put(rows_C, next_C, w.thread);
    put_borders(borders, TILE, p, w, start);
    __syncthreads();
    if (start + TILE < w.to) {
      u += TILE * p.stride_u[2], delta += TILE * p.stride_delta[2];
      S::load(next_u, u, p.stride_u, w, start + TILE);
      S::load(next_delta, delta, p.stride_delta, w, start + TILE);
      if (!FIXED_B) RowsB::load(next_B, B += TILE * p.stride_B[3], p.stride_B, w, start + TILE);
      if (!FIXED_C && FULL) RowsC::load(next_C, C += TILE * p.stride_C[3], p.stride_C, w, start + TILE);
    }
    if (FULL && HAS_Z) S::load(now_z, z, p.stride_z, w, start);
    if (FULL && KEEP && start % CHECKPOINT == 0)
      store_states(h, p.saved, (wide)(start / CHECKPOINT) * p.batch + w.sequence, p, w);

    const auto advance = [&](auto partly) {
#pragma unroll 1
      for (int t = 0; t < TILE; t += UNROLL) {
        if (WANTED == STATES_OF_TILES && t % TILE_BACK == 0 && start + t >= kept_from && start + t < w.to)
          store_states(h, p.dense, (wide)((start + t - kept_from) / TILE_BACK) * p.batch + w.sequence, p, w);
        float y[UNROLL];
#pragma unroll
        for (int s = 0; s < UNROLL; s++) {
          const float2 x = pairs[(t + s) * ROW_PAIRS + w.channel];
          float b[SHARE], c[SHARE];
          row_of<FIXED_B>(b, fixed_b, rows_B, t + s, w);
          if (FULL) row_of<FIXED_C>(c, fixed_c, rows_C, t + s, w);
          y[s] = 0.f;
          if (PACKED && borders[t + s]) {
            const int now = start + t + s;
            if (FULL && p.sequences) store_states(h, p.last, state_row(p, w, now - 1), p, w);
            enter(h, p, w, now);
            crossed = true;
          }
#pragma unroll
          for (int i = 0; i < SHARE; i++) {
            h[i] = fmaf(decay(x.x, a[i], !partly.value || start + t + s < w.to), h[i], x.y * b[i]);
            if (FULL) y[s] = i ? fmaf(h[i], c[i], y[s]) : h[i] * c[i];
          }
          if (WANTED == ENDS) sum += x.x;
        }
        if constexpr (FULL) {
          scatter<UNROLL, 1, LANES>(y, w.thread);
          if (owner<UNROLL, 1, LANES>(w.thread)) {
            const int at = t + spot<UNROLL, 1, LANES>(w.thread);
#pragma unroll
            for (int i = 0; i < held(UNROLL, LANES); i++) outs[(at + i) * ROW_OUT + w.channel] = y[i];
          }
        }
      }
    };
    if (start + TILE <= w.to)
      advance(Flag<false>());
    else
      advance(Flag<true>());
    __syncthreads();
    if constexpr (FULL) {
#pragma unroll
      for (int g = 0; g < GROUPS; g++) {
        float y[V];
        S::get(y, outs, w.thread, g);
#pragma unroll
        for (int i = 0; i < V; i++) {
          y[i] += skip[g][i];
          if (HAS_Z) {
            const float gate = now_z[g].get(i);
            y[i] *= gate * sigmoid(gate);
          }
        }
        S::store(out, S::stride(p.stride_out), g, y, S::inside(w, start, g));
      }
      out += TILE * p.stride_out[2];
      if (HAS_Z) z += TILE * p.stride_z[2];
    }
  }
  if (FULL && w.segment == p.segments - 1) store_states(h, p.last, state_row(p, w, p.length - 1), p, w);
  if (WANTED == ENDS) {
    const wide at = (wide)w.segment * p.batch + w.sequence;
    store_states(h, p.ends, at, p, w);
    if (w.lane == 0 && w.first + w.channel < w.stop) p.steps[at * p.channels + w.first + w.channel] = sum;
    if (PACKED && w.thread == 0) p.crossed[at] = crossed;
  }
}
