"""A copy of the forward circuit that shares its weights, and a unit that compares the two losses.

    R = L - L',    L = |target - output|^2 / 2

What perturbs the copy, and who hears of R, is the affair of the scheme that lays it.
"""

from __future__ import annotations

from bioFA.network import Pathway, Population
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.static_rate import StaticRate
from bioFA.schemes.base import Layers
from bioFA.weights import Constant, Identity, SharedWith


def perturbed_copy(layers: Layers) -> tuple[dict[str, str], list[Population], list[Pathway]]:
    """The copy of each layer's name, and the populations and pathways of the copy with its `reward` unit."""
    output, mismatch = layers.names[-1], layers.error_unit
    copied = {layers.names[0]: layers.names[0], "bias": "bias"} | {
        name: f"{name}_perturbed" for name in layers.names[1:]
    }
    populations = [
        Population(name=copied[output], size=layers.sizes[-1], neuron=layers.output),
        Population(name=f"{mismatch}_perturbed", size=layers.sizes[-1], neuron=ErrorUnit()),
        Population(name="reward", size=1, neuron=StaticRate()),
    ]
    populations += [
        Population(name=copied[layers.names[layer]], size=layers.sizes[layer], neuron=layers.hidden)
        for layer in layers.hidden_layers()
    ]
    pathways = [
        Pathway(
            name=f"{p.source}_to_{copied[p.target]}",
            source=copied[p.source],
            target=copied[p.target],
            carries=p.carries,
            weights=SharedWith(pathway=p.name),
        )
        for p in layers.entering()
    ]
    pathways += [
        Pathway(
            name=f"target_to_{mismatch}_perturbed",
            source="target",
            target=f"{mismatch}_perturbed",
            port="target",
            weights=Identity(),
        ),
        Pathway(
            name=f"{copied[output]}_to_{mismatch}_perturbed",
            source=copied[output],
            target=f"{mismatch}_perturbed",
            port="prediction",
            weights=Identity(),
        ),
        Pathway(
            name=f"{mismatch}_to_reward", source=mismatch, target="reward", carries="loss", weights=Constant(value=1.0)
        ),
        Pathway(
            name=f"{mismatch}_perturbed_to_reward",
            source=f"{mismatch}_perturbed",
            target="reward",
            carries="loss",
            weights=Constant(value=-1.0),
        ),
    ]
    return copied, populations, pathways
