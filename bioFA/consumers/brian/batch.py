"""Pathways that compute the presentations of a batch side by side: matrix products in place of loops."""

from __future__ import annotations

from bioFA.consumers.brian.adapter import DensePathway, array_name
from bioFA.consumers.brian.factors import Factors, factorise
from bioFA.consumers.brian.program import PathwaySpec, Program

BY_LANES = ("show", "draw", "record")
"""What is done for every lane of a population by a template of its own, with `_batch` behind its name."""


def find_factors(program: Program) -> dict[str, Factors] | None:
    """The factors of every rule, by pathway; None where one has not their form, so that nothing can be batched."""
    found = {
        spec.name: factorise(spec.rate, {*spec.parameters, "T", "dt"}, f"{_presynaptic(spec)}_pre")
        for spec in program.pathways
        if spec.equations
    }
    factors = {name: one for name, one in found.items() if one is not None}
    return factors if len(factors) == len(found) else None


def batched(program: Program) -> Program:
    """A program as it can be compiled: without lanes where a rule has not the form for it."""
    return program._replace(lanes=1) if program.lanes > 1 and not find_factors(program) else program


def _presynaptic(spec: PathwaySpec) -> str:
    """The presynaptic variable that a rule reads."""
    return spec.reads_pre[0] if spec.reads_pre else spec.carries


class BatchedPathway(DensePathway):
    """As a dense pathway, for `lanes` presentations at a time (biofa_batch.h)."""

    def transmit(
        self, accumulate: bool, order: int, only: str, foreseen: bool = False, decays: bool = False
    ) -> None:
        """Sum `w * <carries>_pre` into a port of the target, in all lanes; `only` where one of them is recorded."""
        spec = self.spec
        self._add(
            "transmit_batch",
            order,
            "_weight = abs(w)*sign(w_followed)" if spec.follows else "",
            port=array_name(self.target, spec.port),
            accumulate=accumulate,
            only=only,
            follows=bool(spec.follows),
            sent=self._sent(spec.carries),
            w=array_name(self, "w"),
        )

    def learn_lanes(self, factors: Factors, order: int) -> None:
        """Keep the postsynaptic factor of `dw/dt = factors.post * pre - factors.decay * w`, in all lanes."""
        self._add("learn_batch", order, f"_factor = dt*({factors.post})", number=self.number, gathering=self._gathering)

    def apply_lanes(self, factors: Factors, order: int) -> None:
        """Gather the changes, and make them where a batch ends."""
        change = "sign_step*sign(summed)" if self.spec.steps else "summed"
        self.variables.add_auxiliary_variable("summed", dtype=self.variables["w"].dtype)
        self._add(
            "apply_batch",
            order,
            f"_forgotten = dt*({factors.decay})\nw = {self.spec.constrained(f'w + {change}')}",
            number=self.number,
            gathering=self._gathering,
            batch=array_name(self, "batch"),
            norm=array_name(self, "norm") if self.spec.normalised else "",
            exists=array_name(self, "exists") if self.spec.masked else "",
            gathered=array_name(self, "gathered"),
            sent=self._sent(_presynaptic(self.spec)),
            w=array_name(self, "w"),
        )

    @property
    def _gathering(self) -> str:
        """The C++ expression of what the synapses gather."""
        return f"biofa::gathering<{self.sizes['real']}, {self.number}>()"
