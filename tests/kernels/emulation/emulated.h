// A block of CUDA threads on a CPU, for tests: each thread is a fiber, which runs until it has to wait for others.
//
// A warp runs alone until all of its threads wait for the block: what a kernel shares between warps without a barrier
// comes out wrong under one order of warps or another (`order`). Shared memory is NaN when a block starts.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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
static inline int max(int a, int b) { return a < b ? b : a; }
static inline int min(int a, int b) { return b < a ? b : a; }

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
static ucontext_t fibers[MOST];       // where threads start; from then on they jump, which takes no system call
static jmp_buf scheduler, places[MOST];
static bool started[MOST];
static Waiting waiting[MOST];
static float passed[2][MOST];
static unsigned turn[MOST];
static int running;
static void (*body)();

static void wait_for(Waiting what) {
  const int me = running;
  waiting[me] = what;
  if (!_setjmp(places[me])) _longjmp(scheduler, 1);
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
  _longjmp(scheduler, 1);
}

static void run_thread(int i) {
  running = i, threadIdx = {i, 0, 0}, waiting[i] = NOTHING;
  if (_setjmp(scheduler)) return;
  if (started[i]) _longjmp(places[i], 1);
  started[i] = true, setcontext(&fibers[i]);
}
static void fail(const char *what) {
  fprintf(stderr, "block (%d, %d, %d): %s\n", blockIdx.x, blockIdx.y, blockIdx.z, what);
  abort();
}

static int count(const Waiting *first, int n, int what) {
  int found = 0;
  for (int i = 0; i < n; i++) found += first[i] == what;
  return found;
}
// Reversed, or shuffled by a generator that is good enough for it: Lehmer's.
static void reorder(int *x, int n, int order, unsigned long long &random) {
  for (int i = n - 1; i > 0; i--) {
    random = random * 48271 % 2147483647;
    const int j = order == 1 ? n - 1 - i : random % (i + 1);
    if (order == 1 && j >= i) break;
    const int kept = x[i];
    x[i] = x[j], x[j] = kept;
  }
}

// Threads in a warp, and warps in a block, each in the order that is asked for.
static void run_block(int threads, unsigned long long &random, int order) {
  static char *stacks = (char *)malloc((size_t)MOST * STACK);
  block++;
  for (int i = 0; i < threads; i++) {
    getcontext(&fibers[i]);
    fibers[i].uc_stack.ss_sp = stacks + (size_t)i * STACK, fibers[i].uc_stack.ss_size = STACK;
    fibers[i].uc_link = nullptr, waiting[i] = NOTHING, turn[i] = 0, started[i] = false;
    makecontext(&fibers[i], start, 0);
  }
  int warps[MOST / 32], lanes[32];
  for (int i = 0; i < threads / 32; i++) warps[i] = i;
  for (int i = 0; i < 32; i++) lanes[i] = i;
  for (bool alive = true; alive;) {
    alive = false;
    if (order) reorder(warps, threads / 32, order, random), reorder(lanes, 32, order, random);
    for (int w = 0; w < threads / 32; w++) {
      Waiting *state = waiting + warps[w] * 32;
      if (state[0] == ENDED) continue;
      do {
        for (int lane : lanes)
          if (state[lane] != ENDED) run_thread(warps[w] * 32 + lane);
        if (count(state, 32, state[0]) != 32 && count(state, 32, ENDED) == 0)
          fail("the threads of a warp wait at different barriers");
      } while (count(state, 32, WARP) == 32);
      alive |= count(state, 32, ENDED) != 32;
    }
    if (const int held = count(waiting, threads, BLOCK); held && held != threads)
      fail("some threads wait for the block, others have ended");
  }
}

template <class Argument> static int run_grid(void (*kernel)(Argument), const void *argument, const int *grid, int threads, int order) {
  static Argument given;
  static void (*chosen)(Argument);
  memcpy(&given, argument, sizeof(Argument)), chosen = kernel;
  body = [] { chosen(given); };
  unsigned long long random = order + 1;
  for (int z = 0; z < grid[2]; z++)
    for (int y = 0; y < grid[1]; y++)
      for (int x = 0; x < grid[0]; x++) blockIdx = {x, y, z}, run_block(threads, random, order);
  return 0;
}
