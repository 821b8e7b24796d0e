// Synapses that are listed by source and learn, and what synapses see late, each after a delay of its own.
#ifndef BIOFA_JOINED_H
#define BIOFA_JOINED_H

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>
#include "biofa_runtime.h"

namespace biofa {

// Where synapses are: those of source j are first[j] to before first[j + 1], and arrive at post[k].
struct Joined {
    Mapped files[2];
    const int64_t* first = nullptr;
    const int32_t* post = nullptr;
    int64_t sources = 0, count = 0;
    std::vector<uint32_t> cuts;  // onto the targets of thread t arrive those of source j from cuts[j * (threads + 1) + t]

    // the synapses onto the targets that a thread owns (biofa_team.h)
    struct Part {
        const int64_t* first;
        const uint32_t* cuts;
        int64_t step;
        int64_t from(int64_t j) const { return first[j] + (cuts ? cuts[j * step] : 0); }
        int64_t end(int64_t j) const { return cuts ? first[j] + cuts[j * step + 1] : first[j + 1]; }
    };
    Part own() const {
        const Seat here = seat();
        return Part{first, here.threads > 1 ? cuts.data() + here.number : nullptr, here.threads + 1};
    }

    [[gnu::noinline]] void divide(int targets, int threads) {
        if (threads == 1 || !cuts.empty()) return;
        cuts.reserve(static_cast<size_t>(sources * (threads + 1)));
        for (int64_t j = 0; j < sources; j++)
            for (int thread = 0; thread <= threads; thread++) {
                const int begin = thread < threads ? range(targets, thread, threads).from : targets;
                cuts.push_back(static_cast<uint32_t>(std::lower_bound(post + first[j], post + first[j + 1], begin) - (post + first[j])));
            }
    }
    [[gnu::noinline]] void open(const std::string& name) {
        const std::string path = segment().path_of(name);
        files[0].open(path + ".first");
        files[1].open(path + ".post");
        first = reinterpret_cast<const int64_t*>(files[0].bytes);
        post = reinterpret_cast<const int32_t*>(files[1].bytes);
        sources = static_cast<int64_t>(files[0].size / 8) - 1;
        count = static_cast<int64_t>(files[1].size / 4);
        if (sources < 0 || first[sources] != count) fail("the synapses of " + name + " are incomplete");
    }
};

[[gnu::noinline]] inline const Joined& joined(const std::string& name, int64_t sources = -1, int targets = -1) {
    static Named<Joined> all;
    Joined& one = all[name];
    if (!one.first) one.open(name);
    if (sources >= 0 && one.sources != sources) fail("the synapses of " + name + " have other sources");
    if (targets >= 0) one.divide(targets, static_cast<int>(segment().threads));
    return one;
}

// the steps after which each synapse sees something, none above what is kept
[[gnu::noinline]] inline const int32_t* delays(const std::string& name, int64_t count, int64_t most) {
    Mapped file;
    file.open(segment().path_of(name));
    const int32_t* const steps = reinterpret_cast<const int32_t*>(file.bytes);
    if (file.size != static_cast<size_t>(count) * 4) fail("delays are missing: " + name);
    for (int64_t k = 0; k < count; k++)
        if (steps[k] < 0 || steps[k] > most) fail("a delay is longer than what is kept: " + name);
    return steps;
}

// What a variable was some steps ago: row d is that of d steps before, row 0 that of this one.
template <class real>
struct Seen {
    const UnderWay& past;
    std::vector<real> kept;
    std::vector<const real*> found;
    explicit Seen(const UnderWay& past) : past(past), kept(static_cast<size_t>(past.slots * past.width)), found(static_cast<size_t>(past.slots) + 1) {}
    const real* const* rows(const real* now, int64_t step) {
        for (size_t k = 0; k < kept.size(); k++) kept[k] = static_cast<real>(past.values[k]);
        found[0] = now;
        for (int64_t d = 1; d <= past.slots; d++)
            found[static_cast<size_t>(d)] = kept.data() + (step + past.slots - d) % past.slots * past.width;
        return found.data();
    }
};

}  // namespace biofa

#endif
