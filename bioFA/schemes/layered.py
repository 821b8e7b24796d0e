"""The layered circuit: an input, hidden layers, an output, an error unit, and a learning scheme.

    input -> hidden -> ... -> output -> mismatch <- target
                 ^________ scheme ________|

With `biases`, a tonically active unit projects to every layer; its weights learn like the others. With `recurrent`,
every neuron of a hidden layer reaches every neuron of it, itself too, with the spikes or rates of the step before.
`layers` says such things layer by layer, and puts pools of interneurons beside them (`bioFA.schemes.layer`).
Where an error unit carries one sign only (`SpikingErrorUnit`), a second population `mismatch_off`
carries the other, and every pathway that leaves the one leaves the other with the same weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field, Strict, model_validator

from bioFA.components import Count, Name, Number, OneOrMany
from bioFA.errors import Contradiction, Keys, MissingField, WrongShape
from bioFA.network import Learning, Network, Pathway, Population
from bioFA.neurons import Neuron, NeuronModel
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.schemes.base import Layers
from bioFA.schemes.layer import Interneurons, Layer, Recurrent
from bioFA.schemes.settings import Laid, PerPathway, Schemed, Schemes, spread
from bioFA.schemes.teacher import ERROR_UNIT, carried, error_pathways, teachers
from bioFA.synapses.delay import NO_DELAY, DelayField
from bioFA.weights import Constant, Uniform, Weights, WeightsField

Densities = Annotated[tuple[Annotated[Number, Gt(0), Le(1)], ...], OneOrMany()]
"""A density for each forward pathway, or one entry for all of them."""


class Layered(Schemed):
    """Layers of the given sizes under a learning scheme.

    In place of `sizes`, `layers` may say more of each layer (`Layer`): a neuron model and recurrence of its own, and
    pools of interneurons. What it leaves out is as for every layer: `input`, `hidden`, `output`, `recurrent`.

    `weights` are the initial forward weights, from the input upwards; `feedback` the weights
    of the feedback to each hidden layer, from the lowest upwards; one entry serves all. `density` is the
    share of forward synapses that exist, pathway by pathway as `weights`; biases are always whole.
    `feedback_density`, `feedback_fan_in` and `feedback_sign` hold for every feedback pathway that draws its
    weights (see `Pathway`); `feedback_delay` is how long errors are under way to hidden layers, one delay or one a
    synapse, and needs `protocol.dt`. With `centred_error` what is fed back is the error minus its mean over the
    outputs; the output itself learns from the whole. `inhibitory` puts what input and hidden layers
    send forward under Dale's law (see `Population`); error units, the bias unit and the errors that hidden layers pass
    on have both signs. `learning` says how changes reach the weights of all pathways that learn; biases, which may
    begin at 0, are not normalised. `recurrent` are the initial weights from each hidden layer to itself, which learn by
    the rule of the hidden layers; the error is not sent through them, so no scheme is backpropagation through time.
    `schemes` holds each scheme's settings, `scheme` the one in use. `own_scheme` is the model's own, where another is
    in use: a scheme inherits from it the rules that it is not given, or, of a rule that is given without a name,
    the rest of it.
    """

    sizes: Annotated[tuple[Count, ...], Field(examples=[[784, 100, 10]], json_schema_extra={"minItems": 2})] = ()
    layers: tuple[Layer, ...] | None = None
    input: Neuron = RateSource()
    hidden: Neuron = StaticRate()
    output: Neuron = StaticRate()
    target: Neuron = RateSource(of="targets")
    error: Neuron = ErrorUnit()
    biases: Annotated[bool, Strict()] = False
    weights: PerPathway = (Uniform(low=-0.01, high=0.01),)
    bias_weights: WeightsField = Constant()
    recurrent: WeightsField | None = None
    density: Densities = (1.0,)
    feedback: PerPathway = (Uniform(low=-0.5, high=0.5),)
    feedback_density: Annotated[Number, Gt(0), Le(1)] = 1.0
    feedback_fan_in: Count | None = None
    feedback_sign: Literal["any", "excitatory", "inhibitory"] = "any"
    feedback_delay: DelayField = NO_DELAY
    centred_error: Annotated[bool, Strict()] = False
    inhibitory: Annotated[Number, Ge(0), Le(1)] | None = None
    learning: Learning = Learning()
    scheme: Name = "fa"
    own_scheme: Name | None = None
    schemes: Schemes = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _with_sizes(cls, given: Any) -> Any:
        """`sizes` are those of `layers`, where these are given."""
        layers = given.get("layers") if isinstance(given, dict) else None
        if "sizes" in (given if isinstance(given, dict) else ()) or not isinstance(layers, (list, tuple)):
            return given
        sizes = [layer.get("size") if isinstance(layer, Mapping) else getattr(layer, "size", None) for layer in layers]
        return given if None in sizes else {**given, "sizes": sizes}

    def model_post_init(self, context: Any) -> None:
        """Check what spans fields: the scheme's name and the number of weight entries."""
        self._check_layers()
        self._check_schemes()
        if self.recurrent is not None and len(self.sizes) == 2:
            raise Contradiction(
                f"Layered.recurrent joins a hidden layer with itself; sizes {list(self.sizes)} have none. Leave it out,"
                " or give a hidden layer.",
                at=("recurrent",),
            )
        for field, wanted in (
            ("weights", len(self.sizes) - 1),
            ("density", len(self.sizes) - 1),
            ("feedback", len(self.sizes) - 2),
        ):
            if len(getattr(self, field)) not in (1, wanted):
                allowed = f"1 entry for all pathways, or {wanted}, one a pathway" if wanted > 1 else "1 entry"
                raise WrongShape(
                    f"Layered.{field} must have {allowed}, for sizes {list(self.sizes)}; got"
                    f" {len(getattr(self, field))}. Give one for all, or one each.",
                    at=(field,),
                )

    def topology(self) -> str:
        """Its sizes, whether it has biases and recurrence, and its pools of interneurons."""
        layers = self._layers()
        pools = [f"{pool.name} ({pool.size})" for layer in layers for pool in layer.interneurons]
        return ", ".join([
            "layered",
            "-".join(map(str, self.sizes)),
            *(["with biases"] if self.biases else []),
            *(["recurrent"] if any(layer.recurrent for layer in layers) else []),
            *(["with interneurons " + ", ".join(pools)] if pools else []),
        ])

    def with_parts(self, change: Callable[[Any], Any]) -> Layered:
        """The settings of the scheme in use, and `learning`."""
        return self.replace(
            schemes={**self.schemes, self.scheme: change(self.active())}, learning=change(self.learning)
        )

    def layer_names(self) -> tuple[str, ...]:
        """`input`, `hidden` (or `hidden1`, `hidden2`, ...), `output`."""
        depth = len(self.sizes) - 2
        return ("input", *(f"hidden{n + 1}" if depth > 1 else "hidden" for n in range(depth)), "output")

    def _check_layers(self) -> None:
        """Refuse fewer than two layers, and `sizes` that are not those of `layers`."""
        if not self.sizes:
            raise MissingField(
                "Layered.sizes is missing. Layered needs: sizes, or layers. For example: sizes = [784, 100, 10].",
                at=("sizes",),
            )
        if len(self.sizes) < 2:
            field = "sizes" if self.layers is None else "layers"
            raise WrongShape(
                f"Layered.{field} must have at least 2 entries; got {list(self.sizes)}. For example: sizes = [784, 100,"
                " 10].",
                at=(field,),
            )
        if self.layers is None:
            return
        if tuple(layer.size for layer in self.layers) != self.sizes:
            raise Contradiction(
                f"Layered.sizes is {list(self.sizes)}, but the sizes of layers are"
                f" {[layer.size for layer in self.layers]}. Leave sizes out.",
                at=("sizes",),
            )
        for field in ("recurrent", "interneurons"):
            if getattr(self.layers[0], field):
                raise Contradiction(
                    f"Layered.layers: the first layer is the input, which nothing drives, so it has no {field}. Give it"
                    " to a layer above.",
                    at=("layers", 0, field),
                )

    def _layers(self) -> tuple[Layer, ...]:
        """Every layer with its own or the circuit's neuron and recurrence."""
        count, given = len(self.sizes), self.layers or tuple(Layer(size=size) for size in self.sizes)
        usual = (self.input, *[self.hidden] * (count - 2), self.output)
        loops = Recurrent(weights=self.recurrent) if self.recurrent is not None else None
        return tuple(
            layer.replace(
                neuron=layer.neuron or neuron,
                recurrent=layer.recurrent or (loops if 0 < place < count - 1 else None),
            )
            for place, (layer, neuron) in enumerate(zip(given, usual, strict=True))
        )

    def laid(self) -> Laid:
        """The populations and pathways of the layers, then those that the scheme adds."""
        names, sizes, count = self.layer_names(), self.sizes, len(self.sizes) - 1
        described = self._layers()
        neurons: tuple[NeuronModel, ...] = tuple(layer.neuron for layer in described if layer.neuron is not None)
        forward = tuple(
            Pathway(name=f"{a}_to_{b}", source=a, target=b, carries=neuron.sends, weights=w, density=d)
            for a, b, neuron, w, d in zip(
                names[:-1],
                names[1:],
                neurons[:-1],
                spread(self.weights, count),
                spread(self.density, count),
                strict=True,
            )
        )
        biases = (
            tuple(
                Pathway(name=f"bias_to_{name}", source="bias", target=name, weights=self.bias_weights)
                for name in names[1:]
            )
            if self.biases
            else ()
        )
        loops = [
            (
                layer.recurrent.plastic,
                Pathway(
                    name=f"{name}_to_{name}",
                    source=name,
                    target=name,
                    carries=neuron.sends,
                    weights=layer.recurrent.weights,
                    density=layer.recurrent.density,
                ),
            )
            for name, layer, neuron in zip(names, described, neurons, strict=True)
            if layer.recurrent is not None
        ]
        pools = [
            (place, pool, pool.neuron or neurons[place])
            for place, layer in enumerate(described)
            for pool in layer.interneurons
        ]
        joins = [pathway for place, pool, neuron in pools for pathway in self._joined(place, pool, neuron, neurons)]
        beside = tuple(Population(name=pool.name, size=pool.size, neuron=neuron) for _, pool, neuron in pools)
        layers = Layers(
            names,
            sizes,
            neurons,
            forward,
            spread(self.feedback, len(sizes) - 2),
            (*biases, *(pathway for plastic, pathway in loops if plastic)),
            error_source="centred" if self.centred_error else ERROR_UNIT,
            feedback_options=self._feedback_options(),
            feedback_delay=self.feedback_delay,
            beside=beside,
            paths=(*(pathway for plastic, pathway in loops if not plastic), *joins),
        )
        additions = self.active().lay(layers)

        populations = [Population(name="input", size=sizes[0], neuron=neurons[0], inhibitory=self.inhibitory)]
        populations += [Population(name="bias", size=1, neuron=ConstantSource())] if self.biases else []
        populations += [
            Population(name=name, size=size, neuron=neuron, inhibitory=self.inhibitory)
            for name, size, neuron in zip(names[1:-1], sizes[1:-1], neurons[1:-1], strict=True)
        ]
        populations += [
            Population(name="output", size=sizes[-1], neuron=neurons[-1]),
            *beside,
            *teachers(sizes[-1], self.target, self.error, self.centred_error),
        ]
        learning = dict.fromkeys((p.name for p in biases), self.learning.replace(normalised=False))
        wired = (*error_pathways(self.error, sizes[-1], centred=self.centred_error), *additions.pathways)
        pathways = (
            *(
                p.replace(plasticity=additions.rules.get(p.name), partner=additions.partners.get(p.name))
                for p in layers.entering()
            ),
            *layers.paths,
            *carried(self.error, ERROR_UNIT, wired),
        )
        return Laid(
            layers,
            (*populations, *additions.populations),
            tuple(
                p.replace(learning=learning.get(p.name, self.learning)) if p.plasticity is not None else p
                for p in pathways
            ),
        )

    def _joined(
        self, place: int, pool: Interneurons, neuron: NeuronModel, neurons: tuple[NeuronModel, ...]
    ) -> list[Pathway]:
        """The pathways to and from a pool of interneurons beside the layer of this number."""
        names = self.layer_names()
        heard = {"layer": (place,), "below": (place - 1,), "both": (place - 1, place)}[pool.hears]
        lawful = [number for number in heard if self.inhibitory is not None and number < len(names) - 1]
        return [
            *(
                Pathway(
                    name=f"{names[number]}_to_{pool.name}",
                    source=names[number],
                    target=pool.name,
                    carries=neurons[number].sends,
                    weights=pool.excitation,
                    density=pool.density,
                    sign="any" if number in lawful else "excitatory",
                )
                for number in heard
            ),
            Pathway(
                name=f"{pool.name}_to_{names[place]}",
                source=pool.name,
                target=names[place],
                port=pool.port,
                carries=neuron.sends,
                weights=pool.inhibition,
                density=pool.density,
                sign="inhibitory",
            ),
        ]

    def _keys_in(self, path: Keys, laid: Laid | None) -> Keys:
        """The path in this description to given weights that a path in the network leads to. It has no other part of
        the network."""
        if path[2:3] != ("weights",) or laid is None:
            return ()
        used = laid.pathways[int(path[1])].weights
        given: dict[Keys, Any] = {("bias_weights",): self.bias_weights, ("recurrent",): self.recurrent}
        given |= {(field, n): w for field in ("weights", "feedback") for n, w in enumerate(getattr(self, field))}
        for n, layer in enumerate(self.layers or ()):
            given |= {("layers", n, *place): weights for place, weights in _weights_of(layer)}
        kept = ((keys, path[3:]) for keys, weights in given.items() if weights is used)
        drawn = ((keys, path[4:]) for keys, weights in given.items() if weights is used.drawn_from())
        keys, rest = next(itertools.chain(kept, drawn), ((), ()))
        return (*keys, *rest)


def _weights_of(layer: Layer) -> list[tuple[Keys, Weights]]:
    """The weights that a layer gives, each with the keys that lead to it."""
    found: list[tuple[Keys, Weights]] = []
    if layer.recurrent is not None:
        found.append((("recurrent", "weights"), layer.recurrent.weights))
    for number, pool in enumerate(layer.interneurons):
        found += [(("interneurons", number, name), getattr(pool, name)) for name in ("excitation", "inhibition")]
    return found


def layered(sizes: list[int] | tuple[int, ...], scheme: str = "fa", **fields: Any) -> Network:
    """The network of `Layered(sizes=..., scheme=..., ...)`, in one call."""
    return Layered(sizes=tuple(sizes), scheme=scheme, **fields).network()
