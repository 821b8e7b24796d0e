"""A network as learning left it: description, seed, how many presentations there were, and the whole state.

    state.h5    attributes format, experiment (TOML), seed, presentations; group `state` with every array

A `result.h5` holds the same under the same names, so each can be read as the other's state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from bioFA.errors import (
    OF_OWN_PARTS,
    CannotWrite,
    Contradiction,
    DamagedFile,
    ModelError,
    NoSuchFile,
    NothingToLearn,
    PlaceTaken,
    WrongData,
    WrongKind,
)
from bioFA.experiment import Experiment
from bioFA.modelfiles import toml
from bioFA.system.atomic import written_whole
from bioFA.system.sealed_hdf5 import refuse_changed, sealed
from bioFA.system.untrusted_hdf5 import inspect
from bioFA.units import as_time, steps_of

Array = np.ndarray
FORMAT = 1
STATE = "state.h5"
OF_OTHERS = (".safetensors", ".nir", ".pt", ".pth")
"""Endings of models of other programs, which are imported first."""
LARGEST_WHOLE = 2**53
"""Beyond it not every whole number is one of 64 bits with a fraction."""


@dataclass(frozen=True)
class Trained:
    """`state` holds `pathway.w` and what rules keep at synapses, `(n_post, n_pre)`,
    and `population.v` and other states, `(size,)`.

    `data_sha256` is the hash of the examples, empty where it was not kept.
    """

    experiment: Experiment
    seed: int
    presentations: int
    state: Mapping[str, Array]
    data_sha256: str = ""

    @property
    def weights(self) -> dict[str, Array]:
        """The weights by pathway, `(n_post, n_pre)`."""
        return {name.removesuffix(".w"): array for name, array in self.state.items() if name.endswith(".w")}

    def changed(self, experiment: Experiment, data_sha256: str) -> list[str]:
        """What differs between this run and one that continues from it, beside the length of the protocol:
        a sentence each."""
        ours, theirs = experiment, self.experiment
        found = [
            f"{kind} '{part.name}': {name} is {_short(getattr(part, name))}, and was {_short(getattr(before, name))}"
            for kind, parts, known in (
                ("population", ours.network.populations, {p.name: p for p in theirs.network.populations}),
                ("pathway", ours.network.pathways, {p.name: p for p in theirs.network.pathways}),
            )
            for part in parts if (before := known.get(part.name)) is not None
            for name in type(part).model_fields if name != "weights" and getattr(part, name) != getattr(before, name)
        ]
        found += [
            f"protocol: {name} is {getattr(ours.protocol, name)}, and was {getattr(theirs.protocol, name)}"
            for name in ("dt", "presentation", "learning_onset", "blank", "reset", "shuffle", "warm_up", "order")
            if getattr(ours.protocol, name) != getattr(theirs.protocol, name)
        ]
        if self.data_sha256 and data_sha256 and self.data_sha256 != data_sha256:
            found.append("data: the examples are others")
        return found

    def steps_before(self, experiment: Experiment) -> int:
        """How many steps, all trials together, this run has made of one of an experiment in which time passes.

        It goes on in the middle of the one trial, where that is longer now, or with more trials of the same length.

        Raises:
            ModelError: if nothing is left to do, or neither is so.
        """
        ours, theirs = experiment.protocol, self.experiment.protocol
        if theirs.duration is None or ours.duration is None:
            raise Contradiction(
                f"'{self.experiment.name}' presented examples, but in '{experiment.name}' time passes without a task."
                " Continue a run of the same model."
            )
        longer, more = ours.duration > theirs.duration, ours.trials > theirs.trials
        if ours.duration == theirs.duration and more:
            return theirs.trials * ours.shown_steps
        if longer and ours.trials == theirs.trials == 1:
            return steps_of(theirs.duration, ours.step)
        made = f"{theirs.trials} trial{'s' if theirs.trials > 1 else ''} of {as_time(theirs.duration)}"
        if not longer and not more:
            raise NothingToLearn(
                f"nothing is left to do: the run before had {made}. Give a longer protocol, such as protocol.duration"
                f" = '{as_time(2 * theirs.duration)}', or protocol.trials = {theirs.trials + 1}."
            )
        raise Contradiction(
            f"the run before had {made}; got {ours.trials} of {as_time(ours.duration)}. Give more trials of the same"
            " duration, or, where there is one trial, a longer duration.",
            at=("protocol", "duration"),
        )

    def save(self, path: str | Path) -> Path:
        """Write a file that must not exist yet.

        Raises:
            FileError: if there is a file, or the folder cannot be written.
        """
        path = Path(path)
        with new_file(path) as file:
            file.attrs.update(
                format=FORMAT,
                experiment=toml.kept(self.experiment, beside=path.parent),
                seed=self.seed,
                presentations=self.presentations,
            )
            for name, array in self.state.items():
                file.create_dataset(f"state/{name}", data=array)
        return path


@contextmanager
def new_file(path: Path) -> Iterator[h5py.File]:
    """A sealed HDF5 file to write to, which must not exist yet and comes to be whole or not at all.

    Raises:
        FileError: if there is a file, or it cannot be written.
    """
    if path.exists():
        raise PlaceTaken(f"'{path}' is there already. Give another place, or remove it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial, sealed(partial) as file:
            yield file
    except OSError as error:
        raise CannotWrite(
            f"'{path}' could not be written: {error}. Give a folder that can be written, with space left."
        ) from None


def load_trained(path: str | Path, trust_code: bool = False) -> Trained:
    """Read the end of a run from its `result.h5`, or a `state.h5`; with `trust_code`, Python code in it may run.

    Raises:
        FileError: if it is missing, or is neither.
    """
    refuse_of_others(Path(path))
    remedy = f"Give the result.h5 that 'biofa run' wrote, or the {STATE} of 'biofa import'."
    with opened(path, "result or state", remedy) as file:
        state = read_state(file, Path(path)) if "state" in file else {}
        kept = json.loads(file.attrs.get("provenance", "{}")).get("data_sha256", "")
        return Trained(
            toml.loads(file.attrs["experiment"], Path(path).parent, trust_code),
            int(file.attrs["seed"]),
            int(file.attrs["presentations"]),
            state,
            kept,
        )


@contextmanager
def opened(path: str | Path, what: str, remedy: str, trusted: bool = False) -> Iterator[h5py.File]:
    """Open a stored HDF5 file to read it: what was written, and, unless trusted, walked by another process first.

    What goes wrong with its content while it is open is said to be damage.

    Args:
        path: the file.
        what: what it must be, such as `"result"`.
        remedy: what to do where it is not.
        trusted: whether no other process need walk it (`bioFA.system.untrusted_hdf5`), which takes about 0.2 s.

    Raises:
        FileError: if it is missing, damaged or malformed.
    """
    if not Path(path).is_file():
        raise NoSuchFile(f"there is no {what} file '{path}'. {remedy}")
    try:
        refuse_changed(Path(path))
        if not trusted:
            inspect(path)
        with h5py.File(path, "r") as file:
            yield file
    except OF_OWN_PARTS as error:
        raise error.prefixed(f"'{path}': ") from None
    except (OSError, KeyError, TypeError, ValueError, ModelError) as error:
        raise DamagedFile(f"'{path}' is not a whole {what} file ({error}). {remedy}") from None


def refuse_of_others(path: Path) -> None:
    """Refuse a model of another program, which is no result but may be read.

    Raises:
        WrongKind: with what to do.
    """
    if path.suffix in OF_OTHERS:
        raise WrongKind(
            f"'{path}' is a model of another program, and no result. Read it first, biofa import {path} --out DIR, then"
            f" give DIR/{STATE}."
        )


def read_state(file: h5py.File, path: Path) -> dict[str, Array]:
    """Every array of a file's state.

    Raises:
        WrongData: naming what holds no numbers.
        KeyError: if there is no state.
    """
    group = file["state"]
    if not isinstance(group, h5py.Group):
        raise WrongData(
            f"'{path}': 'state' must be a group of arrays; it is an array itself. Give the result.h5 that 'biofa run'"
            " wrote."
        )
    found: dict[str, Array] = {}
    for name, part in group.items():
        if not isinstance(part, h5py.Dataset) or part.shape is None or part.dtype.kind not in "iuf":
            held = (
                f"{part.dtype}"
                if isinstance(part, h5py.Dataset) and part.shape is not None
                else "nothing" if isinstance(part, h5py.Dataset) else "a group"
            )
            raise WrongData(
                f"'{path}': state/{name} must hold an array of numbers; it holds {held}. Write it as float64."
            )
        array = part[()]
        if part.dtype.kind in "iu" and array.size and max(int(array.max()), -int(array.min())) > LARGEST_WHOLE:
            raise WrongData(
                f"'{path}': state/{name} holds whole numbers beyond 2^53, of which float64 has not all. Write it as"
                " float64."
            )
        found[name] = array
    return found


def _short(part: object) -> str:
    """A part of a description in a message."""
    text = repr(part)
    return text if len(text) <= 120 else text[:117] + "..."


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
