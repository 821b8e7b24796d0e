// What the statements of a neuron as text may call beside C++'s own functions, as NumPy has it, and Poisson numbers.
#ifndef BIOFA_NUMBERS_H
#define BIOFA_NUMBERS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace biofa {

static inline double choose(bool condition, double yes, double no) { return condition ? yes : no; }

// e^z = 2^n e^r with |r| <= ln 2 / 2: e^r - 1 by its Taylor series, and 2^(n - 1) from the bits of a number. No branch and no
// call, so that the compiler takes several neurons at once. As near as 2 units in the last place.
struct Grown {
    double rest, half;  // e^r - 1, and 2^(n - 1)
    explicit Grown(double z) {
        const double magic = 6755399441055744.0;  // 1.5 * 2^52: its last bits are a whole number
        const double shifted = z * 1.4426950408889634 + magic, n = shifted - magic;
        const double r = (z - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
        double q = 1.0 / 87178291200.0;
        q = q * r + 1.0 / 6227020800.0;
        q = q * r + 1.0 / 479001600.0;
        q = q * r + 1.0 / 39916800.0;
        q = q * r + 1.0 / 3628800.0;
        q = q * r + 1.0 / 362880.0;
        q = q * r + 1.0 / 40320.0;
        q = q * r + 1.0 / 5040.0;
        q = q * r + 1.0 / 720.0;
        q = q * r + 1.0 / 120.0;
        q = q * r + 1.0 / 24.0;
        q = q * r + 1.0 / 6.0;
        q = q * r + 0.5;
        rest = r + r * r * q;
        uint64_t bits;
        std::memcpy(&bits, &shifted, sizeof bits);
        bits = (bits + 1022) << 52;
        std::memcpy(&half, &bits, sizeof half);
    }
};

static const double LARGEST_POWER = 709.782712893384, SMALLEST_POWER = -707.0;

static inline double power_of_e(double z) {
    const Grown grown(choose(z < SMALLEST_POWER, SMALLEST_POWER, z));
    const double value = 2.0 * (grown.half + grown.half * grown.rest);
    return choose(z < SMALLEST_POWER, 0.0, choose(z > LARGEST_POWER, INFINITY, value));
}

// (e^z - 1)/z, and 1 at 0
static inline double relative_growth(double z) {
    const Grown grown(choose(z < SMALLEST_POWER, SMALLEST_POWER, z));
    const double value = (grown.half * grown.rest + (grown.half - 0.5)) / z * 2.0;
    return choose(z == 0.0, 1.0, choose(z > LARGEST_POWER, INFINITY, value));
}

// the same by C's library, to the bit
static inline double libm_growth(double z) { return z == 0.0 ? 1.0 : std::expm1(z) / z; }

// a // b and a % b of floats, with the remainder's sign that of b
static inline double modulo(double a, double b) {
    double rest = std::fmod(a, b);
    if (b == 0) return rest;
    if (rest != 0) { if ((b < 0) != (rest < 0)) rest += b; }
    else rest = std::copysign(0.0, b);
    return rest;
}

static inline double floored(double a, double b) {
    if (b == 0) return a / b;
    double rest = std::fmod(a, b), whole = (a - rest) / b;
    if (rest != 0 && (b < 0) != (rest < 0)) whole -= 1.0;
    if (whole == 0) return std::copysign(0.0, a / b);
    const double floor = std::floor(whole);
    return whole - floor > 0.5 ? floor + 1.0 : floor;
}

// the smallest k with u < P(N <= k), of a Poisson number of this mean; none = exp(-mean) (bioFA/draws.py)
static inline double poisson(double u, double mean, double none, double most) {
    double number = 0, share = none, below = none;
    while (u >= below && number < most) {
        number += 1.0;
        share = share * mean / number;
        below += share;
    }
    return number;
}

// x after a step of dx/dt = M x + b, b standing still: exp of [[M, 1], [0, 0]] dt, balanced (volts beside amperes),
// by scaling, a Taylor series and squaring
template <int n>
struct Exact {
    double matrix[n * n], moves[n][2 * n];
    bool known = false;

    void solve(double dt) {
        const int N = 2 * n;
        static thread_local double a[N][N], sum[N][N], power[N][N], next[N][N];
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) a[i][j] = i < n ? (j < n ? matrix[i * n + j] * dt : (j - n == i ? dt : 0.0)) : 0.0;
        int power_of[N];
        balance(a, power_of);
        double norm = 0;
        for (int i = 0; i < N; i++) {
            double row = 0;
            for (int j = 0; j < N; j++) row += std::fabs(a[i][j]);
            norm = std::max(norm, row);
        }
        int squarings = 0;
        for (; norm > 0.25 && squarings < 1100; norm /= 2) squarings++;
        const double scale = std::ldexp(1.0, -squarings);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) { a[i][j] *= scale; power[i][j] = sum[i][j] = i == j; }
        for (int term = 1; term <= 14; term++) {
            times(power, a, next);
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) { power[i][j] = next[i][j] / term; sum[i][j] += power[i][j]; }
        }
        for (; squarings > 0; squarings--) { times(sum, sum, next); std::memcpy(sum, next, sizeof sum); }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < N; j++) moves[i][j] = std::ldexp(sum[i][j], power_of[i] - power_of[j]);
    }

    // scale every variable by a power of two, so that what it gives others and what it takes from them are alike
    static void balance(double (&a)[2 * n][2 * n], int (&power_of)[2 * n]) {
        const double least = 1.0 / 64;
        for (int i = 0; i < 2 * n; i++) power_of[i] = 0;
        bool changed = true;
        for (int sweep = 0; changed && sweep < 60; sweep++) {
            changed = false;
            for (int i = 0; i < 2 * n; i++) {
                double gives = least, takes = least;
                for (int j = 0; j < 2 * n; j++)
                    if (j != i) { gives = std::max(gives, std::fabs(a[j][i])); takes = std::max(takes, std::fabs(a[i][j])); }
                if (!std::isfinite(gives) || !std::isfinite(takes)) return;
                const int by = (std::ilogb(takes) - std::ilogb(gives)) / 2;
                if (by == 0) continue;
                changed = true;
                power_of[i] += by;
                for (int j = 0; j < 2 * n; j++)
                    if (j != i) { a[j][i] = std::ldexp(a[j][i], by); a[i][j] = std::ldexp(a[i][j], -by); }
            }
        }
    }

    static void times(const double (&left)[2 * n][2 * n], const double (&right)[2 * n][2 * n], double (&out)[2 * n][2 * n]) {
        for (int i = 0; i < 2 * n; i++)
            for (int j = 0; j < 2 * n; j++) {
                double total = 0;
                for (int k = 0; k < 2 * n; k++) total += left[i][k] * right[k][j];
                out[i][j] = total;
            }
    }
};

// one variable, by its row, of n: M row by row, b, x
template <int n, class... Numbers>
static inline double exact(double row, double dt, Numbers... numbers) {
    const double given[] = {static_cast<double>(numbers)...};
    static_assert(sizeof given == (n * n + 2 * n) * sizeof(double), "M, b and x");
    static thread_local Exact<n> last;
    if (!last.known || std::memcmp(last.matrix, given, sizeof last.matrix) != 0) {
        std::memcpy(last.matrix, given, sizeof last.matrix);
        last.solve(dt);
        last.known = true;
    }
    const int i = static_cast<int>(row);
    double moved = 0;
    for (int j = 0; j < n; j++) moved += last.moves[i][j] * given[n * n + n + j];
    for (int j = 0; j < n; j++) moved += last.moves[i][n + j] * given[n * n + j];
    return moved;
}

}  // namespace biofa

#endif
