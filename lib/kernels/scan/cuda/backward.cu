// The selective scan backward, one slice of time after another from the last one, so that memory is that of a slice.
//
//   tile_states     states at the start of each tile of the slice, from those that the forward pass kept
//   segment_starts  with several segments: the gradient that each but the first sends to the state before it
//   gradients       all gradients; those of B and C summed over a block's channels, those of A, D, bias over time
//   totals          sums over blocks, segments and sequences, in an order of their own: the same result every time
//
// With g[t] = dL/dh[t]: g[t] = C[t] dy[t] + a[t+1] g[t+1], where a[t] = e^(step[t] A).
#include "gradients.cuh"
#include "totals.cuh"
#include "walk.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) tile_states(Problem p) { walk<STATES_OF_TILES>(p); }
