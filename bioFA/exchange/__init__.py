"""Models and results in the formats of others: one file a format, each with its own optional package, imported late.

    export(result, to, path)    write, and say what the format could not hold
    load(path)                  read a network into a description and its state

A file's module is named like its format and has `export`, and `load` where the format can be read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from bioFA.errors import CannotWrite, FileError, NoSuchFile, PlaceTaken, Unavailable, UnknownName, suggestion
from bioFA.exchange.base import Exported, Imported
from bioFA.exchange.expected import README
from bioFA.exchange.format import Formats
from bioFA.own_code import trust
from bioFA.runs.result import Result, load_result
from bioFA.runs.trained import Trained, load_trained

FORMATS = Formats(__name__)
"""Every format by name."""
PICKLED = (".pt", ".pth", ".pkl", ".ckpt")
"""Endings of files that are never read."""


def module(name: str) -> ModuleType:
    """The module of a format.

    Raises:
        ModelError: if there is no such format, with the nearest known name.
    """
    if name not in FORMATS:
        raise UnknownName(f"unknown format '{name}'.{suggestion(name, FORMATS)}")
    return FORMATS.module(name)


def export(source: Result | Trained | str | Path, to: str, path: str | Path, **options: Any) -> Exported:
    """Write a network that has learned, or a whole result, in another format.

    Args:
        source: a result or a `Trained`, or the file that holds one.
        to: the format's name, one of `FORMATS`.
        path: where to; nothing may be there yet.
        options: what the format's `export` takes beside these.

    Returns:
        The files that were written, and what the format could not hold.

    Raises:
        ModelError: if there is no such format, or nothing meaningful of this network would remain in it.
        FileError: if the source is damaged or the place is taken.
        MissingError: if the format's package is not installed.
    """
    writer, path = module(to), Path(path)
    if isinstance(source, (str, Path)):
        source = _read(source, FORMATS[to].needs_result)
    if FORMATS[to].needs_result and not isinstance(source, Result):
        raise Unavailable(
            f"the format '{to}' holds what was recorded in a run. Give a result, such as the result.h5 that 'biofa run'"
            " wrote."
        )
    if source.experiment.free and not FORMATS[to].holds_free:
        holding = [name for name, format in FORMATS.items() if format.holds_free]
        raise Unavailable(
            f"the format '{to}' has no place for '{source.experiment.name}', in which time passes without a task."
            f" Formats that have: {', '.join(holding)}."
        )
    if not source.experiment.free and not FORMATS[to].holds_presented:
        raise Unavailable(
            f"the format '{to}' holds what was recorded as time passed, and '{source.experiment.name}' presents a task."
            " Export to nwb or neo, which hold the spikes of its first presentations."
        )
    late = [p.name for p in source.experiment.network.pathways if p.listed or not p.delay.none]
    if late and not FORMATS[to].holds_delays and not source.experiment.free:
        holding = [name for name, format in FORMATS.items() if format.holds_delays and format.holds_presented]
        raise Unavailable(
            f"the format '{to}' has no place for delays and synapses that are listed one by one, which"
            f" {', '.join(late)} {'has' if len(late) == 1 else 'have'}. Formats that have: {', '.join(holding)}."
        )
    if isinstance(source, Result) and not FORMATS[to].needs_result:
        source = source.trained
    if path.exists():
        raise PlaceTaken(f"'{path}' is there already. Give another place, or remove it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written: Exported = writer.export(source, path, **options)
    except OSError as error:
        raise CannotWrite(
            f"'{path}' could not be written: {error}. Give a place that can be written, with space left."
        ) from None
    readme = next((place for place in written.paths if place.name.endswith(README)), None)
    if FORMATS[to].needs_result and not written.run:
        return replace(written, run="nothing: this format holds what a run recorded, not a model that runs")
    return replace(written, run=f"as {readme} says, which also says what must come out") if readme else written


def _read(path: str | Path, whole: bool) -> Result | Trained:
    """The result in a file where it is to be `whole` and the file holds one, else the network as it was left."""
    try:
        return load_result(path) if whole else load_trained(path)
    except FileError:
        if whole and Path(path).is_file():
            return load_trained(path)
        raise


def load(path: str | Path, format: str | None = None, trust_code: bool = False) -> Imported:
    """Read a network that another program wrote, or bioFA itself with `export`.

    Args:
        path: the file or folder.
        format: its format's name; found by the ending, or by what a folder holds, where None.
        trust_code: whether Python code of somebody's own that bioFA's annotation holds may run.

    Raises:
        ModelError: if the format is unknown or cannot be read, or the network is none that bioFA can describe.
        FileError: if the file is missing or damaged.
        MissingError: if the format's package is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise NoSuchFile(f"there is no file '{path}'. Give one to import.")
    name = format if format is not None else _format_of(path)
    reader = module(name)
    if not FORMATS[name].reads:
        known = [name for name, format in FORMATS.items() if format.reads]
        raise Unavailable(
            f"the format '{name}' can be written but not read. Formats that can be read: {', '.join(known)}."
        )
    with trust.allowing(trust_code):
        return reader.load(path)


def _format_of(path: Path) -> str:
    """The format of a file by its ending, or of a folder by the file that marks it."""
    for name, format in FORMATS.items():
        if format.mark and (path / format.mark).is_file():
            return name
    endings = {format.suffix: name for name, format in FORMATS.items() if format.reads and format.suffix}
    if path.suffix in PICKLED:
        raise Unavailable(
            f"'{path}' is a pickled file of PyTorch, which runs code when it is read, so bioFA does not. Write its"
            f" weights with PyTorch: safetensors.torch.save_file(torch.load('{path}', weights_only=True),"
            f" '{path.stem}.safetensors'), then import that."
        )
    if path.suffix not in endings:
        raise Unavailable(
            f"'{path}' tells no format, by its ending or what it holds. Say which it is:"
            f" {', '.join(name for name, format in FORMATS.items() if format.reads)}."
        )
    return endings[path.suffix]
