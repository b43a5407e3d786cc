// A block of CUDA threads on a CPU, for tests: each thread is a fiber, which runs until it has to wait for others.
//
// A warp runs alone until all of its threads wait for the block: what a kernel shares between warps without a barrier
// comes out wrong under one order of warps or another (`order`). Shared memory is NaN when a block starts.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>

#define DEVICE inline
#define __device__
#define __global__
#define __launch_bounds__(...)
// The first thread of a block that comes by fills it with NaN.
#define SHARED(type, name, count)             \
  alignas(16) static type name[count];        \
  static unsigned name##_block = 0;           \
  if (name##_block != block) name##_block = block, poison((float *)name, sizeof(name) / sizeof(float));
static unsigned block = 0;
static inline void poison(float *x, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] = NAN;
}

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct Index { int x, y, z; };
static Index threadIdx, blockIdx;
using std::max;
using std::min;

static inline float exp2_(float x) { return exp2f(x); }
static inline float reciprocal(float x) { return 1.f / x; }
static inline unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }
static inline float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }
static inline float from_half(unsigned x) {
  const unsigned short low = x;
  _Float16 y;
  memcpy(&y, &low, 2);
  return y;
}
static inline unsigned to_halves(float low, float high) {
  const _Float16 both[2] = {(_Float16)low, (_Float16)high};
  unsigned y;
  memcpy(&y, both, 4);
  return y;
}

enum Waiting { NOTHING, WARP, BLOCK, ENDED };
constexpr int STACK = 1 << 18, MOST = 1024;
static ucontext_t scheduler, fibers[MOST];
static Waiting waiting[MOST];
static float passed[2][MOST];
static unsigned turn[MOST];
static int running;
static void (*body)();

static void wait_for(Waiting what) {
  const int me = running;
  waiting[me] = what;
  swapcontext(&fibers[me], &scheduler);
}
static inline void __syncthreads() { wait_for(BLOCK); }
static inline void __syncwarp() { wait_for(WARP); }
static inline float __shfl_xor_sync(unsigned, float v, int lanes) {
  const int me = running;
  float *slots = passed[turn[me]++ % 2];
  slots[me] = v;
  wait_for(WARP);
  return slots[me ^ lanes];
}
static void start() {
  body();
  waiting[running] = ENDED;
  swapcontext(&fibers[running], &scheduler);
}

static void run_thread(int i) {
  running = i, threadIdx = {i, 0, 0}, waiting[i] = NOTHING;
  swapcontext(&scheduler, &fibers[i]);
}
static void fail(const char *what) {
  fprintf(stderr, "block (%d, %d, %d): %s\n", blockIdx.x, blockIdx.y, blockIdx.z, what);
  abort();
}

// Threads in a warp, and warps in a block, each in the order that is asked for.
static void run_block(int threads, std::mt19937 &random, int order) {
  static char *stacks = (char *)malloc((size_t)MOST * STACK);
  block++;
  for (int i = 0; i < threads; i++) {
    getcontext(&fibers[i]);
    fibers[i].uc_stack.ss_sp = stacks + (size_t)i * STACK, fibers[i].uc_stack.ss_size = STACK;
    fibers[i].uc_link = nullptr, waiting[i] = NOTHING, turn[i] = 0;
    makecontext(&fibers[i], start, 0);
  }
  int warps[MOST / 32], lanes[32];
  std::iota(warps, warps + threads / 32, 0), std::iota(lanes, lanes + 32, 0);
  for (bool alive = true; alive;) {
    alive = false;
    if (order == 1) std::reverse(warps, warps + threads / 32), std::reverse(lanes, lanes + 32);
    if (order > 1) std::shuffle(warps, warps + threads / 32, random), std::shuffle(lanes, lanes + 32, random);
    for (int w = 0; w < threads / 32; w++) {
      Waiting *state = waiting + warps[w] * 32;
      if (state[0] == ENDED) continue;
      do {
        for (int lane : lanes)
          if (state[lane] != ENDED) run_thread(warps[w] * 32 + lane);
        if (std::count(state, state + 32, state[0]) != 32 && std::count(state, state + 32, ENDED) == 0)
          fail("the threads of a warp wait at different barriers");
      } while (std::count(state, state + 32, WARP) == 32);
      alive |= std::count(state, state + 32, ENDED) != 32;
    }
    if (const auto held = std::count(waiting, waiting + threads, BLOCK); held && held != threads)
      fail("some threads wait for the block, others have ended");
  }
}

template <class Argument> static int run_grid(void (*kernel)(Argument), const void *argument, const int *grid, int threads, int order) {
  static Argument given;
  static void (*chosen)(Argument);
  memcpy(&given, argument, sizeof(Argument)), chosen = kernel;
  body = [] { chosen(given); };
  std::mt19937 random(order);
  for (int z = 0; z < grid[2]; z++)
    for (int y = 0; y < grid[1]; y++)
      for (int x = 0; x < grid[0]; x++) blockIdx = {x, y, z}, run_block(threads, random, order);
  return 0;
}
