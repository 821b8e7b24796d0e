// What the strength of a listed synapse does from spike to spike, by hand from bioFA/synapses: each kind of dynamics says
// what synapse k releases h seconds after the spike before. What it keeps stands in vectors of the segment, its
// parameters in files, one number a synapse, or one for all.
#ifndef BIOFA_DYNAMICS_H
#define BIOFA_DYNAMICS_H

#include <cmath>
#include <cstdint>
#include <string>
#include "biofa_runtime.h"

namespace biofa {

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

}  // namespace biofa

#endif
