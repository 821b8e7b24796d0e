"""Source of a noisy current that forgets exponentially: the Ornstein-Uhlenbeck process, its own for each neuron.

    tau dI = (mean - I) dt + sigma sqrt(2 tau) dW               I is normal, of this mean and standard deviation sigma
    z' = z exp(-dt/tau) + sqrt(1 - exp(-2 dt/tau)) n,   I = mean + sigma z      n normal, one a step and neuron

It begins in its stationary state, drawn for each trial, and the step is exact: its law does not hang on dt. While the
source is not `on`, I is 0 and z goes on. The unit is that of `mean` and `sigma`.

Source: Gillespie (1996), Phys. Rev. E 54:2084, equation 1.9a (exact update).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bioFA.distributions import Constant, Distributed, Distribution, Measures, Normal
from bioFA.equations.dimensions import NONE, TIME, Dimension, describe
from bioFA.errors import WrongUnit, under
from bioFA.neurons.base import Array, Moment
from bioFA.neurons.free_source import FreeSource


class OrnsteinUhlenbeck(FreeSource):
    """Noise that forgets."""

    mean: Annotated[Distributed, Field(examples=["100 pA"])] = Constant(value=0.0)
    sigma: Annotated[Distributed, Field(examples=["50 pA"])]
    tau: Annotated[Distributed, Measures("second", above=0)] = Constant(value="5 ms")

    publishes: ClassVar[tuple[str, ...]] = ("I",)
    state: ClassVar[Mapping[str, float]] = {"z": 0.0}
    sends: ClassVar[str] = "I"
    draws: ClassVar[tuple[str, ...]] = ("randn_0",)

    def model_post_init(self, context: Any) -> None:
        """Refuse a mean and a sigma that measure different things."""
        super().model_post_init(context)
        for name in ("mean", "sigma"):
            with under(name):
                Measures(describe(self.dimension), least=0 if name == "sigma" else None).check(
                    getattr(self, name), f"OrnsteinUhlenbeck.{name}"
                )

    @property
    def dimension(self) -> Dimension:
        """What it measures: what sigma does, or the mean where sigma is a plain number."""
        mean, sigma = self.mean.dimension("mean"), self.sigma.dimension("sigma")
        if NONE not in (mean, sigma) and mean != sigma:
            raise WrongUnit(
                f"OrnsteinUhlenbeck.mean is in {describe(mean)}, but sigma in {describe(sigma)}. Give both in one"
                " unit.",
                at=("sigma",),
            )
        return mean if sigma == NONE else sigma

    def dimension_of(self, variable: str) -> Dimension:
        """That of mean and sigma."""
        return self.dimension if variable == "I" else NONE

    def signed(self, variable: str) -> bool:
        """Noise has both signs."""
        return True

    def normal_draws(self) -> tuple[str, ...]:
        """n."""
        return self.draws

    def own_parameters(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """mean, sigma and tau of each neuron."""
        return {"mean": (self.mean, self.dimension), "sigma": (self.sigma, self.dimension), "tau": (self.tau, TIME)}

    def beginnings(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """z normal."""
        return {"z": (Normal(), NONE)}

    @classmethod
    def needs(cls, variable: str) -> tuple[str, ...]:
        """I is a function of z."""
        return ("z",)

    def published(self, variable: str, needs: Mapping[str, Any], moment: Moment) -> Array:
        """mean + sigma z, and 0 while it is not on."""
        found: Array = (moment.constants["mean"] + moment.constants["sigma"] * needs["z"]) * moment.shown
        return found

    def step(self, state: Mapping[str, Array], now: Mapping[str, Array], moment: Moment) -> dict[str, Array]:
        """z one step later."""
        share = moment.dt / moment.constants["tau"]
        return {"z": state["z"] * np.exp(-share) + np.sqrt(-np.expm1(-2.0 * share)) * moment.numbers["randn_0"]}

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {"I": "(mean + sigma*z)*course"}

    def whole_step(self, order: str = "deliver_first") -> str:
        """Brian2's reading of the step."""
        return "z = z*kept + fresh*randn_0"

    def run_constants(self) -> dict[str, bool]:
        """Mean and sigma, the share of z that a step keeps, and that of its noise."""
        alike = {"mean": self.mean.alike, "sigma": self.sigma.alike}
        return {**alike, **dict.fromkeys(("kept", "fresh"), self.tau.alike)}

    def run_values(self, moment: Moment) -> dict[str, Array]:
        """Their values."""
        share = moment.dt / moment.constants["tau"]
        own = {name: moment.constants[name] for name in ("mean", "sigma")}
        return {**own, "kept": np.exp(-share), "fresh": np.sqrt(-np.expm1(-2.0 * share))}
