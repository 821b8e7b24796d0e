// The threads that walk through the steps of a segment together (biofa_runtime.h runs them).
//
// Each owns the same neurons of a population in every step, a range of them, and the synapses onto these: what only reads
// and writes its own neurons needs no waiting. A step that reads what other neurons sent waits for all threads, and any other
// step is done by one thread while the rest wait. Nothing is ever summed across ranges, so numbers are the same bit for bit,
// however many threads there are.
#ifndef BIOFA_TEAM_H
#define BIOFA_TEAM_H

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <vector>

namespace biofa {

struct Seat {  // which thread this is, of how many that share the work
    int number, threads;
};

inline Seat& seat() {
    static thread_local Seat mine = {0, 1};
    return mine;
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

// Where all threads wait for each other, a while by looking again and again, then asleep; the last one to come does a piece
// of work before they go on.
struct Meeting {
    std::atomic<int> come{0}, round{0}, asleep{0};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

    template <class Work>
    void wait(int threads, const Work& work) {
        const int now = round.load(std::memory_order_relaxed);
        if (come.fetch_add(1) == threads - 1) {
            work();
            come.store(0, std::memory_order_relaxed);
            round.store(now + 1);
            if (asleep.load() == 0) return;
            ::pthread_mutex_lock(&mutex);
            ::pthread_cond_broadcast(&changed);
            ::pthread_mutex_unlock(&mutex);
            return;
        }
        for (int tries = 0; tries < 400; tries++) {
            if (round.load(std::memory_order_acquire) != now) return;
            pause();
        }
        ::pthread_mutex_lock(&mutex);
        asleep++;
        while (round.load() == now) ::pthread_cond_wait(&changed, &mutex);
        asleep--;
        ::pthread_mutex_unlock(&mutex);
    }
};

// How a step may be shared: not, nor when it only looks (WATCHES); by a thread's own neurons; by these, listing them; or by
// its own targets, reading what all have listed, or anything (READS).
enum Shared : char { ALONE, WATCHES, OWN, GATHERS, SENDS, READS };

struct Work {
    void (*call)();
    Shared shared;
};

// What gathers or watches changes nothing that a sending step reads, and the other way round: done before it, all that send
// and a step that watches wait once.
inline void bring_forward(std::vector<Work>& works) {
    for (size_t i = 1; i < works.size(); i++)
        for (size_t k = i; k > 0 && works[k - 1].shared == SENDS && (works[k].shared == GATHERS || works[k].shared == WATCHES); k--)
            std::swap(works[k - 1], works[k]);
}

// All steps of a segment, walked through by every thread.
template <class Begin, class Tick>
struct Walk {
    const std::vector<Work>& works;
    const int64_t steps;
    const int threads;
    const Begin& begin;  // what every thread does first
    const Tick& tick;    // what ends a step
    Meeting meeting;

    struct Place {
        Walk* walk;
        int number;
    };

    void go(int number) {
        const Seat mine = {number, threads}, alone = {0, 1};
        seat() = mine;
        begin();
        for (int64_t step = 0; step < steps; step++) {
            bool moved = false, gathered = false, read = false;  // since all met
            for (const Work& one : works) {
                const bool reads = one.shared == READS;
                if (one.shared == ALONE || one.shared == WATCHES) {
                    meeting.wait(threads, [&] { seat() = alone; one.call(); seat() = mine; });
                    moved = gathered = read = false;
                    continue;
                }
                // in the first step every object finds what it works on, one object at a time
                if (step == 0 || (one.shared == SENDS && gathered) || (reads && moved) || (!reads && read)) {
                    meeting.wait(threads, [] {});
                    moved = gathered = read = false;
                }
                moved = true;
                gathered |= one.shared == GATHERS;
                read |= reads;
                one.call();
            }
            meeting.wait(threads, tick);
        }
        seat() = alone;
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
