"""Leaky integrate-and-fire neuron whose synaptic conductances decay exponentially.

    c_m dV/dt = g_l (e_l - V) + g_e (e_e - V) + g_i (e_i - V) + i_e + I      [V]
    tau_exc dg_e/dt = -g_e,   tau_inh dg_i/dt = -g_i                         [S]
    a spike of weight w at the port exc: g_e += w;  at inh: g_i += w
    V >= v_th: a spike, V = v_reset, which holds for `refractory`; conductances go on

`I` is a current held for the step. One step is one of the classical Runge-Kutta method, of fourth order in dt.

Source: Vogels & Abbott (2005), J. Neurosci. 25:10786, as benchmark 1 of Brette et al. (2007), J. Comput. Neurosci.
23:349, appendix B (equations and numbers; their weights are 6 nS and 67 nS).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

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

    model: ClassVar[str] = """
        dv/dt = (g_l*(e_l - v) + g_e*(e_e - v) + g_i*(e_i - v) + i_e + I)/c_m : volt (unless refractory)
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
    method: ClassVar[str] = "rk4"
    watched: ClassVar[tuple[str, ...]] = ("v",)
    rests: ClassVar[Mapping[str, str]] = {"v": "e_l"}

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """The conductances jump, then all three variables move by one Runge-Kutta step."""

        def slope(y: Values) -> Values:
            leak = p["g_l"] * (p["e_l"] - y["v"])
            synaptic = y["g_e"] * (p["e_e"] - y["v"]) + y["g_i"] * (p["e_i"] - y["v"])
            return {
                "v": np.where(refractory, 0.0, (leak + synaptic + p["i_e"] + arriving["I"]) / p["c_m"]),
                "g_e": -y["g_e"] / p["tau_exc"],
                "g_i": -y["g_i"] / p["tau_inh"],
            }

        start = {"v": x["v"], "g_e": x["g_e"] + arriving["exc"], "g_i": x["g_i"] + arriving["inh"]}
        return by_runge_kutta(slope, start, dt)

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """V >= v_th."""
        return np.asarray(x["v"] >= p["v_th"])

    def reset_by_hand(self, x: Values, p: Mapping[str, Array]) -> Values:
        """V = v_reset."""
        return {"v": p["v_reset"]}
