"""Leaky integrate-and-fire neuron whose synaptic currents decay exponentially.

    tau_m dV/dt = e_l - V + tau_m/c_m (I_exc - I_inh + i_e + I)      [V]
    tau_exc dI_exc/dt = -I_exc,   tau_inh dI_inh/dt = -I_inh         [A]
    a spike of weight w at the port exc: I_exc += w;  at inh: I_inh += w
    V >= v_th: a spike, V = v_reset, which holds for `refractory`; currents go on

A positive weight at `inh` inhibits. `I` is a current held for the step. The step is exact: dt changes only when a
threshold is noticed and when a spike acts.

Sources: Tsodyks, Uziel & Markram (2000), J. Neurosci. 20:RC50 (currents); Rotter & Diesmann (1999), Biol. Cybern.
81:381, section 3.1 (exact step); Potjans & Diesmann (2014), Cereb. Cortex 24:785, table 5 (numbers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bioFA.distributions import Constant, Distributed, Measures, Quantity
from bioFA.neurons.base import Array
from bioFA.neurons.equations import Port
from bioFA.neurons.standard import EXC_CURRENT, INH_CURRENT, StandardNeuron, Values, response


class LifExp(StandardNeuron):
    """Leaky integration of exponential currents."""

    tau_m: Annotated[Distributed, Measures("second", above=0)] = Constant(value="10 ms")
    c_m: Annotated[Distributed, Measures("farad", above=0)] = Constant(value="250 pF")
    e_l: Annotated[Distributed, Measures("volt")] = Constant(value="-65 mV")
    v_th: Annotated[Distributed, Measures("volt")] = Constant(value="-50 mV")
    v_reset: Annotated[Distributed, Measures("volt")] = Constant(value="-65 mV")
    tau_exc: Annotated[Distributed, Measures("second", above=0)] = Constant(value="0.5 ms")
    tau_inh: Annotated[Distributed, Measures("second", above=0)] = Constant(value="0.5 ms")
    i_e: Annotated[Distributed, Measures("amp")] = Constant(value="0 pA")
    refractory: Quantity = "2 ms"

    model: ClassVar[str] = """
        dv/dt = (e_l - v)/tau_m + (I_exc - I_inh + i_e + I)/c_m : volt (unless refractory)
        dI_exc/dt = -I_exc/tau_exc : amp
        dI_inh/dt = -I_inh/tau_inh : amp
    """
    ports: ClassVar[dict[str, Port]] = {"exc": EXC_CURRENT, "inh": INH_CURRENT, "I": EXC_CURRENT}
    on_arrival: ClassVar[str] = "I_exc += exc; I_inh += inh"
    threshold: ClassVar[str] = "v >= v_th"
    reset: ClassVar[str] = "v = v_reset"
    method: ClassVar[str] = "exact"
    watched: ClassVar[tuple[str, ...]] = ("v",)
    rests: ClassVar[Mapping[str, str]] = {"v": "e_l"}

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """V + (1 - exp(-dt/tau_m)) (V_inf - V) + what the decaying currents add; exact."""
        I_exc, I_inh = x["I_exc"] + arriving["exc"], x["I_inh"] + arriving["inh"]
        a = 1 / p["tau_m"]
        v_inf = p["e_l"] + p["tau_m"] / p["c_m"] * (p["i_e"] + arriving["I"])
        synaptic = I_exc * response(a, 1 / p["tau_exc"], dt) - I_inh * response(a, 1 / p["tau_inh"], dt)
        moved = v_inf + (x["v"] - v_inf) * np.exp(-a * dt) + synaptic / p["c_m"]
        return {
            "v": np.where(refractory, x["v"], moved),
            "I_exc": I_exc * np.exp(-dt / p["tau_exc"]),
            "I_inh": I_inh * np.exp(-dt / p["tau_inh"]),
        }

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """V >= v_th."""
        return np.asarray(x["v"] >= p["v_th"])

    def reset_by_hand(self, x: Values, p: Mapping[str, Array]) -> Values:
        """V = v_reset."""
        return {"v": p["v_reset"]}
