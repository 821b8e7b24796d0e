// The widest vectors of this processor: in how many bytes, and how many numbers, one register holds, and which are not 0.
#ifndef BIOFA_LANES_H
#define BIOFA_LANES_H

#include <cstddef>
#include <cstdint>

namespace biofa {

template <class real>
struct Lanes {
#if defined(__AVX512F__)
    static const int bytes = 64;
#elif defined(__AVX__)
    static const int bytes = 32;
#else
    static const int bytes = 16;
#endif
    typedef real type __attribute__((vector_size(bytes), may_alias));
    static const int count = bytes / sizeof(real);
};

// which of them are not 0, as the bits of a whole number
#if defined(__AVX512F__)
inline uint64_t bits(const Lanes<double>::type& v) { return static_cast<uint8_t>(__builtin_ia32_cmppd512_mask(v, (Lanes<double>::type{}), 4, -1, 4)); }
inline uint64_t bits(const Lanes<float>::type& v) { return static_cast<uint16_t>(__builtin_ia32_cmpps512_mask(v, (Lanes<float>::type{}), 4, -1, 4)); }
#elif defined(__AVX__)
inline uint64_t bits(const Lanes<double>::type& v) { return static_cast<uint64_t>(__builtin_ia32_movmskpd256((Lanes<double>::type)(v != 0))); }
inline uint64_t bits(const Lanes<float>::type& v) { return static_cast<uint64_t>(__builtin_ia32_movmskps256((Lanes<float>::type)(v != 0))); }
#elif defined(__SSE2__)
inline uint64_t bits(const Lanes<double>::type& v) { return static_cast<uint64_t>(__builtin_ia32_movmskpd((Lanes<double>::type)(v != 0))); }
inline uint64_t bits(const Lanes<float>::type& v) { return static_cast<uint64_t>(__builtin_ia32_movmskps((Lanes<float>::type)(v != 0))); }
#else
template <class vec>
inline uint64_t bits(const vec& v) {
    uint64_t found = 0;
    for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) found |= static_cast<uint64_t>(v[k] != 0) << k;
    return found;
}
#endif

}  // namespace biofa

#endif
