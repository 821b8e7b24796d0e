"""Adaptive exponential integrate-and-fire neuron, with exponential conductances.

    c_m dV/dt = g_l (e_l - V) + g_l delta_t exp((V - v_t)/delta_t) - w + g_e (e_e - V) + g_i (e_i - V) + i_e + I   (1)
    tau_w dw/dt = a (V - e_l) - w                                                                                  (2)
    tau_exc dg_e/dt = -g_e,   tau_inh dg_i/dt = -g_i
    a spike of weight w_syn at the port exc: g_e += w_syn;  at inh: g_i += w_syn
    V >= v_peak: a spike, V = v_reset, which holds for `refractory`, and w += b                                    (3)

V in V, w in A, conductances in S. Within a step the right sides see V no higher than v_peak, so that the exponential
stays finite. `I` is a current held for the step. One step is one of the classical Runge-Kutta method; with
`method = "rkf45"`, as many shorter ones as NEST's `aeif_cond_exp` makes, each tested for a spike, of which a step may
then hold several that count as one (`bioFA.equations.adaptive`).

Source: Brette & Gerstner (2005), J. Neurophysiol. 94:3637, equations 1 to 3, numbers of the regular spiking cell and
time constants of its conductances; Naud et al. (2008), Biol. Cybern. 99:335, table 1, has numbers of other cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np

from bioFA.distributions import Constant, Distributed, Measures, Quantity
from bioFA.equations import libm
from bioFA.neurons.base import Array
from bioFA.neurons.equations import Port
from bioFA.neurons.standard import (
    EXC_CONDUCTANCE,
    EXC_CURRENT,
    INH_CONDUCTANCE,
    StandardNeuron,
    Values,
    by_runge_kutta,
)


class Adex(StandardNeuron):
    """Exponential integrate-and-fire with a current that adapts."""

    c_m: Annotated[Distributed, Measures("farad", above=0)] = Constant(value="281 pF")
    g_l: Annotated[Distributed, Measures("siemens", least=0)] = Constant(value="30 nS")
    e_l: Annotated[Distributed, Measures("volt")] = Constant(value="-70.6 mV")
    v_t: Annotated[Distributed, Measures("volt")] = Constant(value="-50.4 mV")
    delta_t: Annotated[Distributed, Measures("volt", above=0)] = Constant(value="2 mV")
    a: Annotated[Distributed, Measures("siemens")] = Constant(value="4 nS")
    tau_w: Annotated[Distributed, Measures("second", above=0)] = Constant(value="144 ms")
    b: Annotated[Distributed, Measures("amp")] = Constant(value="80.5 pA")
    v_peak: Annotated[Distributed, Measures("volt")] = Constant(value="20 mV")
    v_reset: Annotated[Distributed, Measures("volt")] = Constant(value="-70.6 mV")
    e_e: Annotated[Distributed, Measures("volt")] = Constant(value="0 mV")
    e_i: Annotated[Distributed, Measures("volt")] = Constant(value="-75 mV")
    tau_exc: Annotated[Distributed, Measures("second", above=0)] = Constant(value="2.728 ms")
    tau_inh: Annotated[Distributed, Measures("second", above=0)] = Constant(value="10.49 ms")
    i_e: Annotated[Distributed, Measures("amp")] = Constant(value="0 pA")
    refractory: Quantity = 0.0
    method: Literal["rk4", "rkf45"] = "rk4"

    model: ClassVar[str] = """
        u = clip(v, -1*volt, v_peak) : volt
        dv/dt = (g_l*(e_l - u) + g_l*delta_t*exp((u - v_t)/delta_t) - w
                 + g_e*(e_e - u) + g_i*(e_i - u) + i_e + I)/c_m : volt (unless refractory)
        dw/dt = (a*(u - e_l) - w)/tau_w : amp
        dg_e/dt = -g_e/tau_exc : siemens
        dg_i/dt = -g_i/tau_inh : siemens
    """
    ports: ClassVar[dict[str, Port]] = {
        "exc": EXC_CONDUCTANCE,
        "inh": INH_CONDUCTANCE,
        "I": EXC_CURRENT,
    }
    on_arrival: ClassVar[str] = "g_e += exc; g_i += inh"
    threshold: ClassVar[str] = "v >= v_peak"
    reset: ClassVar[str] = "v = v_reset; w += b"
    tolerance: ClassVar[float] = 1e-6
    slope_tolerance: ClassVar[float] = 1e-6
    tested_in: ClassVar[str] = "substep"
    watched: ClassVar[tuple[str, ...]] = ("v", "w")
    rests: ClassVar[Mapping[str, str]] = {"v": "e_l"}

    def arrive_by_hand(self, x: Values, arriving: Values) -> Values:
        """The conductances jump."""
        return x | {"g_e": x["g_e"] + arriving["exc"], "g_i": x["g_i"] + arriving["inh"]}

    def slope_by_hand(self, x: Values, arriving: Values, p: Values, refractory: Array) -> Values:
        """Equations (1), 0 where refractory, and (2), and those of the conductances."""
        v = np.maximum(np.minimum(x["v"], p["v_peak"]), -1.0)
        leak = p["g_l"] * (p["e_l"] - v)
        exp = libm.FUNCTIONS["exp"] if self.method == "rkf45" else np.exp
        spike = p["g_l"] * p["delta_t"] * exp((v - p["v_t"]) / p["delta_t"])
        exc, inh = x["g_e"] * (p["e_e"] - v), x["g_i"] * (p["e_i"] - v)
        current = leak + spike - x["w"] + exc + inh + p["i_e"] + arriving["I"]
        return {
            "v": np.where(refractory, 0.0, current / p["c_m"]),
            "w": (p["a"] * (v - p["e_l"]) - x["w"]) / p["tau_w"],
            "g_e": -x["g_e"] / p["tau_exc"],
            "g_i": -x["g_i"] / p["tau_inh"],
        }

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """The conductances jump, then all four variables move by one Runge-Kutta step."""
        start = self.arrive_by_hand(x, arriving)
        return by_runge_kutta(lambda y: self.slope_by_hand(y, arriving, p, refractory), start, dt)

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """V >= v_peak."""
        return np.asarray(x["v"] >= p["v_peak"])

    def reset_by_hand(self, x: Values, p: Mapping[str, Array]) -> Values:
        """V = v_reset, and w grows by b (3)."""
        return {"v": p["v_reset"], "w": x["w"] + p["b"]}
