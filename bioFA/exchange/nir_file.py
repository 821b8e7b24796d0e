"""A NIR file as tables: its nodes, edges and metadata under the names that they have in the file,
and a ledger of all of them.

A file is HDF5: `version`, and `node`, a group with `type` = "NIRGraph", `nodes`, `edges` and `metadata`. Each node is a
group with its `type` and parameters; a node that is a graph has nodes of its own, named here with their graph's name
before theirs, as in `outer/lif`. Nothing is made of it by the package `nir`,
which refuses a whole file for one parameter that it does not know, and without the node's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from bioFA.errors import DamagedFile, MissingField, NoCounterpart, WrongKind, WrongShape
from bioFA.exchange.base import ANNOTATION, Ledger
from bioFA.system.untrusted_hdf5 import inspect

Table = dict[str, Any]
"""A node or a graph: its `type`, and whatever else stands there."""
MOST_PARTS = 1_000_000
"""So many parts of a file are looked at; links that lead in a circle have no end."""


class Contents(NamedTuple):
    """What a file holds: the graph, the version of the package that wrote it ('' where none stands there),
    and the ledger of all names."""

    graph: Table
    version: str
    ledger: Ledger


def contents(path: Path) -> Contents:
    """All of a file.

    Raises:
        FileError: if it is damaged, or no NIR graph.
        ModelError: naming the node that is none, or the edges that are none.
    """
    try:
        inspect(path)
        with h5py.File(path, "r") as file:
            return _Walk(path).whole(file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DamagedFile(
            f"'{path}' is not a whole NIR graph ({type(error).__name__}: {error}). Get it, or make it, anew."
        ) from None


class _Walk:
    """One file, each part of it read once and noted."""

    def __init__(self, path: Path):
        self.path = path
        self.ledger = Ledger()
        self.seen = 0

    def whole(self, file: h5py.File) -> Contents:
        """Everything in the file."""
        if str(file.attrs.get("__type__", "")) == "NIRGraphData":
            raise WrongKind(
                f"'{self.path}' holds what was recorded of a graph (NIRGraphData), no graph. Give the file that"
                " nir.write made of the graph."
            )
        if not isinstance(file.get("node"), h5py.Group):
            raise WrongKind(
                f"'{self.path}' is an HDF5 file without a group 'node', so it is no NIR graph. Give a file that"
                " nir.write made of a graph."
            )
        version = ""
        for name, part in self._parts(file, "file"):
            if name == "version" and isinstance(part, h5py.Dataset):
                version = str(_plain(part))
            elif name != "node":
                self._note("file", name, part)
        graph = self._node(file["node"], "")
        if graph["type"] != "NIRGraph":
            raise NoCounterpart(
                f"'{self.path}' holds a single node, of type {graph['type']}, and no graph. Put it into an NIRGraph"
                " between an Input and an Output."
            )
        return Contents(graph, version, self.ledger)

    def _parts(self, group: h5py.Group, place: str) -> Iterator[tuple[str, Any]]:
        """What stands in a group; its attributes, of which NIR has none, are noted."""
        for name in group.attrs:
            self.ledger.holds(place, {f"the attribute {name}": int(np.size(group.attrs[name]))})
        for name in group:
            self.seen += 1
            if self.seen > MOST_PARTS:
                raise DamagedFile(
                    f"'{self.path}' has more than {MOST_PARTS} parts, or links that lead in a circle. Get it, or make"
                    " it, anew."
                )
            yield name, group.get(name)

    def _note(self, place: str, name: str, part: Any) -> Any:
        """The value of a part, or of the parts of a group by name, noted under its name."""
        if isinstance(part, h5py.Group):
            return {inner: self._note(place, f"{name}/{inner}", value) for inner, value in self._parts(part, place)}
        value = _plain(part) if isinstance(part, h5py.Dataset) else None
        self.ledger.holds(place, {name: 0 if value is None else int(np.size(value))})
        return value

    def _node(self, group: Any, name: str) -> Table:
        """A node with all that stands in it.

        Raises:
            MissingField: if it has no type.
        """
        place = f"node '{name}'" if name else "graph"
        kind = (
            _plain(group["type"])
            if isinstance(group, h5py.Group) and isinstance(group.get("type"), h5py.Dataset)
            else None
        )
        if not isinstance(kind, str):
            raise MissingField(
                f"'{self.path}': the {place} has no type, such as 'LIF'. Write the graph anew with nir.write."
            )
        table: Table = {"type": kind}
        for key, part in self._parts(group, place):
            if key == "metadata" and isinstance(part, h5py.Group):
                table[key] = self._metadata(part, name)
            elif kind == "NIRGraph" and key == "nodes" and isinstance(part, h5py.Group):
                table[key] = {
                    inner: self._node(value, f"{name}/{inner}".lstrip("/")) for inner, value in self._parts(part, place)
                }
            elif kind == "NIRGraph" and key == "edges" and isinstance(part, h5py.Dataset):
                table[key] = self._edges(_plain(part), place)
            # a value where a table is wanted, or the other way
            elif key == "metadata" or (kind == "NIRGraph" and key in ("nodes", "edges")):
                self._note(place, key, part)
            elif key != "type":
                table[key] = self._note(place, key, part)
        if kind == "NIRGraph" and (missing := [key for key in ("nodes", "edges") if key not in table]):
            raise MissingField(
                f"'{self.path}': the {place} lacks {' and '.join(missing)}. Write the graph anew with nir.write."
            )
        return table

    def _metadata(self, group: h5py.Group, name: str) -> Table:
        """Metadata of a node; what bioFA noted in that of the whole graph counts as one value."""
        place, found = f"metadata of '{name}'" if name else "metadata", {}
        for key, part in self._parts(group, place):
            if key == ANNOTATION and not name:
                self.ledger.holds(place, {key: 1})
                found[key] = _values(part)
            else:
                found[key] = self._note(place, key, part)
        return found

    def _edges(self, value: Any, place: str) -> list[tuple[str, str]]:
        """Pairs of names.

        Raises:
            WrongShape: if they are none.
        """
        rows = np.asarray(value, dtype=object)
        if rows.size == 0:
            return []
        if rows.ndim != 2 or rows.shape[1] != 2 or not all(isinstance(end, (str, bytes)) for end in rows.flat):
            raise WrongShape(
                f"'{self.path}': the edges of the {place} must be pairs of names, (n, 2); got"
                f" {getattr(value, 'dtype', type(value).__name__)} of shape {rows.shape}. Write the graph anew with"
                " nir.write."
            )
        return [(_text(one), _text(other)) for one, other in rows]


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _plain(part: h5py.Dataset) -> Any:
    """The value of a dataset: text, a number or an array; None where it is empty."""
    value = part[()]
    return None if isinstance(value, h5py.Empty) else _text(value) if isinstance(value, bytes) else value


def _values(part: Any) -> Any:
    """A group as tables, without a note of each part."""
    if isinstance(part, h5py.Group):
        return {name: _values(part.get(name)) for name in part}
    return _plain(part) if isinstance(part, h5py.Dataset) else None
