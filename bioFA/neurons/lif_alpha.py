"""Leaky integrate-and-fire neuron whose synaptic currents are alpha functions.

    tau_m dV/dt = e_l - V + tau_m/c_m (I_exc - I_inh + i_e + I)      [V]
    dI_exc/dt = y_exc - I_exc/tau_exc,   dy_exc/dt = -y_exc/tau_exc  [A], [A/s]; the same for inh
    a spike of weight w at the port exc: y_exc += w e/tau_exc;  at inh: y_inh += w e/tau_inh
    V >= v_th: a spike, V = v_reset, which holds for `refractory`; currents go on

So one spike brings the current w (t/tau_exc) exp(1 - t/tau_exc), whose peak w it reaches after tau_exc. A positive
weight at `inh` inhibits. `I` is a current held for the step. The step is exact.

Sources: Rotter & Diesmann (1999), Biol. Cybern. 81:381, section 3.1 (exact step); Morrison, Aertsen & Diesmann (2007),
Neural Comput. 19:1437, section 2.1 (numbers; voltages are relative to rest).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bioFA.distributions import Constant, Distributed, Measures, Quantity
from bioFA.neurons.base import Array
from bioFA.neurons.equations import Port
from bioFA.neurons.standard import EXC_CURRENT, INH_CURRENT, StandardNeuron, Values, alpha_response, response


class LifAlpha(StandardNeuron):
    """Leaky integration of alpha-shaped currents."""

    tau_m: Annotated[Distributed, Measures("second", above=0)] = Constant(value="10 ms")
    c_m: Annotated[Distributed, Measures("farad", above=0)] = Constant(value="250 pF")
    e_l: Annotated[Distributed, Measures("volt")] = Constant(value="0 mV")
    v_th: Annotated[Distributed, Measures("volt")] = Constant(value="20 mV")
    v_reset: Annotated[Distributed, Measures("volt")] = Constant(value="0 mV")
    tau_exc: Annotated[Distributed, Measures("second", above=0)] = Constant(value="0.33 ms")
    tau_inh: Annotated[Distributed, Measures("second", above=0)] = Constant(value="0.33 ms")
    i_e: Annotated[Distributed, Measures("amp")] = Constant(value="0 pA")
    refractory: Quantity = "0.5 ms"

    model: ClassVar[str] = """
        dv/dt = (e_l - v)/tau_m + (I_exc - I_inh + i_e + I)/c_m : volt (unless refractory)
        dI_exc/dt = y_exc - I_exc/tau_exc : amp
        dy_exc/dt = -y_exc/tau_exc : amp/second
        dI_inh/dt = y_inh - I_inh/tau_inh : amp
        dy_inh/dt = -y_inh/tau_inh : amp/second
    """
    ports: ClassVar[dict[str, Port]] = {"exc": EXC_CURRENT, "inh": INH_CURRENT, "I": EXC_CURRENT}
    on_arrival: ClassVar[str] = "y_exc += exc*e/tau_exc; y_inh += inh*e/tau_inh"
    threshold: ClassVar[str] = "v >= v_th"
    reset: ClassVar[str] = "v = v_reset"
    method: ClassVar[str] = "exact"
    watched: ClassVar[tuple[str, ...]] = ("v",)
    rests: ClassVar[Mapping[str, str]] = {"v": "e_l"}

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """V + (1 - exp(-dt/tau_m)) (V_inf - V) + what I and y of both kinds add; exact."""
        a = 1 / p["tau_m"]
        v_inf = p["e_l"] + p["tau_m"] / p["c_m"] * (p["i_e"] + arriving["I"])
        new = {"v": v_inf + (x["v"] - v_inf) * np.exp(-a * dt)}
        for kind, sign in (("exc", 1.0), ("inh", -1.0)):
            tau = p[f"tau_{kind}"]
            y = x[f"y_{kind}"] + arriving[kind] * np.e / tau
            current = x[f"I_{kind}"]
            charge = current * response(a, 1 / tau, dt) + y * alpha_response(a, 1 / tau, dt)
            new["v"] = new["v"] + sign * charge / p["c_m"]
            new[f"I_{kind}"] = (current + dt * y) * np.exp(-dt / tau)
            new[f"y_{kind}"] = y * np.exp(-dt / tau)
        return new | {"v": np.where(refractory, x["v"], new["v"])}

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """V >= v_th."""
        return np.asarray(x["v"] >= p["v_th"])

    def reset_by_hand(self, x: Values, p: Mapping[str, Array]) -> Values:
        """V = v_reset."""
        return {"v": p["v_reset"]}
