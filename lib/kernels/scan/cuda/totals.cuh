// Sums of what blocks, segments and sequences left, in an order of their own: the same result every time.
#pragma once
#include "problem.cuh"

DEVICE float total(const float *x, wide apart, int count) {
  float sum = 0.f;
#pragma unroll 8
  for (int k = 0; k < count; k++) sum += x[k * apart];
  return sum;
}

// One row of B or C of one group: the sum over the blocks that hold its channels.
DEVICE void rows_total(const Problem &p, wide i, bool of_C) {
  const int tokens = p.stop - p.first, group_size = of_C ? p.group_C : p.group_B, groups = p.channels / group_size;
  const int state = i % STATES, group = i / STATES % groups, t = i / STATES / groups % tokens;
  const int sequence = i / STATES / groups / tokens, blocks = group_size / p.run * p.blocks_of_run;
  const wide apart = (wide)p.batch * tokens * VARYING;
  const float sum = total(p.part_rows + group * blocks * apart + ((wide)sequence * tokens + t) * VARYING +
                              (of_C && !FIXED_B ? STATES : 0) + state,
                          apart, blocks);
  const wide *stride = of_C ? p.stride_grad_C : p.stride_grad_B;
  Packed<1> packed;
  packed.set(&sum);
  *(Packed<1> *)((of_C ? p.grad_C : p.grad_B) + sequence * stride[0] + group * stride[1] + state * stride[2] +
                 (wide)(p.first + t) * stride[3]) = packed;
}

extern "C" __global__ void __launch_bounds__(THREADS) totals(Problem p) {
  wide i = (wide)blockIdx.x * THREADS + threadIdx.x;
  const wide rows = (wide)p.batch * (p.stop - p.first) * STATES;
  const wide rows_B = FIXED_B ? 0 : rows * (p.channels / p.group_B),
             rows_C = FIXED_C ? 0 : rows * (p.channels / p.group_C);
  if (i < rows_B) return rows_total(p, i, false);
  if ((i -= rows_B) < rows_C) return rows_total(p, i, true);
  i -= rows_C;
  const wide matrix = (wide)p.channels * STATES;
  const int parts = p.segments * p.batch;
  if (!p.finish) return;
  if (i < matrix) {
    p.grad_A[i] = total(p.part_A + i, matrix, parts);
    if (FIXED_B) p.grad_fixed_B[i] = total(p.part_B + i, matrix, parts);
    if (FIXED_C) p.grad_fixed_C[i] = total(p.part_C + i, matrix, parts);
  } else if ((i -= matrix) < p.channels) {
    if (HAS_D) p.grad_D[i] = total(p.part_D + i, p.channels, parts);
    if (HAS_BIAS) p.grad_bias[i] = total(p.part_bias + i, p.channels, parts);
  }
}
