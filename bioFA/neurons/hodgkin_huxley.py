"""Hodgkin-Huxley neuron with the kinetics of Traub and Miles, and exponential conductances.

    c_m dV/dt = g_l (e_l - V) + g_na m^3 h (e_na - V) + g_k n^4 (e_k - V) + g_e (e_e - V) + g_i (e_i - V) + i_e + I
    dx/dt = alpha_x(V) (1 - x) - beta_x(V) x       x = m, h, n
    alpha_m = 0.32 (13 - U)/(exp((13 - U)/4) - 1)        beta_m = 0.28 (U - 40)/(exp((U - 40)/5) - 1)
    alpha_h = 0.128 exp((17 - U)/18)                     beta_h = 4/(1 + exp((40 - U)/5))
    alpha_n = 0.032 (15 - U)/(exp((15 - U)/5) - 1)       beta_n = 0.5 exp((10 - U)/40)
    a spike of weight w at the port exc: g_e += w;  at inh: g_i += w
    V > v_spike: a spike, unless one was within `refractory`; nothing is reset

U = V - v_t in mV, rates in 1/ms, V in V, conductances in S. `I` is a current held for the step. One step is exponential
Euler: each variable moves exactly, the others standing still; with `method = "rkf45"` it is made of as many shorter
ones as an error control asks for (`bioFA.equations.adaptive`). With these numbers a cell by itself fires about 13 times
a second; with e_l = -65 mV it is silent.

Source: Brette et al. (2007), J. Comput. Neurosci. 23:349, appendix B, benchmark 3 (equations and numbers, those of a
cell of 20 000 um^2); kinetics of Traub & Miles (1991), Neuronal networks of the hippocampus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np

from bioFA.distributions import Constant, Distributed, Distribution, Measures, Quantity
from bioFA.equations.dimensions import NONE, Dimension
from bioFA.neurons.base import Array
from bioFA.neurons.equations import Port
from bioFA.neurons.standard import EXC_CONDUCTANCE, EXC_CURRENT, INH_CONDUCTANCE, StandardNeuron, Values

MV, MS = 1e-3, 1e-3


class HodgkinHuxley(StandardNeuron):
    """Sodium and potassium currents that make a spike."""

    c_m: Annotated[Distributed, Measures("farad", above=0)] = Constant(value="200 pF")
    g_l: Annotated[Distributed, Measures("siemens", least=0)] = Constant(value="10 nS")
    e_l: Annotated[Distributed, Measures("volt")] = Constant(value="-60 mV")
    g_na: Annotated[Distributed, Measures("siemens", least=0)] = Constant(value="20 uS")
    e_na: Annotated[Distributed, Measures("volt")] = Constant(value="50 mV")
    g_k: Annotated[Distributed, Measures("siemens", least=0)] = Constant(value="6 uS")
    e_k: Annotated[Distributed, Measures("volt")] = Constant(value="-90 mV")
    v_t: Annotated[Distributed, Measures("volt")] = Constant(value="-63 mV")
    v_spike: Annotated[Distributed, Measures("volt")] = Constant(value="-20 mV")
    e_e: Annotated[Distributed, Measures("volt")] = Constant(value="0 mV")
    e_i: Annotated[Distributed, Measures("volt")] = Constant(value="-80 mV")
    tau_exc: Annotated[Distributed, Measures("second", above=0)] = Constant(value="5 ms")
    tau_inh: Annotated[Distributed, Measures("second", above=0)] = Constant(value="10 ms")
    i_e: Annotated[Distributed, Measures("amp")] = Constant(value="0 pA")
    refractory: Quantity = "3 ms"
    method: Literal["exponential_euler", "rkf45"] = "exponential_euler"

    model: ClassVar[str] = """
        U = (v - v_t)/mV : 1
        dv/dt = (g_l*(e_l - v) + g_na*m**3*h*(e_na - v) + g_k*n**4*(e_k - v)
                 + g_e*(e_e - v) + g_i*(e_i - v) + i_e + I)/c_m : volt
        dm/dt = 1.28/ms/exprel((13 - U)/4)*(1 - m) - 1.4/ms/exprel((U - 40)/5)*m : 1
        dh/dt = 0.128/ms*exp((17 - U)/18)*(1 - h) - 4/ms/(1 + exp((40 - U)/5))*h : 1
        dn/dt = 0.16/ms/exprel((15 - U)/5)*(1 - n) - 0.5/ms*exp((10 - U)/40)*n : 1
        dg_e/dt = -g_e/tau_exc : siemens
        dg_i/dt = -g_i/tau_inh : siemens
    """
    ports: ClassVar[dict[str, Port]] = {
        "exc": EXC_CONDUCTANCE,
        "inh": INH_CONDUCTANCE,
        "I": EXC_CURRENT,
    }
    on_arrival: ClassVar[str] = "g_e += exc; g_i += inh"
    threshold: ClassVar[str] = "v > v_spike"
    watched: ClassVar[tuple[str, ...]] = ("v", "m", "h", "n")
    rests: ClassVar[Mapping[str, str]] = {"v": "e_l"}

    def beginnings(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """The gates at rest at -60 mV with v_t = -63 mV, where no other first values are given."""
        rest = {}
        for name, (alpha, beta) in _rates(np.array(3.0)).items():
            if name not in self.initial:
                rest[name] = (Constant(value=float(alpha / (alpha + beta))), NONE)
        return {**rest, **super().beginnings()}

    def arrive_by_hand(self, x: Values, arriving: Values) -> Values:
        """The conductances jump."""
        return x | {"g_e": x["g_e"] + arriving["exc"], "g_i": x["g_i"] + arriving["inh"]}

    def slope_by_hand(self, x: Values, arriving: Values, p: Values, refractory: Array) -> Values:
        """dV/dt, those of the gates, and those of the conductances."""
        v, sodium, potassium = x["v"], p["g_na"] * x["m"] ** 3 * x["h"], p["g_k"] * x["n"] ** 4
        membrane = p["g_l"] * (p["e_l"] - v) + sodium * (p["e_na"] - v) + potassium * (p["e_k"] - v)
        synaptic = x["g_e"] * (p["e_e"] - v) + x["g_i"] * (p["e_i"] - v)
        gates = {
            name: (alpha * (1 - x[name]) - beta * x[name]) / MS
            for name, (alpha, beta) in _rates((v - p["v_t"]) / MV).items()
        }
        conductances = {"g_e": -x["g_e"] / p["tau_exc"], "g_i": -x["g_i"] / p["tau_inh"]}
        return {"v": (membrane + synaptic + p["i_e"] + arriving["I"]) / p["c_m"]} | gates | conductances

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """The conductances jump, then each variable x moves to x_inf + (x - x_inf) exp(-dt/tau_x)."""
        v, g_e, g_i = x["v"], x["g_e"] + arriving["exc"], x["g_i"] + arriving["inh"]
        g_na, g_k = p["g_na"] * x["m"] ** 3 * x["h"], p["g_k"] * x["n"] ** 4
        total = p["g_l"] + g_na + g_k + g_e + g_i
        driven = p["g_l"] * p["e_l"] + g_na * p["e_na"] + g_k * p["e_k"] + g_e * p["e_e"] + g_i * p["e_i"]
        v_inf = (driven + p["i_e"] + arriving["I"]) / total
        new = {"v": v_inf + (v - v_inf) * np.exp(-dt * total / p["c_m"])}
        for name, (alpha, beta) in _rates((v - p["v_t"]) / MV).items():
            settled = alpha / (alpha + beta)
            new[name] = settled + (x[name] - settled) * np.exp(-dt / MS * (alpha + beta))
        return new | {"g_e": g_e * np.exp(-dt / p["tau_exc"]), "g_i": g_i * np.exp(-dt / p["tau_inh"])}

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """V > v_spike."""
        return np.asarray(x["v"] > p["v_spike"])


def _rates(u: Array) -> dict[str, tuple[Array, Array]]:
    """alpha and beta of each gate in 1/ms, from U in mV."""
    return {
        "m": (0.32 * _quotient(13 - u, 4), 0.28 * _quotient(u - 40, 5)),
        "h": (0.128 * np.exp((17 - u) / 18), 4 / (1 + np.exp((40 - u) / 5))),
        "n": (0.032 * _quotient(15 - u, 5), 0.5 * np.exp((10 - u) / 40)),
    }


def _quotient(x: Array, scale: float) -> Array:
    """x/(exp(x/scale) - 1), and scale at 0."""
    x = np.asarray(x, dtype=float)
    return np.divide(x, np.expm1(x / scale), out=np.full_like(x, scale), where=x != 0)
