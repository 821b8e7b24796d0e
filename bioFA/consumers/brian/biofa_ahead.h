// Spikes of a source that hang on what it shows alone, drawn for all steps in which it shows that; and what they bring to
// a port in those steps in which the weights stand still, in one pass over the weights.
//
// The numbers are those of biofa_draws.h: a neuron spikes where k of its 2^b numbers is below its chance. What cannot spike
// is never drawn.
#ifndef BIOFA_AHEAD_H
#define BIOFA_AHEAD_H

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>
#include "biofa_block.h"
#include "biofa_rows.h"

namespace biofa {

struct Foreseen {
    int64_t begins = -1, ends = -1;        // the steps that are drawn
    int size = 0;                          // of the source
    std::vector<int32_t> used;             // the neurons that may spike
    std::vector<uint64_t> counts, below;   // of each, what its count adds to the place of a step, and its chance
    std::vector<int32_t> first;            // spikes of step t are first[t - begins] to before first[t - begins + 1]
    std::vector<int32_t> which, place;     // the neuron of each spike, and its place in `used`

    template <class real>
    [[gnu::noinline]] void draw(const Segment& segment, const char* name, int64_t step, const double* chance, int neurons) {
        size = neurons;
        const int bits = sizeof(real) == 8 ? 53 : 24;
        const double numbers = static_cast<double>(uint64_t(1) << bits);
        begins = step;
        ends = step + segment.length(name);
        used.clear();
        counts.clear();
        below.clear();
        for (int i = 0; i < size; i++)
            if (chance[i] > 0) {
                used.push_back(i);
                counts.push_back(0x9E3779B97F4A7C15ull * static_cast<uint64_t>(i + 1));
                below.push_back(static_cast<uint64_t>(std::ceil(std::min(chance[i], 1.0) * numbers)));
            }
        const size_t count = used.size(), length = static_cast<size_t>(ends - begins);
        first.assign(length + 1, 0);
        if (which.size() < length * count + 1) { which.resize(length * count + 1); place.resize(length * count + 1); }
        std::vector<unsigned char> spikes((count + 7) / 8 * 8, 0);
        int32_t found = 0;
        for (size_t t = 0; t < length; t++) {
            const uint64_t from = segment.place(name, step + static_cast<int64_t>(t));
            const uint64_t *const __restrict add = counts.data(), *const __restrict most = below.data();
            unsigned char* const __restrict spike = spikes.data();
            for (size_t k = 0; k < count; k++) spike[k] = mix(from + add[k]) >> (64 - bits) < most[k];
            for (size_t k = 0; k < count; k++) { place[found] = static_cast<int32_t>(k); found += spike[k]; }
            first[t + 1] = found;
        }
        for (int32_t k = 0; k < found; k++) which[k] = used[place[k]];
    }

    int count(int64_t step) const { return step < begins || step >= ends ? 0 : first[step - begins + 1] - first[step - begins]; }
    const int32_t* now(int64_t step) const { return which.data() + (step < begins || step >= ends ? 0 : first[step - begins]); }

    template <class real>
    [[gnu::noinline]] void show(int64_t step, real* spikes, int size) const {
        std::fill(spikes, spikes + size, real(0));
        const int32_t* const list = now(step);
        for (int k = 0; k < count(step); k++) spikes[list[k]] = real(1);
    }
};

[[gnu::noinline]] inline Foreseen& foreseen(const char* name) {
    static Named<Foreseen> all;
    return all[name];
}

// N targets; every spike of a step brings the same, times its weight
template <int N, class real>
struct Ahead {
    typedef typename Lanes<real>::type vec;
    static const int L = Lanes<real>::count, V = Lanes<real>::bytes == 64 ? 4 : 8, TILE = V * L;
    static const int WORTH = 4;  // steps below which a pass does not pay
    int64_t begins = -1, ends = -1;
    std::vector<real> drive;  // one row a step
    Aligned<real> rows;       // of the neurons that are used, one tile of their weights

    void transmit(const Foreseen& spikes, const Segment& segment, size_t number, int64_t step, const real* sent, const real* w,
                  real* __restrict port, bool accumulate) {
        if (step == spikes.begins) sum(spikes, std::min(spikes.ends, segment.rests(step, number)), w);
        const int count = spikes.count(step);
        const int32_t* const which = spikes.now(step);
        if (!accumulate) for (int i = 0; i < N; i++) port[i] = 0;
        if (count == 0) return;
        if (step < begins || step >= ends) return biofa::transmit<N>(which, count, sent, w, port);
        const real* const __restrict now = &drive[static_cast<size_t>(step - begins) * N];
        const real one = sent[which[0]];
        #pragma GCC ivdep
        for (int i = 0; i < N; i++) port[i] += one * now[i];
    }

private:
    [[gnu::noinline]] void sum(const Foreseen& spikes, int64_t until, const real* w) {
        begins = ends = spikes.begins;
        if (until - begins < WORTH) return;
        ends = until;
        drive.resize(static_cast<size_t>(ends - begins) * N);
        rows.resize(static_cast<size_t>(spikes.size) * TILE);
        for (int i = 0; i < N; i += TILE) {
            const int wide = std::min(TILE, N - i);
            for (size_t k = 0; k < spikes.used.size(); k++) {
                const real* const from = w + static_cast<size_t>(spikes.used[k]) * N + i;
                real* const to = rows.values + k * TILE;
                if (wide == TILE) for (int l = 0; l < TILE; l++) to[l] = from[l];
                else for (int l = 0; l < wide; l++) to[l] = from[l];
                if (i + TILE < N) for (int line = 0; line < TILE; line += 64 / static_cast<int>(sizeof(real))) __builtin_prefetch(from + TILE + line);
            }
            for (int64_t t = begins; t < ends; t++) tile(spikes, t, wide, &drive[static_cast<size_t>(t - begins) * N + i]);
        }
    }

    void tile(const Foreseen& spikes, int64_t step, int wide, real* to) const {
        const vec* const all = reinterpret_cast<const vec*>(rows.values);
        vec one[V], two[V];  // so that no sum waits for the one before
        for (int v = 0; v < V; v++) one[v] = two[v] = vec{};
        const int32_t *place = &spikes.place[static_cast<size_t>(spikes.first[static_cast<size_t>(step - spikes.begins)])];
        const int32_t* const end = place + spikes.count(step);
        for (; place + 2 <= end; place += 2) {
            const vec *const a = all + static_cast<size_t>(place[0]) * V, *const b = all + static_cast<size_t>(place[1]) * V;
            for (int v = 0; v < V; v++) { one[v] += a[v]; two[v] += b[v]; }
        }
        if (place < end) for (int v = 0; v < V; v++) one[v] += all[static_cast<size_t>(*place) * V + v];
        for (int v = 0; v < V; v++) one[v] += two[v];
        std::memcpy(to, one, static_cast<size_t>(wide) * sizeof(real));
    }
};

}  // namespace biofa

#endif
