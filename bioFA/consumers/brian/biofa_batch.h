// Minibatches, exactly: where weights change at the end of a batch only, its presentations are computed side by side.
//
// Every neuron then has `lanes` values in place of one, neuron by neuron, one for each presentation of a chunk; a chunk is
// as much of a batch as fits. What arrives over a pathway is one matrix product, W (n_post x n_pre) X (n_pre x lanes), and
// what its synapses gather is another, the sum over presentations of a_k x_k' from first to last, after which the weights
// change in the same pass. Sums run in the order of presentations and of presynaptic neurons, however a run is cut; only
// their rounding differs from presentation by presentation.
#ifndef BIOFA_BATCH_H
#define BIOFA_BATCH_H

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
#include "biofa_block.h"
#include "biofa_lanes.h"
#include "biofa_runtime.h"

namespace biofa {

// how many rows and vectors of a product stay in registers
template <class real>
struct InRegisters {
#if defined(__AVX512F__) || defined(__aarch64__)
    static const int wide = 4;
#else
    static const int wide = 2;
#endif
    static const int tall = 6, columns = wide * Lanes<real>::count;
};

// C[r][c] += sum over t of A[r][t] B[t][c], or where `fresh` in place of what was there, for `rows` rows and `vectors` vectors of C, which stay in registers; `which`
// lists the t that count. A[r][t] is a[r * by_row + t * by_term].
template <class real, int rows, int vectors>
inline void product_tile(const real* __restrict a, size_t by_row, size_t by_term, const real* __restrict b, size_t b_row,
                         const int* __restrict which, int terms, real* __restrict c, size_t c_row, bool fresh) {
    typedef typename Lanes<real>::type vec;
    const int L = Lanes<real>::count;
    vec sum[rows][vectors];
    if (fresh) for (int r = 0; r < rows; r++) for (int v = 0; v < vectors; v++) sum[r][v] = vec{};
    else
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) std::memcpy(&sum[r][v], c + r * c_row + v * L, sizeof(vec));
    for (int n = 0; n < terms; n++) {
        const size_t t = static_cast<size_t>(which[n]);
        vec input[vectors];
        for (int v = 0; v < vectors; v++) std::memcpy(&input[v], b + t * b_row + v * L, sizeof(vec));
        for (int r = 0; r < rows; r++) {
            const vec factor = vec{} + a[r * by_row + t * by_term];
            for (int v = 0; v < vectors; v++) sum[r][v] += factor * input[v];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) std::memcpy(c + r * c_row + v * L, &sum[r][v], sizeof(vec));
}

template <class real, int rows>
inline void product_row(const real* a, size_t by_row, size_t by_term, const real* b, size_t b_row, const int* which, int terms,
                        real* c, size_t c_row, int columns, bool fresh) {
    const int L = Lanes<real>::count, wide = InRegisters<real>::wide;
    int at = 0;
    for (; at + wide * L <= columns; at += wide * L)
        product_tile<real, rows, wide>(a, by_row, by_term, b + at, b_row, which, terms, c + at, c_row, fresh);
    for (; at < columns; at += L) product_tile<real, rows, 1>(a, by_row, by_term, b + at, b_row, which, terms, c + at, c_row, fresh);
}

// the same for any number of rows; `columns` is a multiple of a vector
template <class real>
[[gnu::noinline]] void product(const real* a, size_t by_row, size_t by_term, const real* b, size_t b_row, const int* which,
                               int terms, real* c, size_t c_row, int n_rows, int columns, bool fresh) {
    const int tall = InRegisters<real>::tall;
    int r = 0;
    for (; r + tall <= n_rows; r += tall)
        product_row<real, tall>(a + r * by_row, by_row, by_term, b, b_row, which, terms, c + r * c_row, c_row, columns, fresh);
    for (; r + 2 <= n_rows; r += 2)
        product_row<real, 2>(a + r * by_row, by_row, by_term, b, b_row, which, terms, c + r * c_row, c_row, columns, fresh);
    for (; r < n_rows; r++)
        product_row<real, 1>(a + r * by_row, by_row, by_term, b, b_row, which, terms, c + r * c_row, c_row, columns, fresh);
}

// The presentations that are computed side by side: `count` from number `from` of the segment on. A batch is divided into
// equal chunks, which begin at the same places wherever a segment begins.
inline void next_chunk(Segment& segment, int64_t lanes, double batch) {
    const int64_t whole = std::max<int64_t>(static_cast<int64_t>(batch), 1), parts = (whole + lanes - 1) / lanes;
    const int64_t size = (whole + parts - 1) / parts, place = (segment.first + segment.at) % whole;
    const int64_t left = std::min(size - place % size, whole - place);
    segment.together = std::min(left, segment.presentations - segment.at);
}

// rows of presentations into values of neurons, `lanes` each, and back
template <class real, class Fill>
inline void spread(real* __restrict values, size_t size, size_t lanes, size_t count, Fill fill) {
    const size_t most = 16;
    static std::vector<real> rows;
    rows.resize(most * size);
    for (size_t from = 0; from < count; from += most) {
        const size_t some = std::min(most, count - from);
        for (size_t k = 0; k < some; k++) fill(from + k, &rows[k * size]);
        for (size_t i = 0; i < size; i++)
            for (size_t k = 0; k < some; k++) values[i * lanes + from + k] = rows[k * size + i];
    }
}

template <class real>
inline void record_lanes(Segment& segment, const char* name, const real* values, size_t size, size_t lanes) {
    std::vector<real> row(size);
    for (int64_t k = 0; k < segment.together; k++) {
        if ((segment.first + segment.at + k) % segment.every != 0) continue;
        for (size_t i = 0; i < size; i++) row[i] = values[i * lanes + static_cast<size_t>(k)];
        segment.record(name, row.data(), size);
    }
}

// port = W x for every lane, or added to it; W[i][j] is w[i * by_post + j * by_pre]. Neurons that are 0 in all lanes are
// left out.
template <class real>
[[gnu::noinline]] void transmit_lanes(const real* w, size_t by_post, size_t by_pre, const real* x, real* port, int n_pre,
                                      int n_post, int lanes, bool accumulate) {
    static std::vector<int> used;
    used.clear();
    for (int j = 0; j < n_pre; j++) {
        const real* const all = x + static_cast<size_t>(j) * lanes;
        int some = 0;
        for (int k = 0; k < lanes; k++) some |= all[k] != 0;
        if (some) used.push_back(j);
    }
    product(w, by_post, by_pre, x, lanes, used.data(), static_cast<int>(used.size()), port, lanes, n_post, lanes, !accumulate);
}

// Room for one pathway after the other.
template <class real>
struct Bench {
    std::vector<real> factor, sums;   // n_post x lanes; ROWS x width
    std::vector<real> panel, passing; // columns x lanes: the last panel, and one that is turned
    std::vector<int> lane;
    static Bench& one() {
        static Bench bench;
        return bench;
    }
};

// What the synapses of a pathway gather: a row for each postsynaptic neuron, ROWS at a time.
template <class real>
struct Gathering {
    static const int ROWS = 4 * InRegisters<real>::tall, columns = InRegisters<real>::columns;
    std::vector<real>&factor = Bench<real>::one().factor, &sums = Bench<real>::one().sums;
    std::vector<real>&last = Bench<real>::one().panel, &passing = Bench<real>::one().passing;
    std::vector<int>& lane = Bench<real>::one().lane;
    real* inputs = nullptr;
    size_t width = 0;
    int n_pre = 0, n_post = 0, lanes = 0;
    bool known = false, waits = false;  // whether changes of earlier chunks wait in the program's own array

    void begin(int pre, int post, int of_lanes) {
        n_pre = pre;
        n_post = post;
        lanes = of_lanes;
        width = (static_cast<size_t>(pre) + columns - 1) / columns * columns;
        grow(factor, static_cast<size_t>(post) * lanes);
        grow(last, static_cast<size_t>(columns) * lanes);
        grow(passing, static_cast<size_t>(columns) * lanes);
        grow(sums, width * ROWS);
        lane.resize(lanes);
        for (int k = 0; k < lanes; k++) lane[k] = k;
    }

    static void grow(std::vector<real>& room, size_t size) {
        if (room.size() < size) std::vector<real>(size).swap(room);
    }

    // The presynaptic side of a chunk: `columns` neurons beside each other for every lane, which are turned where they lie.
    void take(real* x, real* gathered) {
        if (!known) {
            const size_t all = static_cast<size_t>(n_pre) * n_post;
            waits = std::any_of(gathered, gathered + all, [](real one) { return one != 0; });
            if (!waits) drop(gathered, all * sizeof(real));  // zeros are again what is read there
        }
        known = true;
        inputs = x;
        for (int from = 0; from + columns <= n_pre; from += columns) turn(panel(from), columns, lanes);
        const int some = n_pre % columns;
        std::fill(last.begin(), last.end(), real(0));
        for (int c = 0; c < some; c++)
            for (int k = 0; k < lanes; k++) last[k * columns + c] = x[static_cast<size_t>(n_pre - some + c) * lanes + k];
    }

    // they are neuron by neuron again
    void give_back() {
        for (int from = 0; from + columns <= n_pre; from += columns) turn(panel(from), lanes, columns);
    }

    real* panel(int from) { return from + columns <= n_pre ? inputs + static_cast<size_t>(from) * lanes : last.data(); }

    void turn(real* __restrict at, int rows, int row) {
        real* __restrict const before = passing.data();
        std::copy(at, at + rows * row, before);
        for (int j = 0; j < row; j++)
            for (int i = 0; i < rows; i++) at[j * rows + i] = before[i * row + j];
    }

    // the sums of `some` neurons from `first` on, on top of what waits
    void sum(int first, int some, int count, const real* gathered) {
        if (waits)
            for (int r = 0; r < some; r++) {
                const real* const before = gathered + static_cast<size_t>(first + r) * n_pre;
                std::copy(before, before + n_pre, &sums[r * width]);
            }
        const real* const a = &factor[static_cast<size_t>(first) * lanes];
        for (int from = 0; from < n_pre; from += columns)
            product(a, lanes, 1, panel(from), columns, lane.data(), count, &sums[from], width, some, columns, !waits);
    }
};

// the gathering of one pathway, by its number
template <class real, int number>
inline Gathering<real>& gathering() {
    static Gathering<real> one;
    return one;
}

}  // namespace biofa

#endif
