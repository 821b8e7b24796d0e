"""Where weights come from: distributions, given numbers, files, or another pathway's weights.

A draw has shape `(n_post, n_pre)`, so that `u = W @ r`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt
from pydantic import Field, Strict, field_validator, model_validator

from bioFA.components import Component, Count, Family, Name, Number
from bioFA.errors import WrongData, under
from bioFA.system.npy import read_npy

Array = np.ndarray
Shape = tuple[int, int]


def _signs(*values: float) -> frozenset[int]:
    return frozenset(int(np.sign(value)) for value in values if value)


class Weights(Component):
    """Base of the ways to make a weight matrix."""

    one_to_one: ClassVar[bool] = False
    """Whether each neuron reaches its partner of the same number alone, with the parameter `scale` as weight."""
    owns: ClassVar[bool] = True
    """Whether a pathway with these weights stores them; otherwise they are a function of another pathway's, `of`."""

    relation: ClassVar[str] = ""
    """What these weights are of another pathway's, in words, where they are not owned."""
    alike: ClassVar[bool] = False
    """Whether every synapse has the same weight, so that all neurons receive the same."""
    redrawn: ClassVar[bool] = False
    """Whether every presentation has another matrix, `drawn_from`; the state then holds none."""

    @property
    def shares(self) -> str | None:
        """The pathway whose very matrix these weights are, transposed or not; None where they are none other's."""
        return None

    @property
    def inverts(self) -> str | None:
        """The pathway of whose weights these are the pseudo-inverse."""
        return None

    @property
    def follows(self) -> str | None:
        """The pathway whose weights these are a function of, at every moment."""
        return self.shares or self.inverts

    def drawn_from(self) -> Weights:
        """What a matrix is drawn from."""
        return self

    def pass_on(self, carried: Array) -> Array:
        """What arrives of what is carried, where each neuron reaches its partner alone (`one_to_one`)."""
        raise NotImplementedError(f"{type(self).__name__} joins no partners")

    @property
    def transports(self) -> bool:
        """Whether they run against the pathway whose weights they follow: weight transport."""
        return False

    def signs(self) -> frozenset[int]:
        """The signs, 1 and -1, that a weight may be drawn with."""
        return frozenset({-1, 1})

    @property
    def passes(self) -> bool:
        """Whether what is sent arrives unchanged, neuron by neuron."""
        return False

    def shape(self) -> Shape | None:
        """The shape that these weights insist on, or None where they fit any pathway."""
        return None

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """A matrix of shape `(n_post, n_pre)`, float64."""
        raise NotImplementedError(f"{type(self).__name__} draws nothing")

    def of(self, owner: Array) -> Array:
        """These weights as they follow from those of the pathway that they name, where they are not owned."""
        raise NotImplementedError(f"{type(self).__name__} follows no other weights")


class Uniform(Weights):
    """Independent, uniform on [low, high]."""

    low: Number = -1.0
    high: Number = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.high < self.low:
            raise ValueError(
                f"high must be >= low; got low = {self.low:g}, high = {self.high:g}. For example: low = -0.5, high ="
                " 0.5."
            )
        if not np.isfinite(self.high - self.low):
            raise ValueError(
                f"high - low must be a finite number; got low = {self.low:g}, high = {self.high:g}. For example: low ="
                " -0.5, high = 0.5."
            )
        return self

    def signs(self) -> frozenset[int]:
        """Those of the interval's ends."""
        return _signs(self.low, self.high)

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """U[low, high]."""
        return rng.uniform(self.low, self.high, shape)


class Normal(Weights):
    """Independent, N(mean, scale^2)."""

    scale: Annotated[Number, Ge(0)] = 1.0
    mean: Number = 0.0

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """N(mean, scale^2)."""
        return self.mean + self.scale * rng.standard_normal(shape)


class Binary(Weights):
    """Every weight scale or -scale, with equal chances."""

    scale: Annotated[Number, Ge(0)] = 1.0

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Signs, times scale."""
        return self.scale * rng.choice([-1.0, 1.0], shape)


class Orthogonal(Weights):
    """Orthonormal rows or columns (whichever are fewer), times scale."""

    scale: Number = 1.0

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Q of a Gaussian matrix, with the signs that make it uniform over such matrices."""
        tall = (max(shape), min(shape))
        q, r = np.linalg.qr(rng.standard_normal(tall))
        q *= np.sign(np.diag(r))
        return self.scale * (q if shape == tall else q.T.copy())


class LowRank(Weights):
    """A product of two Gaussian factors of inner size `rank`; entries have variance scale^2."""

    rank: Count = 1
    scale: Annotated[Number, Ge(0)] = 1.0

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """scale / sqrt(rank) times U V."""
        left, right = rng.standard_normal((shape[0], self.rank)), rng.standard_normal((self.rank, shape[1]))
        return self.scale / np.sqrt(self.rank) * left @ right


class Constant(Weights):
    """Every weight the same."""

    value: Number = 0.0
    alike: ClassVar[bool] = True

    def signs(self) -> frozenset[int]:
        """That of the value."""
        return _signs(self.value)

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """The value everywhere; draws nothing."""
        return np.full(shape, self.value)


class Identity(Weights):
    """One synapse a neuron, from its partner of the same number, with weight `scale`."""

    scale: Number = 1.0
    one_to_one: ClassVar[bool] = True

    def signs(self) -> frozenset[int]:
        """That of the scale."""
        return _signs(self.scale)

    @property
    def passes(self) -> bool:
        """Where the scale is 1."""
        return self.scale == 1

    def pass_on(self, carried: Array) -> Array:
        """scale times it."""
        return self.scale * carried

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """scale on the diagonal."""
        return self.scale * np.eye(*shape)


class Values(Weights):
    """Given numbers, one row for each postsynaptic neuron."""

    values: Annotated[tuple[tuple[Number, ...], ...], Field(examples=[[[0.1, 0.2], [0.3, 0.4]]])]

    @field_validator("values", mode="before")
    @classmethod
    def _rows(cls, values: Any) -> Any:
        rows = np.asarray(values, dtype=object)
        if rows.ndim != 2 or rows.size == 0:
            raise ValueError("must be rows of equal length, one for each postsynaptic neuron")
        return tuple(
            tuple(float(x) if isinstance(x, (int, np.number)) and not isinstance(x, bool) else x for x in row)
            for row in rows
        )

    def shape(self) -> Shape:
        """The shape of the given rows."""
        return len(self.values), len(self.values[0])

    def signs(self) -> frozenset[int]:
        """Those of the given numbers."""
        return _signs(*(value for row in self.values for value in row))

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """The given numbers; draws nothing."""
        return np.array(self.values)


class FromFile(Weights):
    """A matrix from a `.npy` file."""

    path: Annotated[Name, Field(examples=["weights.npy"])]

    def _read(self) -> Array:
        matrix = read_npy(self.path, "FromFile.path", "a matrix (n_post, n_pre)")
        if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
            raise WrongData(
                f"FromFile.path: {self.path!r} must hold a matrix of numbers (n_post, n_pre); it holds {matrix.dtype}"
                f" of shape {matrix.shape}.",
                at=("path",),
            )
        return matrix

    def shape(self) -> Shape:
        """The shape of the matrix in the file."""
        rows, columns = self._read().shape
        return int(rows), int(columns)

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """The file's numbers; draws nothing."""
        matrix = np.array(self._read(), dtype=float)
        if not np.isfinite(matrix).all():
            raise WrongData(
                f"FromFile.path: {self.path!r} holds numbers that are not finite. Replace NaN and infinity.",
                at=("path",),
            )
        return matrix


class SharedWith(Weights):
    """The weights of another pathway, at every moment; transposed, this is weight transport."""

    pathway: Name
    transposed: Annotated[bool, Strict()] = False
    owns: ClassVar[bool] = False

    @property
    def shares(self) -> str:
        """That pathway."""
        return self.pathway

    @property
    def relation(self) -> str:  # type: ignore[override]
        """The weights, or their transpose."""
        return "the transpose of the weights" if self.transposed else "the weights"

    @property
    def transports(self) -> bool:
        """Where transposed."""
        return self.transposed

    def of(self, owner: Array) -> Array:
        """The same matrix, or its transpose."""
        return owner.T if self.transposed else owner


class PseudoInverseOf(Weights):
    """W' (W W' + ridge I)^-1 of another pathway's weights W, at every moment: the pseudo-inverse as ridge goes to 0.

    Its shape is that of W transposed. A small ridge makes it the damped (Levenberg-Marquardt) inverse,
    which exists for every W.
    """

    pathway: Name
    ridge: Annotated[Number, Gt(0)] = 1e-9
    owns: ClassVar[bool] = False
    transposed: ClassVar[bool] = True
    relation: ClassVar[str] = "the pseudo-inverse of the weights"

    @property
    def inverts(self) -> str:
        """That pathway."""
        return self.pathway

    @property
    def transports(self) -> bool:
        """Always."""
        return True

    def of(self, owner: Array) -> Array:
        """The smaller of the two equal forms, W' (W W' + ridge I)^-1 and (W' W + ridge I)^-1 W'."""
        rows, columns = owner.shape
        if not np.isfinite(owner).all():
            return np.full((columns, rows), np.nan)
        if rows <= columns:
            return np.linalg.solve(owner @ owner.T + self.ridge * np.eye(rows), owner).T
        return np.linalg.solve(owner.T @ owner + self.ridge * np.eye(columns), owner.T)


family: Family[Weights] = Family("kind of weights", "bioFA.weights", base=Weights)
WeightsField = Annotated[Weights, *family.member()]


class Redrawn(Weights):
    """Drawn anew for every presentation, from `weights`: synapses that are noise."""

    weights: WeightsField
    redrawn: ClassVar[bool] = True

    def drawn_from(self) -> Weights:
        """The weights to draw."""
        return self.weights

    def shape(self) -> Shape | None:
        """That of the weights to draw."""
        with under("weights"):
            return self.weights.shape()

    def signs(self) -> frozenset[int]:
        """Those of the weights to draw."""
        return self.weights.signs()

    def draw(self, rng: np.random.Generator, shape: Shape) -> Array:
        """One of the draws."""
        return self.weights.draw(rng, shape)
