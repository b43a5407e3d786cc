// All gradients of a slice of time, tile after tile from its end, with the states of a tile computed once more.
#pragma once
#include "borders.cuh"
#include "lanes.cuh"
#include "starts.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_BACK) gradients(Problem p) {
  constexpr int V = S::V, GROUPS = S::GROUPS, SUBS = TILE_BACK / SUB;
  constexpr int SUMS = 2 * SHARE, SUMS_HELD = held(SUMS, 32 / LANES), OVER_LANES = held(SUB, LANES);
  SHARED(float2, pairs, TILE_BACK * ROW_PAIRS);  // step size, step size times input; then two sums
  SHARED(float, outs, TILE_BACK *ROW_OUT);       // the gradient of y, then y
  SHARED(float, rows_B, FIXED_B ? 4 : TILE_BACK * ROW);
  SHARED(float, rows_C, FIXED_C ? 4 : TILE_BACK * ROW);
  SHARED(float, by_warp, VARYING ? WARPS * TILE_BACK * 2 * PADDED : 1);  // gradients of B and C
  SHARED(float, starts, (SUBS > 1 ? SUBS - 1 : 1) * SHARE * THREADS);    // states at the start of each sub-tile
  SHARED(float, shared_D, CHANNELS);
  SHARED(float, shared_bias, CHANNELS);
  SHARED(bool, borders, PACKED ? TILE_BACK : 1);
  const Place w = place(p);
  const int warp = w.thread / 32;
  if (w.thread < CHANNELS) {
    const int channel = w.first + w.thread;
    shared_D[w.thread] = HAS_D && channel < w.stop ? p.D[channel] : 0.f;
    shared_bias[w.thread] = HAS_BIAS && channel < w.stop ? p.bias[channel] : 0.f;
  }
  float a[SHARE], grad[SHARE], sum_A[SHARE], sum_B[SHARE], sum_C[SHARE], fixed_b[SHARE], fixed_c[SHARE], next_h[SHARE];
  load_states(a, p.A, 0, p, w, LOG2_E);
  load_states(grad, p.carry, p.stop == p.length ? state_row(p, w, p.length - 1) : w.sequence, p, w);
  if (FIXED_B) load_states(fixed_b, p.fixed_B, 0, p, w);
  if (FIXED_C) load_states(fixed_c, p.fixed_C, 0, p, w);
  arrive(grad, a, p, w, true);
#pragma unroll
  for (int i = 0; i < SHARE; i++) sum_A[i] = sum_B[i] = sum_C[i] = 0.f;
  float sum_D[S::OWN], sum_bias[S::OWN];
#pragma unroll
  for (int i = 0; i < S::OWN; i++) sum_D[i] = sum_bias[i] = 0.f;

  const int last = last_tile(w);
  const element *u = p.u + S::offset(p.stride_u, w, last), *delta = p.delta + S::offset(p.stride_delta, w, last);
  const element *grad_out = p.grad_out + S::offset(p.stride_grad_out, w, last);
  const element *z = HAS_Z ? p.z + S::offset(p.stride_z, w, last) : nullptr;
  const element *B = FIXED_B ? nullptr : p.B + RowsB::offset(p.stride_B, w.first / p.group_B, w, last);
  const element *C = FIXED_C ? nullptr : p.C + RowsC::offset(p.stride_C, w.first / p.group_C, w, last);
  element *grad_u = p.grad_u + S::offset(p.stride_grad_u, w, last);
  element *grad_delta = p.grad_delta + S::offset(p.stride_grad_delta, w, last);
  element *grad_z = HAS_Z ? p.grad_z + S::offset(p.stride_grad_z, w, last) : nullptr;
  typename S::Vector now_u[GROUPS], now_delta[GROUPS], now_grad[GROUPS], now_z[GROUPS];
  typename RowsB::Vector next_B[RowsB::GROUPS];
  typename RowsC::Vector next_C[RowsC::GROUPS];
  S::load(now_u, u, p.stride_u, w, last);
  S::load(now_delta, delta, p.stride_delta, w, last);
  S::load(now_grad, grad_out, p.stride_grad_out, w, last);
  if (HAS_Z) S::load(now_z, z, p.stride_z, w, last);
  if (!FIXED_B) RowsB::load(next_B, B, p.stride_B, w, last);
  if (!FIXED_C) RowsC::load(next_C, C, p.stride_C, w, last);
  // States at the start of each tile: all of time's, from the forward pass, or this slice's, from `tile_states`.
  const float *starting = CHECKPOINT == TILE_BACK ? p.saved : p.dense;
  const int origin = CHECKPOINT == TILE_BACK ? 0 : p.first;
  load_states(next_h, w.from < w.to ? starting : nullptr, (wide)((last - origin) / TILE_BACK) * p.batch + w.sequence, p,
              w);
  __syncthreads();

#pragma unroll 1
  for (int start = last; start >= w.from; start -= TILE_BACK) {
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      float step[V], inflow[V], dy[V], bias[V];
      S::by_channel(bias, shared_bias, w.thread, g);
#pragma unroll
      for (int i = 0; i < V; i++) {
        const float size = step_size(now_delta[g].get(i) + bias[i]);
        step[i] = start + S::step(w.thread, g, i) < w.to ? size : 0.f;
        inflow[i] = step[i] * now_u[g].get(i);
        dy[i] = gated(now_grad[g].get(i), now_z[g], i);
      }
      S::put_pairs(pairs, w.thread, g, step, inflow);
      S::put(outs, w.thread, g, dy);
    }
    if (!FIXED_B) RowsB::put(rows_B, next_B, w.thread);
    if (!FIXED_C) RowsC::put(rows_C, next_C, w.thread);
    put_borders(borders, TILE_BACK, p, w, start);
    float h[SHARE];
    copy(h, next_h);
    __syncthreads();
    if (start > w.from) {
      const int before = start - TILE_BACK;
      S::load(now_u, u - TILE_BACK * p.stride_u[2], p.stride_u, w, before);
      S::load(now_delta, delta - TILE_BACK * p.stride_delta[2], p.stride_delta, w, before);
      S::load(now_grad, grad_out - TILE_BACK * p.stride_grad_out[2], p.stride_grad_out, w, before);
      if (HAS_Z) S::load(now_z, z - TILE_BACK * p.stride_z[2], p.stride_z, w, before);
      if (!FIXED_B) RowsB::load(next_B, B -= TILE_BACK * p.stride_B[3], p.stride_B, w, before);
      if (!FIXED_C) RowsC::load(next_C, C -= TILE_BACK * p.stride_C[3], p.stride_C, w, before);
      load_states(next_h, starting, (wide)((before - origin) / TILE_BACK) * p.batch + w.sequence, p, w);
    }
    const auto retreat = [&](auto partly) {
#pragma unroll 1
      for (int k = 0; k < SUBS - 1; k++) {
#pragma unroll
        for (int i = 0; i < SHARE; i++) starts[(k * SHARE + i) * THREADS + w.thread] = h[i];
#pragma unroll
        for (int s = 0; s < SUB; s++) {
          const float2 x = pairs[(k * SUB + s) * ROW_PAIRS + w.channel];
          float b[SHARE];
          row_of<FIXED_B>(b, fixed_b, rows_B, k * SUB + s, w);
          if (PACKED && borders[k * SUB + s]) enter(h, p, w, start + k * SUB + s);
#pragma unroll
          for (int i = 0; i < SHARE; i++)
            h[i] = fmaf(decay(x.x, a[i], !partly.value || start + k * SUB + s < w.to), h[i], x.y * b[i]);
        }
      }
#pragma unroll 1
      for (int k = SUBS - 1; k >= 0; k--) {
        if (k < SUBS - 1) {
#pragma unroll
          for (int i = 0; i < SHARE; i++) h[i] = starts[(k * SHARE + i) * THREADS + w.thread];
        }
        float decays[SUB][SHARE], states[SUB + 1][SHARE];
#pragma unroll
        for (int s = 0; s < SUB; s++) {
          const float2 x = pairs[(k * SUB + s) * ROW_PAIRS + w.channel];
          float b[SHARE];
          row_of<FIXED_B>(b, fixed_b, rows_B, k * SUB + s, w);
          copy(states[s], h);
          if (PACKED && borders[k * SUB + s]) enter(h, p, w, start + k * SUB + s);
#pragma unroll
          for (int i = 0; i < SHARE; i++) {
            decays[s][i] = decay(x.x, a[i], !partly.value || start + k * SUB + s < w.to);
            h[i] = fmaf(decays[s][i], h[i], x.y * b[i]);
          }
        }
        copy(states[SUB], h);
        float of_inflow[SUB], of_step[SUB], y[SUB];
#pragma unroll
        for (int s = SUB - 1; s >= 0; s--) {
          const int t = k * SUB + s;
          const float2 x = pairs[t * ROW_PAIRS + w.channel];
          const float dy = outs[t * ROW_OUT + w.channel];
          float b[SHARE], c[SHARE], rows[SUMS];
          row_of<FIXED_B>(b, fixed_b, rows_B, t, w);
          row_of<FIXED_C>(c, fixed_c, rows_C, t, w);
          of_inflow[s] = of_step[s] = y[s] = 0.f;
          float before[SHARE];
          copy(before, states[s]);
          if (PACKED && borders[t]) enter(before, p, w, start + t);
#pragma unroll
          for (int i = 0; i < SHARE; i++) {
            const float here = fmaf(dy, c[i], grad[i]);
            of_inflow[s] = fmaf(here, b[i], of_inflow[s]);
            rows[i] = here * x.y;
            rows[SHARE + i] = dy * states[s + 1][i];
            if (FIXED_B) sum_B[i] += rows[i];
            if (FIXED_C) sum_C[i] += rows[SHARE + i];
            if (HAS_Z) y[s] = fmaf(states[s + 1][i], c[i], y[s]);
            grad[i] = here * decays[s][i];
            const float slope = grad[i] * before[i];  // of the loss in step A
            of_step[s] = fmaf(slope, a[i], of_step[s]);
            sum_A[i] = fmaf(slope, x.x, sum_A[i]);
          }
          if (PACKED && borders[t]) {
            if (p.sequences) store_states(grad, p.grad_initial, state_row(p, w, start + t), p, w);
            enter_back(grad, p, w, start + t);
          }
          if constexpr (VARYING > 0) {
            scatter<SUMS, LANES, 32>(rows, w.thread);
            if (owner<SUMS, LANES, 32>(w.thread)) {
              const int at = spot<SUMS, LANES, 32>(w.thread);
#pragma unroll
              for (int i = 0; i < SUMS_HELD; i++) {
                const int of_C = (at + i) / SHARE, state = w.lane * SHARE + (at + i) % SHARE;
                by_warp[((warp * TILE_BACK + t) * 2 + of_C) * PADDED + state] = rows[i];
              }
            }
          }
        }
        scatter<SUB, 1, LANES>(of_inflow, w.thread);
        scatter<SUB, 1, LANES>(of_step, w.thread);
        if (HAS_Z) scatter<SUB, 1, LANES>(y, w.thread);
        __syncwarp();  // a channel's lanes have read what its owners now write over
        if (owner<SUB, 1, LANES>(w.thread)) {
          const int at = spot<SUB, 1, LANES>(w.thread);
#pragma unroll
          for (int i = 0; i < OVER_LANES; i++) {
            const int t = k * SUB + at + i;
            pairs[t * ROW_PAIRS + w.channel] = make_float2(of_inflow[i], of_step[i]);
            if (HAS_Z) outs[t * ROW_OUT + w.channel] = y[i];
          }
        }
      }
    };
    if (start + TILE_BACK <= w.to)
      retreat(Flag<false>());
    else
      retreat(Flag<true>());
    typename S::Vector again_u[GROUPS], again_delta[GROUPS], again_grad[GROUPS], again_z[GROUPS];
    S::load(again_u, u, p.stride_u, w, start);  // from the caches: kept, they would take registers from the states
    S::load(again_delta, delta, p.stride_delta, w, start);
    S::load(again_grad, grad_out, p.stride_grad_out, w, start);
    if (HAS_Z) S::load(again_z, z, p.stride_z, w, start);
    __syncthreads();
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      float of_inflow[V], of_step[V], y[V], bias[V], D[V], du[V], ddelta[V], dz[V];
      S::by_channel(bias, shared_bias, w.thread, g);
      S::by_channel(D, shared_D, w.thread, g);
      S::get_pairs(of_inflow, of_step, pairs, w.thread, g);
      if (HAS_Z) S::get(y, outs, w.thread, g);
      const bool inside = S::inside(w, start, g);
#pragma unroll
      for (int i = 0; i < V; i++) {
        const float x = again_u[g].get(i), raw = again_delta[g].get(i) + bias[i];
        float dy = again_grad[g].get(i);
        if (HAS_Z) {
          const float gate = again_z[g].get(i), s = sigmoid(gate);
          dz[i] = dy * fmaf(D[i], x, y[i]) * s * (1.f + gate * (1.f - s));
          dy *= gate * s;
        }
        ddelta[i] = fmaf(of_step[i], LN_2, of_inflow[i] * x);
        if (SOFTPLUS) ddelta[i] *= sigmoid(raw);
        du[i] = fmaf(of_inflow[i], step_size(raw), D[i] * dy);
        if (inside) sum_D[TIME_FIRST ? g : i] += dy * x, sum_bias[TIME_FIRST ? g : i] += ddelta[i];
      }
      S::store(grad_u, S::stride(p.stride_grad_u), g, du, inside);
      S::store(grad_delta, S::stride(p.stride_grad_delta), g, ddelta, inside);
      if (HAS_Z) S::store(grad_z, S::stride(p.stride_grad_z), g, dz, inside);
    }
    u -= TILE_BACK * p.stride_u[2], delta -= TILE_BACK * p.stride_delta[2];
    grad_out -= TILE_BACK * p.stride_grad_out[2];
    grad_u -= TILE_BACK * p.stride_grad_u[2], grad_delta -= TILE_BACK * p.stride_grad_delta[2];
    if (HAS_Z) z -= TILE_BACK * p.stride_z[2], grad_z -= TILE_BACK * p.stride_grad_z[2];
    if constexpr (VARYING > 0) {
      const wide row = ((wide)blockIdx.x * p.batch + w.sequence) * (p.stop - p.first) + start - p.first;
      for (int i = w.thread; i < TILE_BACK * 2 * PADDED; i += THREADS) {
        const int t = i / (2 * PADDED), of_C = i / PADDED % 2, state = i % PADDED;
        float total = 0.f;
#pragma unroll
        for (int k = 0; k < WARPS; k++) total += by_warp[k * TILE_BACK * 2 * PADDED + i];
        if (start + t < w.to && state < STATES && !(of_C ? FIXED_C : FIXED_B))
          p.part_rows[(row + t) * VARYING + (of_C && !FIXED_B ? STATES : 0) + state] = total;
      }
    }
    __syncthreads();
  }
  const wide at = (wide)w.segment * p.batch + w.sequence;
  if (w.segment == 0) store_states(grad, p.carried, p.first ? w.sequence : state_row(p, w, 0), p, w);
  store_states(sum_A, p.part_A, at, p, w, p.add);
  if (FIXED_B) store_states(sum_B, p.part_B, at, p, w, p.add);
  if (FIXED_C) store_states(sum_C, p.part_C, at, p, w, p.add);
  S::sum_over_steps(outs, sum_D, p.part_D + at * p.channels, p.add, w);
  S::sum_over_steps(outs, sum_bias, p.part_bias + at * p.channels, p.add, w);
}
