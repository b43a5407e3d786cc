// The selective scan forward. With several segments, `segment_ends` runs first: all of them but the last, side by side.
#include "walk.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) outputs(Problem p) { walk<OUTPUTS>(p); }
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) segment_ends(Problem p) { walk<ENDS>(p); }
