// Blocked online learning, exactly: a pathway from the stimulus, K presentations at a time.
//
// For the next K inputs x_k the drive W x_k is one small matrix product P, taken when the block
// begins. Learning stays online: after presentation m the weights would have become
// s W + a_m x_m', so the drive of presentation k > m is P_k plus the sum over m of a_m (x_m . x_k),
// with the decay s of every step in between. The K updates are added to W in one pass when the
// block ends. Only the order of rounding differs from updating W after every presentation.
#ifndef BIOFA_BLOCK_H
#define BIOFA_BLOCK_H

#include <algorithm>
#include <cstring>
#include <vector>
#include "biofa_runtime.h"

namespace biofa {

// 32 bytes of numbers, which the compiler keeps in one vector register (or in two)
template <class real>
struct Lanes {
    typedef real type __attribute__((vector_size(32)));
    static const int count = 32 / sizeof(real);
    static type load(const real* from) { type all; std::memcpy(&all, from, sizeof all); return all; }
    static void store(real* to, const type& all) { std::memcpy(to, &all, sizeof all); }
};

template <class real>
struct Block {
    typedef typename Lanes<real>::type vec;
    static const int K = 16, L = Lanes<real>::count, V = K / L;
    static const int ROWS = sizeof(real) == 8 ? 3 : 6;  // rows of the product whose sums fill the registers
    static const int WIDE = 2;                          // vectors in a row of the patch that takes up the updates
    int n_pre = 0, n_post = 0, filled = 0;
    real scale = 1;                       // s to the power of the updates made in this block
    std::vector<real> x, drive, update;   // K x n_pre, K x n_post, K x n_post
    std::vector<real> columns, turned;    // the inputs and the updates again, all K beside each other
    std::vector<int> active;              // inputs that are not zero in all K presentations: only they count
    real dot[K][K];

    // the drive of one step, added to the port or put in its place
    void transmit(const Segment& segment, int64_t step, const char* source, const real* __restrict w, int pre, int post,
                  real* __restrict port, bool accumulate) {
        const int place = static_cast<int>(step % K);
        if (place == 0) begin(segment, step, source, w, pre, post);
        const real* __restrict now = &drive[static_cast<size_t>(place) * n_post];
        if (accumulate) for (int i = 0; i < n_post; i++) port[i] += scale * now[i];
        else            for (int i = 0; i < n_post; i++) port[i] = scale * now[i];
        for (int m = 0; m < filled; m++) {
            const real both = dot[m][place];
            const real* __restrict a = &update[static_cast<size_t>(m) * n_post];
            for (int i = 0; i < n_post; i++) port[i] += both * a[i];
        }
    }

    // where the postsynaptic factor of this step's update goes; older updates decay
    real* next_update(real keep) {
        if (keep != 1) {
            scale *= keep;
            for (size_t i = 0; i < static_cast<size_t>(filled) * n_post; i++) update[i] *= keep;
        }
        return &update[static_cast<size_t>(filled++) * n_post];
    }

    // put the block's updates into the weights, at its end or at the end of the segment
    void finish(const Segment& segment, int64_t step, real* __restrict w) {
        if (filled == 0 || (step % K != K - 1 && !segment.last(step))) return;
        std::fill(update.begin() + static_cast<size_t>(filled) * n_post, update.end(), real(0));
        for (int k = 0; k < K; k++)
            for (int i = 0; i < n_post; i++) turned[static_cast<size_t>(i) * K + k] = update[static_cast<size_t>(k) * n_post + i];
        if (scale != 1) for (size_t i = 0; i < static_cast<size_t>(n_post) * n_pre; i++) w[i] *= scale;
        int i = 0;
        for (; i + 4 <= n_post; i += 4) add_rows<4>(w, i);
        for (; i < n_post; i++) add_rows<1>(w, i);
        filled = 0;
        scale = 1;
    }

private:
    void begin(const Segment& segment, int64_t step, const char* source, const real* __restrict w, int pre, int post) {
        n_pre = pre;
        n_post = post;
        filled = 0;
        scale = 1;
        x.assign(static_cast<size_t>(K) * n_pre, 0);
        columns.resize(static_cast<size_t>(K) * n_pre);
        drive.resize(static_cast<size_t>(K) * n_post);
        update.resize(static_cast<size_t>(K) * n_post);
        turned.resize(static_cast<size_t>(K) * n_post);
        for (int k = 0; k < K && step + k < segment.presentations; k++)
            segment.show_row(source, step + k, &x[static_cast<size_t>(k) * n_pre], n_pre);
        for (int k = 0; k < K; k++)
            for (int m = 0; m < k; m++) {
                const real *__restrict a = &x[static_cast<size_t>(m) * n_pre], *__restrict b = &x[static_cast<size_t>(k) * n_pre];
                real sum = 0;
                for (int j = 0; j < n_pre; j++) sum += a[j] * b[j];
                dot[m][k] = sum;
            }
        active.clear();
        for (int j = 0; j < n_pre; j++) {
            real* __restrict column = &columns[active.size() * K];
            bool any = false;
            for (int k = 0; k < K; k++) {
                column[k] = x[static_cast<size_t>(k) * n_pre + j];
                any |= column[k] != 0;
            }
            if (any) active.push_back(j);
        }
        int i = 0;
        for (; i + ROWS <= n_post; i += ROWS) product<ROWS>(w, i);
        for (; i < n_post; i++) product<1>(w, i);
    }

    // drive[k][i..] for all k at once: each weight is read once
    template <int rows>
    void product(const real* __restrict w, int i) {
        vec sum[rows][V];
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < V; v++) sum[r][v] = vec{};
        const real* __restrict row = w + static_cast<size_t>(i) * n_pre;
        const real* __restrict column = columns.data();
        for (const int j : active) {
            vec input[V];
            for (int v = 0; v < V; v++) input[v] = Lanes<real>::load(column + v * L);
            for (int r = 0; r < rows; r++) {
                const vec weight = vec{} + row[static_cast<size_t>(r) * n_pre + j];
                for (int v = 0; v < V; v++) sum[r][v] += weight * input[v];
            }
            column += K;
        }
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < V; v++)
                for (int l = 0; l < L; l++) drive[static_cast<size_t>(v * L + l) * n_post + i + r] = sum[r][v][l];
    }

    // w[i..] += sum over k of update[k][i..] x[k], where an input was active
    template <int rows>
    void add_rows(real* __restrict w, int i) {
        const int *next = active.data(), *end = next + active.size();
        while (next != end) {
            const int j = *next;
            if (j + WIDE * L <= n_pre) {
                add<rows>(w, i, j);
                while (next != end && *next < j + WIDE * L) ++next;
            } else {
                for (int r = 0; r < rows; r++) {
                    real sum = 0;
                    for (int k = 0; k < K; k++) sum += turned[static_cast<size_t>(i + r) * K + k] * x[static_cast<size_t>(k) * n_pre + j];
                    w[static_cast<size_t>(i + r) * n_pre + j] += sum;
                }
                ++next;
            }
        }
    }

    // a patch of weights stays in registers while all K updates are added
    template <int rows>
    void add(real* __restrict w, int i, int j) {
        vec patch[rows][WIDE];
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < WIDE; v++) patch[r][v] = Lanes<real>::load(w + static_cast<size_t>(i + r) * n_pre + j + v * L);
        const real* __restrict a = &turned[static_cast<size_t>(i) * K];
        const real* __restrict shown = &x[j];
        for (int k = 0; k < K; k++) {
            vec input[WIDE];
            for (int v = 0; v < WIDE; v++) input[v] = Lanes<real>::load(shown + static_cast<size_t>(k) * n_pre + v * L);
            for (int r = 0; r < rows; r++) {
                const vec factor = vec{} + a[r * K + k];
                for (int v = 0; v < WIDE; v++) patch[r][v] += factor * input[v];
            }
        }
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < WIDE; v++) Lanes<real>::store(w + static_cast<size_t>(i + r) * n_pre + j + v * L, patch[r][v]);
    }
};

// the block of one pathway, by its number
template <class real, int number>
inline Block<real>& block() {
    static Block<real> one;
    return one;
}

}  // namespace biofa

#endif
