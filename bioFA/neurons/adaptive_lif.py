"""Adaptive leaky integrate-and-fire neuron (ALIF): every spike raises its own threshold for a long while.

    tau dv/dt = -v + drive             A = 1 + beta a         published as `threshold`
    tau_adaptation da/dt = -a + train
    s = 1 where v passes A outside the refractory period; then 1 is taken off v
    train = s / (unit_rate dt)         tau_trace dr/dt = -r + train
    gain = height max(0, 1 - |v - A|)  0 in the refractory period        delta = error gain

v is measured in units of the resting threshold's distance from rest, a in units of unit_rate: a neuron that has long
fired at unit_rate has the threshold 1 + beta. There is no synaptic current: a spike through a weight w moves v at once
by w / (unit_rate tau). A step does four things in this order: v and a decay for dt, exactly, towards what arrives and
what the neuron sent in this step; the threshold is tested; 1 is taken off v where it was passed. For
`refractory_period`, in whole steps, v goes on but is not tested. With beta = 0 the threshold stays where it is.

The gain is the pseudo-derivative of the train by v, v and A being what the last test saw: in the source that of s,
which is height unit_rate dt max(0, 1 - |v - A|), so its gamma of 0.3 at dt = 1 ms is height = 3 here,
and learning does not depend on dt.

Source: Bellec et al. (2020), Nat. Commun. 11:3625, eqs.
6, 7, 9 and 10 and methods (pseudo-derivative); there v has another unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from bioFA.components import Number
from bioFA.neurons.base import Array
from bioFA.neurons.integrate_and_fire import IntegrateAndFire
from bioFA.units import Unit, steps_of


class AdaptiveLif(IntegrateAndFire):
    """tau dv/dt = -v + drive, with a threshold that its own spikes raise."""

    beta: Annotated[Number, Ge(0)] = 5.0
    tau_adaptation: Annotated[Number, Unit("s"), Gt(0)] = 2.0
    height: Annotated[Number, Gt(0)] = 3.0

    publishes: ClassVar[tuple[str, ...]] = ("threshold", *IntegrateAndFire.publishes)
    state: ClassVar[Mapping[str, float]] = {**IntegrateAndFire.state, "a": 0.0, "tested": -1.0}
    """`tested` is v - A at the last threshold test, -1 in the refractory period, where the gain is 0,
    as it is at rest."""
    watched: ClassVar[tuple[str, ...]] = ("v", "threshold", "r", "error")

    def threshold(self, a: Array) -> Array:
        """A, which v has to pass."""
        return 1.0 + self.beta * a

    def gain(self, tested: Array) -> Array:
        """The pseudo-derivative of the train by v: a triangle about the threshold."""
        return self.height * np.maximum(0.0, 1.0 - np.abs(tested))

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """Decay, threshold test, reset."""
        v = state["v"] + self.share(self.tau, dt) * (now["drive"] - state["v"])
        a = state["a"] + self.share(self.tau_adaptation, dt) * (now["train"] - state["a"])
        silent = state["left"] > 0
        tested = np.where(silent, -1.0, v - (1.0 + self.beta * a))
        passed = tested > 0
        left = np.where(passed, steps_of(self.refractory_period, dt), np.maximum(state["left"] - 1, 0))
        return {
            **super().advance(state, now, dt),
            "v": v - passed,
            "a": a,
            "fired": passed.astype(float),
            "left": left,
            "tested": tested,
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return super().expressions() | {"threshold": "1 + beta*a", "gain": "height*clip(1 - abs(tested), 0, inf)"}

    def dynamics(self) -> str:
        """Brian2's reading of the differential equations."""
        return f"dv/dt = (-v + drive)/tau : 1\nda/dt = (train - a)/tau_adaptation : 1\n{super().dynamics()}"

    def spiking(self) -> str:
        """Brian2's reading of refractoriness, threshold test and reset."""
        return "\n".join((
            "tested = (v - (1 + beta*a))*int(left <= 0) - 1.0*int(left > 0)",
            "fired = 1.0*int(tested > 0)",
            "left = clip(left - 1, 0, inf)*(1 - fired) + floor(refractory_period/dt + 0.5)*fired",
            "v = v - fired",
        ))
