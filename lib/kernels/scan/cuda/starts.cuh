// The gradient that a segment of time sends to the state before it: what it adds to a gradient of zero after it.
#pragma once
#include "borders.cuh"
#include "tiles.cuh"

// Where the last tile of a segment starts; before the first one if the segment is empty.
DEVICE int last_tile(const Place &w) {
  return w.from < w.to ? w.from + (w.to - w.from - 1) / TILE_BACK * TILE_BACK : w.from - TILE_BACK;
}

typedef Sequences<TILE_BACK> S;
typedef Rows<TILE_BACK, TIME_FIRST_B, VECTOR_B> RowsB;
typedef Rows<TILE_BACK, TIME_FIRST_C, VECTOR_C> RowsC;

DEVICE float gated(float grad, const typename S::Vector &z, int i) {
  if (!HAS_Z) return grad;
  const float gate = z.get(i);
  return grad * gate * sigmoid(gate);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) segment_starts(Problem p) {
  constexpr int V = S::V, GROUPS = S::GROUPS;
  SHARED(float2, pairs, TILE_BACK * ROW_PAIRS);  // step size, gradient of y
  SHARED(float, rows_C, FIXED_C ? 4 : TILE_BACK * ROW);
  SHARED(float, shared_bias, CHANNELS);
  SHARED(bool, borders, PACKED ? TILE_BACK : 1);
  bool crossed = false;
  Place w = place(p);
  w.segment++, w.from += p.span, w.to = min(w.from + p.span, p.stop);  // nothing comes before the first
  if (w.thread < CHANNELS)
    shared_bias[w.thread] = HAS_BIAS && w.first + w.thread < w.stop ? p.bias[w.first + w.thread] : 0.f;
  float a[SHARE], grad[SHARE], fixed_c[SHARE], sum = 0.f;
  load_states(a, p.A, 0, p, w, LOG2_E);
  if (FIXED_C) load_states(fixed_c, p.fixed_C, 0, p, w);
#pragma unroll
  for (int i = 0; i < SHARE; i++) grad[i] = 0.f;
  const int last = last_tile(w);
  const element *delta = p.delta + S::offset(p.stride_delta, w, last);
  const element *grad_out = p.grad_out + S::offset(p.stride_grad_out, w, last);
  const element *z = HAS_Z ? p.z + S::offset(p.stride_z, w, last) : nullptr;
  const element *C = FIXED_C ? nullptr : p.C + RowsC::offset(p.stride_C, w.first / p.group_C, w, last);
  typename S::Vector next_delta[GROUPS], next_grad[GROUPS], next_z[GROUPS];
  typename RowsC::Vector next_C[RowsC::GROUPS];
  S::load(next_delta, delta, p.stride_delta, w, last);
  S::load(next_grad, grad_out, p.stride_grad_out, w, last);
  if (HAS_Z) S::load(next_z, z, p.stride_z, w, last);
  if (!FIXED_C) RowsC::load(next_C, C, p.stride_C, w, last);
  __syncthreads();
#pragma unroll 1
  for (int start = last; start >= w.from; start -= TILE_BACK) {
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      float step[V], dy[V], bias[V];
      S::by_channel(bias, shared_bias, w.thread, g);
#pragma unroll
      for (int i = 0; i < V; i++) {
        const float size = step_size(next_delta[g].get(i) + bias[i]);
        step[i] = start + S::step(w.thread, g, i) < w.to ? size : 0.f;
        dy[i] = gated(next_grad[g].get(i), next_z[g], i);
      }
      S::put_pairs(pairs, w.thread, g, step, dy);
    }
    if (!FIXED_C) RowsC::put(rows_C, next_C, w.thread);
    put_borders(borders, TILE_BACK, p, w, start);
    __syncthreads();
    if (start > w.from) {
      const int before = start - TILE_BACK;
      S::load(next_delta, delta -= TILE_BACK * p.stride_delta[2], p.stride_delta, w, before);
      S::load(next_grad, grad_out -= TILE_BACK * p.stride_grad_out[2], p.stride_grad_out, w, before);
      if (HAS_Z) S::load(next_z, z -= TILE_BACK * p.stride_z[2], p.stride_z, w, before);
      if (!FIXED_C) RowsC::load(next_C, C -= TILE_BACK * p.stride_C[3], p.stride_C, w, before);
    }
    const auto advance = [&](auto partly) {
#pragma unroll UNROLL
      for (int t = TILE_BACK - 1; t >= 0; t--) {
        const float2 x = pairs[t * ROW_PAIRS + w.channel];
        float c[SHARE];
        row_of<FIXED_C>(c, fixed_c, rows_C, t, w);
#pragma unroll
        for (int i = 0; i < SHARE; i++)
          grad[i] = fmaf(x.y, c[i], grad[i]) * decay(x.x, a[i], !partly.value || start + t < w.to);
        sum += x.x;
        if (PACKED && borders[t]) enter_back(grad, p, w, start + t), crossed = true;
      }
    };
    if (start + TILE_BACK <= w.to)
      advance(Flag<false>());
    else
      advance(Flag<true>());
    __syncthreads();
  }
  const wide at = (wide)w.segment * p.batch + w.sequence;
  store_states(grad, p.ends, at, p, w);
  if (w.lane == 0 && w.first + w.channel < w.stop) p.steps[at * p.channels + w.first + w.channel] = sum;
  if (PACKED && w.thread == 0) p.crossed[at] = crossed;
}
