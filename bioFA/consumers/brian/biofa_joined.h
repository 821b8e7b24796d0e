// Synapses that are listed by source and learn, and what synapses see late, each after a delay of its own.
#ifndef BIOFA_JOINED_H
#define BIOFA_JOINED_H

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

[[gnu::noinline]] inline const Joined& joined(const std::string& name, int64_t sources = -1) {
    static Named<Joined> all;
    Joined& one = all[name];
    if (!one.first) one.open(name);
    if (sources >= 0 && one.sources != sources) fail("the synapses of " + name + " have other sources");
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
