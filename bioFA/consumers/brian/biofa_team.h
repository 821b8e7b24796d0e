// The threads that walk through the steps of a segment together (biofa_runtime.h runs them).
//
// Each owns the same neurons of a population in every step, a range of them, and the synapses onto these: what only reads
// and writes its own neurons needs no waiting. A thread says how far it is, and waits only before work that needs what the
// others have done; where spikes take longer than a step, it finds that done long since. Nothing is ever summed across
// ranges, so numbers are the same bit for bit, however many threads there are.
#ifndef BIOFA_TEAM_H
#define BIOFA_TEAM_H

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <sched.h>
#include <vector>

namespace biofa {

struct Seat {  // which thread this is, of how many that share the work
    int number, threads;
};

inline Seat& seat() {
    static thread_local Seat mine = {0, 1};
    return mine;
}

// the step that this thread is at, counted from the first of the segment
inline int64_t& now() {
    static thread_local int64_t step = 0;
    return step;
}

struct Range {
    int from, to;
};

// the neurons that a thread owns; ranges begin at multiples of 16, so that no two threads write to one line of a cache
inline Range range(int size, int number, int threads) {
    const int each = (size + 16 * threads - 1) / (16 * threads) * 16;
    const Range found = {std::min(size, number * each), std::min(size, (number + 1) * each)};
    return found;
}

inline Range own(int size) { return range(size, seat().number, seat().threads); }

inline void pause() {
#if defined(__SSE2__)
    __builtin_ia32_pause();
#endif
}

// How a step may be shared: not; by a thread's own neurons; by these, keeping what is read in this step (GATHERS: in one of
// two places, by turns); by its own targets, reading what all have kept (SENDS), or anything (READS). What only reads what
// all have kept (WATCHES) is done by one thread, and nobody waits for it.
enum Shared : char { ALONE, WATCHES, OWN, GATHERS, SENDS, READS };

struct Work {
    void (*call)();
    Shared shared;
};

// What gathers changes nothing that a sending step reads, and the other way round: done before it, all that send wait once.
inline void bring_forward(std::vector<Work>& works) {
    for (size_t i = 1; i < works.size(); i++)
        for (size_t k = i; k > 0 && works[k - 1].shared == SENDS && works[k].shared == GATHERS; k--)
            std::swap(works[k - 1], works[k]);
}

// Before each work of a step: how many works of that step all others must have done, or less than 0 for some of the step
// before, or so little that it is always true.
inline std::vector<int64_t> needed(const std::vector<Work>& works) {
    const int64_t count = static_cast<int64_t>(works.size());
    std::vector<int64_t> found(works.size(), -2 * count);
    int64_t alone = -2 * count, kept = alone, moved = alone, read = alone;  // after the last of each kind
    for (int64_t at = 0; at < 2 * count; at++) {  // the second time, each finds those of the step before
        const int64_t i = at % count;
        const Shared shared = works[static_cast<size_t>(i)].shared;
        int64_t most = std::max(alone, shared == READS ? moved : read);
        if (shared == ALONE) most = at;
        if (shared == WATCHES || shared == SENDS) most = std::max(most, kept);
        if (shared == GATHERS) most = std::max(most, at - i - count);  // who reads this place did so two steps ago
        found[static_cast<size_t>(i)] = most - (at - i);
        if (shared == ALONE) alone = at + 1;
        if (shared == GATHERS) kept = at + 1;
        if (shared == READS) read = at + 1;
        if (shared != ALONE && shared != WATCHES) moved = at + 1;
    }
    return found;
}

// How many works the threads have done, each on a line of a cache of its own. Who waits looks again and again for some
// microseconds, then lets others have the processor between looks, and sleeps after about a millisecond.
struct Team {
    struct Place {
        std::atomic<int64_t> done{0};
        char rest[120];
    };
    std::vector<Place> places;
    std::atomic<int> asleep{0};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

    explicit Team(int threads) : places(static_cast<size_t>(threads)) {}

    void say(int number, int64_t done) {
        places[static_cast<size_t>(number)].done.store(done);
        if (asleep.load() == 0) return;
        ::pthread_mutex_lock(&mutex);
        ::pthread_cond_broadcast(&changed);
        ::pthread_mutex_unlock(&mutex);
    }

    // wait until all others have done so many works; the least that any has done by then
    int64_t wait(int number, int64_t done) {
        int64_t least = INT64_MAX;
        for (size_t other = 0; other < places.size(); other++) {
            if (static_cast<int>(other) == number) continue;
            const std::atomic<int64_t>& far = places[other].done;
            for (int tries = 0; tries < 2000 && far.load(std::memory_order_acquire) < done; tries++) {
                if (tries < 200) pause();
                else ::sched_yield();
            }
            if (far.load(std::memory_order_acquire) < done) {
                ::pthread_mutex_lock(&mutex);
                asleep++;
                while (far.load() < done) ::pthread_cond_wait(&changed, &mutex);
                asleep--;
                ::pthread_mutex_unlock(&mutex);
            }
            least = std::min(least, far.load(std::memory_order_acquire));
        }
        return least;
    }
};

// All steps of a segment, walked through by every thread.
template <class Begin>
struct Walk {
    const std::vector<Work>& works;
    const int64_t steps;
    const int threads;
    const Begin& begin;  // what every thread does first
    const std::vector<int64_t> needs;
    std::vector<char> heard;  // after which works a thread says how far it is
    Team team;

    struct Place {
        Walk* walk;
        int number;
    };

    Walk(const std::vector<Work>& works, int64_t steps, int threads, const Begin& begin)
        : works(works), steps(steps), threads(threads), begin(begin), needs(needed(works)), heard(works.size(), 0), team(threads) {
        const int64_t count = static_cast<int64_t>(works.size());
        for (const int64_t need : needs) if (need > -2 * count) heard[static_cast<size_t>((need + 3 * count - 1) % count)] = 1;
        heard.back() = 1;
    }

    void go(int number) {
        const Seat mine = {number, threads}, alone = {0, 1};
        seat() = mine;
        begin();
        const int64_t count = static_cast<int64_t>(works.size());
        int64_t known = 0;  // what all others have done
        for (int64_t step = 0; step < steps; step++) {
            now() = step;
            for (int64_t i = 0; i < count; i++) {
                const Work& one = works[static_cast<size_t>(i)];
                const int64_t done = step * count + i;
                // in the first step every object finds what it works on, one object at a time
                const int64_t need = step == 0 ? done : step * count + needs[static_cast<size_t>(i)];
                const bool mute = one.shared == ALONE || one.shared == WATCHES;  // another thread does it
                if (!(mute && number > 0)) {
                    if (known < need) known = team.wait(number, need);
                    if (mute) seat() = alone;
                    one.call();
                    seat() = mine;
                }
                if (step == 0 || heard[static_cast<size_t>(i)]) team.say(number, done + 1);
            }
        }
        seat() = Seat{0, 1};
    }

    static void* enter(void* place) {
        Place* const mine = static_cast<Place*>(place);
        mine->walk->go(mine->number);
        return nullptr;
    }

    // false where a thread could not be started
    bool start() {
        std::vector<pthread_t> others(static_cast<size_t>(threads));
        std::vector<Place> places(static_cast<size_t>(threads));
        for (int number = 1; number < threads; number++) {
            Place& place = places[static_cast<size_t>(number)];
            place.walk = this;
            place.number = number;
            if (::pthread_create(&others[static_cast<size_t>(number)], nullptr, enter, &place) != 0) return false;
        }
        go(0);
        for (int number = 1; number < threads; number++) ::pthread_join(others[static_cast<size_t>(number)], nullptr);
        return true;
    }
};

}  // namespace biofa

#endif
