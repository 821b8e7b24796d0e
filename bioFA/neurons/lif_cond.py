"""Leaky integrate-and-fire neuron whose synaptic conductances decay exponentially.

    c_m dV/dt = g_l (e_l - V) + g_e (e_e - V) + g_i (e_i - V) + i_e + I      [V]
    tau_exc dg_e/dt = -g_e,   tau_inh dg_i/dt = -g_i                         [S]
    a spike of weight w at the port exc: g_e += w;  at inh: g_i += w
    V >= v_th: a spike, V = v_reset, which holds for `refractory`; conductances go on

Within a step the right sides see V no higher than v_th. `I` is a current held for the step. One step is one of the
classical Runge-Kutta method, of fourth order in dt; with `method = "rkf45"`, as many shorter ones as NEST's
`iaf_cond_exp` makes (`bioFA.equations.adaptive`).

Source: Vogels & Abbott (2005), J. Neurosci. 25:10786, as benchmark 1 of Brette et al. (2007), J. Comput. Neurosci.
23:349, appendix B (equations and numbers; their weights are 6 nS and 67 nS).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np

from bioFA.distributions import Constant, Distributed, Measures, Quantity
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


class LifCond(StandardNeuron):
    """Leaky integration of exponential conductances."""

    c_m: Annotated[Distributed, Measures("farad", above=0)] = Constant(value="200 pF")
    g_l: Annotated[Distributed, Measures("siemens", least=0)] = Constant(value="10 nS")
    e_l: Annotated[Distributed, Measures("volt")] = Constant(value="-60 mV")
    e_e: Annotated[Distributed, Measures("volt")] = Constant(value="0 mV")
    e_i: Annotated[Distributed, Measures("volt")] = Constant(value="-80 mV")
    v_th: Annotated[Distributed, Measures("volt")] = Constant(value="-50 mV")
    v_reset: Annotated[Distributed, Measures("volt")] = Constant(value="-60 mV")
    tau_exc: Annotated[Distributed, Measures("second", above=0)] = Constant(value="5 ms")
    tau_inh: Annotated[Distributed, Measures("second", above=0)] = Constant(value="10 ms")
    i_e: Annotated[Distributed, Measures("amp")] = Constant(value="0 pA")
    refractory: Quantity = "5 ms"
    method: Literal["rk4", "rkf45"] = "rk4"

    model: ClassVar[str] = """
        u = clip(v, -1*volt, v_th) : volt
        dv/dt = (g_l*(e_l - u) + g_e*(e_e - u) + g_i*(e_i - u) + i_e + I)/c_m : volt (unless refractory)
        dg_e/dt = -g_e/tau_exc : siemens
        dg_i/dt = -g_i/tau_inh : siemens
    """
    ports: ClassVar[dict[str, Port]] = {
        "exc": EXC_CONDUCTANCE,
        "inh": INH_CONDUCTANCE,
        "I": EXC_CURRENT,
    }
    on_arrival: ClassVar[str] = "g_e += exc; g_i += inh"
    threshold: ClassVar[str] = "v >= v_th"
    reset: ClassVar[str] = "v = v_reset"
    watched: ClassVar[tuple[str, ...]] = ("v",)
    rests: ClassVar[Mapping[str, str]] = {"v": "e_l"}

    def arrive_by_hand(self, x: Values, arriving: Values) -> Values:
        """The conductances jump."""
        return {"v": x["v"], "g_e": x["g_e"] + arriving["exc"], "g_i": x["g_i"] + arriving["inh"]}

    def slope_by_hand(self, x: Values, arriving: Values, p: Values, refractory: Array) -> Values:
        """dV/dt, 0 where refractory, and those of the conductances."""
        v = np.maximum(np.minimum(x["v"], p["v_th"]), -1.0)
        leak = p["g_l"] * (p["e_l"] - v)
        synaptic = x["g_e"] * (p["e_e"] - v) + x["g_i"] * (p["e_i"] - v)
        return {
            "v": np.where(refractory, 0.0, (leak + synaptic + p["i_e"] + arriving["I"]) / p["c_m"]),
            "g_e": -x["g_e"] / p["tau_exc"],
            "g_i": -x["g_i"] / p["tau_inh"],
        }

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """The conductances jump, then all three variables move by one Runge-Kutta step."""
        start = self.arrive_by_hand(x, arriving)
        return by_runge_kutta(lambda y: self.slope_by_hand(y, arriving, p, refractory), start, dt)

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """V >= v_th."""
        return np.asarray(x["v"] >= p["v_th"])

    def reset_by_hand(self, x: Values, p: Mapping[str, Array]) -> Values:
        """V = v_reset."""
        return {"v": p["v_reset"]}
