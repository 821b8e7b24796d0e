"""Which populations and pathways there are, and what follows from how they are joined: shapes, parts, units, signs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bioFA.components import Component
from bioFA.equations.dimensions import Dimension, over
from bioFA.errors import OutOfRange
from bioFA.network.parts import WHOLE, Array, Pathway, Population
from bioFA.synapses.connect import As, Shape
from bioFA.weights import PseudoInverseOf, Redrawn, SharedWith


class Wiring(Component):
    """Populations and pathways, by name and by end."""

    populations: Annotated[
        tuple[Population, ...], Field(examples=[[{"name": "hidden", "size": 30, "neuron": "leaky_rate"}]])
    ]
    pathways: tuple[Pathway, ...] = ()

    @cached_property
    def named_populations(self) -> dict[str, Population]:
        """The populations by name."""
        return {population.name: population for population in self.populations}

    @cached_property
    def named_pathways(self) -> dict[str, Pathway]:
        """The pathways by name."""
        return {pathway.name: pathway for pathway in self.pathways}

    @cached_property
    def _arriving(self) -> dict[tuple[str, str], tuple[Pathway, ...]]:
        ends = dict.fromkeys((p.target, p.port) for p in self.pathways)
        return {end: tuple(p for p in self.pathways if (p.target, p.port) == end) for end in ends}

    def population(self, name: str) -> Population:
        """The population of that name."""
        return self.named_populations[name]

    def pathway(self, name: str) -> Pathway:
        """The pathway of that name."""
        return self.named_pathways[name]

    def population_sizes(self) -> dict[str, int]:
        """How many neurons each population has."""
        return {population.name: population.size for population in self.populations}

    def shape(self, pathway: Pathway) -> tuple[int, int]:
        """`(n_post, n_pre)` of a pathway."""
        return self.population(pathway.target).size, self.population(pathway.source).size

    def delay_of(self, pathway: Pathway) -> str:
        """What a rule of a pathway sees late, in words; empty where it sees nothing late."""
        if pathway.plasticity is None:
            return ""
        sides = (("pre", "presynaptic", "axonal"), ("post", "postsynaptic", "dendritic"))
        parts = [f"{what} after its {part} delay" for side, what, part in sides if pathway.late(side)]
        return f"the rule sees what is {', and what is '.join(parts)}" if parts else ""

    def weight_dimension(self, pathway: Pathway) -> Dimension:
        """What its weights measure: what arrives at its port, over what it carries; spikes and rates are numbers."""
        source, target = self.population(pathway.source).neuron, self.population(pathway.target).neuron
        return over(target.dimension_of(pathway.port), source.dimension_of(pathway.carries))

    def laid_by(self, pathway: Pathway) -> Pathway:
        """The pathway whose `connect` says which synapses there are: another one where it says `as`."""
        return self.pathway(pathway.connect.pathway) if isinstance(pathway.connect, As) else pathway

    def laying(self, pathway: Pathway, constants: Mapping[str, Array] | None = None) -> Shape:
        """Between what the synapses of a pathway are laid, with the parameters of both sides once they are drawn."""
        return self._between(self.laid_by(pathway), self.laid_by(pathway), constants)

    def between(self, pathway: Pathway, constants: Mapping[str, Array] | None = None) -> Shape:
        """What texts of weights, delays and dynamics read of both sides, likewise; its own neurons, also where it is
        laid as another pathway."""
        return self._between(pathway, self.laid_by(pathway), constants)

    def _between(self, pathway: Pathway, layer: Pathway, constants: Mapping[str, Array] | None) -> Shape:
        ends = {"pre": self.population(pathway.source), "post": self.population(pathway.target)}
        known: dict[str, Dimension] = {}
        values: dict[str, Array] = {}
        for side, population in ends.items():
            for name, (_, dimension) in population.neuron.own_parameters().items():
                known[f"{name}_{side}"] = dimension
                if constants is not None:
                    values[f"{name}_{side}"] = constants[f"{population.name}.{name}"]
        parts = {side: self.joined(layer, side) for side in ends}
        for side, population in ends.items():
            for name in [name for name in values if name.endswith(f"_{side}") and len(values[name]) == population.size]:
                values[name] = values[name][parts[side]]
        sizes = {side: part.stop - part.start for side, part in parts.items()}
        same = layer.source == layer.target and parts["pre"] == parts["post"]
        return Shape(sizes["pre"], sizes["post"], same, known, values)

    def parts(self, pathway: Pathway) -> tuple[int, int]:
        """The first presynaptic and the first postsynaptic neuron that a pathway joins."""
        layer = self.laid_by(pathway)
        return self.joined(layer, "pre").start, self.joined(layer, "post").start

    def joined(self, pathway: Pathway, side: str) -> slice:
        """Which neurons of an end a pathway joins.

        Raises:
            OutOfRange: if there are not so many.
        """
        end = "source" if side == "pre" else "target"
        name = getattr(pathway, end)
        size, part = self.population(name).size, getattr(pathway, f"{end}_part") or (0, WHOLE)
        start, stop = part[0], size if part[1] == WHOLE else part[1]
        if not start < stop <= size:
            raise OutOfRange(
                f"{end}: '{name}' has {size} neurons, so a part is within [0:{size}]; got [{start}:{stop}].", at=(end,)
            )
        return slice(start, stop)

    def arriving(self, population: str, port: str) -> tuple[Pathway, ...]:
        """The pathways that arrive at one port, in the order of their description."""
        return self._arriving.get((population, port), ())

    def by_port(self) -> tuple[Pathway, ...]:
        """The pathways, port by port, in the order in which each port sums them."""
        return tuple(pathway for end in sorted(self._arriving) for pathway in self._arriving[end])

    def wiring(self) -> tuple[tuple[Population, ...], tuple[Pathway, ...]]:
        """Populations and pathways without the names of pathways: each is called by its place in `by_port`,
        also where others refer to it."""
        pathways = self.by_port()
        called = {pathway.name: f"p{place}" for place, pathway in enumerate(pathways)}

        def renamed(pathway: Pathway) -> Pathway:
            weights = (
                pathway.weights
                if pathway.weights.owns
                else pathway.weights.replace(pathway=called[pathway.weights.pathway])
            )
            others = {end: called.get(getattr(pathway, end)) for end in ("stands_for", "partner")}
            if isinstance(pathway.connect, As):
                others["connect"] = pathway.connect.replace(pathway=called[pathway.connect.pathway])
            return pathway.replace(name=called[pathway.name], weights=weights, **others)

        return tuple(sorted(self.populations, key=lambda population: population.name)), tuple(map(renamed, pathways))

    def owners(self) -> tuple[Pathway, ...]:
        """The pathways that have a matrix of weights of their own."""
        return tuple(p for p in self.pathways if p.weights.owns and not p.listed)

    def listed(self) -> tuple[Pathway, ...]:
        """The pathways whose synapses are listed one by one."""
        return tuple(p for p in self.pathways if p.listed)

    def redrawn(self) -> tuple[Pathway, ...]:
        """The pathways whose weights are drawn anew for every presentation."""
        return tuple(p for p in self.pathways if isinstance(p.weights, Redrawn))

    def signs(self, pathway: Pathway) -> Array | None:
        """The sign that each presynaptic cell gives its synapses by Dale's law, `(n_pre,)`, or None."""
        lawful = (
            pathway.weights.owns
            and not pathway.weights.one_to_one
            and pathway.sign == "any"
            and not isinstance(pathway.weights, Redrawn)
        )
        return self.population(pathway.source).cells() if lawful else None

    def effective(self, pathway: Pathway, weights: Mapping[str, Any]) -> Any:
        """The matrix with which a pathway transmits, `(n_post, n_pre)`, from the stored ones by `pathway.w`."""
        if isinstance(pathway.weights, (SharedWith, PseudoInverseOf)):
            return pathway.weights.of(weights[f"{pathway.weights.pathway}.w"])
        own = weights[f"{pathway.name}.w"]
        return np.abs(own) * np.sign(weights[f"{pathway.stands_for}.w"].T) if pathway.sign == "concordant" else own

    def plastic(self) -> tuple[Pathway, ...]:
        """The pathways that learn."""
        return tuple(p for p in self.pathways if p.plasticity is not None)

    def rules_in_use(self) -> list[dict[str, Any]]:
        """Every rule in use: `rule`, the `pathways` that learn by it, and its `rates` by name,
        with those of `learning`."""
        rows: list[dict[str, Any]] = []
        for pathway in self.plastic():
            assert pathway.plasticity is not None
            found = {
                "rule": pathway.plasticity.family_name,
                "rates": pathway.plasticity.rates() | pathway.learning.rates(),
            }
            same = next((row for row in rows if all(row[key] == value for key, value in found.items())), None)
            if same is None:
                rows.append(found | {"pathways": [pathway.name]})
            else:
                same["pathways"].append(pathway.name)
        return rows

    def spiking(self) -> tuple[Population, ...]:
        """The populations that spike: those that publish `s`."""
        return tuple(p for p in self.populations if "s" in p.neuron.publishes)

    def is_static(self) -> bool:
        """Whether no neuron keeps anything from one step to the next."""
        return not any(population.neuron.state for population in self.populations)
