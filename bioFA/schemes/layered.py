"""The layered circuit: an input, hidden layers, an output, an error unit, and a learning scheme.

    input -> hidden -> ... -> output -> mismatch <- target
                 ^________ scheme ________|

With `biases`, a tonically active unit projects to every layer; its weights learn like the others. With `recurrent`,
every neuron of a hidden layer reaches every neuron of it, itself too, with the spikes or rates of the step before.
Where an error unit carries one sign only (`SpikingErrorUnit`), a second population `mismatch_off`
carries the other, and every pathway that leaves the one leaves the other with the same weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, Field, PlainSerializer, Strict, ValidationInfo, field_validator

from bioFA.components import Component, Count, InSchema, Name, Number, OneOrMany, faults
from bioFA.errors import Contradiction, FileError, Keys, ModelError, WrongShape
from bioFA.network import Circuit, Learning, Network, Pathway, Population
from bioFA.neurons import Neuron
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.schemes.base import Layers, Scheme, SchemeField, family
from bioFA.weights import Constant, Identity, SharedWith, Uniform, WeightsField

T = TypeVar("T")
PerPathway = Annotated[tuple[WeightsField, ...], OneOrMany()]
"""Weights for each pathway of a kind, or one entry for all of them."""
Densities = Annotated[tuple[Annotated[Number, Gt(0), Le(1)], ...], OneOrMany()]
"""A density for each forward pathway, or one entry for all of them."""


def _dump_schemes(schemes: Mapping[str, Scheme]) -> dict[str, Any]:
    return {
        name: {"name": name, **scheme.model_dump(mode="json", exclude_none=True)} for name, scheme in schemes.items()
    }


class Layered(Circuit):
    """Layers of the given sizes under a learning scheme.

    `weights` are the initial forward weights, from the input upwards; `feedback` the weights
    of the feedback to each hidden layer, from the lowest upwards; one entry serves all. `density` is the
    share of forward synapses that exist, pathway by pathway as `weights`; biases are always whole.
    `feedback_density`, `feedback_fan_in` and `feedback_sign` hold for every feedback pathway that draws its
    weights (see `Pathway`). With `centred_error` what is fed back is the error minus its mean over the
    outputs; the output itself learns from the whole. `inhibitory` puts what input and hidden layers
    send forward under Dale's law (see `Population`); error units, the bias unit and the errors that hidden layers pass
    on have both signs. `learning` says how changes reach the weights of all pathways that learn; biases, which may
    begin at 0, are not normalised. `recurrent` are the initial weights from each hidden layer to itself, which learn by
    the rule of the hidden layers; the error is not sent through them, so no scheme is backpropagation through time.
    `schemes` holds each scheme's settings, `scheme` the one in use. `own_scheme` is the model's own, where another is
    in use: a scheme inherits from it the rules that it is not given, or, of a rule that is given without a name,
    the rest of it.
    """

    sizes: Annotated[tuple[Count, ...], Field(min_length=2, examples=[[784, 100, 10]])]
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
    centred_error: Annotated[bool, Strict()] = False
    inhibitory: Annotated[Number, Ge(0), Le(1)] | None = None
    learning: Learning = Learning()
    scheme: Name = "fa"
    own_scheme: Name | None = None
    schemes: Annotated[
        Mapping[str, SchemeField],
        AfterValidator(MappingProxyType),
        PlainSerializer(_dump_schemes),
        InSchema({"family": "scheme settings"}),
    ] = Field(default_factory=dict, validate_default=True)

    @field_validator("schemes", mode="before")
    @classmethod
    def _named(cls, schemes: Any, info: ValidationInfo) -> Any:
        if not isinstance(schemes, Mapping):
            raise ValueError("must be a table with one entry a scheme, such as schemes.fa = { ... }")
        with faults():
            return _read_schemes(schemes, info.data.get("own_scheme") or info.data.get("scheme", ""))

    def model_post_init(self, context: Any) -> None:
        """Check what spans fields: the scheme's name and the number of weight entries."""
        for name, scheme in self.schemes.items():
            if scheme.family_name != name:
                raise Contradiction(
                    f"Layered.schemes.{name} holds the scheme '{scheme.family_name}'. Give it under its own name.",
                    at=("schemes",),
                )
        family.get(self.scheme)
        family.get(self.own_scheme or self.scheme)
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

    def active(self) -> Scheme:
        """The scheme in use, with its settings."""
        return self.settings(self.scheme)

    def settings(self, scheme: str) -> Scheme:
        """The settings of a scheme, its defaults where it has none here."""
        return self.schemes[scheme] if scheme in self.schemes else family.get(scheme)()

    def numbers(self) -> dict[str, float]:
        """The numbers of the scheme in use, such as a feedback rate or the size of its noise."""
        return self.active().parameters()

    def topology(self) -> str:
        """Its sizes, and whether it has biases and recurrence."""
        return (
            "layered,"
            f" {'-'.join(map(str, self.sizes))}{', with biases' if self.biases else ''}{', recurrent' if self.recurrent else ''}"  # noqa: E501
        )

    def scheme_class(self) -> type[Scheme]:
        """That of the scheme in use."""
        return type(self.active())

    def has_settings(self, scheme: str) -> bool:
        """Whether `schemes` has them."""
        return scheme in self.schemes

    def own_scheme_name(self) -> str | None:
        """`own_scheme`."""
        return self.own_scheme

    def with_parts(self, change: Callable[[Any], Any]) -> Layered:
        """The settings of the scheme in use, and `learning`."""
        return self.replace(
            schemes={**self.schemes, self.scheme: change(self.active())}, learning=change(self.learning)
        )

    def with_scheme(self, scheme: str) -> Layered:
        """The same circuit under another scheme, which inherits what it is not given from the model's own."""
        own = self.own_scheme or self.scheme
        known = dict(self.schemes)
        if scheme not in known and scheme != own:
            known[scheme] = family.get(scheme)().completed(self.settings(own))
        return self.replace(scheme=scheme, own_scheme=None if scheme == own else own, schemes=known)

    def settled(self, presentations: Callable[[], int]) -> Layered:
        """The same, with what depends on how many presentations the training has in the settings of its schemes."""
        before = {**self.schemes, self.scheme: self.active()}
        after = {name: settings.settled(presentations) for name, settings in before.items()}
        return (
            self if all(after[name] is settings for name, settings in before.items()) else self.replace(schemes=after)
        )

    def caveats(self) -> tuple[str, ...]:
        """What the scheme says of itself where neurons spike."""
        said = self.active().in_spikes
        return (said,) if said and self.network().spiking() else ()

    def layer_names(self) -> tuple[str, ...]:
        """`input`, `hidden` (or `hidden1`, `hidden2`, ...), `output`."""
        depth = len(self.sizes) - 2
        return ("input", *(f"hidden{n + 1}" if depth > 1 else "hidden" for n in range(depth)), "output")

    def network(self) -> Network:
        """Populations and pathways: the layers, then what the scheme adds."""
        pathways: tuple[Pathway, ...] = ()
        try:
            populations, pathways = self._laid()
            return Network(populations=populations, pathways=pathways)
        except (ModelError, FileError) as error:
            error.at, error.lead = self._keys_of_weights(error.at, pathways), 0
            raise

    def _laid(self) -> tuple[tuple[Population, ...], tuple[Pathway, ...]]:
        """The populations and pathways of the layers, then those that the scheme adds."""
        names, sizes = self.layer_names(), self.sizes
        count = len(sizes) - 1
        forward = tuple(
            Pathway(name=f"{a}_to_{b}", source=a, target=b, carries=neuron.sends, weights=w, density=d)
            for a, b, neuron, w, d in zip(
                names[:-1],
                names[1:],
                (self.input, *[self.hidden] * (count - 1)),
                _spread(self.weights, count),
                _spread(self.density, count),
                strict=True,
            )
        )
        biases = tuple(
            Pathway(name=f"bias_to_{name}", source="bias", target=name, weights=self.bias_weights) for name in names[1:]
        ) if self.biases else ()
        recurrent = (
            tuple(
                Pathway(
                    name=f"{name}_to_{name}",
                    source=name,
                    target=name,
                    carries=self.hidden.sends,
                    weights=self.recurrent,
                )
                for name in names[1:-1]
            )
            if self.recurrent is not None
            else ()
        )
        layers = Layers(
            names,
            sizes,
            self.hidden,
            self.output,
            forward,
            biases,
            _spread(self.feedback, len(sizes) - 2),
            recurrent,
            error_source="centred" if self.centred_error else "mismatch",
            feedback_options=self._feedback_options(),
        )
        additions = self.active().lay(layers)

        populations = [Population(name="input", size=sizes[0], neuron=self.input, inhibitory=self.inhibitory)]
        populations += [Population(name="bias", size=1, neuron=ConstantSource())] if self.biases else []
        populations += [
            Population(name=name, size=size, neuron=self.hidden, inhibitory=self.inhibitory)
            for name, size in zip(names[1:-1], sizes[1:-1], strict=True)
        ]
        populations += [
            Population(name="output", size=sizes[-1], neuron=self.output),
            Population(name="target", size=sizes[-1], neuron=self.target),
            Population(name=layers.error_unit, size=sizes[-1], neuron=self.error),
        ]
        opponent = self.error.opponent()
        populations += (
            [Population(name=f"{layers.error_unit}_off", size=sizes[-1], neuron=opponent)] if opponent else []
        )
        populations += [Population(name="centred", size=sizes[-1], neuron=StaticRate())] if self.centred_error else []
        learning = dict.fromkeys((p.name for p in biases), self.learning.replace(normalised=False))
        pathways = (
            *(
                p.replace(plasticity=additions.rules.get(p.name), partner=additions.partners.get(p.name))
                for p in layers.entering()
            ),
            *self._carried(layers.error_unit, (*self._error_pathways(layers.error_unit), *additions.pathways)),
        )
        return (*populations, *additions.populations), tuple(
            p.replace(learning=learning.get(p.name, self.learning)) if p.plasticity is not None else p
            for p in pathways
        )

    def _keys_of_weights(self, path: Keys, pathways: tuple[Pathway, ...]) -> Keys:
        """The path in this description to given weights that a path in the network leads to. It has no other part of
        the network."""
        if path[2:3] != ("weights",):
            return ()
        used = pathways[int(path[1])].weights
        given: dict[Keys, Any] = {("bias_weights",): self.bias_weights, ("recurrent",): self.recurrent}
        given |= {(field, n): w for field in ("weights", "feedback") for n, w in enumerate(getattr(self, field))}
        kept = ((keys, path[3:]) for keys, weights in given.items() if weights is used)
        drawn = ((keys, path[4:]) for keys, weights in given.items() if weights is used.drawn_from())
        keys, rest = next(itertools.chain(kept, drawn), ((), ()))
        return (*keys, *rest)

    def _feedback_options(self) -> dict[str, Any]:
        """What is asked of feedback pathways and is not what every pathway is like."""
        fields = type(self).model_fields
        given = {name: getattr(self, f"feedback_{name}") for name in ("density", "fan_in", "sign")}
        return {name: value for name, value in given.items() if value != fields[f"feedback_{name}"].default}

    def _error_pathways(self, error_unit: str) -> list[Pathway]:
        """Target and output meet in the error unit; the output hears of it."""
        one = Identity()
        pathways = [
            Pathway(
                name=f"target_to_{error_unit}",
                source="target",
                target=error_unit,
                port="target",
                carries=self.error.compares,
                weights=one,
            ),
            Pathway(
                name=f"output_to_{error_unit}",
                source="output",
                target=error_unit,
                port="prediction",
                carries=self.error.compares,
                weights=one,
            ),
            Pathway(name=f"{error_unit}_to_output", source=error_unit, target="output", port="error", weights=one),
        ]
        if self.centred_error:
            mean = Constant(value=-1.0 / self.sizes[-1])
            pathways.append(Pathway(name=f"{error_unit}_to_centred", source=error_unit, target="centred", weights=one))
            pathways.append(
                Pathway(name=f"{error_unit}_mean_to_centred", source=error_unit, target="centred", weights=mean)
            )
        if "gain" in self.error.required_ports():
            pathways.append(
                Pathway(
                    name=f"output_gain_to_{error_unit}",
                    source="output",
                    target=error_unit,
                    port="gain",
                    carries="gain",
                    weights=one,
                )
            )
        return pathways


    def _carried(self, error_unit: str, pathways: tuple[Pathway, ...]) -> list[Pathway]:
        """The same, with what the error unit sends in place of its rate, and, where it has an opponent,
        each of its pathways there too."""
        carried: list[Pathway] = []
        for pathway in pathways:
            leaves = pathway.source == error_unit and pathway.carries == "r"
            carried.append(pathway.replace(carries=self.error.sends) if leaves else pathway)
            if self.error.opponent() is not None and (leaves or pathway.target == error_unit):
                carried.append(_opposed(carried[-1], error_unit))
        return carried


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


def _read_schemes(schemes: Mapping[str, Any], own_name: str) -> Mapping[str, Any]:
    """The settings of every scheme; what others than the model's own are not given is taken from that one."""
    if own_name not in family:
        return {name: _read_scheme(name, value) for name, value in schemes.items()}
    own = _read_scheme(own_name, schemes.get(own_name, {}))
    if not isinstance(own, Scheme) or own.family_name != own_name:
        return schemes
    return {name: own if name == own_name else _read_scheme(name, value, own) for name, value in schemes.items()}


def _read_scheme(name: str, value: Any, own: Scheme | None = None) -> Any:
    """The settings of the scheme of that name, which need not be repeated inside, completed with those of the model's
    `own` scheme; a rule without a name is that of the own scheme, changed."""
    try:
        if isinstance(value, Mapping):
            kind = family.get(str(value.get("name", name)))
            fields = {
                field: _changed(getattr(own, field), given) if own and field in kind.inherits else given
                for field, given in value.items()
                if field != "name"
            }
            value = kind(**fields)
        return value.completed(own) if own and isinstance(value, Scheme) else value
    except (ModelError, FileError) as error:
        raise error.inside(name) from None


def _changed(rule: Component, given: Any) -> Any:
    """A rule that is given without a name as the changes to another."""
    if not isinstance(given, Mapping) or "name" in given:
        return given
    return {"name": rule.family_name, **{field: getattr(rule, field) for field in rule.model_fields_set}, **given}


def _spread(entries: tuple[T, ...], count: int) -> tuple[T, ...]:
    return entries * count if len(entries) == 1 else entries


def layered(sizes: list[int] | tuple[int, ...], scheme: str = "fa", **fields: Any) -> Network:
    """The network of `Layered(sizes=..., scheme=..., ...)`, in one call."""
    return Layered(sizes=tuple(sizes), scheme=scheme, **fields).network()
