"""Short-term depression and facilitation: a synapse uses up resources, which recover, in shares that grow for a while.

With two resources, over the time h since the spike before, then at the spike (Tsodyks, Pawelzik & Markram 1998):

    x <- 1 + (x - u x - 1) exp(-h/tau_rec)          resources that are there
    u <- U + u (1 - U) exp(-h/tau_facil)            share of them that a spike uses; U where tau_facil = 0
    release = u x

With three, what is released stays active for tau_psc before it recovers (Tsodyks, Uziel & Markram 2000):

    dx/dt = z/tau_rec,   dy/dt = -y/tau_psc,   dz/dt = y/tau_psc - z/tau_rec,   du/dt = -u/tau_facil
    at a spike: u <- u + U (1 - u),   release = u x,   x <- x - u x,   y <- y + u x

solved exactly from spike to spike. Both begin at rest, x = 1, so that the first spike releases U. NEST's
`tsodyks2_synapse` is the first, `tsodyks_synapse` the second.

What is recorded of a synapse, `x`, `u` and, with three resources, `y`, is what a spike would find as the step begins:
x has recovered by then, and u is the share that such a spike would use, U at rest; so it would release u x.

Sources: Tsodyks, Pawelzik & Markram (1998), Neural Comput. 10:821, equations 2.1 and 2.2; Tsodyks, Uziel & Markram
(2000), J. Neurosci. 20:RC50, equations 3 and 4; numbers of their depressing synapses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np

from bioFA.distributions import Constant, Distributed, Distribution, Measures
from bioFA.equations.dimensions import Dimension
from bioFA.equations.formula import exprel
from bioFA.errors import Contradiction
from bioFA.synapses.dynamics import Array, Dynamics


class TsodyksMarkram(Dynamics):
    """Resources that a synapse uses and recovers."""

    resources: Literal["two", "three"] = "two"
    U: Annotated[Distributed, Measures("1", above=0, most=1)] = Constant(value=0.5)
    tau_rec: Annotated[Distributed, Measures("second", above=0)] = Constant(value="800 ms")
    tau_facil: Annotated[Distributed, Measures("second", least=0)] = Constant(value="0 ms")
    tau_psc: Annotated[Distributed, Measures("second", above=0)] = Constant(value="3 ms")

    def model_post_init(self, context: object) -> None:
        """Refuse a time that nothing reads."""
        super().model_post_init(context)
        if self.resources == "two" and self.tau_psc != type(self).model_fields["tau_psc"].default:
            raise Contradiction(
                "TsodyksMarkram.tau_psc is of a synapse with resources = 'three'. Leave it out, or say so.",
                at=("tau_psc",),
            )

    @property
    def kind(self) -> str:
        """What the compiled program calls it."""
        return f"{self.resources}_resources"

    @property
    def keeps(self) -> Mapping[str, float]:
        """Resources and the share used, at the last spike."""
        return {"x": 1.0, "u": 0.0} | ({"y": 0.0} if self.resources == "three" else {})

    def own_parameters(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """The parameters that are read."""
        found = super().own_parameters()
        return {name: part for name, part in found.items() if name != "tau_psc" or self.resources == "three"}

    def present(self, kept: Mapping[str, Array], p: Mapping[str, Array], since: Array) -> dict[str, Array]:
        """Resources x, the share u of them that a spike would use, and, of three, the active ones y."""
        x, u = kept["x"], kept["u"]
        recovers = np.exp(-since / p["tau_rec"])
        facilitates = np.where(
            p["tau_facil"] > 0, np.exp(-since / np.where(p["tau_facil"] > 0, p["tau_facil"], 1.0)), 0.0
        )
        if self.resources == "two":
            return {"x": 1.0 + (x - x * u - 1.0) * recovers, "u": p["U"] + u * (1.0 - p["U"]) * facilitates}
        y, share = kept["y"], since / p["tau_psc"]
        z = 1.0 - x - y
        inactive = share * recovers * exprel(since / p["tau_rec"] - share)  # of y, what waits in z by now
        x = x + (1.0 - recovers) * z + y * (-np.expm1(-share) - inactive)
        u = u * facilitates
        return {"x": x, "u": u + p["U"] * (1.0 - u), "y": y * np.exp(-share)}

    def release(
        self, kept: Mapping[str, Array], p: Mapping[str, Array], since: Array
    ) -> tuple[Array, dict[str, Array]]:
        """u x."""
        found = self.present(kept, p, since)
        released = found["u"] * found["x"]
        if self.resources == "three":
            found |= {"x": found["x"] - released, "y": found["y"] + released}
        return released, found
