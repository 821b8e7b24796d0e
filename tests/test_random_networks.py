"""Random networks without a teacher: C++ and NumPy agree in every spike, and in every state to 1e-10 of its range.

Few structures, each compiled once; drawn are sizes of nothing, but all that a program takes at run time: parameters and
their distributions, first values, weights, ways to connect, delays, background, windows of sources, what is recorded,
trials, warm-up and seeds. Between them the structures hold every method, every well-known neuron, every source, every
way to connect, every kind of delay and of dynamics, which a test counts.

One network of the structure that holds every method is verified for fewer steps, and then twice `BIOFA_EXAMPLES` in
all, 50. All of it is slow; `test_free_engine.py` holds every method to the reference at once.
"""

import collections
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bioFA import Experiment, distributions, neurons
from bioFA.consumers.brian.compose import make_program
from bioFA.equations.integrate import METHODS
from bioFA.neurons.free_source import FreeSource
from bioFA.neurons.standard import StandardNeuron
from bioFA.synapses import connect
from bioFA.verification.free_run import PIECE, verify_free

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
STEPS = 2000
FEWEST_SPIKES = 30
"""So many spikes in all: what is silent would agree whatever it computed."""
DELAYS = (
    *("one", "two parts"),
    *("none", "distributed", "axonal distributed", "dendritic distributed", "of a file"),
)
"""All kinds of delay: those that are one for a pathway, and those of one program with none."""

pytestmark = pytest.mark.compiled


class Drawing:
    """What a structure draws, by hypothesis, in a folder for the files that it names."""

    def __init__(self, data, folder, dt, steps=STEPS):
        self.data, self.folder, self.dt, self.steps = data, folder, dt, steps
        self.rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="numbers of files"))
        self.used = collections.Counter()

    def one(self, *options):
        return self.data.draw(st.sampled_from(options))

    def between(self, low, high):
        return self.data.draw(st.integers(0, 1000)) / 1000 * (high - low) + low

    def text(self, low, high, unit):
        """A text of the two neurons of a synapse, between two bounds."""
        self.used["distribution text"] += 1
        first, last = (f"{bound:.9g} {unit}".strip() for bound in (low, high))
        share = self.one("i/n_pre", "(j + 1)/n_post", "exp(-abs(i - j)/2)", "0.5*(1 + sin(7*i + 3*j))")
        return f"{first} + ({last} - ({first}))*{share}"

    def file(self, array):
        path = self.folder / f"{len(os.listdir(self.folder))}.npy"
        np.save(path, array)
        return str(path)

    def same(self, low, high, unit=""):
        """One value for all."""
        return f"{self.between(low, high):.6g} {unit}".strip() if unit else self.between(low, high)

    def spread(self, low, high, unit="", count=None, size=1.0):
        """A distribution of values between two bounds; where it is known how many there are, also given ones.

        `size` is the unit in SI, for values of files.
        """
        kinds = ["uniform", "normal", "lognormal", "gamma", "exponential"] if low >= 0 else ["uniform", "normal"]
        kind = self.one(*kinds, *(("linear", "values", "from_file") if count else ()))
        self.used[f"distribution {kind}"] += 1
        first, last = sorted((self.between(low, high), self.between(low, high)))
        if last == first:
            first, last = max(first - 0.1 * (high - low), low), min(last + 0.1 * (high - low), high)

        def text(number):
            return f"{number:.9g} {unit}" if unit else float(number)

        bounds = {"low": text(first), "high": text(last)}
        middle, width = text((first + last) / 2), text((last - first) / 2)
        outside = self.one("redraw", "clip")
        if kind in ("uniform", "linear"):
            return {"name": kind, **bounds}
        if kind in ("normal", "lognormal"):
            return {"name": kind, "mean": middle, "std": width, "outside": outside, **bounds}
        if kind == "gamma":
            return {"name": kind, "mean": middle, "shape": self.between(1.0, 5.0), "outside": "clip", **bounds}
        if kind == "exponential":
            return {"name": kind, "mean": middle, "outside": "clip", **bounds}
        values = self.rng.uniform(first, last, count)
        if kind == "values":
            return [text(value) for value in values]
        return {"name": "from_file", "path": self.file(values * size), "low": text(low), "high": text(high)}

    def synapses(self, n_pre, n_post, same, low, high, unit, size, delay):
        """`connect`, `weights` and `delay` of a pathway whose delay is of one of the kinds of `DELAYS`."""
        way, count = self.connect(n_pre, n_post, same)
        if count is not None and self.one(True, False):
            weights = {"name": "from_file", "path": self.file(self.rng.uniform(low, high, count) * size)}
        else:
            weights = {
                "same": lambda: self.same(low, high, unit),
                "spread": lambda: self.spread(low, high, unit),
                "text": lambda: self.text(low, high, unit),
            }[self.one("same", "spread", "text")]()
        found = {"connect": way, "weights": weights}
        given_ = self.delay(delay, count)
        return found if given_ is None else found | {"delay": given_}

    def connect(self, n_pre, n_post, same):
        """A way to connect, and how many synapses it has, where that is known beforehand."""
        flags = {"multapses": self.one(True, False), "autapses": self.one(True, False)}
        kinds = ["all", "probability", "fan_in", "fan_out", "total", "pairs", "where"]
        kinds += ["one_to_one"] * (n_pre == n_post)
        kind = self.one(*kinds)
        self.used[f"connect {kind}"] += 1
        few = max(1, min(n_pre, n_post) // 2)
        if kind == "pairs":
            pairs = self.rng.integers(0, [n_pre, n_post], (3 * n_post, 2))
            return {"name": "pairs", "path": self.file(pairs)}, len(pairs)
        if kind == "one_to_one":
            return {"name": "one_to_one", "autapses": True}, None
        if kind == "where":
            p = self.one("0.6", "exp(-abs(i - j)/4)", "near*int(i != j) + 0.3*(1 - near)", "(i + 2*j) % 3 < 2")
            return {"name": "where", "p": p, "let": {"near": "int(abs(i - j) < n_post/2)"}, "autapses": True}, None
        own = {"probability": {"p": self.between(0.2, 0.9)}, "all": {}, "total": {"count": 2 * few}}
        return {"name": kind, **flags, **own.get(kind, {"count": few})}, None

    def delay(self, kind, count):
        """A delay of the pathway: `fixed`, one for all, or else none or one a synapse: its two have other programs."""
        if kind == "fixed":
            kind = self.one("one", "two parts")
            self.used[f"delay {kind}"] += 1
            steps = [self.between(1, 40) * self.dt * 1e3 for _ in range(2)]
            if kind == "one":
                return f"{steps[0]:.6g} ms"
            return {"axonal": f"{steps[0]:.6g} ms", "dendritic": f"{steps[1]:.6g} ms"}
        kinds = ["none", "distributed", "axonal distributed", "dendritic distributed"]
        kind = self.one(*kinds, *(["of a file"] * 3 if count is not None else []))
        self.used[f"delay {kind}"] += 1
        if kind == "none":
            return None
        if kind == "of a file":
            return {"name": "from_file", "path": self.file(self.rng.integers(0, 30, count) * self.dt)}
        # some may be 0, as where there is none: what surely comes late is computed in another order
        step = self.dt * 1e3
        text = self.one(True, False, False)
        many = self.text(0, 40 * step, "ms") if text else self.spread(step, 40 * step, "ms") | {"low": "0 ms"}
        one = "0 ms"
        if kind == "distributed":
            return many
        return {"axonal": many, "dendritic": one} if kind.startswith("axonal") else {"axonal": one, "dendritic": many}

    def windows(self):
        """When a source is on, and whether it has the same numbers in every trial."""
        begin, end = sorted((round(self.between(0, 99)), round(self.between(100, 180))))
        shown = {"on": [[f"{begin * self.dt * 1e3:.6g} ms", f"{end * self.dt * 1e3:.6g} ms"]]}
        repeat = {"repeat": f"{200 * self.dt * 1e3:.6g} ms"}
        return (shown | repeat if self.one(True, False) else {}) | {"frozen": self.one(True, False)}

    def poisson(self, low, high, count=None):
        rate = self.spread(low, high, "Hz", count)
        return {"name": "poisson", "rate": rate, **self.windows()}

    def background(self, port, low, high, unit):
        """Poisson spikes at a port, whose weight differs between neurons where the program says so."""
        return {"port": port, "rate": self.same(50, 200, "Hz"), "count": self.one(1, 3, 20),
                "weight": self.spread(low, high, unit)}  # fmt: skip

    def traces(self, sizes, variables):
        """Every variable is traced, as the program must have it; of which neurons, when and how often, is drawn."""
        found, until = [], min(900, self.steps // 2)
        for population, names in variables.items():
            every = self.one(1, 2, 7)
            begin = self.one(0, 3, 150)
            which = sorted(set(self.rng.integers(0, sizes[population], 3).tolist()))
            found.append({"population": population, "variables": self.one(names, names[::-1]), "neurons": which,
                          "every": every * self.dt, "from": begin * self.dt, "until": until * self.dt})  # fmt: skip
        return found

    def protocol(self):
        """At least so many steps, in one trial or two, not always whole pieces."""
        trials = self.one(1, 2)
        steps = self.steps // trials + self.one(0, 1, PIECE // 3)
        return {"duration": steps * self.dt, "dt": self.dt, "trials": trials,
                "warm_up": self.one(0, 100, 777) * self.dt}  # fmt: skip


def network(draw, populations, pathways, variables=None):
    """The description of it: `pathways` are source, target, port, least and largest weight, unit, and kind of delay."""
    sizes = {population["name"]: population["size"] for population in populations}
    units = {"": 1.0, "mV": 1e-3, "pA": 1e-12, "nS": 1e-9}
    made = []
    for source, target, port, low, high, unit, delay, *carries in pathways:
        drawn = draw.synapses(sizes[source], sizes[target], source == target, low, high, unit, units[unit], delay)
        made.append({"name": f"p{len(made)}", "source": source, "target": target, "port": port, **drawn}
                    | dict(zip(("carries",), carries, strict=False)))  # fmt: skip
    circuit = {"name": "network", "populations": populations, "pathways": made}
    record = {"traces": draw.traces(sizes, variables)} if variables else {}
    return Experiment(name="drawn", circuit=circuit, protocol=draw.protocol(), record=record)


def text_methods(draw):
    """Text of every method, with noise, random resets, `t`, `i`, `since` and `learning`, driven by every source."""
    noisy = {
        "name": "equations",
        "model": (
            """
            dv/dt = (bias - v + I - a)/tau + sigma*sqrt(2/tau)*xi : 1 (unless refractory)
            da/dt = -a/(30*ms) + 0.02*sqrt(1/(30*ms))*xi_slow : 1
            bias = 1.05 + 0.02*i + 0.1*sin(40*t/second) : 1
        """
        ),
        "ports": {"I": "1", "jump": {"unit": "1", "sign": -1}},
        "arrival": "v += jump",
        "threshold": "v > 1 + 0.2*exp(-since/(5*ms))",
        "reset": "v = 0.2*rand(); a += 0.05*abs(randn())",
        "refractory": draw.same(0.0, 4.0, "ms"),
        "method": "euler",
        "parameters": {"tau": draw.spread(8, 20, "ms", 8, 1e-3), "sigma": draw.same(0.05, 0.3)},
        "initial": {"v": draw.spread(0, 1, "", 8)},
    }
    linear = {
        "name": "equations",
        "model": (
            """
            dv/dt = (e_l - v)/tau + (x + hold + i_e)/c_m : volt (unless refractory)
            dx/dt = (y - x)/(3*ms) : amp
            dy/dt = -y/(2*ms) : amp
        """
        ),
        "ports": {"kick": "amp", "hold": "amp"},
        "arrival": "y += kick",
        "threshold": "v >= theta",
        "reset": "v = e_l",
        "refractory": draw.same(0.0, 3.0, "ms"),
        "method": "exact",
        "parameters": {
            "tau": draw.spread(8, 20, "ms", 9, 1e-3),
            "c_m": draw.same(200, 300, "pF"),
            "e_l": draw.spread(-72, -68, "mV", 9, 1e-3),
            "theta": "-50 mV",
            "i_e": draw.spread(350, 700, "pA", 9, 1e-12),
        },
        "initial": {"v": draw.spread(-70, -55, "mV", 9, 1e-3)},
    }
    driven = {
        "name": "equations",
        "model": (
            """
            dv/dt = (0.1*(e_l - v) + g*(0*mV - v) + 0.5*n*(-90*mV - v) + 2*mV*int(t > 20*ms))/(2*ms) : volt
            dg/dt = -g/tau_g : 1
            dn/dt = (n_inf - n)/(5*ms + 2*ms*exp(-(v + 50*mV)**2/(20*mV)**2)) : 1
            n_inf = 1/(1 + exp(-(v + 40*mV)/(4*mV))) : 1
        """
        ),
        "ports": {"exc": "1"},
        "arrival": "g += exc",
        "threshold": "v > -35*mV and not_refractory",
        "reset": "n = clip(n + 0.5, 0, 1); g *= 0.5",
        "refractory": draw.same(0.5, 3.0, "ms"),
        "method": "exponential_euler",
        "parameters": {"tau_g": draw.same(2.0, 8.0, "ms"), "e_l": draw.spread(-65, -55, "mV", 7, 1e-3)},
        "initial": {"v": "-60 mV", "n": draw.spread(0.0, 0.2, "", 7)},
    }
    curved = {
        "name": "equations",
        "model": (
            """
            dv/dt = (v - v**3/3 - w + drive + I)/(1*ms) : 1
            dw/dt = 0.08*(v + 0.7 - 0.8*w)/ms : 1
            out = clip(v, 0, 1) : 1
        """
        ),
        "ports": {"I": "1"},
        "threshold": "v > 1",
        "refractory": draw.same(3.0, 5.0, "ms"),
        "method": "rk4",
        "parameters": {"drive": draw.spread(0.4, 0.8, "", 6)},
        "initial": {"v": draw.spread(-1, 0.5, "", 6), "w": -0.5},
    }
    noise = {"name": "ornstein_uhlenbeck", "mean": draw.same(20, 60, "pA"), "tau": draw.same(2, 20, "ms"),
             "sigma": draw.spread(20, 80, "pA", 9, 1e-12), **draw.windows()}  # fmt: skip
    table = [["0 ms", 0.1], [draw.same(5, 90, "ms"), draw.same(-0.3, 0.4)], ["150 ms", 0.0]]
    steps = {"name": "current", "values": table, "shape": draw.one("steps", "linear"),
             "scale": draw.spread(0.5, 1.5, "", 3)}  # fmt: skip
    populations = [
        {"name": "trains", "size": 9, "neuron": draw.poisson(20, 120, 9)},
        {"name": "noise", "size": 9, "neuron": noise},
        {"name": "steps", "size": 3, "neuron": steps},
        {"name": "noisy", "size": 8, "neuron": noisy},
        {"name": "linear", "size": 9, "neuron": linear, "background": [draw.background("kick", 20, 90, "pA")]},
        {"name": "driven", "size": 7, "neuron": driven, "background": [draw.background("exc", 0.1, 0.4, "")]},
        {"name": "curved", "size": 6, "neuron": curved},
    ]
    pathways = [
        ("trains", "noisy", "jump", -0.1, 0.2, "", "fixed"),
        ("trains", "linear", "kick", 20, 200, "pA", "varied"),
        ("noise", "linear", "hold", 0.2, 1.0, "", "varied"),
        ("steps", "noisy", "I", -0.2, 0.3, "", "fixed"),
        ("steps", "curved", "I", -0.2, 0.2, "", "varied"),
        ("noisy", "linear", "kick", -100, 200, "pA", "varied"),
        ("linear", "driven", "exc", 0.02, 0.1, "", "fixed"),
        ("linear", "linear", "kick", -100, 100, "pA", "fixed"),
        ("driven", "curved", "I", -0.3, 0.3, "", "varied"),
        ("curved", "noisy", "I", -0.2, 0.2, "", "varied", "out"),
        ("noisy", "noisy", "jump", -0.1, 0.1, "", "varied"),
    ]
    variables = {"noisy": ["v", "a", "bias"], "linear": ["v", "kick"], "driven": ["n_inf", "g"], "curved": ["out"]}
    return network(draw, populations, pathways, variables)


def leaky_neurons(draw):
    """The well-known leaky ones, of currents, alpha currents and conductances, each on the others."""
    size = 9
    currents = {"tau_m": draw.spread(8, 20, "ms", size, 1e-3), "c_m": draw.same(200, 300, "pF"),
                "tau_exc": draw.same(0.5, 5, "ms"), "tau_inh": draw.spread(1, 8, "ms", size, 1e-3),
                "i_e": draw.spread(600, 900, "pA", size, 1e-12)}  # fmt: skip
    exp = {"name": "lif_exp", "refractory": draw.same(0, 3, "ms"), **currents}
    alpha = {"name": "lif_alpha", "refractory": draw.same(0, 3, "ms"), **currents,
             "initial": {"v": draw.spread(-65, -51, "mV", size, 1e-3)}}  # fmt: skip
    cond = {"name": "lif_cond", "i_e": draw.spread(200, 400, "pA", size, 1e-12), "tau_exc": draw.same(2, 6, "ms"),
            "refractory": draw.same(0, 5, "ms"), "e_i": draw.same(-85, -75, "mV"),
            "initial": {"g_e": draw.spread(0, 4, "nS", size, 1e-9)}}  # fmt: skip
    populations = [
        {"name": "exp", "size": size, "neuron": exp, "background": [draw.background("exc", 10, 60, "pA")]},
        {"name": "alpha", "size": size, "neuron": alpha, "background": [draw.background("inh", 5, 30, "pA")]},
        {"name": "cond", "size": size, "neuron": cond,
         "background": [draw.background("exc", 0.2, 2, "nS"), draw.background("inh", 0.2, 2, "nS")]},
    ]  # fmt: skip
    pathways = [
        ("exp", "alpha", "exc", 20, 200, "pA", "varied"),
        ("alpha", "cond", "exc", 1, 6, "nS", "fixed"),
        ("cond", "exp", "inh", 20, 200, "pA", "varied"),
        ("cond", "cond", "inh", 2, 10, "nS", "varied"),
        ("exp", "exp", "exc", -100, 100, "pA", "fixed"),
        ("alpha", "exp", "inh", 20, 200, "pA", "varied"),
    ]
    variables = {"exp": ["v", "I_exc"], "alpha": ["v"], "cond": ["v", "g_e", "g_i"]}
    return network(draw, populations, pathways, variables)


def spiking_neurons(draw):
    """The well-known ones that make their own spikes, on spikes that are given and on a current."""
    listed = [[int(neuron), f"{time:.5g} ms"] for neuron, time in zip(
        draw.rng.integers(0, 6, 200), draw.rng.uniform(0, 200, 200), strict=True)]  # fmt: skip
    adex = {"name": "adex", "i_e": draw.spread(700, 1200, "pA", 7, 1e-12), "b": draw.same(20, 120, "pA"),
            "refractory": draw.same(0, 2, "ms")}  # fmt: skip
    izhikevich = {
        "name": "izhikevich",
        "i_e": draw.spread(6, 14, "mV/ms", 8, 1.0),
        "a": draw.spread(0.02, 0.1, "1/ms", 8, 1e3),
    }
    hodgkin = {
        "name": "hodgkin_huxley",
        "i_e": draw.spread(200, 800, "pA", 5, 1e-12),
        "refractory": draw.same(2, 4, "ms"),
    }
    current = {"name": "current", "values": [["0 ms", "100 pA"], [draw.same(2, 15, "ms"), "-50 pA"]],
               "scale": draw.spread(0.5, 2, "", 5), **draw.windows()}  # fmt: skip
    populations = [
        {"name": "given", "size": 6, "neuron": {"name": "spikes_from", "spikes": listed, **draw.windows()}},
        {"name": "current", "size": 5, "neuron": current},
        {"name": "adex", "size": 7, "neuron": adex, "background": [draw.background("exc", 0.5, 3, "nS")]},
        {"name": "izhikevich", "size": 8, "neuron": izhikevich, "background": [draw.background("exc", 0.1, 1, "mV")]},
        {"name": "hodgkin", "size": 5, "neuron": hodgkin},
    ]
    pathways = [
        ("given", "adex", "exc", 2, 20, "nS", "fixed"),
        ("given", "hodgkin", "exc", 2, 12, "nS", "varied"),
        ("current", "hodgkin", "I", 0.5, 2.0, "", "fixed"),
        ("current", "adex", "I", 0.5, 2.0, "", "varied"),
        ("adex", "izhikevich", "exc", 0.2, 2, "mV", "varied"),
        ("izhikevich", "hodgkin", "inh", 2, 12, "nS", "varied"),
        ("hodgkin", "adex", "inh", 2, 12, "nS", "fixed"),
        ("izhikevich", "izhikevich", "inh", 0.1, 1, "mV", "varied"),
    ]
    variables = {"adex": ["v", "w"], "izhikevich": ["u"], "hodgkin": ["v", "m"], "current": ["I"]}
    return network(draw, populations, pathways, variables)


def depressed(draw):
    """Synapses that depress and recover, laid by distance and as others are, on cells that rkf45 integrates."""
    cell = {
        "name": "equations",
        "model": (
            """
            dv/dt = (g_l*(e_l - v) + g*(0*mV - v) + i_e)/(250*pF) : volt (unless refractory)
            dg/dt = -g/tau_g : siemens
        """
        ),
        "ports": {"exc": "siemens"},
        "arrival": "g += exc",
        "threshold": "v >= -50*mV",
        "reset": "v = -60*mV",
        "refractory": draw.same(0.5, 3.0, "ms"),
        "method": "rkf45",
        "parameters": {
            "g_l": "16.7 nS", "e_l": "-70 mV", "tau_g": draw.same(1, 5, "ms"), "x": {"name": "linear", "high": "1 mm"},
            "i_e": draw.spread(400, 700, "pA", 5, 1e-12), "y": {"name": "uniform", "low": "0 mm", "high": "1 mm"},
        },
        "initial": {"v": draw.spread(-70, -55, "mV", 5, 1e-3)},
    }  # fmt: skip

    def dynamics(resources):
        facil = draw.one("0 ms", draw.same(5, 200, "ms"), draw.spread(5, 200, "ms"))
        psc = {"tau_psc": draw.same(2, 6, "ms")} if resources == "three" else {}
        rec = draw.one(draw.text(20, 300, "ms"), draw.spread(20, 300, "ms"))
        return {"name": "tsodyks_markram", "resources": resources, "U": draw.spread(0.1, 0.9), "tau_rec": rec,
                "tau_facil": facil, **psc}  # fmt: skip

    populations = [
        {"name": "trains", "size": 9, "neuron": draw.poisson(40, 150, 9)},
        {"name": "cells", "size": 5, "neuron": cell},
    ]
    pathways = [
        ("trains", "cells", "exc", 2, 12, "nS", "fixed"),
        ("trains", "cells", "exc", 2, 12, "nS", "varied"),
        ("cells", "cells", "exc", 2, 12, "nS", "varied"),
        ("cells", "cells", "exc", 1, 6, "nS", "varied"),
    ]
    made = network(draw, populations, pathways, {"cells": ["v", "g"]})
    draw.used["connect as"] += 1
    near = {"name": "where", "p": "exp(-distance/(0.5*mm))", "autapses": draw.one(True, False)}
    changes = [
        {"dynamics": dynamics("two")},
        {"dynamics": dynamics("three")},
        {"dynamics": dynamics("two"), "connect": near, "weights": "12 nS * exp(-distance / (1 mm))"},
        {"connect": {"name": "as", "pathway": "p2"}, "weights": draw.same(1, 6, "nS")},
    ]
    laid = [pathway.replace(**change) for pathway, change in zip(made.network.pathways, changes, strict=True)]
    return made.replace(circuit=made.network.replace(pathways=laid))


def balanced(draw):
    """Excitation and inhibition that jump on potentials, so that rounding grows: whole runs may part."""
    cell = {
        "name": "equations",
        "model": "dv/dt = -v/tau : volt (unless refractory)",
        "ports": {"jump": "volt"},
        "arrival": "v += jump",
        "threshold": "v >= theta",
        "reset": "v = v_reset",
        "refractory": draw.same(0.5, 2.5, "ms"),
        "method": "exact",
        "parameters": {"tau": draw.same(15, 25, "ms"), "theta": draw.spread(19, 21, "mV"), "v_reset": "10 mV"},
        "initial": {"v": draw.spread(0, 20, "mV")},
    }
    outside = {"port": "jump", "rate": draw.spread(9, 15, "Hz"), "weight": "0.6 mV", "count": 200}
    populations = [
        {"name": "exc", "size": 80, "neuron": cell, "background": [outside]},
        {"name": "inh", "size": 20, "neuron": cell, "background": [outside]},
    ]
    pathways = [
        (source, target, "jump", *(bounds), "mV", "fixed" if source == target else "varied")
        for source, bounds in (("exc", (0.2, 0.6)), ("inh", (-3.0, -1.2)))
        for target in ("exc", "inh")
    ]
    return network(draw, populations, pathways, {"exc": ["v"]})


STRUCTURES = {one.__name__: one for one in (text_methods, leaky_neurons, spiking_neurons, balanced, depressed)}
SHARES = {"text_methods": 9, "leaky_neurons": 11, "spiking_neurons": 11, "balanced": 16, "depressed": 3}
"""Of 50 networks: fewer of those that take the reference longest."""
DT = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("drawn")


def check(name, data, folder, steps=STEPS):
    experiment = STRUCTURES[name](Drawing(data, folder, DT, steps))
    found = verify_free(experiment, seed=data.draw(st.integers(1, 10**6), label="seed"))
    assert found.agrees, str(found)
    assert found.steps * found.trials >= steps
    assert sum(number for number, _ in found.spikes.values()) >= FEWEST_SPIKES
    return found


def drawn(examples):
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )


@pytest.mark.slow
def test_a_network_of_every_method_is_verified(folder):
    @drawn(1)
    @given(data=st.data())
    def verified(data):
        check("text_methods", data, folder, 400)

    verified()


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_drawn_networks_are_verified(name, folder):
    whole = []

    @drawn(-(-SHARES[name] * 2 * EXAMPLES // 50))
    @given(data=st.data())
    def verified(data):
        found = check(name, data, folder)
        whole.append(found.summary()["whole_runs_agree"])

    verified()
    assert any(whole)


@pytest.mark.slow
def test_the_structures_hold_every_kind_of_part_and_each_is_one_program(folder):
    used, programs, experiments = collections.Counter(), collections.defaultdict(set), []

    @drawn(12)
    @given(data=st.data())
    def described(data):
        for name, structure in STRUCTURES.items():
            drawing = Drawing(data, folder, DT)
            experiments.append(structure(drawing))
            programs[name].add(make_program(experiments[-1]).digest())
            used.update(drawing.used)

    described()
    assert {name: len(digests) for name, digests in programs.items()} == dict.fromkeys(STRUCTURES, 1)
    cells = [p.neuron for experiment in experiments for p in experiment.network.populations]
    parts = {name: neurons.family.get(name) for name in neurons.family.names()}
    wanted = {name for name, part in parts.items() if issubclass(part, (FreeSource, StandardNeuron))}
    assert wanted - {cell.family_name for cell in cells} == set()
    assert {cell.method for cell in cells if cell.family_name == "equations"} == set(METHODS)
    kept = {p.dynamics.kind for experiment in experiments for p in experiment.network.pathways if p.dynamics}
    assert kept == {"two_resources", "three_resources"}
    for kind in connect.family.names():
        assert used[f"connect {kind}"] > 0, kind
    for kind in DELAYS:
        assert used[f"delay {kind}"] > 0, kind
    for kind in set(distributions.family.names()) - {"constant"}:
        assert used[f"distribution {kind}"] > 0, kind
    assert {experiment.protocol.trials for experiment in experiments} == {1, 2}
