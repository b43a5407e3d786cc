// Sums over lanes of a warp, by a butterfly that transposes: V sums over L lanes take V - V / L shuffles, not V log L.
#pragma once
#include "elements.cuh"

// Sum v over the lanes that differ in the bits FROM .. TO / 2; afterwards each lane holds some of the V sums, v[0 ..],
// from number `spot` on. Where there are fewer sums than lanes, several lanes hold one, and `owner` is the first.
template <int V, int FROM, int TO>
DEVICE void scatter(float *v, int lane) {
  if constexpr (FROM < TO) {
    if constexpr (V > 1) {
      const bool upper_half = lane & FROM;
#pragma unroll
      for (int i = 0; i < V / 2; i++) {
        const float give = upper_half ? v[i] : v[i + V / 2], keep = upper_half ? v[i + V / 2] : v[i];
        v[i] = keep + __shfl_xor_sync(0xffffffffu, give, FROM);
      }
      scatter<V / 2, FROM * 2, TO>(v, lane);
    } else {
      v[0] += __shfl_xor_sync(0xffffffffu, v[0], FROM);
      scatter<1, FROM * 2, TO>(v, lane);
    }
  }
}

template <int V, int FROM, int TO>
DEVICE int spot(int lane) {
  if constexpr (FROM < TO && V > 1)
    return ((lane & FROM) ? V / 2 : 0) + spot<V / 2, FROM * 2, TO>(lane);
  else
    return 0;
}

template <int V, int FROM, int TO>
DEVICE bool owner(int lane) {
  if constexpr (FROM < TO)
    return (V > 1 || !(lane & FROM)) && owner<(V > 1 ? V / 2 : 1), FROM * 2, TO>(lane);
  else
    return true;
}

DEVICE constexpr int held(int sums, int lanes) { return sums > lanes ? sums / lanes : 1; }
