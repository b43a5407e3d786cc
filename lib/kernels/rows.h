// Between tensors of any strides and rows of registers, one row a time step.

#pragma once

#include "simd.h"

extern "C" {
struct View {  // strides in elements, of (batch, channel, time), or of (batch, group, state, time)
    void *data;
    int64_t strides[4];
    int64_t bfloat16;
};
}

namespace {

inline float read(const View &view, int64_t at) {
    if (!view.bfloat16) return ((const float *)view.data)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)view.data)[at] << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

inline void write(const View &view, int64_t at, float value) {
    if (!view.bfloat16) {
        ((float *)view.data)[at] = value;
        return;
    }
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    ((uint16_t *)view.data)[at] = nan ? 0x7fc0 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to nearest even
}

struct Block {  // the place of LANES channels, `lanes` of them real, over one tile
    int64_t batch, channel, start;
    int lanes, steps;
};

void load(const View &view, const Block &at, vec *rows) {
    int64_t first = at.batch * view.strides[0] + at.channel * view.strides[1] + at.start * view.strides[2];
    bool whole = view.strides[1] == 1 && at.lanes == LANES && !view.bfloat16;
    for (int t = 0; t < at.steps; t++) {
        if (whole) {
            std::memcpy(&rows[t], (const float *)view.data + first + t * view.strides[2], sizeof(vec));
        } else {
            rows[t] = vec{};
            for (int i = 0; i < at.lanes; i++) rows[t][i] = read(view, first + i * view.strides[1] + t * view.strides[2]);
        }
    }
}

void store(const View &view, const Block &at, const vec *rows) {
    int64_t first = at.batch * view.strides[0] + at.channel * view.strides[1] + at.start * view.strides[2];
    bool whole = view.strides[1] == 1 && at.lanes == LANES && !view.bfloat16;
    for (int t = 0; t < at.steps; t++) {
        if (whole)
            std::memcpy((float *)view.data + first + t * view.strides[2], &rows[t], sizeof(vec));
        else
            for (int i = 0; i < at.lanes; i++) write(view, first + i * view.strides[1] + t * view.strides[2], rows[t][i]);
    }
}

// A block's rows, one a time step: in the tensor itself where registers can read and write it there, else in a buffer.
struct Rows {
    float *first;
    int64_t stride;
    vec at(int t) const {
        vec row;
        std::memcpy(&row, first + t * stride, sizeof row);
        return row;
    }
    void put(int t, vec row) const { std::memcpy(first + t * stride, &row, sizeof row); }
};

inline Rows rows_in(const View &view, const Block &at, vec *buffer) {
    if (view.strides[1] != 1 || at.lanes != LANES || view.bfloat16) return {(float *)buffer, LANES};
    return {(float *)view.data + at.batch * view.strides[0] + at.channel + at.start * view.strides[2], view.strides[2]};
}

inline Rows loaded(const View &view, const Block &at, vec *buffer) {  // for reading
    Rows rows = rows_in(view, at, buffer);
    if (rows.first == (float *)buffer) load(view, at, buffer);
    return rows;
}

inline void stored(const View &view, const Block &at, const Rows &rows, const vec *buffer) {  // what has been put
    if (rows.first == (const float *)buffer) store(view, at, buffer);
}

// What a task reads and writes in its next tile, fetched into the second cache while this one is computed: a register of
// each tensor at each call, row after row, as they lie in memory. Rows of one block alone would share a few sets of the
// nearest cache, and push each other out.
struct Ahead {
    const char *rows[7];
    int64_t strides[7], widths[7];
    int64_t blocks, block = 0;
    int count = 0;

    explicit Ahead(int64_t blocks) : blocks(blocks) {}
    void add(const View &view, const Block &at) {
        if (!view.data || view.strides[1] != 1) return;
        int size = view.bfloat16 ? 2 : 4;
        int64_t first = at.batch * view.strides[0] + at.channel + at.start * view.strides[2];
        rows[count] = (const char *)view.data + first * size;
        widths[count] = LANES * size, strides[count++] = view.strides[2] * size;
    }
    void fetch() {
        for (int i = 0; i < count; i++) __builtin_prefetch(rows[i] + block * widths[i], 0, 2);
        if (++block < blocks) return;
        block = 0;
        for (int i = 0; i < count; i++) rows[i] += strides[i];
    }
};

}  // namespace
