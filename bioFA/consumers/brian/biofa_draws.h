// Uniform random numbers by counter: a hash of key, presentation, step and neuron (bioFA/draws.py).
// Exported scripts carry the text between the lines that open and close the namespace.
#ifndef BIOFA_DRAWS_H
#define BIOFA_DRAWS_H

#include <cstdint>

namespace biofa {

static inline uint64_t mix(uint64_t z) {  // the finaliser of splitmix64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static inline uint64_t counted(uint64_t place, int64_t count) {
    return mix(place + 0x9E3779B97F4A7C15ull * static_cast<uint64_t>(count + 1));
}

static const uint64_t SECOND = 0x5851F42D4C957F2Dull;  // what a key is changed by for the second of two numbers

static inline double uniform(uint64_t place, int64_t count) {  // in [0, 1), with 53 random bits
    return static_cast<double>(counted(place, count) >> 11) * (1.0 / 9007199254740992.0);
}

}  // namespace biofa

#endif
