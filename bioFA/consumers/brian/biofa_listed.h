// Synapses that are listed one by one, by source: each with a target, a weight and a delay, memory-mapped, never copied.
//
// What a neuron sends is added at once to what arrives in the step in which it will arrive (UnderWay). So the sum of a
// step runs by the step in which something was sent, then by source, then by synapse.
#ifndef BIOFA_LISTED_H
#define BIOFA_LISTED_H

#include <cstdint>
#include <string>
#include <vector>
#include "biofa_dynamics.h"
#include "biofa_runtime.h"

namespace biofa {

template <class Dynamics>
struct Listed {
    Mapped files[4];
    UnderWay& under_way;
    const int64_t* first;
    const int32_t *post, *delays;
    const double* weights;
    int64_t n_post;
    bool one_weight, one_delay;
    double dt;
    mutable Dynamics dynamics;

    [[gnu::noinline]] static size_t count_of(const std::string& name) {
        Mapped file;
        file.open(segment().path_of(name) + ".post");
        const size_t count = file.size / 4;
        if (file.size) ::munmap(const_cast<char*>(file.bytes), file.size);
        return count;
    }

    [[gnu::noinline]] Listed(const std::string& name, int64_t n_pre, int64_t n_post, double dt)
        : under_way(segment().under_way(name)), n_post(n_post), dt(dt), dynamics(name, static_cast<size_t>(n_pre), count_of(name)) {
        const std::string path = segment().path_of(name);
        const char* parts[] = {".first", ".post", ".weights", ".delays"};
        for (int i = 0; i < 4; i++) files[i].open(path + parts[i]);
        first = reinterpret_cast<const int64_t*>(files[0].bytes);
        post = reinterpret_cast<const int32_t*>(files[1].bytes);
        weights = reinterpret_cast<const double*>(files[2].bytes);
        delays = reinterpret_cast<const int32_t*>(files[3].bytes);
        if (files[0].size != static_cast<size_t>(n_pre + 1) * 8) fail("the synapses of " + name + " have other sources");
        const size_t count = static_cast<size_t>(first[n_pre]);
        one_weight = files[2].size == 8;
        one_delay = files[3].size == 4;
        if (files[1].size != count * 4 || (!one_weight && files[2].size != count * 8) || (!one_delay && files[3].size != count * 4))
            fail("the synapses of " + name + " are incomplete");
        if (under_way.width != n_post) fail("what is under way to " + name + " has other targets");
        for (size_t k = 0; k < files[3].size / 4; k++)
            if (delays[k] < 0 || delays[k] >= under_way.slots) fail("a delay of " + name + " is longer than what is kept");
    }

    template <class real>
    [[gnu::noinline]] void send(const Senders& senders, const real* values, int64_t step) const {
        if (senders.count == 0) return;
        if (one_weight && one_delay) put<true, true>(senders, values, step);
        else if (one_weight) put<true, false>(senders, values, step);
        else if (one_delay) put<false, true>(senders, values, step);
        else put<false, false>(senders, values, step);
    }

private:
    template <bool same_weight, bool same_delay, class real>
    void put(const Senders& senders, const real* values, int64_t step) const {
        const int64_t slots = under_way.slots, now = step % slots, width = n_post;
        double* const __restrict all = under_way.values.data();
        double* const __restrict row = all + (same_delay ? (now + delays[0]) % slots * width : 0);
        const int32_t *const __restrict to = post, *const __restrict after = delays;
        const double* const __restrict strength = weights;
        for (int s = 0; s < senders.count; s++) {
            const int32_t j = senders.which[s];
            const double sent = values[j], since = Dynamics::moves ? dynamics.since(j, step) * dt : 0;
            const int64_t end = first[j + 1];
            for (int64_t k = first[j]; k < end; k++) {
                const double weight = strength[same_weight ? 0 : k];
                const double brought = (Dynamics::moves ? weight * dynamics.release(k, since) : weight) * sent;
                if (same_delay) { row[to[k]] += brought; continue; }
                int64_t slot = now + after[k];
                if (slot >= slots) slot -= slots;
                all[slot * width + to[k]] += brought;
            }
        }
    }
};

}  // namespace biofa

#endif
