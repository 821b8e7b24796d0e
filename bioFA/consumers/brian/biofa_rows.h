// Matrices with one row a presynaptic neuron: what a row brings to the targets, and how it learns, several rows at a time.
//
// A port is loaded and stored once for several rows, but adds them one after the other, as if each were alone.
#ifndef BIOFA_ROWS_H
#define BIOFA_ROWS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>
#include "biofa_lanes.h"
#include "biofa_runtime.h"

namespace biofa {

// the neurons of a population that send something in this step
struct Sending {
    std::vector<int32_t> which;
    int count = 0;
    template <class real>
    [[gnu::noinline]] void gather(const real* values, int size) {
        const int L = Lanes<real>::count;
        which.resize(static_cast<size_t>(size));
        int32_t* const list = which.data();
        int found = 0, i = 0;
        while (i + L <= size) {  // most are silent: 64 at a time, as the bits of one number
            const int from = i, some = std::min(64, (size - i) / L * L);
            uint64_t sends = 0;
            for (int k = 0; k < some; k += L) {
                typename Lanes<real>::type one;
                std::memcpy(&one, values + from + k, sizeof one);
                sends |= bits(one) << k;
            }
            i += some;
            for (; sends; sends &= sends - 1) list[found++] = from + __builtin_ctzll(sends);
        }
        for (; i < size; i++) if (values[i] != 0) list[found++] = i;
        count = found;
    }
};

// one `port[i] += sum of row[k][i] by[k]` of so many rows; N is a constant, so that short rows need no loop
template <int N, class real>
inline void add_rows(const real* const (&row)[1], const real (&by)[1], real* __restrict port) {
    const real* const __restrict a = row[0];
    const real p = by[0];
    #pragma GCC ivdep
    for (int i = 0; i < N; i++) port[i] += a[i] * p;
}

template <int N, class real>
inline void add_rows(const real* const (&row)[2], const real (&by)[2], real* __restrict port) {
    const real *const __restrict a = row[0], *const __restrict b = row[1];
    const real p = by[0], q = by[1];
    #pragma GCC ivdep
    for (int i = 0; i < N; i++) port[i] = (port[i] + a[i] * p) + b[i] * q;
}

template <int N, class real>
inline void add_rows(const real* const (&row)[4], const real (&by)[4], real* __restrict port) {
    const real *const __restrict a = row[0], *const __restrict b = row[1], *const __restrict c = row[2], *const __restrict d = row[3];
    const real p = by[0], q = by[1], r = by[2], s = by[3];
    #pragma GCC ivdep
    for (int i = 0; i < N; i++) port[i] = (((port[i] + a[i] * p) + b[i] * q) + c[i] * r) + d[i] * s;
}

template <int N, class real>
inline void add_rows(const real* const (&row)[8], const real (&by)[8], real* __restrict port) {
    const real *const __restrict a = row[0], *const __restrict b = row[1], *const __restrict c = row[2], *const __restrict d = row[3];
    const real *const __restrict e = row[4], *const __restrict f = row[5], *const __restrict g = row[6], *const __restrict h = row[7];
    const real p = by[0], q = by[1], r = by[2], s = by[3], t = by[4], u = by[5], v = by[6], w = by[7];
    #pragma GCC ivdep
    for (int i = 0; i < N; i++) {
        const real four = (((port[i] + a[i] * p) + b[i] * q) + c[i] * r) + d[i] * s;
        port[i] = (((four + e[i] * t) + f[i] * u) + g[i] * v) + h[i] * w;
    }
}

template <int N, int K, class real>
inline void add_some(const int32_t* which, const real* sent, const real* w, real* port) {
    const real* row[K];
    real by[K];
    for (int k = 0; k < K; k++) { row[k] = w + static_cast<size_t>(which[k]) * N; by[k] = sent[which[k]]; }
    add_rows<N>(row, by, port);
}

// port[i] += sum over the listed neurons j of w[j][i] sent[j]
template <int N, class real>
[[gnu::noinline]] void transmit(const int32_t* which, int count, const real* sent, const real* w, real* port) {
    int k = 0;
    for (; k + 8 <= count; k += 8) add_some<N, 8>(which + k, sent, w, port);
    if (k + 4 <= count) { add_some<N, 4>(which + k, sent, w, port); k += 4; }
    if (k + 2 <= count) { add_some<N, 2>(which + k, sent, w, port); k += 2; }
    if (k < count) add_some<N, 1>(which + k, sent, w, port);
}

// A port that all neurons of a small population reach in every step. Errors that nobody renews decay, by one factor a: then
//     sum w_j new_j = a sum w_j old_j + sum w_j (new_j - a old_j)
// of those neurons whose new_j is not a old_j. The first step of a presentation sums all. Weights are fixed.
template <int N, class real>
struct Decaying {
    std::vector<real> old, renewed, sum;
    std::vector<int32_t> which;

    [[gnu::noinline]] void transmit(bool anew, int count, const real* sent, const real* w, real* port, bool accumulate) {
        old.resize(static_cast<size_t>(count));
        renewed.resize(static_cast<size_t>(count));
        sum.resize(N);
        const real a = anew ? 0 : factor(count, sent);
        which.clear();
        for (int j = 0; j < count; j++) {
            const real kept = a * old[j];
            if (kept != sent[j]) which.push_back(j);
            renewed[j] = a == 0 ? sent[j] : sent[j] - kept;
            old[j] = sent[j];
        }
        real* const all = sum.data();
        if (a == 0) std::fill(all, all + N, real(0));
        else for (int i = 0; i < N; i++) all[i] *= a;
        biofa::transmit<N>(which.data(), static_cast<int>(which.size()), renewed.data(), w, all);
        if (accumulate) for (int i = 0; i < N; i++) port[i] += all[i];
        else for (int i = 0; i < N; i++) port[i] = all[i];
    }

private:
    // the factor by which most have decayed, to the last bit; 0 where less than half have by the same one
    real factor(int count, const real* sent) const {
        real best = 0;
        int most = count / 2, tries = 0;
        for (int j = 0; j < count && best == 0 && tries < 4; j++) {
            const real ratio = old[j] != 0 ? sent[j] / old[j] : 0;
            if (!(ratio > 0 && ratio < 1)) continue;
            tries++;
            for (int ulp = -2; ulp <= 2; ulp++) {
                const real a = ratio + ulp * ratio * std::numeric_limits<real>::epsilon() / 2;
                int decayed = 0;
                for (int k = 0; k < count; k++) { const real kept = a * old[k]; decayed += kept == sent[k]; }
                if (decayed > most) { most = decayed; best = a; }
            }
        }
        return best;
    }
};

// a row learns w[i] += factor[i] p after it has brought port[i] += w[i] p; N as above
template <int N, class real>
inline void learn_rows(real* const (&row)[1], const real (&by)[1], const real* __restrict factor, real* __restrict port) {
    real* const __restrict a = row[0];
    const real p = by[0];
    #pragma GCC ivdep
    for (int i = 0; i < N; i++) { port[i] += a[i] * p; a[i] += factor[i] * p; }
}

template <int N, class real>
inline void learn_rows(real* const (&row)[2], const real (&by)[2], const real* __restrict factor, real* __restrict port) {
    real *const __restrict a = row[0], *const __restrict b = row[1];
    const real p = by[0], q = by[1];
    #pragma GCC ivdep
    for (int i = 0; i < N; i++) {
        const real k = a[i], l = b[i], f = factor[i];
        port[i] = (port[i] + k * p) + l * q;
        a[i] = k + f * p;
        b[i] = l + f * q;
    }
}

template <int N, class real>
inline void learn_rows(real* const (&row)[4], const real (&by)[4], const real* __restrict factor, real* __restrict port) {
    real *const __restrict a = row[0], *const __restrict b = row[1], *const __restrict c = row[2], *const __restrict d = row[3];
    const real p = by[0], q = by[1], r = by[2], s = by[3];
    #pragma GCC ivdep
    for (int i = 0; i < N; i++) {
        const real k = a[i], l = b[i], m = c[i], n = d[i], f = factor[i];
        port[i] = (((port[i] + k * p) + l * q) + m * r) + n * s;
        a[i] = k + f * p;
        b[i] = l + f * q;
        c[i] = m + f * r;
        d[i] = n + f * s;
    }
}

template <int N, int K, class real>
inline void learn_some(const int32_t* which, const real* sent, const real* factor, real* w, real* port) {
    real* row[K];
    real by[K];
    for (int k = 0; k < K; k++) { row[k] = w + static_cast<size_t>(which[k]) * N; by[k] = sent[which[k]]; }
    learn_rows<N>(row, by, factor, port);
}

// `transmit`, after which w[j][i] += factor[i] sent[j], in one loop
template <int N, class real>
[[gnu::noinline]] void transmit_and_learn(const int32_t* which, int count, const real* sent, const real* factor, real* w, real* port) {
    int k = 0;
    for (; k + 4 <= count; k += 4) learn_some<N, 4>(which + k, sent, factor, w, port);
    if (k + 2 <= count) { learn_some<N, 2>(which + k, sent, factor, w, port); k += 2; }
    if (k < count) learn_some<N, 1>(which + k, sent, factor, w, port);
}

// w[j][i] += factor[i] sent[j] - forgotten w[j][i]; a row whose sender is silent rests where nothing is forgotten. With rows of
// the targets, these stand for the senders.
template <int N, class real>
[[gnu::noinline]] void learn(int count, const real* sent, const real* __restrict factor, real forgotten, real* w) {
    for (int j = 0; j < count; j++) {
        real* const __restrict row = w + static_cast<size_t>(j) * N;
        const real p = sent[j];
        if (forgotten != 0) {
            #pragma GCC ivdep
            for (int i = 0; i < N; i++) row[i] += factor[i] * p - forgotten * row[i];
        } else if (p != 0) {
            #pragma GCC ivdep
            for (int i = 0; i < N; i++) row[i] += factor[i] * p;
        }
    }
}

// all neurons of a population, in their order
[[gnu::noinline]] inline const int32_t* everyone(int count) {
    static std::vector<std::vector<int32_t>*> all;  // those of each size stay where they are
    for (const std::vector<int32_t>* one : all) if (static_cast<int>(one->size()) >= count) return one->data();
    all.push_back(new std::vector<int32_t>(static_cast<size_t>(count)));
    for (int i = 0; i < count; i++) (*all.back())[static_cast<size_t>(i)] = i;
    return all.back()->data();
}

}  // namespace biofa

#endif
