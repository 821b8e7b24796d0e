"""The base of every described part, and the family that finds parts by name.

A part (`Component`) is a frozen, checked record. Its float fields are parameters, which a
compiled program takes at run time; everything else about it is structure, which is compiled.
A `Family` is the set of parts of one kind (plasticity rules, neuron models, ...), found in the
packages or modules that are its homes; the class name in snake case is the name that model files use.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import math
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, get_args

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from bioFA.errors import (
    BadName,
    BrokenCode,
    DuplicateName,
    FileError,
    MissingField,
    ModelError,
    OutOfRange,
    UnknownField,
    UnknownName,
    WrongShape,
    WrongType,
    WrongUnit,
    suggestion,
)
from bioFA.names.elsewhere import elsewhere
from bioFA.names.nearest import nearest
from bioFA.own_code import reading
from bioFA.units import Unit, sample, write

Number = Annotated[float, Strict()]
Count = Annotated[
    int,
    Strict(),
    Field(ge=1, le=2**31 - 1),
    BeforeValidator(lambda value: int(value) if isinstance(value, np.integer) else value),
]
Amount = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Strict()]

MOST_FAULTS = 5
"""A message holds at most so many faults of one part; a wrong matrix has one in every entry."""
_KINDS = {
    "extra_forbidden": UnknownField,
    "missing": MissingField,
    "unit": WrongUnit,
    "literal_error": UnknownName,
    "too_short": WrongShape,
    **dict.fromkeys(
        ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "value_error"),
        OutOfRange,
    ),
}
"""The class of what pydantic calls by these names; everything else is a `WrongType`."""
_COMPARISONS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


class Fault(ValueError):
    """An error about a part in the form that pydantic takes, which adds the path of the field that holds the part."""

    def __init__(self, error: ModelError | FileError):
        super().__init__(str(error))
        self.error = error


@contextmanager
def faults() -> Iterator[None]:
    """Hand an error about a part, raised inside a validator, to pydantic as a `Fault`."""
    try:
        yield
    except (ModelError, FileError) as error:
        raise Fault(error) from None


class Component(BaseModel):
    """A frozen, checked record of a description. Wrong fields raise `ModelError`.

    A check of a part's own (`model_post_init`) raises one whose `at` leads from the part to the field that is wrong.
    Every part around it adds the keys that lead to the part, and by them the line of a model file is found.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        defer_build=True,  # until the first of a class is made, which a run does of few
    )

    family_name: ClassVar[str] = ""
    """What a model file calls it; a class that only serves as a base of others says ""."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "family_name" not in vars(cls):
            cls.family_name = snake_case(cls.__name__)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        # pydantic has noted which are of the class, and would read their annotations again for every class below
        cls.__annotations__ = {n: a for n, a in cls.__annotations__.items() if n not in cls.__class_vars__}

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _refusal(type(self), error.errors()) from None

    @model_validator(mode="wrap")
    @classmethod
    def _with_path(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        with faults():
            return validate(given)

    def parameters(self) -> dict[str, float]:
        """The float fields by name, in SI: what a compiled program takes at run time."""
        return {n: float(getattr(self, n)) for n, f in type(self).model_fields.items() if f.annotation is float}

    def structure(self) -> dict[str, Any]:
        """Everything that is compiled: the fields that are not parameters, and the equations."""
        numbers = self.parameters()
        fields = {n: v for n, v in self.model_dump(mode="json").items() if n not in numbers}
        return {"name": self.family_name, **fields}

    def replace(self, **changes: Any) -> Any:
        """A copy with some fields changed, checked like a new one."""
        fields = {n: getattr(self, n) for n in type(self).model_fields}
        return type(self)(**(fields | changes))

    @classmethod
    def made_of(cls, fields: dict[str, Any]) -> Any:
        """The part that the table of a model file describes; a class may leave some of them to a simpler one."""
        return cls(**fields)

    def without(self, field: str) -> Any:
        """A copy that was never given a field: it has the default."""
        return type(self)(
            **{n: getattr(self, n) for n in type(self).model_fields if n != field and n in self.model_fields_set}
        )

    @classmethod
    def unit_of(cls, field: str) -> str:
        """The SI unit that a field declares, or '1'."""
        units = [m.symbol for m in cls._metadata(field) if isinstance(m, Unit)]
        return units[0] if units else "1"

    def rates(self) -> dict[str, float]:
        """The fields that declare themselves a `Rate`, where they have a value."""
        found = {
            n: getattr(self, n) for n in type(self).model_fields if any(isinstance(m, Rate) for m in self._metadata(n))
        }
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def _metadata(cls, field: str) -> list[Any]:
        """What is annotated to a field, also where it may be None."""
        described = cls.model_fields[field]
        return [
            *described.metadata,
            *(m for kind in get_args(described.annotation) for m in getattr(kind, "__metadata__", ())),
        ]


class Rate:
    """Annotation of a field that says how far a presentation moves a weight: a learning rate, a decay,
    or the size of a step.

    All rates of a rule times one number change how fast it learns, and leave where it comes to rest as it was.
    """


class InSchema:
    """Annotation that says what stands for a field in the JSON Schema of model files (`bioFA.modelfiles.schema`);
    `{"family": kind}` is any part of a family."""

    def __init__(self, table: dict[str, Any]):
        self.table = table

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return dict(self.table)


class ReadBy:
    """Annotation of a field that one function reads, which answers a part or raises, and another writes.

    pydantic then needs no schema of what is annotated, whose making takes longer than most models take to read.
    """

    def __init__(self, read: Callable[[Any], Any], written: Callable[[Any], Any]):
        self.read, self.written = read, written

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.written)
        )


class OneOrMany:
    """Annotation of a list for which one entry may stand by itself."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, (list, tuple)) else (value,), handler(source)
        )

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


C = TypeVar("C", bound=Component)
_FAMILY_NAME = re.compile(r"^    family_name: ClassVar\[str\] = \"(\w+)\"", re.MULTILINE)
"""How a part states in its file that its name is not that of the file."""


class Family(Generic[C]):
    """The parts of one kind that its home packages or modules hold, by name."""

    def __init__(self, kind: str, *homes: str, base: type[C]):
        self.kind = kind
        self.homes = homes
        self.base = base
        self._known: dict[str, type[C]] | None = None

    def _parts(self) -> dict[str, type[C]]:
        """Every part, for which every module is imported."""
        if self._known is None:
            modules = [importlib.import_module(module) for module in (*self.homes, *self._files)]
            self._known = {name: part for module in modules for name, part in self._parts_of(module).items()}
        return self._known

    def _parts_of(self, module: ModuleType) -> dict[str, type[C]]:
        return {
            value.family_name: value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, self.base)
            and value is not self.base
            and value.family_name
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        }

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The modules inside the homes that are packages, with their files."""
        homes = [importlib.import_module(home) for home in self.homes]
        return {
            f"{home.__name__}.{module.name}": Path(folder, f"{module.name}.py")
            for home in homes
            for folder in getattr(home, "__path__", ())
            for module in pkgutil.iter_modules([folder])
        }

    @cached_property
    def _stated(self) -> dict[str, str]:
        """The modules by the name that their text states for their part."""
        texts = {module: file.read_text("utf-8") for module, file in self._files.items() if file.is_file()}
        return {name: module for module, text in texts.items() for name in _FAMILY_NAME.findall(text)}

    def _find(self, name: str) -> type[C] | None:
        """The class behind a name; where a file's name or text says that it holds the part, only that is imported.

        Raises:
            ModelError, FileError: if the name is that of a Python file and its class, and that is no such part.
        """
        if (own := reading.find(name, self.base)) is not None:
            return self._own(own, name)
        if self._known is None:
            inside = (module for module in self._files if module.endswith(f".{name}"))
            module = next(inside, None) or self._stated.get(name)
            if module is not None and (part := self._parts_of(importlib.import_module(module)).get(name)) is not None:
                return part
        return self._parts().get(name) or self._installed_part(name)

    @cached_property
    def _entries(self) -> dict[str, importlib.metadata.EntryPoint]:
        """What installed packages name in the entry points of this family, `[project.entry-points."bioFA.rules"]`."""
        return {entry.name: entry for entry in importlib.metadata.entry_points(group=self.homes[0])}

    def _installed_part(self, name: str) -> type[C] | None:
        """A part of an installed package.

        Raises:
            BrokenCode: if it cannot be imported.
            ModelError: if it is no part of this family, or has another name.
        """
        if (entry := self._entries.get(name)) is None:
            return None
        package = entry.dist.name if entry.dist is not None else "that is installed"
        place = f"the entry point {name} = {entry.value} of the package {package}"
        try:
            own = entry.load()
        except Exception as error:  # the package is anybody's
            raise BrokenCode(
                f"{place} cannot be imported: {type(error).__name__}: {error}. Mend or remove the package."
            ) from None
        if not isinstance(own, type):
            raise WrongType(f"{place} is no class. Name a class in the package.")
        if (part := self._own(own, name)).family_name != name:
            raise BadName(f"{place} is called '{part.family_name}'. Give both one name.")
        return part

    def _own(self, own: Any, name: str) -> type[C]:
        """A class of somebody's own as a part of this family."""
        if not issubclass(own, self.base):
            bases = ", ".join(base.__name__ for base in own.__bases__)
            raise WrongType(
                f"{_short(name)} is no {self.kind}: it derives from {bases}. A {self.kind} derives from"
                f" {self.base.__module__.removesuffix('.base')}.{self.base.__name__}."
            )
        part: type[C] = own
        return part

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def names(self) -> list[str]:
        """The names that a model file may use, sorted."""
        return sorted({**self._parts(), **self._entries})

    def get(self, name: str) -> type[C]:
        """The class behind a name.

        Raises:
            ModelError: if there is none, with the nearest known name.
        """
        part = self._find(name)
        if part is None:
            error = UnknownName(f"unknown {self.kind} {_short(name)}.{suggestion(name, self.names())}")
            error.part = (self.kind, name, self.homes[0])
            raise error
        return part

    def add(self, part: type[C]) -> type[C]:
        """Make a part of one's own known by its name, so that model files and results can name it;
        a decorator of its class.

        Raises:
            ModelError: if it is no such part, or the name is taken.
        """
        if not (isinstance(part, type) and issubclass(part, self.base)):
            raise WrongType(f"a {self.kind} is a class derived from {self.base.__name__}; got {part!r}.")
        known = self._parts()
        before = known.get(part.family_name, part)
        ours = before is not part and before.__module__.startswith(reading.PACKAGE)
        if ours or before.__qualname__ != part.__qualname__:
            raise DuplicateName(f"there is a {self.kind} '{part.family_name}' already. Give the class another name.")
        known[part.family_name] = part
        return part

    def read(self, value: Any) -> C:
        """Make a part from a part, a name, or a table with a `name`."""
        if isinstance(value, self.base):
            return value
        if isinstance(value, str):
            return self.get(value)()
        if isinstance(value, dict):
            fields = dict(value)
            name = fields.pop("name", None)
            if not isinstance(name, str):
                raise MissingField(
                    f"a {self.kind} needs a name; got {_short(value)}. Write name = \"...\" with one of:"
                    f" {', '.join(self.names())}."
                )
            return self.get(name).made_of(fields)
        raise WrongType(
            f"a {self.kind} is a name or a table with a name; got {_short(value)}. Known: {', '.join(self.names())}."
        )

    def member(self) -> Any:
        """The annotation of a field that holds one part of this family."""
        return ReadBy(self._read_field, as_table), InSchema({"family": self.kind})

    def _read_field(self, value: Any) -> C:
        with faults():
            return self.read(value)


def as_table(part: Component) -> dict[str, Any]:
    """A part as a model file has it: its `name`, and every field that is not None."""
    return {"name": part.family_name, **part.model_dump(mode="json", exclude_none=True, by_alias=True)}


def headline(part: type) -> str:
    """The first sentence of a part's own file, or of its class where a file holds several parts."""
    return first_paragraph(_docstring(part))


def first_paragraph(text: str) -> str:
    """What a docstring begins with, up to its first empty line, as one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())


def mathematics(part: type) -> str:
    """The formulae in a part's docstring: what is indented in it."""
    lines = inspect.cleandoc(_docstring(part)).splitlines()
    return inspect.cleandoc("\n".join(line for line in lines if line.startswith("    ")))


def _docstring(part: type) -> str:
    module = sys.modules[part.__module__]
    several = (
        sum(
            isinstance(v, type) and v.__module__ == part.__module__ and not n.startswith("_")
            for n, v in vars(module).items()
        )
        > 1
    )
    return (part.__doc__ if several else module.__doc__) or ""


def snake_case(name: str) -> str:
    """`LeakyRate` -> `leaky_rate`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _short(value: Any) -> str:
    text = np.array2string(value, threshold=8) if isinstance(value, np.ndarray) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _refusal(owner: type[Component], errors: Sequence[Any]) -> ModelError | FileError:
    """The error of the first part inside that is wrong, or else of the wrong fields, a line each; the first one
    decides its code."""
    for found in errors:
        if isinstance(fault := found.get("ctx", {}).get("error"), Fault):
            return fault.error.inside(*found["loc"])
    lines = [_explain(owner, found) for found in errors[:MOST_FAULTS]]
    more = [f"... and {len(errors) - MOST_FAULTS} more like these."] if len(errors) > MOST_FAULTS else []
    return _KINDS.get(errors[0]["type"], WrongType)("\n".join([*lines, *more]), at=errors[0]["loc"])


def _explain(owner: type[Component], error: Any) -> str:
    """One line for one fault: place, given, expected, what to do."""
    path = [str(part) for part in error["loc"]]
    place = ".".join([owner.__name__, *path])
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        owners = [kind.__name__ for kind in owner.__mro__]
        known = [part.alias or name for name, part in owner.model_fields.items()]
        there = "" if nearest(path[-1], known) else elsewhere(path[-1], owners)
        return f"unknown field {_short(path[-1])} in {owner.__name__}.{there}{suggestion(path[-1], known)}"
    if kind == "missing":
        return (
            f"{place} is missing. {owner.__name__} needs:"
            f" {', '.join(n for n, f in owner.model_fields.items() if f.is_required())}.{_example(owner, path)}"
        )
    if kind in _COMPARISONS:
        sign, key = _COMPARISONS[kind]
        unit = owner.unit_of(path[0]) if path and path[0] in owner.model_fields else "1"
        return (
            f"{place} must be {sign} {context[key]:.10g}{'' if unit == '1' else ' ' + unit}; got"
            f" {_short(given)}.{_example(owner, path)}"
        )
    if kind == "unit":
        return (
            f"{place} {context['reason']}; got"
            f" {_short(given)}.{'' if 'such as' in context['reason'] else _example(owner, path)}"
        )
    if kind == "literal_error":
        return f"{place} must be {context['expected']}; got {_short(given)}.{_example(owner, path)}"
    if kind == "value_error":
        return (
            f"{owner.__name__}: {context['error']}"
            if not path
            else f"{place} {context['error']}; got {_short(given)}.{_example(owner, path)}"
        )
    if kind == "model_type":
        return (
            f"{place} must be a table that describes a {context['class_name']}; got"
            f" {_short(given)}.{_example(owner, path)}"
        )
    if kind == "too_short":
        return (
            f"{place} must have at least {context['min_length']} entries; got {_short(given)}.{_example(owner, path)}"
        )
    wanted = {"float_type": "a number", "finite_number": "a finite number", "int_type": "a whole number",
              "int_from_float": "a whole number", "bool_type": "true or false", "string_type": "text",
              "bool_parsing": "true or false", "tuple_type": "a list", "dict_type": "a table"}.get(kind)
    if wanted:
        return (
            f"{place} must be {wanted}; got {_short(given)}.{_without_quotes(wanted, given) or _example(owner, path)}"
        )
    return f"{place}: {error['msg']}; got {_short(given)}."


def _example(owner: type[Component], path: list[str]) -> str:
    """A value that the field takes, as a model file has it: its default, or one made for its kind and bounds."""
    field = owner.model_fields.get(path[0]) if path else None
    if field is None:
        return ""
    if field.examples:
        return f" For example: {path[0]} = {_toml(field.examples[0])}."
    if len(path) > 1:
        return ""
    value, unit = field.get_default(call_default_factory=True), owner.unit_of(path[0])
    if field.is_required() or value is None:
        value = _made(field) if unit == "1" else sample(unit)
    if isinstance(value, float) and unit != "1":
        value = write(value, unit)
    return f" For example: {path[0]} = {_toml(value)}." if isinstance(value, (bool, int, float, str)) else ""


def _toml(value: Any) -> str:
    """A value as a line of a model file has it."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(part)}' for key, part in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value) if isinstance(value, (bool, str)) else repr(value)


def _made(field: FieldInfo) -> Any:
    """A number or name within the bounds of a field that has no default."""
    low = max(
        (
            float(getattr(bound, name))
            for bound in field.metadata
            for name in ("gt", "ge")
            if getattr(bound, name, None) is not None
        ),
        default=-math.inf,
    )
    high = min(
        (
            float(getattr(bound, name))
            for bound in field.metadata
            for name in ("lt", "le")
            if getattr(bound, name, None) is not None
        ),
        default=math.inf,
    )
    if field.annotation is int:
        return int(min(max(low, 10), high))
    if field.annotation is float:
        return next((value for value in (0.1, 1.0, 10.0, (low + high) / 2) if low < value < high), None)
    return None


def _without_quotes(wanted: str, given: Any) -> str:
    """What to do about a number, true or false given as text."""
    numeric = isinstance(given, str) and re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", given)
    if ("number" in wanted and numeric) or (wanted == "true or false" and given in ("true", "false")):
        return f" Write it without quotes: {given.strip()[:80]}."
    return ""
