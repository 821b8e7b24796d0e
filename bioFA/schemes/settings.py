"""The learning schemes of a circuit: which one is in use, and the settings of each.

`schemes` holds each scheme's settings, `scheme` the one in use. `own_scheme` is the model's own, where another is in
use: a scheme inherits from it the rules that it is not given, or, of a rule that is given without a name, the rest of
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, PlainSerializer, ValidationInfo, field_validator

from bioFA.components import Component, InSchema, OneOrMany, faults
from bioFA.errors import Contradiction, FileError, Keys, ModelError
from bioFA.network import Circuit, Network, Pathway, Population
from bioFA.own_code import reading
from bioFA.own_code.files import PACKAGE
from bioFA.schemes.base import Layers, Scheme, SchemeField, family
from bioFA.weights import WeightsField


def _dump_schemes(schemes: Mapping[str, Scheme]) -> dict[str, Any]:
    return {
        name: {"name": name, **scheme.model_dump(mode="json", exclude_none=True)} for name, scheme in schemes.items()
    }


T = TypeVar("T")
PerPathway = Annotated[tuple[WeightsField, ...], OneOrMany()]
"""Weights for each pathway of a kind, or one entry for all of them."""
Schemes = Annotated[
    Mapping[str, SchemeField],
    AfterValidator(MappingProxyType),
    PlainSerializer(_dump_schemes),
    InSchema({"family": "scheme settings"}),
]
"""The settings of schemes, by the scheme's name."""


@dataclass(frozen=True)
class Laid:
    """A circuit that was laid out: its layers, and all populations and pathways, those of the scheme too."""

    layers: Layers
    populations: tuple[Population, ...]
    pathways: tuple[Pathway, ...]


class Schemed(Circuit):
    """Base of the circuits whose feedback a learning scheme lays."""

    family_name: ClassVar[str] = ""

    if TYPE_CHECKING:  # fields, each in its place among those of a circuit

        @property
        def scheme(self) -> str: ...  # noqa: D102
        @property
        def own_scheme(self) -> str | None: ...  # noqa: D102
        @property
        def schemes(self) -> Mapping[str, Scheme]: ...  # noqa: D102

    @field_validator("schemes", mode="before", check_fields=False)
    @classmethod
    def _named(cls, schemes: Any, info: ValidationInfo) -> Any:
        if not isinstance(schemes, Mapping):
            raise ValueError("must be a table with one entry a scheme, such as schemes.fa = { ... }")
        with faults():
            given = {_known_as(name): settings for name, settings in schemes.items()}
            for name in filter(None, (info.data.get("scheme"), info.data.get("own_scheme"))):
                if name in family and not family.get(name).__module__.startswith(PACKAGE):
                    given.setdefault(name, {})  # so that a class of somebody's own is among the parts
            return _read_schemes(given, info.data.get("own_scheme") or info.data.get("scheme", ""))

    @field_validator("scheme", "own_scheme", check_fields=False)
    @classmethod
    def _as_named(cls, name: str | None) -> str | None:
        with faults():
            return name if name is None else _known_as(name)

    def _check_schemes(self) -> None:
        """Refuse settings under another scheme's name, and schemes that are not known."""
        for name, scheme in self.schemes.items():
            if scheme.family_name != name:
                raise Contradiction(
                    f"{type(self).__name__}.schemes.{name} holds the scheme '{scheme.family_name}'. Give it under its"
                    " own name.",
                    at=("schemes",),
                )
        family.get(self.scheme)
        family.get(self.own_scheme or self.scheme)

    def laid(self) -> Laid:
        """The circuit with what the scheme in use adds."""
        raise NotImplementedError(f"{type(self).__name__} lays no layers")

    def _keys_in(self, path: Keys, laid: Laid | None) -> Keys:
        """The path in this description to what a path in the network leads to; nothing where it has no such part."""
        return ()

    def _feedback_options(self) -> dict[str, Any]:
        """What is asked of feedback pathways and is not what every pathway is like."""
        fields = type(self).model_fields
        given = {name: getattr(self, f"feedback_{name}") for name in ("density", "fan_in", "sign")}
        return {name: value for name, value in given.items() if value != fields[f"feedback_{name}"].default}

    def network(self) -> Network:
        """Populations and pathways: those of the circuit, and what the scheme adds."""
        laid = None
        try:
            laid = self.laid()
            return Network(populations=laid.populations, pathways=laid.pathways)
        except (ModelError, FileError) as error:
            error.at, error.lead = self._keys_in(error.at, laid), 0
            raise

    def active(self) -> Scheme:
        """The scheme in use, with its settings."""
        return self.settings(self.scheme)

    def settings(self, scheme: str) -> Scheme:
        """The settings of a scheme, its defaults where it has none here."""
        return self.schemes[scheme] if scheme in self.schemes else family.get(scheme)()

    def numbers(self) -> dict[str, float]:
        """The numbers of the scheme in use, such as a feedback rate or the size of its noise."""
        return self.active().parameters()

    def scheme_class(self) -> type[Scheme]:
        """That of the scheme in use."""
        return type(self.active())

    def has_settings(self, scheme: str) -> bool:
        """Whether `schemes` has them."""
        return scheme in self.schemes

    def own_scheme_name(self) -> str | None:
        """`own_scheme`."""
        return self.own_scheme

    def with_scheme(self, scheme: str) -> Self:
        """The same circuit under another scheme, which inherits what it is not given from the model's own."""
        scheme, own = _known_as(scheme), self.own_scheme or self.scheme
        known = dict(self.schemes)
        if scheme not in known and scheme != own:
            known[scheme] = family.get(scheme)().completed(self.settings(own))
        return self.replace(scheme=scheme, own_scheme=None if scheme == own else own, schemes=known)

    def settled(self, presentations: Callable[[], int]) -> Self:
        """The same, with what depends on how many presentations the training has in the settings of its schemes."""
        before = {**self.schemes, self.scheme: self.active()}
        after = {name: settings.settled(presentations) for name, settings in before.items()}
        return (
            self if all(after[name] is settings for name, settings in before.items()) else self.replace(schemes=after)
        )

    def caveats(self) -> tuple[str, ...]:
        """What the scheme says of itself where neurons spike, and where activity goes other ways than the chain's."""
        scheme, laid = self.active(), self.laid()
        said = [scheme.in_spikes] if scheme.in_spikes and any(p.neuron.spikes for p in laid.populations) else []
        if scheme.around and (way := laid.layers.around()):
            said.append(scheme.around.format(way=" -> ".join(way)))
        return tuple(said)


def _known_as(name: str) -> str:
    """The name of a scheme; that of a class in a Python file does not say in which folder it lies."""
    return family.get(name).family_name if reading.is_named(name) else name


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


def spread(entries: tuple[T, ...], count: int) -> tuple[T, ...]:
    """One entry for each of so many places, where one may stand for all."""
    return entries * count if len(entries) == 1 else entries
