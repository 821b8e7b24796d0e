"""A copy of the forward circuit that shares its weights, and a unit that compares the two losses.

    R = L - L',    L = |target - output|^2 / 2

What perturbs the copy, and who hears of R, is the affair of the scheme that lays it. Copied are the layers above the
input and what stands beside them (`Layers.beside`), such as interneurons; sources reach both circuits.
"""

from __future__ import annotations

from bioFA.errors import Unavailable
from bioFA.network import Pathway, Population
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.static_rate import StaticRate
from bioFA.schemes.base import Layers
from bioFA.weights import Constant, Identity, SharedWith


def perturbed_copy(layers: Layers) -> tuple[dict[str, str], list[Population], list[Pathway]]:
    """The copy of each population's name that has one, and the populations and pathways of the copy with its `reward`
    unit.

    Raises:
        Unavailable: if a pathway lists its synapses one by one, so that no other can share them.
    """
    output, mismatch = layers.names[-1], layers.error_unit
    copied = {name: f"{name}_perturbed" for name in (*layers.names[1:], *(p.name for p in layers.beside))}
    populations = [
        Population(name=copied[output], size=layers.sizes[-1], neuron=layers.neurons[-1]),
        Population(name=f"{mismatch}_perturbed", size=layers.sizes[-1], neuron=ErrorUnit()),
        Population(name="reward", size=1, neuron=StaticRate()),
    ]
    populations += [
        Population(name=copied[layers.names[layer]], size=layers.sizes[layer], neuron=layers.neurons[layer])
        for layer in layers.hidden_layers()
    ]
    populations += [p.replace(name=copied[p.name], inhibitory=None) for p in layers.beside]
    pathways = [_copied(p, copied) for p in (*layers.entering(), *layers.paths)]
    pathways += [
        Pathway(
            name=f"{layers.target}_to_{mismatch}_perturbed",
            source=layers.target,
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


def _copied(pathway: Pathway, copied: dict[str, str]) -> Pathway:
    """The same synapses in the copy."""
    if pathway.listed:
        raise Unavailable(
            f"a perturbed copy of the circuit shares its weights, but pathway '{pathway.name}' lists single synapses,"
            " which no other pathway can share. Give it a matrix of weights, or take a scheme without a copy, such as"
            " fa."
        )
    shares = pathway.weights.owns and not pathway.weights.one_to_one
    return Pathway(
        name=f"{pathway.name}_perturbed",
        source=copied.get(pathway.source, pathway.source),
        target=copied[pathway.target],
        port=pathway.port,
        carries=pathway.carries,
        weights=SharedWith(pathway=pathway.name) if shares else pathway.weights,
        delay=pathway.delay,
    )
