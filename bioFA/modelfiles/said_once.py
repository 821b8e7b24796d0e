"""What a model file says once: constants, and neurons that several populations have.

    [constants]
    g = 4
    J = "0.1 mV"
    J_inh = "= -g*J"

    [neurons.cell]
    name = "lif"
    tau = "20 ms"

In a file with `[constants]` every text that begins with "=", wherever it stands, is an expression of them. Its value
takes its place: a plain number, or text with a unit. So may the ends of a part of a population be,
`"exc[0:= clip(400, 0, 4*order)]"`. A population's `neuron = "cell"` is the table `[neurons.cell]`,
`neuron = { name = "cell", tau = "10 ms" }` the same with fields laid over it; so are the neurons of a layered circuit,
of its layers and of their interneurons.
An experiment knows nothing of either: it is made of the tables in which everything is put in.
"""

from __future__ import annotations

import itertools
import keyword
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from bioFA.equations.dimensions import NONE, SHORT, UNITS, Dimension, describe
from bioFA.equations.formula import CONDITIONS, FUNCTIONS, RANDOM, TRUTH, Dialect, Formula, read
from bioFA.equations.model import read_unit
from bioFA.errors import (
    BadEquation,
    BadName,
    Contradiction,
    DuplicateName,
    FileError,
    Keys,
    MissingField,
    ModelError,
    OutOfRange,
    TooLarge,
    UnknownName,
    WrongType,
    WrongUnit,
    suggestion,
)
from bioFA.modelfiles.locate import as_written, depth_of
from bioFA.names.nearest import LONGEST_NAME
from bioFA.network import family as circuits
from bioFA.neurons.base import NeuronModel
from bioFA.neurons.base import family as models
from bioFA.units import BRIAN2, parse, quantity

CONSTANTS, NEURONS = "constants", "neurons"
"""The tables of a model file that are put into the others."""
MOST_EXPRESSIONS, MOST_ENTRIES = 2_000, 1_000_000
"""More different expressions, or more entries of shared neurons with all places where they are put in, no model has."""
_PART = re.compile(r"([a-z][a-z0-9_]*)\[([^:\[\]]*):([^:\[\]]*)\](\.\w+)?")
"""A part of a population, such as `exc[0:= n]`, or a variable of it."""
EXACT = 2**53
"""Beyond it a float has not every whole number."""
DIALECT = Dialect(
    "+ - * / // % **", tuple(name for name in FUNCTIONS if name not in RANDOM), "-g*J, or 2*mV", free=True
)
_PLAIN = {"pi": math.pi, "e": math.e}
_KNOWN: dict[str, tuple[float, Dimension]] = {**UNITS, **{name: (value, NONE) for name, value in _PLAIN.items()}}
_SYMBOLS = {UNITS[name][1]: symbol for symbol, name in BRIAN2.items() if symbol != "1"}
"""The unit in SI that a field can declare, by its dimension."""
_TAKEN = {*_KNOWN, *FUNCTIONS, *CONDITIONS, "inf"}


@dataclass(frozen=True)
class Value:
    """A constant, or the value of an expression: in SI, with its dimension, and as a model file has it."""

    number: float
    dimension: Dimension
    written: int | float | str


@dataclass(frozen=True)
class Resolved:
    """The tables of a model file with everything put in, and where in the file each part stands.

    `file` are its own tables, `computed` the texts of its expressions by their keys, `uses` the shared neurons by the
    place where each is put in, with what is laid over what: the place itself, then the descriptions below it.
    """

    file: dict[str, Any]
    table: dict[str, Any]
    computed: Mapping[Keys, str] = field(default_factory=dict)
    uses: Mapping[Keys, tuple[Keys, ...]] = field(default_factory=dict)

    def explained(self, error: ModelError | FileError) -> ModelError | FileError:
        """The error that these tables were refused with, as one about the file: its keys lead to what the file has,
        and an expression is quoted; that of a file without constants has an error of its own."""
        keys = self._origin(as_written(error.at, self.table))
        error.lead, error.at = max(error.lead + len(keys) - len(error.at), 0), keys
        places = [keys[:length] for length in range(len(keys), 0, -1)]
        if text := next((self.computed[place] for place in places if place in self.computed), None):
            error.message += f" The file has '{text[:60]}'."
        if CONSTANTS not in self.file and (plain := next(filter(is_expression, _values(self.file, keys)), None)):
            return MissingField(
                f"'{plain[:60]}' is computed only in a file with [constants], and this one has none. Add the table, or"
                " give a number."
            ).inside(*keys)
        return error

    def _origin(self, keys: Keys) -> Keys:
        """The keys by which the file has what the resolved tables have by others."""
        for length in range(len(keys), 0, -1):
            if layers := self.uses.get(keys[:length]):
                inner = keys[length:]
                layer = max(layers, key=lambda layer: depth_of(self.file, (*layer, *inner)) - len(layer))
                return (*layer, *inner)
        return keys


def is_expression(value: Any) -> bool:
    """Whether a value of a model file is text that begins with "="."""
    return isinstance(value, str) and value.lstrip().startswith("=")


def resolved(table: dict[str, Any]) -> Resolved:
    """The tables of a model file with constants and shared neurons put in; the given ones stay as they are.

    Raises:
        ModelError: where a constant, an expression or a shared neuron is wrong; its keys lead there.
    """
    if CONSTANTS not in table and NEURONS not in table:
        return Resolved(table, table)
    whole = {key: part for key, part in table.items() if key != CONSTANTS}
    computed: dict[Keys, str] = {}
    if CONSTANTS in table:
        whole = _Evaluation(read_constants(table[CONSTANTS]), computed).of(whole, ())
    uses: dict[Keys, tuple[Keys, ...]] = {}
    if NEURONS in table:
        whole = _with_neurons(whole, uses)
    return Resolved(table, whole, computed, uses)


@contextmanager
def _inside(*keys: str | int) -> Iterator[None]:
    """Let an error that is raised inside be one about what these keys lead to."""
    try:
        yield
    except (ModelError, FileError) as error:
        raise error.inside(*keys) from None


def _values(part: Any, keys: Keys) -> Iterator[Any]:
    """What stands along a path, as far as the tables have it."""
    for key in keys:
        try:
            part = part[key]
        except (KeyError, IndexError, TypeError):
            return
        yield part


# Constants


def read_constants(given: Any) -> dict[str, Value]:
    """The constants of a model file.

    Args:
        given: by name, numbers, quantities such as "0.1 mV", and expressions of other constants such as "= -g*J".

    Raises:
        ModelError: if a name or value can be none, or constants are given by each other in a circle.
    """
    with _inside(CONSTANTS):
        if not isinstance(given, dict):
            raise WrongType(f"must be a table, such as [constants] g = 4; got {given!r:.60}.")
        for name in given:
            with _inside(name):
                _check_name(name)
        if sum(map(is_expression, given.values())) > MOST_EXPRESSIONS:
            raise TooLarge(f"a model file has at most {MOST_EXPRESSIONS} constants that are expressions.")
        formulas: dict[str, Formula] = {}
        found: dict[str, Value] = {}
        for name, value in given.items():
            with _inside(name):
                if is_expression(value):
                    formulas[name] = _read(value, given)
                else:
                    found[name] = _constant(value)
        for name in _ordered({name: {n for n in formula.names if n in formulas} for name, formula in formulas.items()}):
            with _inside(name):
                found[name] = _evaluated(formulas[name], found)
    return {name: found[name] for name in given}


def _ordered(before: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The constants that are expressions, each after those that it names."""
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise BadEquation(f"the constant is given by itself: {circle:.300}. Give one of them a number.").inside(
            error.args[1][0]
        ) from None


def _check_name(name: str) -> None:
    """Refuse what an expression cannot name, or what means something else in one."""
    if not re.fullmatch(rf"[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}", name) or keyword.iskeyword(name):
        raise BadName(f"a constant's name is letters, digits and underscores; got {name!r:.60}. For example: g, J_inh.")
    if name in _TAKEN or name.startswith(tuple(f"{draw}_" for draw in RANDOM)):
        what = "a unit" if name in UNITS else "something else"
        raise BadName(f"'{name}' is {what} in an expression. Give the constant another name.")


def _constant(given: Any) -> Value:
    """A constant that is a number or a quantity; text with a simple unit stays as it is, as if it stood at its uses."""
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        raise WrongType(
            f"a constant is a number, text with a unit, or an expression; got {given!r:.60}. For example: g = 4, J ="
            ' "0.1 mV", J_inh = "= -g*J".'
        )
    if isinstance(given, str):
        try:
            number, unit = quantity(given)
        except ValueError:
            raise WrongUnit(
                "must be a number, text with a unit such as '0.1 mV', or an expression such as '= -g*J'; got"
                f" {given!r:.60}."
            ) from None
        size, dimension = read_unit(SHORT.get(unit, unit))
        written = _written(number * size, dimension, given)
        try:
            return Value(parse(given, _SYMBOLS[dimension]), dimension, given.strip())
        except (KeyError, ValueError):  # no unit of a field, or not by its symbol
            return Value(number * size, dimension, written)
    if isinstance(given, int) and abs(given) > EXACT:
        raise OutOfRange(f"a whole number must be at most 2**53, to be counted with exactly; got {str(given)[:30]}.")
    return Value(float(given), NONE, _written(float(given), NONE, str(given)))


# Expressions


def _read(text: str, constants: Mapping[str, Any]) -> Formula:
    """Read an expression, text that begins with "="."""
    formula = read(text.lstrip()[1:], None, itertools.count(), DIALECT, towers=True)
    for name in formula.names:
        if name not in constants and name not in _KNOWN:
            raise UnknownName(
                f"'{text.strip()[:60]}' names '{name}', which is no constant.{suggestion(name, constants)} Units have"
                " Brian2's names: mV, nS, ms."
            )
    return formula


def _evaluated(formula: Formula, constants: Mapping[str, Value]) -> Value:
    """The value of an expression; a name alone is as the constant was given."""
    if formula.source in constants:
        return constants[formula.source]
    known = {name: constants[name].dimension if name in constants else _KNOWN[name][1] for name in formula.names}
    dimension = formula.dimension(known)
    if dimension == TRUTH:
        raise WrongType(f"'{formula.source[:60]}' is true or false; expected a number. Put int(...) around it.")
    number = float(
        formula.evaluate(
            {name: constants[name].number if name in constants else _KNOWN[name][0] for name in formula.names}
        )
    )
    return Value(number, dimension, _written(number, dimension, formula.source))


def _written(number: float, dimension: Dimension, source: str) -> int | float | str:
    """A value as a model file has it: a number, whole where only rounding keeps it from that, or text with a unit
    that `units.parse` and `distributions.in_si` read without loss.

    Raises:
        OutOfRange: if it is not finite.
    """
    if not math.isfinite(number):
        raise OutOfRange(f"'{source[:60]}' must be a finite number; got {number:g}.")
    if dimension != NONE:
        return f"{number!r} {_SYMBOLS.get(dimension) or describe(dimension)}"
    nearest = round(number)
    return nearest if abs(number - nearest) <= 4 * math.ulp(number) and abs(nearest) < EXACT else number


@dataclass(frozen=True)
class _Evaluation:
    """Puts the values of expressions in their places, and notes the places."""

    constants: Mapping[str, Value]
    computed: dict[Keys, str]
    known: dict[str, int | float | str] = field(default_factory=dict)

    def of(self, part: Any, keys: Keys) -> Any:
        """The same part of the tables with every expression in it evaluated."""
        if isinstance(part, dict):
            return {key: self.of(value, (*keys, key)) for key, value in part.items()}
        if isinstance(part, list):
            return [self.of(value, (*keys, number)) for number, value in enumerate(part)]
        if isinstance(part, str) and (found := _PART.fullmatch(part)) and any(map(is_expression, found.groups())):
            return self._part(found, keys)
        return self._value(part, keys) if is_expression(part) else part

    def _part(self, found: re.Match[str], keys: Keys) -> str:
        """A part of a population some of whose ends are expressions, with whole numbers in their places."""
        name, *ends, rest = found.groups()
        numbers = [self._value(end, keys) if is_expression(end) else end for end in ends]
        self.computed[keys] = found[0]
        for end, number in zip(ends, numbers, strict=True):
            if is_expression(end) and (not isinstance(number, int) or number < 0):
                with _inside(*keys):
                    raise WrongType(
                        f"'{end.strip()[:60]}' must be a whole number from 0 on, the first neuron of a part of a"
                        f" population or the one after its last; got {number}."
                    )
        return f"{name}[{numbers[0]}:{numbers[1]}]{rest or ''}"

    def _value(self, part: str, keys: Keys) -> int | float | str:
        """The value of an expression, and a note of its place."""
        self.computed[keys] = part.strip()
        if part not in self.known:
            with _inside(*keys):
                if len(self.known) >= MOST_EXPRESSIONS:
                    raise TooLarge(f"a model file has at most {MOST_EXPRESSIONS} different expressions.")
                self.known[part] = _evaluated(_read(part, self.constants), self.constants).written
        return self.known[part]


# Shared neurons


def neuron_places(table: Mapping[str, Any]) -> Iterator[Keys]:
    """The keys that lead to each neuron model of a model file: those of populations, of a circuit itself, and of its
    layers with their interneurons."""
    circuit = table.get("circuit")
    if not isinstance(circuit, dict):
        return
    if isinstance(name := circuit.get("name"), str) and name in circuits:
        fields = circuits.get(name).model_fields
        yield from (("circuit", key) for key in circuit if key in fields and fields[key].annotation is NeuronModel)
    for number, population in _tables(circuit.get("populations")):
        if "neuron" in population:
            yield ("circuit", "populations", number, "neuron")
    for number, layer in _tables(circuit.get("layers")):
        if "neuron" in layer:
            yield ("circuit", "layers", number, "neuron")
        for place, pool in _tables(layer.get("interneurons")):
            if "neuron" in pool:
                yield ("circuit", "layers", number, "interneurons", place, "neuron")


def _tables(given: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries of a list that are tables, with their numbers."""
    for number, entry in enumerate(given if isinstance(given, list) else ()):
        if isinstance(entry, dict):
            yield number, entry


def _with_neurons(table: dict[str, Any], uses: dict[Keys, tuple[Keys, ...]]) -> dict[str, Any]:
    """The tables with shared neurons in place of their names; `uses` notes what is laid over what."""
    shared, layers = _shared(table[NEURONS])
    entries = sum(map(_entries, shared.values()))
    for place in neuron_places(table):
        *_, given = _values(table, place)
        name = given.get("name") if isinstance(given, dict) else given
        if not isinstance(name, str):
            continue
        if name not in shared:
            with _inside(*place, *(("name",) if isinstance(given, dict) else ())):
                _check_model(name, shared)
            continue
        entries += _entries(shared[name])
        if entries > MOST_ENTRIES:
            raise TooLarge(f"shared neurons put in have at most {MOST_ENTRIES} entries in all.", at=place)
        uses[place] = (place, *layers[name])
        table = _replaced(table, place, _based(shared[name], given))
    return {key: part for key, part in table.items() if key != NEURONS}


def _shared(given: Any) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[Keys, ...]]]:
    """The shared neurons by name, each a table that names a neuron model, and what each is laid over."""
    with _inside(NEURONS):
        if not isinstance(given, dict):
            raise WrongType(f'must be a table of neurons, such as [neurons.cell] name = "lif"; got {given!r:.60}.')
        for name, part in given.items():
            with _inside(name):
                _check_shared(name, part)
        below = {name: {part["name"]} & {*given} for name, part in given.items()}
        try:
            order = tuple(TopologicalSorter(below).static_order())
        except CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise Contradiction(
                f"the neuron is made from itself: {circle:.300}. Name a neuron model in one of them."
            ).inside(error.args[1][0], "name") from None
        tables: dict[str, dict[str, Any]] = {}
        layers: dict[str, tuple[Keys, ...]] = {}
        entries = 0
        for name in order:
            base = given[name]["name"]
            if base not in given:
                with _inside(name, "name"):
                    _check_model(base, given)
            tables[name] = _based(tables[base], given[name]) if base in given else given[name]
            layers[name] = ((NEURONS, name), *layers.get(base, ()))
            if (entries := entries + _entries(tables[name])) > MOST_ENTRIES:
                raise TooLarge(f"shared neurons have at most {MOST_ENTRIES} entries in all.", at=(name,))
    return tables, layers


def _check_shared(name: str, part: Any) -> None:
    if not re.fullmatch(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}", name):
        raise BadName(f"a neuron's name is letters, digits and underscores; got {name!r:.60}. For example: cell.")
    if name in models:
        raise DuplicateName(f"'{name}' is the name of a neuron model. Give the shared neuron another name.")
    if not isinstance(part, dict):
        raise WrongType(f'a shared neuron is a table, such as [neurons.cell] name = "lif"; got {part!r:.60}.')
    if not isinstance(part.get("name"), str):
        raise MissingField(
            'a shared neuron needs the name of a neuron model, such as name = "lif". Known:'
            f' {", ".join(models.names())}.'
        )


def _check_model(name: str, shared: Mapping[str, Any]) -> None:
    """Refuse the name of a neuron that is neither a model nor shared."""
    if name not in models:
        error = UnknownName(f"unknown neuron model {name!r:.60}.{suggestion(name, {*models.names(), *shared})}")
        error.part = (models.kind, name, models.homes[0])
        raise error


def _based(base: dict[str, Any], given: Any) -> dict[str, Any]:
    """A neuron with the fields that its use, a name or a table, gives beside the name laid over it."""
    fields = given if isinstance(given, dict) else {}
    return laid_over({key: value for key, value in fields.items() if key != "name"}, base)


def laid_over(fields: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """A table with fields laid over it. Tables inside are laid over each other, but one that names a part of its own,
    such as another distribution, stands in place of the one below."""
    merged = dict(base)
    for key, value in fields.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not isinstance(value.get("name"), str):
            merged[key] = laid_over(value, below)
        else:
            merged[key] = value
    return merged


def _entries(part: Any) -> int:
    """How many keys and list entries are in a part of the tables, at all depths."""
    if not isinstance(part, (dict, list)):
        return 0
    return len(part) + sum(map(_entries, part.values() if isinstance(part, dict) else part))


def _replaced(part: Any, keys: Keys, value: Any) -> Any:
    """The same tables with another value at a place."""
    if not keys:
        return value
    copied: Any = dict(part) if isinstance(part, dict) else list(part)
    copied[keys[0]] = _replaced(part[keys[0]], keys[1:], value)
    return copied
