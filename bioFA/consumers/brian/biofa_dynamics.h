// What the strength of a listed synapse does from spike to spike, by hand from bioFA/synapses: each kind of dynamics says
// what synapse k releases h seconds after the spike before. What it keeps stands in vectors of the segment, its
// parameters in files, one number a synapse, or one for all.
#ifndef BIOFA_DYNAMICS_H
#define BIOFA_DYNAMICS_H

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>
#include "biofa_runtime.h"

namespace biofa {

// how many listed synapses there are
[[gnu::noinline]] inline size_t count_of(const std::string& name) {
    Mapped file;
    file.open(segment().path_of(name) + ".first");
    if (file.size < 8) fail("the synapses of " + name + " are incomplete");
    const int64_t count = reinterpret_cast<const int64_t*>(file.bytes)[file.size / 8 - 1];
    ::munmap(const_cast<char*>(file.bytes), file.size);
    return static_cast<size_t>(count);
}

struct Parameter {  // one number a synapse, or one for all
    Mapped file;
    const double* values;
    size_t step;
    Parameter(const std::string& path, size_t count) {
        file.open(path);
        if (file.size != 8 && file.size != count * 8) fail("a parameter of synapses is incomplete: " + path);
        values = reinterpret_cast<const double*>(file.bytes);
        step = file.size == 8 ? 0 : 1;
    }
    double operator[](int64_t k) const { return values[static_cast<size_t>(k) * step]; }
};

struct unchanging {  // a synapse without dynamics
    static constexpr bool moves = false;
    unchanging(const std::string&, size_t, size_t) {}
    double since(int32_t, int64_t) const { return 0; }
    double release(int64_t, double) const { return 1; }
};

struct spiking_dynamics {  // what all kinds have: when each presynaptic neuron spiked last
    static constexpr bool moves = true;
    std::vector<double>& last;
    spiking_dynamics(const std::string& name, size_t n_pre) : last(segment().kept_by(name + ".since", n_pre)) {}
    double since(int32_t j, int64_t step) {
        const double now = static_cast<double>(step), steps = now - last[static_cast<size_t>(j)];
        last[static_cast<size_t>(j)] = now;
        return steps;
    }
    double silent(int32_t j, int64_t step) const { return static_cast<double>(step) - last[static_cast<size_t>(j)]; }
};

// Tsodyks, Pawelzik & Markram (1998), equations 2.1 and 2.2
struct two_resources : spiking_dynamics {
    std::vector<double> &x, &u;
    Parameter U, tau_rec, tau_facil;
    two_resources(const std::string& name, size_t n_pre, size_t count)
        : spiking_dynamics(name, n_pre), x(segment().kept_by(name + ".x", count)), u(segment().kept_by(name + ".u", count)),
          U(segment().path_of(name) + ".U", count), tau_rec(segment().path_of(name) + ".tau_rec", count),
          tau_facil(segment().path_of(name) + ".tau_facil", count) {}
    double facilitates(int64_t k, double h) const { return tau_facil[k] > 0 ? std::exp(-h / tau_facil[k]) : 0.0; }
    static std::array<const char*, 2> names() { return {"x", "u"}; }
    std::array<double, 2> present(int64_t k, double h) const {  // what a spike would find
        const size_t at = static_cast<size_t>(k);
        return {1.0 + (x[at] - x[at] * u[at] - 1.0) * std::exp(-h / tau_rec[k]), U[k] + u[at] * (1.0 - U[k]) * facilitates(k, h)};
    }
    double release(int64_t k, double h) {
        const size_t at = static_cast<size_t>(k);
        x[at] = 1.0 + (x[at] - x[at] * u[at] - 1.0) * std::exp(-h / tau_rec[k]);
        u[at] = U[k] + u[at] * (1.0 - U[k]) * facilitates(k, h);
        return u[at] * x[at];
    }
};

// Tsodyks, Uziel & Markram (2000), equations 3 and 4, solved from spike to spike
struct three_resources : two_resources {
    std::vector<double>& y;
    Parameter tau_psc;
    three_resources(const std::string& name, size_t n_pre, size_t count)
        : two_resources(name, n_pre, count), y(segment().kept_by(name + ".y", count)),
          tau_psc(segment().path_of(name) + ".tau_psc", count) {}
    static std::array<const char*, 3> names() { return {"x", "u", "y"}; }
    std::array<double, 3> present(int64_t k, double h) const {
        const size_t at = static_cast<size_t>(k);
        const double share = h / tau_psc[k], rest = h / tau_rec[k] - share, recovers = std::exp(-h / tau_rec[k]);
        const double z = 1.0 - x[at] - y[at], inactive = share * recovers * (rest != 0 ? std::expm1(rest) / rest : 1.0);
        const double used = u[at] * facilitates(k, h);
        return {x[at] + (1.0 - recovers) * z + y[at] * (-std::expm1(-share) - inactive), used + U[k] * (1.0 - used), y[at] * std::exp(-share)};
    }
    double release(int64_t k, double h) {
        const size_t at = static_cast<size_t>(k);
        const double share = h / tau_psc[k], rest = h / tau_rec[k] - share, recovers = std::exp(-h / tau_rec[k]);
        const double z = 1.0 - x[at] - y[at], inactive = share * recovers * (rest != 0 ? std::expm1(rest) / rest : 1.0);
        x[at] = x[at] + (1.0 - recovers) * z + y[at] * (-std::expm1(-share) - inactive);
        y[at] = y[at] * std::exp(-share);
        u[at] = u[at] * facilitates(k, h);
        u[at] = u[at] + U[k] * (1.0 - u[at]);
        const double released = u[at] * x[at];
        x[at] -= released;
        y[at] += released;
        return released;
    }
};

// What traces ask for of synapses with dynamics, as a step begins, before anything is sent: what a spike would find.
template <class Dynamics, class real>
struct Observed {
    struct Asked {
        Trace* trace;
        size_t variable;
        std::vector<int32_t> sources;  // of the synapses that it keeps
    };
    Dynamics dynamics;
    double dt;
    std::vector<Asked> asked;

    [[gnu::noinline]] Observed(const std::string& name, size_t n_pre, size_t count, double dt) : dynamics(name, n_pre, count), dt(dt) {
        Mapped file;
        file.open(segment().path_of(name) + ".first");
        const int64_t* const first = reinterpret_cast<const int64_t*>(file.bytes);
        for (size_t v = 0; v < Dynamics::names().size(); v++)
            for (Trace* one : segment().traces_of((name + "." + Dynamics::names()[v]).c_str(), static_cast<const real*>(nullptr))) {
                std::vector<int32_t> sources;
                for (const int64_t k : one->neurons)
                    sources.push_back(static_cast<int32_t>(std::upper_bound(first, first + n_pre + 1, k) - first - 1));
                asked.push_back({one, v, sources});
            }
    }

    void take(int64_t step) const {
        const int64_t time = segment().step_of_presentation(step);
        for (const Asked& one : asked) {
            if (!one.trace->due(time)) continue;
            real* const row = reinterpret_cast<real*>(one.trace->rows.data() + static_cast<size_t>(step & 1) * one.trace->width);
            for (size_t i = 0; i < one.sources.size(); i++)
                row[i] = static_cast<real>(dynamics.present(one.trace->neurons[i], dynamics.silent(one.sources[i], step) * dt)[one.variable]);
        }
    }
};

}  // namespace biofa

#endif
