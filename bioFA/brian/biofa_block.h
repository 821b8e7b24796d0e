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
#include <vector>
#include "biofa_runtime.h"

namespace biofa {

template <class real>
struct Block {
    static const int K = 16;
    int n_pre = 0, n_post = 0, filled = 0;
    real scale = 1;                       // s to the power of the updates made in this block
    std::vector<real> x, drive, update;   // K x n_pre, K x n_post, K x n_post
    real dot[K][K];

    // the drive of one step, added to the port or put in its place
    void transmit(const Stretch& stretch, int64_t step, const char* source, const real* __restrict w, int pre, int post,
                  real* __restrict port, bool accumulate) {
        const int place = static_cast<int>(step % K);
        if (place == 0) begin(stretch, step, source, w, pre, post);
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

    // put the block's updates into the weights, at its end or at the end of the stretch
    void finish(const Stretch& stretch, int64_t step, real* __restrict w) {
        if (filled == 0 || (step % K != K - 1 && !stretch.last(step))) return;
        std::fill(update.begin() + static_cast<size_t>(filled) * n_post, update.end(), real(0));
        if (scale != 1) for (size_t i = 0; i < static_cast<size_t>(n_post) * n_pre; i++) w[i] *= scale;
        const int piece = static_cast<int>(1024 / sizeof(real));  // a piece of all K inputs stays in the first cache
        for (int from = 0; from < n_pre; from += piece) {
            const int width = std::min(piece, n_pre - from);
            int i = 0;
            for (; i + 2 <= n_post; i += 2) add<2>(w, i, from, width);
            for (; i < n_post; i++) add<1>(w, i, from, width);
        }
        filled = 0;
        scale = 1;
    }

private:
    void begin(const Stretch& stretch, int64_t step, const char* source, const real* __restrict w, int pre, int post) {
        n_pre = pre;
        n_post = post;
        filled = 0;
        scale = 1;
        x.assign(static_cast<size_t>(K) * n_pre, 0);
        drive.resize(static_cast<size_t>(K) * n_post);
        update.resize(static_cast<size_t>(K) * n_post);
        for (int k = 0; k < K && step + k < stretch.presentations; k++)
            stretch.show_row(source, step + k, &x[static_cast<size_t>(k) * n_pre], n_pre);
        for (int k = 0; k < K; k++)
            for (int m = 0; m < k; m++) {
                const real *__restrict a = &x[static_cast<size_t>(m) * n_pre], *__restrict b = &x[static_cast<size_t>(k) * n_pre];
                real sum = 0;
                for (int j = 0; j < n_pre; j++) sum += a[j] * b[j];
                dot[m][k] = sum;
            }
        int i = 0;
        for (; i + 2 <= n_post; i += 2) product<2>(w, i);
        for (; i < n_post; i++) product<1>(w, i);
    }

    template <int rows>
    void product(const real* __restrict w, int i) {  // drive[k][i..] for all k, four inputs at a time
        const real *__restrict w0 = w + static_cast<size_t>(i) * n_pre, *__restrict w1 = w0 + (rows > 1 ? n_pre : 0);
        for (int k = 0; k < K; k += 4) {
            const real *__restrict x0 = &x[static_cast<size_t>(k) * n_pre], *__restrict x1 = x0 + n_pre, *__restrict x2 = x1 + n_pre,
                       *__restrict x3 = x2 + n_pre;
            real a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
            for (int j = 0; j < n_pre; j++) {
                const real u = w0[j];
                a0 += u * x0[j]; a1 += u * x1[j]; a2 += u * x2[j]; a3 += u * x3[j];
                if (rows > 1) {
                    const real v = w1[j];
                    b0 += v * x0[j]; b1 += v * x1[j]; b2 += v * x2[j]; b3 += v * x3[j];
                }
            }
            real* out = &drive[static_cast<size_t>(k) * n_post + i];
            out[0] = a0; out[n_post] = a1; out[2 * static_cast<size_t>(n_post)] = a2; out[3 * static_cast<size_t>(n_post)] = a3;
            if (rows > 1) {
                out[1] = b0; out[n_post + 1] = b1; out[2 * static_cast<size_t>(n_post) + 1] = b2; out[3 * static_cast<size_t>(n_post) + 1] = b3;
            }
        }
    }

    template <int rows>
    void add(real* __restrict w, int i, int from, int width) {  // w[i..] += sum over k of update[k][i..] x[k], four inputs at a time
        real *__restrict w0 = w + static_cast<size_t>(i) * n_pre + from, *__restrict w1 = w0 + (rows > 1 ? n_pre : 0);
        for (int k = 0; k < filled; k += 4) {
            const real *__restrict x0 = &x[static_cast<size_t>(k) * n_pre + from], *__restrict x1 = x0 + n_pre, *__restrict x2 = x1 + n_pre,
                       *__restrict x3 = x2 + n_pre;
            const real* a = &update[static_cast<size_t>(k) * n_post + i];
            const size_t next = n_post;
            const real p0 = a[0], p1 = a[next], p2 = a[2 * next], p3 = a[3 * next];
            if (rows > 1) {
                const real q0 = a[1], q1 = a[next + 1], q2 = a[2 * next + 1], q3 = a[3 * next + 1];
                for (int j = 0; j < width; j++) {
                    w0[j] += p0 * x0[j] + p1 * x1[j] + p2 * x2[j] + p3 * x3[j];
                    w1[j] += q0 * x0[j] + q1 * x1[j] + q2 * x2[j] + q3 * x3[j];
                }
            } else {
                for (int j = 0; j < width; j++) w0[j] += p0 * x0[j] + p1 * x1[j] + p2 * x2[j] + p3 * x3[j];
            }
        }
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
