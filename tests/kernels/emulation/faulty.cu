// Kernels with a fault each, for the tests of the emulation.
#include "elements.cuh"

struct Sums {
  const float *x;
  float *y;
};

extern "C" __global__ void __launch_bounds__(64) right(Sums s) {
  SHARED(float, shared, 64);
  shared[threadIdx.x] = s.x[threadIdx.x];
  __syncthreads();
  s.y[threadIdx.x] = shared[63 - threadIdx.x];
}

extern "C" __global__ void __launch_bounds__(64) no_barrier(Sums s) {
  SHARED(float, shared, 64);
  shared[threadIdx.x] = s.x[threadIdx.x];
  s.y[threadIdx.x] = shared[63 - threadIdx.x];
}

extern "C" __global__ void __launch_bounds__(64) not_written(Sums s) {
  SHARED(float, shared, 64);
  if (threadIdx.x != 5) shared[threadIdx.x] = s.x[threadIdx.x];
  __syncthreads();
  s.y[threadIdx.x] = shared[63 - threadIdx.x];
}

extern "C" __global__ void __launch_bounds__(64) barrier_for_some(Sums s) {
  if (threadIdx.x < 32) __syncthreads();
  s.y[threadIdx.x] = s.x[threadIdx.x];
}
