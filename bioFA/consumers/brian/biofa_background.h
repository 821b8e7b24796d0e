// What comes from outside to the neurons of a population: Poisson numbers, drawn by counter (bioFA/draws.py).
#ifndef BIOFA_BACKGROUND_H
#define BIOFA_BACKGROUND_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>
#include "biofa_draws.h"
#include "biofa_numbers.h"

namespace biofa {

static const int AT_ONCE = 256;  // neurons

// the random bits of so many neurons, 53 each
static inline void draw_bits(uint64_t place, int first, int count, uint64_t* bits) {
    for (int i = 0; i < count; i++) bits[i] = counted(place, first + i) >> 11;
}

// as `uniform`, of bits that were drawn
static inline double of_bits(uint64_t bits) { return static_cast<double>(bits) * (1.0 / 9007199254740992.0); }

// The same number as `poisson` of these bits, where all neurons have one mean: found in a table. Bits of number k are
// above[k - 1] or more, and below above[k]; the first ten of them say from which number to look on.
struct Numbers {
    std::vector<uint64_t> above;
    std::vector<uint32_t> least;

    Numbers(double mean, double none, double most) {
        const uint64_t all = uint64_t(1) << 53;
        double number = 0, share = none, below = none;
        while (number < most) {
            above.push_back(below < 1.0 ? static_cast<uint64_t>(std::ceil(std::max(below, 0.0) * 9007199254740992.0)) : all);
            number += 1.0;
            share = share * mean / number;
            below += share;
        }
        above.push_back(~uint64_t(0));
        uint32_t found = 0;
        for (uint64_t bucket = 0; bucket < 1024; bucket++) {
            while (bucket << 43 >= above[found]) found++;
            least.push_back(found);
        }
    }

    double operator()(uint64_t bits) const {
        uint32_t number = least[bits >> 43];
        while (bits >= above[number]) number++;
        return static_cast<double>(number);
    }
};

}  // namespace biofa

#endif
