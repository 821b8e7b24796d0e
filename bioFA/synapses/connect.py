"""Which neuron reaches which: every way to lay the synapses of a pathway, kept sparse.

A drawn pathway is two arrays of one entry a synapse, `(n_synapses,)` each: the presynaptic and the postsynaptic neuron,
sorted by presynaptic, then postsynaptic neuron. Nothing here ever holds a matrix of all pairs.

    all            every pair
    one_to_one     neuron i to neuron i
    probability    every pair by itself, with chance p
    fan_in         every postsynaptic neuron hears `count` presynaptic ones
    fan_out        every presynaptic neuron reaches `count` postsynaptic ones
    total          `count` synapses in all, each between a pair drawn by itself
    pairs          given pairs, written in the model or in a file
    where          every pair by itself, with a chance or on a condition that a text computes from its two neurons
    as             the pairs of another pathway

`multapses`: whether a pair may have several synapses; `autapses`: whether a neuron may reach itself, where a population
reaches itself. Counts are of different neurons without multapses.

Source of the rules: Nowotny, van Albada et al. (2022), PLoS Comput. Biol. 18:e1010086, "Connectivity concepts in
neuronal network modeling", table 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge, Le
from pydantic import ConfigDict, Field, Strict

from bioFA.components import Amount, Component, Count, Family, Name, Number
from bioFA.distributions import AtSynapses
from bioFA.equations.dimensions import NONE, Dimension, describe
from bioFA.equations.formula import TRUTH, Formula
from bioFA.equations.model import Model, check_name
from bioFA.errors import (
    BadEquation,
    DuplicateName,
    MissingField,
    OutOfRange,
    UnknownName,
    WrongData,
    WrongShape,
    WrongUnit,
    suggestion,
    under,
)
from bioFA.synapses.subsets import blocks, ordered, passing_over, subsets, transposed
from bioFA.system.npy import read_npy

Array = np.ndarray
Flag = Annotated[bool, Strict()]
MOST = 2**31 - 1
"""The most synapses of one pathway: they are counted by 32 bits."""
AT_ONCE = 2**20
"""For so many pairs a text is evaluated at once, so that no matrix of all pairs is held."""


class Pairs(NamedTuple):
    """Presynaptic and postsynaptic neuron of every synapse, `(n_synapses,)` each, int32.

    `order` says at which place each stood in a list that the user gave, `(n_synapses,)`; None where they were drawn.
    """

    pre: Array
    post: Array
    order: Array | None = None


class Shape(NamedTuple):
    """Between how many neurons, and whether they are the same ones.

    `known` are the parameters of the neurons on both sides, `x_pre` and `x_post`, by what they measure, and `values`,
    once an instance is drawn, their values, `(n_pre,)` and `(n_post,)`, or `(1,)` where all neurons have the same.
    """

    n_pre: int
    n_post: int
    same: bool
    known: Mapping[str, Dimension] = {}
    values: Mapping[str, Array] = {}

    @property
    def axes(self) -> tuple[str, ...]:
        """The coordinates between which there is a distance: those of x, y and z that both sides have, if none has
        another one and all measure the same."""
        sides = [{axis for axis in "xyz" if f"{axis}_{side}" in self.known} for side in ("pre", "post")]
        found = tuple(sorted(sides[0])) if sides[0] == sides[1] else ()
        alike = {self.known[f"{axis}_{side}"] for axis in found for side in ("pre", "post")}
        return found if len(alike) == 1 else ()

    @property
    def names(self) -> dict[str, Dimension]:
        """What a text of two neurons may name, by what it measures."""
        found = {**dict.fromkeys(("i", "j", "n_pre", "n_post"), NONE), **self.known}
        return found | ({"distance": self.known[f"{self.axes[0]}_pre"]} if self.axes else {})

    def with_distance(self, values: dict[str, Any]) -> dict[str, Any]:
        """The same values with the distance, sqrt(sum of (x_pre - x_post)^2 over the coordinates), where there is."""
        if self.axes:
            squares = [(values[f"{axis}_pre"] - values[f"{axis}_post"]) ** 2 for axis in self.axes]
            values["distance"] = np.sqrt(sum(squares[1:], squares[0]))
        return values

    def at(self, pre: Array, post: Array) -> AtSynapses:
        """What a text may read at synapses between some neurons, `(n_synapses,)` each."""

        def values(first: int, last: int) -> Mapping[str, Any]:
            i, j = pre[first:last], post[first:last]
            found: dict[str, Any] = {"i": i.astype(float), "j": j.astype(float)}
            found |= {"n_pre": float(self.n_pre), "n_post": float(self.n_post)}
            for name, array in self.values.items():
                found[name] = array if len(array) == 1 else array[j if name.endswith("_post") else i]
            return self.with_distance(found)

        return AtSynapses(len(pre), self.names, values)


class Connect(Component):
    """Base of the ways to connect."""

    multapses: Flag = False
    autapses: Flag = True

    draws: ClassVar[bool] = True
    """Whether it takes random numbers."""
    keeps_order: ClassVar[bool] = False
    """Whether synapses stand in an order of the user's, to which lists of weights and delays refer."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Pairs:
        """The synapses, sorted by presynaptic, then postsynaptic neuron.

        Raises:
            ModelError: if there cannot be so many.
        """
        pre, post = self.pairs(rng, shape)
        _check_most(len(pre))
        if self.keeps_order:
            order = np.argsort(pre.astype(np.int64) * shape.n_post + post, kind="stable")
            return Pairs(pre[order].astype(np.int32), post[order].astype(np.int32), order)
        pre, post = pre.astype(np.int32, copy=False), post.astype(np.int32, copy=False)
        if (pre[1:] >= pre[:-1]).all():
            return Pairs(pre, ordered(post, np.bincount(pre, minlength=shape.n_pre), shape.n_post))
        keys = pre.astype(np.int64) * shape.n_post + post
        keys.sort()
        return Pairs((keys // shape.n_post).astype(np.int32), (keys % shape.n_post).astype(np.int32))

    def check(self, shape: Shape) -> None:
        """Refuse, while describing, what cannot be laid between so many neurons.

        Raises:
            ModelError: saying what there can be.
        """

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """The synapses in any order."""
        raise NotImplementedError

    def about(self, shape: Shape) -> int | None:
        """How many synapses it lays, or in the mean; None where only drawing them tells."""
        return None

    def _forbidden(self, shape: Shape, size: int) -> Array | None:
        """For each of `size` neurons the one that it may not be joined with: itself; None where all are allowed."""
        return np.arange(size) if shape.same and not self.autapses else None

    def describe(self, shape: Shape) -> str:
        """What it lays, in words, for a summary."""
        both = ["multapses" if self.multapses else "no multapses"]
        both += [] if not shape.same else ["autapses" if self.autapses else "no autapses"]
        return f"{self.family_name}, {', '.join(both)}"


class All(Connect):
    """Every pair has a synapse."""

    draws: ClassVar[bool] = False

    def about(self, shape: Shape) -> int:
        """All pairs, but those that are not allowed."""
        return _allowed(self, shape)

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """Every pair, but a neuron with itself without autapses."""
        pre, post = (axis.ravel() for axis in np.indices((shape.n_pre, shape.n_post), dtype=np.int32))
        if self._forbidden(shape, shape.n_pre) is None:
            return pre, post
        other = pre != post
        return pre[other], post[other]


class OneToOne(Connect):
    """Neuron i reaches neuron i."""

    draws: ClassVar[bool] = False

    def check(self, shape: Shape) -> None:
        """As many of one as of the other, and not the same ones without autapses."""
        if shape.n_pre != shape.n_post:
            raise WrongShape(f"connect = 'one_to_one' needs as many neurons on both sides; got {shape.n_pre} and"
                             f" {shape.n_post}.")  # fmt: skip
        if self._forbidden(shape, shape.n_pre) is not None:
            raise OutOfRange("connect = 'one_to_one' from a population to itself is all autapses. Leave autapses out.")

    def about(self, shape: Shape) -> int:
        """As many as there are neurons."""
        return shape.n_pre

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """As many as there are neurons.

        Raises:
            WrongShape: if there are more of one than of the other.
        """
        self.check(shape)
        return np.arange(shape.n_pre), np.arange(shape.n_post)


class Probability(Connect):
    """Every pair has a synapse with chance p, by itself."""

    p: Annotated[Number, Ge(0), Le(1), Field(examples=[0.1])]

    def about(self, shape: Shape) -> int:
        """p of all pairs."""
        return round(self.p * _allowed(self, shape))

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """A binomial number of different targets for each presynaptic neuron."""
        forbidden = self._forbidden(shape, shape.n_pre)
        available = shape.n_post - (forbidden is not None)
        counts = rng.binomial(available, self.p, shape.n_pre)
        _check_most(int(counts.sum()))
        return _each(counts), subsets(rng, counts, shape.n_post, forbidden)


class FanIn(Connect):
    """Every postsynaptic neuron hears `count` presynaptic ones, drawn evenly."""

    count: Annotated[Count, Field(examples=[100])]

    def check(self, shape: Shape) -> None:
        """Not more different partners than there are."""
        _check_room(self, self.count, shape.n_pre - (shape.same and not self.autapses), "partners")

    def about(self, shape: Shape) -> int:
        """`count` for each postsynaptic neuron."""
        return self.count * shape.n_post

    def draw(self, rng: np.random.Generator, shape: Shape) -> Pairs:
        """`count` presynaptic neurons for each postsynaptic one, turned round."""
        chosen = _chosen(self, rng, shape.n_post, shape.n_pre, self._forbidden(shape, shape.n_post))
        post, counts = transposed(chosen, np.full(shape.n_post, self.count), shape.n_pre)
        del chosen
        return Pairs(_each(counts), post)


class FanOut(Connect):
    """Every presynaptic neuron reaches `count` postsynaptic ones, drawn evenly."""

    count: Annotated[Count, Field(examples=[100])]

    def check(self, shape: Shape) -> None:
        """Not more different partners than there are."""
        _check_room(self, self.count, shape.n_post - (shape.same and not self.autapses), "partners")

    def about(self, shape: Shape) -> int:
        """`count` for each presynaptic neuron."""
        return self.count * shape.n_pre

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """`count` postsynaptic neurons for each presynaptic one."""
        chosen = _chosen(self, rng, shape.n_pre, shape.n_post, self._forbidden(shape, shape.n_pre))
        return _each(np.full(shape.n_pre, self.count)), chosen


class Total(Connect):
    """`count` synapses in all, each between a pair that is drawn evenly."""

    count: Annotated[Count, Field(examples=[10000])]

    def check(self, shape: Shape) -> None:
        """Not more different pairs than there are."""
        _check_room(self, self.count, shape.n_pre * (shape.n_post - (shape.same and not self.autapses)), "pairs")

    def about(self, shape: Shape) -> int:
        """`count`."""
        return self.count

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """So many pairs, different ones without multapses."""
        forbidden = self._forbidden(shape, shape.n_pre)
        columns = shape.n_post - (forbidden is not None)
        _check_room(self, self.count, shape.n_pre * columns, "pairs")
        if self.multapses:
            flat = rng.integers(0, shape.n_pre * columns, self.count)
        else:
            flat = subsets(rng, np.array([self.count]), shape.n_pre * columns, None)
        flat.sort()
        pre, post = (flat // columns).astype(np.int32), (flat % columns).astype(np.int32)
        return pre, post if forbidden is None else post + (post >= pre)


class PairsFrom(Connect):
    """Given pairs of presynaptic and postsynaptic neuron, counted from 0: `pairs`, written in the model, or a `.npy`
    file of two columns at `path`."""

    path: Annotated[Name | None, Field(examples=["pairs.npy"])] = None
    listed: Annotated[
        tuple[tuple[Amount, Amount], ...] | None, Field(alias="pairs", examples=[[[0, 3], [1, 3]]])
    ] = None
    multapses: Flag = True

    model_config = ConfigDict(populate_by_name=True)

    family_name: ClassVar[str] = "pairs"
    draws: ClassVar[bool] = False
    keeps_order: ClassVar[bool] = True

    def model_post_init(self, context: Any) -> None:
        """Refuse pairs of two places, or of none."""
        if (self.path is None) == (self.listed is None):
            raise MissingField(
                "PairsFrom needs pairs or path, and not both. For example: pairs = [[0, 3], [1, 3]], or path ="
                " 'pairs.npy'."
            )

    def about(self, shape: Shape) -> int | None:
        """As many as are written in the model."""
        return None if self.listed is None else len(self.listed)

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """The given pairs.

        Raises:
            FileError: if there is no such file, or it holds something else.
            OutOfRange: if it names a neuron that is not there, or a pair that is not allowed.
        """
        if self.path is None:
            place, table = "connect.pairs", np.array(self.listed, dtype=np.int64).reshape(-1, 2)
        else:
            place = f"connect.path: {self.path!r}"
            table = read_npy(self.path, "connect.path", "whole numbers (n_synapses, 2)")
        if table.ndim != 2 or table.shape[1] != 2 or table.dtype.kind not in "iu":
            raise WrongData(f"{place} must hold whole numbers (n_synapses, 2): presynaptic and postsynaptic neuron.")
        for column, (size, side) in enumerate(((shape.n_pre, "presynaptic"), (shape.n_post, "postsynaptic"))):
            wrong = np.flatnonzero((table[:, column] < 0) | (table[:, column] >= size))
            if len(wrong):
                raise OutOfRange(
                    f"{place}, row {wrong[0]}: {side} neuron {table[wrong[0], column]} is not there; expected 0 to"
                    f" {size - 1}."
                )
        self._check_allowed(table, shape, place)
        return table[:, 0], table[:, 1]

    def _check_allowed(self, table: Array, shape: Shape, place: str) -> None:
        itself = np.flatnonzero(table[:, 0] == table[:, 1])
        if self._forbidden(shape, shape.n_pre) is not None and len(itself):
            raise OutOfRange(f"{place}, row {itself[0]}: an autapse; allow them, autapses = true.")
        if not self.multapses and len(np.unique(table, axis=0)) < len(table):
            raise OutOfRange(f"{place} holds a pair several times; allow that, multapses = true.")


class Where(Connect):
    """Every pair has a synapse with a chance that a text computes from its two neurons, by itself.

    P(synapse from i to j) = p(i, j)        or a condition, where every pair that meets it has one

    Names of the text: `i` and `j`, the numbers of the presynaptic and the postsynaptic neuron from 0; `n_pre` and
    `n_post`, how many there are; the parameters of both, `x_pre` and `x_post`; `distance`, where both have the same of
    the parameters `x`, `y` and `z`; and what `let` computes, in its order.
    """

    p: Annotated[Name, Field(examples=["0.3*exp(-d/20)*int(i != j)"])]
    let: Annotated[dict[str, Name], Field(examples=[{"d": "abs(x_pre - x_post)"}])] = {}

    def check(self, shape: Shape) -> None:
        """The texts must be readable, and p a plain number or a condition."""
        self._read(shape)

    def _read(self, shape: Shape) -> tuple[dict[str, Formula], Formula]:
        """The texts of `let`, and p."""
        known = shape.names
        texts: dict[str, Formula] = {}
        for name, text in self.let.items():
            with under("let", name):
                check_name(name, "connect.let")
                if name in known:
                    raise DuplicateName(f"connect.let: '{name}' is known already. Give it another name.")
                texts[name], found = self._formula(text, known, f"connect.let.{name}")
                if found == TRUTH:
                    raise WrongUnit(f"connect.let.{name} is a condition; write int({text}), which is 1 or 0.")
                known[name] = found
        with under("p"):
            formula, found = self._formula(self.p, known, "connect.p")
            if found not in (TRUTH, NONE):
                raise WrongUnit(f"connect.p is a chance, a plain number, or a condition; got {describe(found)}.")
        return texts, formula

    @staticmethod
    def _formula(text: str, known: Mapping[str, Dimension], place: str) -> tuple[Formula, Any]:
        formula, found = Model({}, known).expression(text, place)
        if formula.draws:
            raise BadEquation(f"{place}: chance is drawn by p itself. Leave rand() and randn() out.")
        for name in formula.names:
            if name not in known:  # words of neurons, such as t
                raise UnknownName(f"{place}: the text uses the unknown name '{name}'.{suggestion(name, known)}")
        return formula, found

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """One draw for each pair, some presynaptic neurons at a time.

        Raises:
            OutOfRange: if p is no chance, naming the pair.
        """
        texts, p = self._read(shape)
        forbidden = self._forbidden(shape, shape.n_pre)
        rows = max(AT_ONCE // shape.n_post, 1)
        found: list[tuple[Array, Array]] = []
        for first in range(0, shape.n_pre, rows):
            pre = np.arange(first, min(first + rows, shape.n_pre))
            chance = self._chances(texts, p, shape, pre)
            if forbidden is not None:
                chance[np.arange(len(pre)), pre] = 0.0
            here = np.nonzero(rng.random(chance.shape) < chance)
            found.append((pre[here[0]], here[1]))
        return np.concatenate([pre for pre, _ in found]), np.concatenate([post for _, post in found])

    def _chances(self, texts: Mapping[str, Formula], p: Formula, shape: Shape, pre: Array) -> Array:
        """p of some presynaptic neurons and all postsynaptic ones, `(len(pre), n_post)`."""
        values: dict[str, Any] = {"n_pre": float(shape.n_pre), "n_post": float(shape.n_post)}
        values |= {"i": pre[:, None].astype(float), "j": np.arange(shape.n_post, dtype=float)[None, :]}
        for name, array in shape.values.items():
            row = name.endswith("_post") or len(array) == 1
            values[name] = array[None, :] if row else array[pre][:, None]
        if any("distance" in formula.names for formula in (*texts.values(), p)):
            values = shape.with_distance(values)
        with np.errstate(all="ignore"):
            for name, formula in texts.items():
                values[name] = formula.evaluate(values)
            chance = np.array(np.broadcast_to(p.evaluate(values), (len(pre), shape.n_post)), dtype=float)
        wrong = np.argwhere(~((chance >= 0) & (chance <= 1)))
        if len(wrong):
            row, post = wrong[0]
            raise OutOfRange(
                f"connect.p must lie between 0 and 1; got {chance[row, post]:g} for neurons {pre[row]} and {post}."
                " Write clip(..., 0, 1) where that is meant."
            )
        return chance


class As(Connect):
    """The pairs of another pathway between as many neurons, whichever way it lays them."""

    pathway: Annotated[Name, Field(examples=["exc_to_exc"])]

    draws: ClassVar[bool] = False

    def pairs(self, rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
        """Those of `Network.laid_by`, which draws in its place."""
        raise WrongShape("connect = 'as' has no pairs of its own: the network asks the pathway that it names.")


def _allowed(connect: Connect, shape: Shape) -> int:
    """How many pairs may have a synapse."""
    return shape.n_pre * (shape.n_post - (shape.same and not connect.autapses))


def _check_room(connect: Connect, count: int, room: int, what: str) -> None:
    """Refuse to draw more different things than there are."""
    if room < 1 or (not connect.multapses and count > room):
        raise OutOfRange(
            f"connect = '{connect.family_name}': count must be at most {room}, the number of {what}, without multapses;"
            f" got {count}. Give fewer, or multapses = true."
        )


def _check_most(count: int) -> None:
    """Refuse more synapses than a pathway can have."""
    if count > MOST:
        raise OutOfRange(f"connect makes {count} synapses; at most {MOST} fit a pathway.")


def _each(counts: Array) -> Array:
    """The number of every neuron, as often as `counts` says, int32."""
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _chosen(connect: FanIn | FanOut, rng: np.random.Generator, rows: int, size: int, forbidden: Array | None) -> Array:
    """For each of `rows` neurons `count` partners of `size`, row by row, int32."""
    available = size - (forbidden is not None)
    _check_room(connect, connect.count, available, "partners")
    _check_most(rows * connect.count)
    counts = np.full(rows, connect.count)
    if not connect.multapses:
        return subsets(rng, counts, size, forbidden)
    drawn = np.empty(rows * connect.count, dtype=np.int32)
    for _, at in blocks(counts):
        drawn[at] = rng.integers(0, available, at.stop - at.start)
    return drawn if forbidden is None else passing_over(drawn, counts, forbidden)


family: Family[Connect] = Family("way to connect", "bioFA.synapses.connect", base=Connect)
ConnectField = Annotated[Connect, *family.member()]
