// Borders between the sequences of one row: no state passes them, and no gradient. A block's threads have one row, so
// that all of them are at the same border at once. States are those before a border wherever they are kept.
#pragma once
#include "problem.cuh"

DEVICE const int *numbers(const Problem &p, const Place &w) { return p.seq_idx + (wide)w.sequence * p.length; }

// For each step of a tile, whether another sequence begins there.
DEVICE void put_borders(bool *borders, int length, const Problem &p, const Place &w, int start) {
  const int t = start + w.thread;
  if (PACKED && w.thread < length) borders[w.thread] = t > 0 && t < w.to && numbers(p, w)[t] != numbers(p, w)[t - 1];
}

// The row of initial and last states at a step.
DEVICE int state_row(const Problem &p, const Place &w, int t) {
  return PACKED && p.sequences ? min(max(numbers(p, w)[t], 0), p.sequences - 1) : w.sequence;
}

// What a sequence that begins at t, and is not a row's first, starts with.
DEVICE void enter(float *h, const Problem &p, const Place &w, int t) {
  load_states(h, p.sequences ? p.initial : nullptr, state_row(p, w, t), p, w);
}

// From the gradient of that to the gradient of what the sequence before it has ended with.
DEVICE void enter_back(float *grad, const Problem &p, const Place &w, int t) {
  load_states(grad, p.sequences ? p.grad_last : nullptr, state_row(p, w, t - 1), p, w);
}
