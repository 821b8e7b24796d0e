// Synapses that are listed one by one, by source: each with a target (in two bytes where that is enough), a weight and a
// delay, memory-mapped, never copied.
//
// What a neuron sends is added at once to what arrives in the step in which it will arrive (UnderWay). So the sum of a
// step runs by the step in which something was sent, then by source, then by synapse. Synapses of a source are sorted by
// target: so targets are taken in tiles, of which what is under way stays in the first cache, and of which every thread
// (biofa_team.h) has its own.
#ifndef BIOFA_LISTED_H
#define BIOFA_LISTED_H

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>
#include "biofa_dynamics.h"
#include "biofa_runtime.h"

namespace biofa {

static const int64_t TILE = 2560;     // targets: 20 KB of what is under way
static const int64_t MANY = 98304;    // the same over all steps that something may be under way: 768 KB, in the second cache
static const int64_t WORTH = 64;      // synapses of a source in a tile, below which finding them costs more than it saves

template <class Dynamics>
struct Listed {
    Mapped files[4];
    UnderWay& under_way;
    const int64_t* first;
    const void* post;
    const int32_t* delays;
    const double* weights;
    int64_t n_post;
    bool one_weight, one_delay;
    double dt;
    mutable Dynamics dynamics;
    std::vector<int> tiles_of;   // thread t has the tiles tiles_of[t] to before tiles_of[t + 1]
    std::vector<uint32_t> cuts;  // before tile b arrive cuts[j * (tiles + 1) + b] synapses of source j; empty where one tile holds all

    [[gnu::noinline]] Listed(const std::string& name, int64_t n_pre, int64_t n_post, double dt)
        : under_way(segment().under_way(name)), n_post(n_post), dt(dt), dynamics(name, static_cast<size_t>(n_pre), count_of(name)) {
        const std::string path = segment().path_of(name);
        const char* parts[] = {".first", ".post", ".weights", ".delays"};
        for (int i = 0; i < 4; i++) files[i].open(path + parts[i]);
        first = reinterpret_cast<const int64_t*>(files[0].bytes);
        post = files[1].bytes;
        weights = reinterpret_cast<const double*>(files[2].bytes);
        delays = reinterpret_cast<const int32_t*>(files[3].bytes);
        if (files[0].size != static_cast<size_t>(n_pre + 1) * 8) fail("the synapses of " + name + " have other sources");
        const size_t count = static_cast<size_t>(first[n_pre]);
        one_weight = files[2].size == 8;
        one_delay = files[3].size == 4;
        if (files[1].size != count * (narrow() ? 2 : 4) || (!one_weight && files[2].size != count * 8) || (!one_delay && files[3].size != count * 4))
            fail("the synapses of " + name + " are incomplete");
        if (under_way.width != n_post) fail("what is under way to " + name + " has other targets");
        for (size_t k = 0; k < files[3].size / 4; k++)
            if (delays[k] < 0 || delays[k] >= under_way.slots) fail("a delay of " + name + " is longer than what is kept");
        divide(n_pre);
    }

    bool narrow() const { return n_post <= 65536; }

    [[gnu::noinline]] void send(const Senders& senders, int64_t step) const {
        if (narrow()) send_to(static_cast<const uint16_t*>(post), senders, step);
        else send_to(static_cast<const int32_t*>(post), senders, step);
    }

private:
    template <class index>
    void send_to(const index* to, const Senders& senders, int64_t step) const {
        if (one_weight && one_delay) put<true, true>(to, senders, step);
        else if (one_weight) put<true, false>(to, senders, step);
        else if (one_delay) put<false, true>(to, senders, step);
        else put<false, false>(to, senders, step);
    }

    [[gnu::noinline]] void divide(int64_t n_pre) {
        const int threads = seat().threads;
        const int64_t most = one_delay ? TILE : std::max<int64_t>(512, MANY / under_way.slots);
        const int64_t each = n_pre > 0 ? first[n_pre] / n_pre : 0;  // synapses of a source
        std::vector<int32_t> begins;
        for (int thread = 0; thread < threads; thread++) {
            const Range mine = range(static_cast<int>(n_post), thread, threads);
            const int64_t width = mine.to - mine.from;
            const int64_t pieces = Dynamics::moves ? 1 : std::max<int64_t>(std::min((width + most - 1) / most, each * width / std::max<int64_t>(n_post, 1) / WORTH), 1);
            tiles_of.push_back(static_cast<int>(begins.size()));
            for (int64_t piece = 0; width > 0 && piece < pieces; piece++)
                begins.push_back(static_cast<int32_t>(mine.from + width * piece / pieces));
        }
        tiles_of.push_back(static_cast<int>(begins.size()));
        if (begins.size() <= 1) return;
        if (narrow()) cut(static_cast<const uint16_t*>(post), n_pre, begins);
        else cut(static_cast<const int32_t*>(post), n_pre, begins);
    }

    template <class index>
    void cut(const index* post, int64_t n_pre, const std::vector<int32_t>& begins) {
        cuts.reserve(static_cast<size_t>(n_pre) * (begins.size() + 1));
        for (int64_t j = 0; j < n_pre; j++) {
            const index* const from = post + first[j];
            const index* const to = post + first[j + 1];
            for (const int32_t begin : begins) cuts.push_back(static_cast<uint32_t>(std::lower_bound(from, to, begin) - from));
            cuts.push_back(static_cast<uint32_t>(to - from));
        }
    }

    // have the synapses of a source at hand a little before they are read
    template <bool same_weight, bool same_delay, class index>
    void fetch(const index* to, int64_t from, int64_t end) const {
        for (int64_t k = from; k < end; k += 64 / static_cast<int64_t>(sizeof(index))) __builtin_prefetch(to + k);
        for (int64_t k = from; !same_delay && k < end; k += 16) __builtin_prefetch(delays + k);
        for (int64_t k = from; !same_weight && k < end; k += 8) __builtin_prefetch(weights + k);
    }

    template <bool same_weight, bool same_delay, class index>
    void put(const index* const __restrict to, const Senders& senders, int64_t step) const {
        const int64_t slots = under_way.slots, now = step % slots, width = n_post;
        double* const __restrict all = under_way.values.data();
        double* const __restrict row = all + (same_delay ? (now + delays[0]) % slots * width : 0);
        const int32_t* const __restrict after = delays;
        const double* const __restrict strength = weights;
        const double one = weights[0];
        const size_t tiles = static_cast<size_t>(tiles_of.back());
        for (int tile = tiles_of[static_cast<size_t>(seat().number)]; tile < tiles_of[static_cast<size_t>(seat().number) + 1]; tile++) {
            const auto within = [&](int32_t j, int64_t& from, int64_t& end) {
                from = first[j];
                end = first[j + 1];
                if (cuts.empty()) return;
                const uint32_t* const cut = cuts.data() + static_cast<size_t>(j) * (tiles + 1) + static_cast<size_t>(tile);
                end = from + cut[1];
                from += cut[0];
            };
            for (int list = 0; list < senders.threads; list++) {
                const Senders::Found found = senders.of(step, list);
                const int32_t* const which = found.which;
                const double* const values = found.sent;
                const int count = found.count;
                int64_t from = 0, end = 0, next_from = 0, next_end = 0;
                if (count > 0) within(which[0], next_from, next_end);
                for (int s = 0; s < count; s++) {
                    from = next_from;
                    end = next_end;
                    if (s + 1 < count) {
                        within(which[s + 1], next_from, next_end);
                        fetch<same_weight, same_delay>(to, next_from, next_end);
                    }
                    const double sent = values[s], since = Dynamics::moves ? dynamics.since(which[s], step) * dt : 0;
                    for (int64_t k = from; k < end; k++) {
                        const double weight = same_weight ? one : strength[k];
                        const double brought = (Dynamics::moves ? weight * dynamics.release(k, since) : weight) * sent;
                        if (same_delay) { row[to[k]] += brought; continue; }
                        int64_t slot = now + after[k];
                        if (slot >= slots) slot -= slots;
                        all[slot * width + to[k]] += brought;
                    }
                }
            }
        }
    }
};

}  // namespace biofa

#endif
