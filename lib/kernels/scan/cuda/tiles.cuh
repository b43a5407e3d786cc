// How a block's threads move tiles from memory through registers into shared memory, and back.
#pragma once
#include "problem.cuh"

// A tile of LENGTH steps of the block's channels, of u, delta, z, and what has their shape: each thread has GROUPS
// times V neighbours along the contiguous axis.
template <int LENGTH>
struct Sequences {
  static constexpr int ALL = LENGTH * CHANNELS, EACH = ALL > THREADS ? ALL / THREADS : 1;
  static constexpr int V = VECTOR < EACH ? VECTOR : EACH, GROUPS = EACH / V;
  static constexpr int COLUMNS = TIME_FIRST ? LENGTH / V : CHANNELS / V, STEP = THREADS / COLUMNS;
  static_assert(THREADS % COLUMNS == 0 && EACH % V == 0, "share of a tile");
  typedef Packed<V> Vector;

  static DEVICE int channel(int thread, int g, int i = 0) {
    return TIME_FIRST ? thread / COLUMNS + g * STEP : thread % COLUMNS * V + i;
  }
  static DEVICE int step(int thread, int g, int i = 0) {
    return TIME_FIRST ? thread % COLUMNS * V + i : thread / COLUMNS + g * STEP;
  }
  static DEVICE bool busy(int thread) { return ALL >= THREADS || thread < ALL; }
  static DEVICE bool inside(const Place &w, int start, int g) {
    return busy(w.thread) && start + step(w.thread, g) < w.to && w.first + channel(w.thread, g) < w.stop;
  }
  static DEVICE wide stride(const wide *strides) { return TIME_FIRST ? STEP * strides[1] : STEP * strides[2]; }
  static DEVICE wide offset(const wide *strides, const Place &w, int start) {
    return w.sequence * strides[0] + (wide)(w.first + channel(w.thread, 0)) * strides[1] +
           (wide)(start + step(w.thread, 0)) * strides[2];
  }
  static DEVICE void load(Vector *to, const element *x, const wide *strides, const Place &w, int start) {
    const wide apart = stride(strides);
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      if (inside(w, start, g))
        to[g] = *(const Vector *)(x + g * apart);
      else
        to[g].clear();
    }
  }
  static DEVICE void store(element *x, wide apart, int g, const float *v, bool inside) {
    Vector packed;
    packed.set(v);
    if (inside) *(Vector *)(x + g * apart) = packed;
  }
  static DEVICE void put_pairs(float2 *shared, int thread, int g, const float *a, const float *b) {
    if (!busy(thread)) return;
    float2 *p = shared + step(thread, g) * ROW_PAIRS + channel(thread, g);
    if constexpr (!TIME_FIRST && V % 2 == 0) {
#pragma unroll
      for (int i = 0; i < V; i += 2) *(float4 *)(p + i) = make_float4(a[i], b[i], a[i + 1], b[i + 1]);
    } else {
#pragma unroll
      for (int i = 0; i < V; i++) p[TIME_FIRST ? i * ROW_PAIRS : i] = make_float2(a[i], b[i]);
    }
  }
  static DEVICE void get_pairs(float *a, float *b, const float2 *shared, int thread, int g) {
    const float2 *p = shared + (busy(thread) ? step(thread, g) * ROW_PAIRS + channel(thread, g) : 0);
    if constexpr (!TIME_FIRST && V % 2 == 0) {
#pragma unroll
      for (int i = 0; i < V; i += 2) {
        const float4 x = *(const float4 *)(p + i);
        a[i] = x.x, b[i] = x.y, a[i + 1] = x.z, b[i + 1] = x.w;
      }
    } else {
#pragma unroll
      for (int i = 0; i < V; i++) {
        const float2 x = p[TIME_FIRST ? i * ROW_PAIRS : i];
        a[i] = x.x, b[i] = x.y;
      }
    }
  }
  static DEVICE void put(float *shared, int thread, int g, const float *v) {
    if (!busy(thread)) return;
    float *p = shared + step(thread, g) * ROW_OUT + channel(thread, g);
    if constexpr (!TIME_FIRST && V == 4) {
      *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
    } else {
#pragma unroll
      for (int i = 0; i < V; i++) p[TIME_FIRST ? i * ROW_OUT : i] = v[i];
    }
  }
  static DEVICE void get(float *v, const float *shared, int thread, int g) {
    const float *p = shared + (busy(thread) ? step(thread, g) * ROW_OUT + channel(thread, g) : 0);
    if constexpr (!TIME_FIRST) {
      fetch<V>(v, p);
    } else {
#pragma unroll
      for (int i = 0; i < V; i++) v[i] = p[i * ROW_OUT];
    }
  }
  // What threads have summed of their own channels, over the threads that share them; to the array of all channels.
  static constexpr int OWN = TIME_FIRST ? GROUPS : V;
  static DEVICE void sum_over_steps(float *shared, const float *own, float *to, bool add, const Place &w) {
    const int row = TIME_FIRST ? w.thread % COLUMNS : w.thread / COLUMNS, rows = TIME_FIRST ? COLUMNS : STEP;
#pragma unroll
    for (int i = 0; i < OWN; i++)
      if (busy(w.thread))
        shared[row * ROW_OUT + (TIME_FIRST ? channel(w.thread, i) : channel(w.thread, 0, i))] = own[i];
    __syncthreads();
    const int mine = w.first + w.thread;
    if (w.thread < CHANNELS && mine < w.stop) {
      float total = 0.f;
      for (int k = 0; k < rows && k < LENGTH; k++) total += shared[k * ROW_OUT + w.thread];
      to[mine] = add ? to[mine] + total : total;
    }
    __syncthreads();
  }
  // D, or the bias, of its channels.
  static DEVICE void by_channel(float *v, const float *shared, int thread, int g) {
#pragma unroll
    for (int i = 0; i < V; i++) v[i] = shared[busy(thread) ? channel(thread, g, i) : 0];
  }
};

// The same for a tile of LENGTH rows of B or of C.
template <int LENGTH, int IN_TIME, int WIDTH>
struct Rows {
  static constexpr int EACH = (LENGTH * PADDED + THREADS - 1) / THREADS;
  static constexpr int V = EACH % WIDTH ? 1 : WIDTH, GROUPS = EACH / V;
  static constexpr int COLUMNS = IN_TIME ? LENGTH / V : PADDED / V;
  static constexpr int ACROSS = COLUMNS > THREADS ? COLUMNS / THREADS : 1;  // groups that make up a row
  static constexpr int STEP = COLUMNS > THREADS ? 1 : THREADS / COLUMNS;
  static_assert(COLUMNS > THREADS ? COLUMNS % THREADS == 0 : THREADS % COLUMNS == 0, "share of a tile");
  typedef Packed<V> Vector;

  static DEVICE int column(int thread, int g) { return thread % COLUMNS * V + g % ACROSS * THREADS * V; }
  static DEVICE int row(int thread, int g) { return thread / COLUMNS + g / ACROSS * STEP; }
  static DEVICE int state(int thread, int g) { return IN_TIME ? row(thread, g) : column(thread, g); }
  static DEVICE int step(int thread, int g) { return IN_TIME ? column(thread, g) : row(thread, g); }
  static DEVICE wide offset(const wide *strides, int group, const Place &w, int start) {
    return w.sequence * strides[0] + group * strides[1] + state(w.thread, 0) * strides[2] +
           (wide)(start + step(w.thread, 0)) * strides[3];
  }
  static DEVICE void load(Vector *to, const element *x, const wide *strides, const Place &w, int start) {
    const wide down = STEP * strides[IN_TIME ? 2 : 3], across = THREADS * V * strides[IN_TIME ? 3 : 2];
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      const int now = step(w.thread, g);
      if (state(w.thread, g) < STATES && now < LENGTH && start + now < w.to)
        to[g] = *(const Vector *)(x + g / ACROSS * down + g % ACROSS * across);
      else
        to[g].clear();
    }
  }
  static DEVICE void put(float *shared, const Vector *from, int thread) {
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      if (step(thread, g) >= LENGTH || state(thread, g) >= PADDED) continue;
      float *p = shared + step(thread, g) * ROW + state(thread, g);
      if constexpr (!IN_TIME && V == 4) {
        *(float4 *)p = make_float4(from[g].get(0), from[g].get(1), from[g].get(2), from[g].get(3));
      } else {
#pragma unroll
        for (int i = 0; i < V; i++) p[IN_TIME ? i * ROW : i] = from[g].get(i);
      }
    }
  }
};
