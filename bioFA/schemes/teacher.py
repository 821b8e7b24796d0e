"""The error unit of a circuit: output and target meet in it, and what it sends reaches the output and goes down.

    target -> mismatch <- output,        mismatch -> output

Where an error unit carries one sign only (`SpikingErrorUnit`), a second population `mismatch_off`
carries the other, and every pathway that leaves the one leaves the other with the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from bioFA.errors import Contradiction
from bioFA.network import Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.neurons.static_rate import StaticRate
from bioFA.weights import Constant, Identity, SharedWith

ERROR_UNIT, TARGET, OUTPUT = "mismatch", "target", "output"
"""What the error unit and the population that shows the targets are called, and the output of layers."""


def teachers(size: int, target: NeuronModel, error: NeuronModel, centred: bool = False) -> list[Population]:
    """The populations that show the targets and compare them with the output, `size` neurons each.

    With `centred`, one more that sends the error minus its mean over the outputs.
    """
    opponent = error.opponent()
    return [
        Population(name=TARGET, size=size, neuron=target),
        Population(name=ERROR_UNIT, size=size, neuron=error),
        *([Population(name=f"{ERROR_UNIT}_off", size=size, neuron=opponent)] if opponent else []),
        *([Population(name="centred", size=size, neuron=StaticRate())] if centred else []),
    ]


def error_pathways(error: NeuronModel, size: int, output: str = OUTPUT, centred: bool = False) -> list[Pathway]:
    """Target and output meet in the error unit; the output hears of it. `size` is that of the output."""
    one, unit = Identity(), ERROR_UNIT
    pathways = [
        Pathway(
            name=f"{TARGET}_to_{unit}", source=TARGET, target=unit, port="target", carries=error.compares, weights=one
        ),
        Pathway(
            name=f"{output}_to_{unit}",
            source=output,
            target=unit,
            port="prediction",
            carries=error.compares,
            weights=one,
        ),
        Pathway(name=f"{unit}_to_{output}", source=unit, target=output, port="error", weights=one),
    ]
    if centred:
        mean = Constant(value=-1.0 / size)
        pathways.append(Pathway(name=f"{unit}_to_centred", source=unit, target="centred", weights=one))
        pathways.append(Pathway(name=f"{unit}_mean_to_centred", source=unit, target="centred", weights=mean))
    if "gain" in error.required_ports():
        pathways.append(
            Pathway(
                name=f"{output}_gain_to_{unit}", source=output, target=unit, port="gain", carries="gain", weights=one
            )
        )
    return pathways


def carried(error: NeuronModel, unit: str, pathways: Sequence[Pathway]) -> list[Pathway]:
    """The same, with what the error unit sends in place of its rate, and, where it has an opponent, each of its
    pathways there too."""
    found: list[Pathway] = []
    for pathway in pathways:
        leaves = pathway.source == unit and pathway.carries == "r"
        found.append(pathway.replace(carries=error.sends) if leaves else pathway)
        if error.opponent() is not None and (leaves or pathway.target == unit):
            found.append(_opposed(found[-1], unit))
    return found


def _opposed(pathway: Pathway, error_unit: str) -> Pathway:
    """The same synapses for the population of the other sign.

    Raises:
        ModelError: if the weights are not those of one pathway alone, for all to share.
    """
    if pathway.plasticity is not None or pathway.sign == "concordant":
        does = "learns" if pathway.plasticity is not None else "takes the signs of the forward weights"
        raise Contradiction(
            f"pathway '{pathway.name}' {does}, so a pair of error populations cannot share its weights. Use an error"
            " unit that carries both signs, such as tonic_error_unit."
        )
    weights = (
        SharedWith(pathway=pathway.name) if pathway.weights.owns and not pathway.weights.one_to_one else pathway.weights
    )
    ends = {end: f"{error_unit}_off" for end in ("source", "target") if getattr(pathway, end) == error_unit}
    name = pathway.name.replace(error_unit, f"{error_unit}_off")
    return pathway.replace(name=name, weights=weights, density=1.0, fan_in=None, sign="any", stands_for=None, **ends)
