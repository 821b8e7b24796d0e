// Synapses that are listed one by one, by source: each with a target (in two bytes where that is enough), a weight and a
// delay, memory-mapped, never copied.
//
// What a neuron sends is added at once to what arrives in the step in which it will arrive (UnderWay). So the sum of a
// step runs by the step in which something was sent, then by source, then by synapse. Synapses of a source are sorted by
// target: so targets are taken in tiles, of which what is under way stays in the first cache, and of which every thread
// (biofa_team.h) has its own. A step sends little, and its synapses lie anywhere in memory: while those of one source are
// added, those of the next few are on their way from there, from one thread's list of spikes to the next, and from tile to
// tile, so that each thread waits for memory once a step and not once for every list and tile.
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
static const size_t AHEAD = 8;        // sources whose synapses are fetched before they are read
static const int64_t WORTH = 64;      // synapses of a source in a tile, below which finding them costs more than it saves

template <class Dynamics>
struct Listed {
    struct Row {  // a source that sends something
        const uint32_t* cut;  // where its synapses onto each tile are; none where one tile holds all
        double sent;
        int32_t which;
    };
    struct Part {  // its synapses onto a tile
        int64_t from, end;
    };
    struct Tiles {  // of the targets that a thread owns
        bool known = false;
        size_t count = 0;
        std::vector<uint32_t> cuts;  // before tile b arrive cuts[j * (count + 1) + b] synapses of source j; empty where one tile holds all
        std::vector<Row> rows;
        char rest[64];               // so that no two threads write to one line of a cache
    };

    Mapped files[4];
    UnderWay& under_way;
    const int64_t* first;
    const void* post;
    const int32_t* delays;
    const double* weights;
    int64_t n_pre, n_post;
    bool one_weight, one_delay;
    double dt;
    mutable Dynamics dynamics;
    mutable std::vector<Tiles> tiles;  // a thread each

    [[gnu::noinline]] Listed(const std::string& name, int64_t n_pre, int64_t n_post, double dt)
        : under_way(segment().under_way(name)), n_pre(n_pre), n_post(n_post), dt(dt), dynamics(name, static_cast<size_t>(n_pre), count_of(name)),
          tiles(static_cast<size_t>(seat().threads)) {
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
    }

    bool narrow() const { return n_post <= 65536; }

    [[gnu::noinline]] void send(const Senders& senders, int64_t step) const {
        Tiles& mine = tiles[static_cast<size_t>(seat().number)];
        if (!mine.known) divide(mine);
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

    [[gnu::noinline]] void divide(Tiles& found) const {
        const int64_t most = one_delay ? TILE : std::max<int64_t>(512, MANY / under_way.slots);
        const int64_t each = n_pre > 0 ? first[n_pre] / n_pre : 0;  // synapses of a source
        const Range mine = own(static_cast<int>(n_post));
        const int64_t width = mine.to - mine.from;
        const int64_t pieces = Dynamics::moves ? 1 : std::max<int64_t>(std::min((width + most - 1) / most, each * width / std::max<int64_t>(n_post, 1) / WORTH), 1);
        std::vector<int32_t> begins;
        for (int64_t piece = 0; width > 0 && piece <= pieces; piece++)
            begins.push_back(static_cast<int32_t>(mine.from + width * piece / pieces));
        found.known = true;
        found.count = width > 0 ? static_cast<size_t>(pieces) : 0;
        if (found.count == 0 || (found.count == 1 && width == n_post)) return;
        if (narrow()) cut(static_cast<const uint16_t*>(post), begins, found.cuts);
        else cut(static_cast<const int32_t*>(post), begins, found.cuts);
    }

    template <class index>
    void cut(const index* post, const std::vector<int32_t>& begins, std::vector<uint32_t>& cuts) const {
        cuts.reserve(static_cast<size_t>(n_pre) * begins.size());
        for (int64_t j = 0; j < n_pre; j++)
            for (const int32_t begin : begins) {
                const index* const from = post + first[j];
                cuts.push_back(static_cast<uint32_t>(std::lower_bound(from, post + first[j + 1], begin) - from));
            }
    }

    template <bool same_weight, bool same_delay, class index>
    void fetch(const index* to, int64_t from, int64_t end) const {
        for (int64_t k = from; k < end; k += 64 / static_cast<int64_t>(sizeof(index))) __builtin_prefetch(to + k);
        for (int64_t k = from; !same_delay && k < end; k += 16) __builtin_prefetch(delays + k);
        for (int64_t k = from; !same_weight && k < end; k += 8) __builtin_prefetch(weights + k);
    }

    // all that send something in a step, list by list; what they are looked up in is fetched for all at once
    [[gnu::noinline]] void look_up(Tiles& mine, const Senders& senders, int64_t step) const {
        mine.rows.clear();
        const uint32_t* const cuts = mine.cuts.empty() ? nullptr : mine.cuts.data();
        for (int list = 0; list < senders.threads; list++) {
            const Senders::Found found = senders.of(step, list);
            for (int s = 0; s < found.count; s++) {
                const int32_t j = found.which[s];
                const uint32_t* const cut = cuts ? cuts + static_cast<size_t>(j) * (mine.count + 1) : nullptr;
                if (cut) __builtin_prefetch(cut);
                __builtin_prefetch(first + j);
                mine.rows.push_back(Row{cut, found.sent[s], j});
            }
        }
    }

    // Add what a source brings to a tile. A function by itself, so that its loop has all registers.
    template <bool same_weight, bool same_delay, class index>
    [[gnu::noinline]] void add(const index* const __restrict to, const Part part, const Row& source, int64_t step, int64_t now,
                               double* const __restrict row) const {
        const int64_t slots = under_way.slots, width = n_post;
        const int32_t* const __restrict after = delays;
        const double* const __restrict strength = weights;
        const double one = weights[0], sent = source.sent;
        const double since = Dynamics::moves ? dynamics.since(source.which, step) * dt : 0;
        #pragma GCC unroll 4
        for (int64_t k = part.from; k < part.end; k++) {
            const double weight = same_weight ? one : strength[k];
            const double brought = (Dynamics::moves ? weight * dynamics.release(k, since) : weight) * sent;
            if (same_delay) { row[to[k]] += brought; continue; }
            int64_t slot = now + after[k];
            if (slot >= slots) slot -= slots;
            row[slot * width + to[k]] += brought;
        }
    }

    template <bool same_weight, bool same_delay, class index>
    void put(const index* const __restrict to, const Senders& senders, int64_t step) const {
        Tiles& mine = tiles[static_cast<size_t>(seat().number)];
        look_up(mine, senders, step);
        const int64_t now = step % under_way.slots;
        double* const row = under_way.values.data() + (same_delay ? (now + delays[0]) % under_way.slots * n_post : 0);
        const Row* const rows = mine.rows.data();
        const size_t count = mine.rows.size(), total = mine.count * count;
        Part parts[AHEAD];
        size_t ahead_row = 0, ahead_tile = 0, looked = 0;
        const auto look = [&]() {  // have the synapses of a source at hand before they are read
            const Row& source = rows[ahead_row];
            Part& part = parts[looked++ % AHEAD];
            const int64_t begin = first[source.which];
            part.from = source.cut ? begin + source.cut[ahead_tile] : begin;
            part.end = source.cut ? begin + source.cut[ahead_tile + 1] : first[source.which + 1];
            fetch<same_weight, same_delay>(to, part.from, part.end);
            if (++ahead_row == count) { ahead_row = 0; ahead_tile++; }
        };
        while (looked < total && looked < AHEAD - 1) look();
        for (size_t tile = 0; tile < mine.count; tile++)
            for (size_t s = 0; s < count; s++) {
                if (looked < total) look();
                add<same_weight, same_delay>(to, parts[(tile * count + s) % AHEAD], rows[s], step, now, row);
            }
    }
};

}  // namespace biofa

#endif
