"""Izhikevich's simple model: a quadratic membrane equation and a recovery variable.

    dV/dt = k_2 V^2 + k_1 V + k_0 - u + I      [V]        (1)
    du/dt = a (b V - u)                        [V/s]      (2)
    V >= v_peak: a spike, V = c, u += d                   (3)
    a spike of weight w at the port exc: V += w in the course of the step;  at inh: V -= w

with k_2 = 0.04 /(mV ms), k_1 = 5 /ms and k_0 = 140 mV/ms, so that in mV and ms the equations read as published. The
current I is in V/s: 10 of the paper are 10 mV/ms. One step is Euler's, both variables from their old values, spikes
after it; the paper's network, in steps of 1 ms, adds weights to I, which is the same.

Source: Izhikevich (2003), IEEE Trans. Neural Netw. 14:1569, equations 1 to 3; numbers of the regular spiking cell, and
its beginning at V = -65 mV and u = b V.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from bioFA.distributions import Constant, Distributed, Distribution, Measures
from bioFA.equations.dimensions import Dimension
from bioFA.neurons.base import Array
from bioFA.neurons.equations import Port
from bioFA.neurons.standard import StandardNeuron, Values

MV, MS = 1e-3, 1e-3


class Izhikevich(StandardNeuron):
    """Quadratic integrate-and-fire with recovery."""

    a: Annotated[Distributed, Measures("hertz"), Field(examples=["0.02 1/ms"])] = Constant(value="0.02 1/ms")
    b: Annotated[Distributed, Measures("hertz"), Field(examples=["0.2 1/ms"])] = Constant(value="0.2 1/ms")
    c: Annotated[Distributed, Measures("volt")] = Constant(value="-65 mV")
    d: Annotated[Distributed, Measures("volt/second"), Field(examples=["8 mV/ms"])] = Constant(value="8 mV/ms")
    v_peak: Annotated[Distributed, Measures("volt")] = Constant(value="30 mV")
    i_e: Annotated[Distributed, Measures("volt/second"), Field(examples=["10 mV/ms"])] = Constant(value="0 mV/ms")

    model: ClassVar[str] = """
        dv/dt = 0.04/mV/ms*v**2 + 5/ms*v + 140*mV/ms - u + i_e + I + (exc - inh)/dt : volt
        du/dt = a*(b*v - u) : volt/second
    """
    ports: ClassVar[dict[str, Port]] = {
        "exc": Port(unit="volt"),
        "inh": Port(unit="volt", sign=-1),
        "I": Port(unit="volt/second"),
    }
    threshold: ClassVar[str] = "v >= v_peak"
    reset: ClassVar[str] = "v = c; u += d"
    method: ClassVar[str] = "euler"
    watched: ClassVar[tuple[str, ...]] = ("v", "u")
    rests: ClassVar[Mapping[str, str]] = {"v": "c"}

    def beginnings(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """u of -13 mV/ms, which is b V at -65 mV, where no other first value is given."""
        u = {} if "u" in self.initial else {"u": (Constant(value="-13 mV/ms"), self.text.known["u"])}
        return {**u, **super().beginnings()}

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """Euler's step in mV and ms, then what spikes bring."""
        v, u, h = x["v"] / MV, x["u"] / (MV / MS), dt / MS
        current = (p["i_e"] + arriving["I"]) / (MV / MS)
        moved = v + h * (0.04 * v**2 + 5 * v + 140 - u + current)
        recovered = u + h * p["a"] * MS * (p["b"] * MS * v - u)
        return {"v": moved * MV + arriving["exc"] - arriving["inh"], "u": recovered * (MV / MS)}

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """V >= v_peak."""
        return np.asarray(x["v"] >= p["v_peak"])

    def reset_by_hand(self, x: Values, p: Mapping[str, Array]) -> Values:
        """V = c, and u grows by d."""
        return {"v": p["c"], "u": x["u"] + p["d"]}
