// A causal depthwise convolution with SiLU behind it, over time, and its gradients:
//
//   a[t] = bias + sum over k of weight[k] x[t - (TAPS - 1) + k]        y[t] = a[t] sigmoid(a[t])
//
// A thread has VECTOR neighbouring channels and walks over the `span` tokens of a run. The TAPS last inputs stay in its
// registers, so that each input is read once, and TAPS - 1 of them once more by the next run. The 32 lanes of a warp
// are neighbours in channels: they read and write whole cache lines. A block holds ROWS runs.
//
// Set when compiled (cuda.py says why they are what they are):
//   TAPS, HAS_BIAS, PARAMETERS   element type of weight and bias: 0 float32, 1 as x
//   VECTOR, ROWS                 channels of a thread, runs of a block
//   UNROLL                       tokens that are loaded before the first of them is used
#include "elements.cuh"
typedef long long wide;
typedef Packed<VECTOR> Vector;
#if PARAMETERS == 0
typedef float parameter;
DEVICE float read(const parameter *x, wide at) { return x[at]; }
DEVICE void write(parameter *x, wide at, float value) { x[at] = value; }
#else
typedef Packed<1> parameter;
DEVICE float read(const parameter *x, wide at) { return x[at].get(0); }
DEVICE void write(parameter *x, wide at, float value) { x[at].set(&value); }
#endif

constexpr int LANES = 32, THREADS = LANES * ROWS;
constexpr int WIDTH = LANES * VECTOR;       // channels of a block
constexpr int BEFORE = TAPS - 1;            // tokens that an output sees beside its own
constexpr int SUMS = TAPS + 1;              // of a channel: gradients of its weights and of its bias

struct Problem {                            // cuda.py has the same fields
  const element *x, *past, *grad_out;       // past (batch, TAPS - 1, channels), or null for zeros
  element *out, *grad_x, *grad_past;
  const parameter *weight, *bias;           // (channels, TAPS), (channels)
  parameter *grad_weight, *grad_bias;
  float *parts;                             // (blocks of runs, SUMS, channels): sums over the runs of a block
  wide stride_x[3], stride_past[3], stride_grad_out[3], stride_out[3], stride_grad_x[3], stride_grad_past[3];
  int batch, channels, length, span;
  int runs, blocks;                         // runs of a sequence, blocks for the runs of all of them
};

struct Place {
  int lane, row, channel, sequence, from, to;
  bool works;                               // whether there are such channels and such a run
};

DEVICE Place place(const Problem &p) {
  Place w;
  w.lane = threadIdx.x % LANES, w.row = threadIdx.x / LANES;
  w.channel = (blockIdx.y * LANES + w.lane) * VECTOR;
  const wide run = (wide)blockIdx.x * ROWS + w.row;
  w.sequence = run / p.runs, w.from = run % p.runs * p.span;
  w.to = min(w.from + p.span, p.length);
  w.works = w.channel < p.channels && w.sequence < p.batch;
  return w;
}

DEVICE wide position(const wide *stride, const Place &w, int t) {
  return w.sequence * stride[0] + t * stride[1] + w.channel * stride[2];
}

// Neighbouring channels at a token; zeros where there is none.
DEVICE Vector load(const element *x, const wide *stride, const Place &w, int t, bool there) {
  if (there) return *(const Vector *)(x + position(stride, w, t));
  Vector nothing;
  nothing.clear();
  return nothing;
}

DEVICE void store(element *x, const wide *stride, const Place &w, int t, const float *v) {
  Vector packed;
  packed.set(v);
  *(Vector *)(x + position(stride, w, t)) = packed;
}

DEVICE void unpack(float *v, const Vector &packed) {
#pragma unroll
  for (int c = 0; c < VECTOR; c++) v[c] = packed.get(c);
}

// A thread's weights and biases, the last inputs before its run, and room for UNROLL more.
struct Window {
  float weight[TAPS][VECTOR], bias[VECTOR], x[BEFORE + UNROLL][VECTOR];

  DEVICE Window(const Problem &p, const Place &w) {
#pragma unroll
    for (int c = 0; c < VECTOR; c++) {
#pragma unroll
      for (int k = 0; k < TAPS; k++) weight[k][c] = read(p.weight, (wide)(w.channel + c) * TAPS + k);
      bias[c] = HAS_BIAS ? read(p.bias, w.channel + c) : 0.f;
    }
#pragma unroll
    for (int k = 0; k < BEFORE; k++) {
      const int t = w.from - BEFORE + k;
      unpack(x[k], t < 0 ? load(p.past, p.stride_past, w, t + BEFORE, p.past) : load(p.x, p.stride_x, w, t, true));
    }
  }

  // a at the i-th of the new inputs.
  DEVICE float sum(int i, int c) const {
    float a = bias[c];
#pragma unroll
    for (int k = 0; k < TAPS; k++) a = fmaf(weight[k][c], x[i + k][c], a);
    return a;
  }

  DEVICE void move_on() { shift(x); }

  DEVICE static void shift(float (*v)[VECTOR]) {
#pragma unroll
    for (int k = 0; k < BEFORE; k++)
#pragma unroll
      for (int c = 0; c < VECTOR; c++) v[k][c] = v[UNROLL + k][c];
  }
};

extern "C" __global__ void __launch_bounds__(THREADS, 7) outputs(Problem p) {
  const Place w = place(p);
  if (!w.works) return;
  Window window(p, w);
  for (int t = w.from; t < w.to; t += UNROLL) {
    Vector ahead[UNROLL];
#pragma unroll
    for (int i = 0; i < UNROLL; i++) ahead[i] = load(p.x, p.stride_x, w, t + i, t + i < w.to);
#pragma unroll
    for (int i = 0; i < UNROLL; i++) {
      unpack(window.x[BEFORE + i], ahead[i]);
      float y[VECTOR];
#pragma unroll
      for (int c = 0; c < VECTOR; c++) {
        const float a = window.sum(i, c);
        y[c] = a * sigmoid(a);
      }
      if (t + i < w.to) store(p.out, p.stride_out, w, t + i, y);
    }
    window.move_on();
  }
}

// With g = dL/da, computed anew from the inputs:
//   dL/dx[s] = sum over k of weight[k] g[s + TAPS - 1 - k]     a walk that is at t can write s = t - (TAPS - 1)
//   dL/dweight[k] = sum over t of g[t] x[t - (TAPS - 1) + k]   dL/dbias = sum over t of g[t]
// A run goes on for TAPS - 1 tokens, for the gradients of its own last inputs. The first run of a sequence also has
// those of the past.
extern "C" __global__ void __launch_bounds__(THREADS, 3) gradients(Problem p) {
  const Place w = place(p);
  float sums[SUMS][VECTOR] = {};
  if (w.works) {
    Window window(p, w);
    float g[BEFORE + UNROLL][VECTOR] = {};
    for (int t = w.from; t < w.to + BEFORE; t += UNROLL) {
      Vector ahead[UNROLL], above[UNROLL];
#pragma unroll
      for (int i = 0; i < UNROLL; i++) {
        const bool there = t + i < p.length && t + i < w.to + BEFORE;
        ahead[i] = load(p.x, p.stride_x, w, t + i, there);
        above[i] = load(p.grad_out, p.stride_grad_out, w, t + i, there);
      }
#pragma unroll
      for (int i = 0; i < UNROLL; i++) {
        unpack(window.x[BEFORE + i], ahead[i]);
        const bool there = t + i < p.length, own = t + i < w.to;
        float d[VECTOR];
#pragma unroll
        for (int c = 0; c < VECTOR; c++) {
          const float a = window.sum(i, c), s = sigmoid(a);
          g[BEFORE + i][c] = there ? above[i].get(c) * s * fmaf(a, 1.f - s, 1.f) : 0.f;
          const float counted = own ? g[BEFORE + i][c] : 0.f;
          d[c] = 0.f;
#pragma unroll
          for (int k = 0; k < TAPS; k++) {
            sums[k][c] = fmaf(counted, window.x[i + k][c], sums[k][c]);
            d[c] = fmaf(window.weight[k][c], g[BEFORE + i - k][c], d[c]);
          }
          sums[TAPS][c] += counted;
        }
        const int s = t + i - BEFORE;
        if (s >= w.from && s < w.to) store(p.grad_x, p.stride_grad_x, w, s, d);
        if (s < 0 && p.grad_past) store(p.grad_past, p.stride_grad_past, w, s + BEFORE, d);
      }
      window.move_on(), Window::shift(g);
    }
  }
  SHARED(float, shared, ROWS * SUMS * WIDTH);
#pragma unroll
  for (int k = 0; k < SUMS; k++)
#pragma unroll
    for (int c = 0; c < VECTOR; c++) shared[(w.row * SUMS + k) * WIDTH + w.lane * VECTOR + c] = sums[k][c];
  __syncthreads();
  for (int i = threadIdx.x; i < SUMS * WIDTH; i += THREADS) {
    float sum = 0.f;
#pragma unroll
    for (int row = 0; row < ROWS; row++) sum += shared[row * SUMS * WIDTH + i];
    const int channel = blockIdx.y * WIDTH + i % WIDTH;
    if (channel < p.channels) p.parts[((wide)blockIdx.x * SUMS + i / WIDTH) * p.channels + channel] = sum;
  }
}

// Sums of the parts, always in the same order: a lane has a channel, a row a share of the parts.
extern "C" __global__ void __launch_bounds__(THREADS) totals(Problem p) {
  SHARED(float, shared, THREADS);
  const int lane = threadIdx.x % LANES, row = threadIdx.x / LANES, channel = blockIdx.x * LANES + lane, k = blockIdx.y;
  float sum = 0.f;
  if (channel < p.channels)
#pragma unroll 8
    for (int block = row; block < p.blocks; block += ROWS) sum += p.parts[((wide)block * SUMS + k) * p.channels + channel];
  shared[threadIdx.x] = sum;
  __syncthreads();
  if (row || channel >= p.channels) return;
#pragma unroll
  for (int other = 1; other < ROWS; other++) sum += shared[other * LANES + lane];
  if (k < TAPS) write(p.grad_weight, (wide)channel * TAPS + k, sum);
  else if (HAS_BIAS) write(p.grad_bias, channel, sum);
}
