"""Run a compiled program: one process a segment, the whole state in and out, every segment proven.

A Brian2 standalone binary exits with 0 when it could not read a parameter, could not write a
result, or was stopped half way. So a segment counts only if all of this holds: exit code 0,
nothing on the error stream, the runtime's own mark that the last step was reached, every file
of state and record present with its exact size, and every parameter read back as it was given.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from bioFA.consumers.base import Recording, Segment
from bioFA.consumers.brian import cache
from bioFA.consumers.brian.compose import make_program, run_parameters
from bioFA.errors import DiskFull, IncompleteRun, OutOfRange, ProgramFailed, WrongProcessor
from bioFA.instance import Feed, Instance
from bioFA.network import Node, Population
from bioFA.system.processes import call
from bioFA.tasks import ByteTable, Table

Array = np.ndarray
SCRATCH = "biofa-run-"
"""How the folder begins in which a run's inputs and outputs pass by."""
ROWS = 4096
"""So many rows are converted at a time on the way to disk."""


class Compiled:
    """The Brian2 consumer of an instance: builds the binary, or finds it, and runs it."""

    name = "cpp"

    def __init__(
        self, instance: Instance, precision: str = "float64", blocked: bool | None = None, scratch: Path | None = None
    ):
        self.network = instance.network
        self.protocol = instance.experiment.protocol
        self.recorded = instance.experiment.recorded
        self.every = instance.experiment.record.every
        program = make_program(instance.experiment, precision, blocked)
        self.dtype = np.dtype(precision)
        self._at_rate = partial(run_parameters, instance.experiment, program)
        self.numbers = program.numbers()
        for name, value in self._at_rate().items():
            if not math.isfinite(value):
                raise OutOfRange(f"the parameter {name} must be a finite number; got {value}.")
        self.binary = cache.build(program)
        self.timing: dict[str, float] = {
            "codegen_s": self.binary.codegen_s, "compile_s": self.binary.compile_s, "cached": self.binary.cached,
        }
        self.engine: dict[str, object] = {"precision": precision, "pathways": self.binary.pathways}
        self._scratch = tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch, ignore_cleanup_errors=True)
        self._lasting = {
            id(table): table for split in instance.data.splits().values() for table in (split.inputs, split.targets)
        }
        self._tables: dict[int, list[tuple[str, Path]]] = {}
        self._masks = []
        for name, mask in instance.masks.items():
            if f"{name}.exists" in self.binary.arrays:
                path = Path(self._scratch.name) / f"{name}.exists"
                _write(path, np.asarray(self._stored(f"{name}.exists", mask), dtype=np.int8))
                self._masks.append(f"{name}.exists={path}")

        for population in self.network.populations:
            if f"{population.name}.cell" in self.binary.arrays:
                path = Path(self._scratch.name) / f"{population.name}.cell"
                _write(path, np.asarray(population.cells(), dtype=self.dtype))
                self._masks.append(f"{population.name}.cell={path}")

    def segment(
        self,
        state: Mapping[str, Array],
        feed: Feed,
        learning: bool,
        every: int | None = None,
        only: tuple[str, ...] | None = None,
        rasters: bool = False,
    ) -> Segment:
        """Run a segment of presentations; arguments and result as `Reference.segment`.

        Raises:
            RunError: if the segment is not proven complete.
        """
        every = every or self.every
        nodes = [node for node in self.recorded if only is None or str(node) in only]
        with tempfile.TemporaryDirectory(dir=self._scratch.name, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            self._write_plan(folder, feed, learning, every, nodes, rasters)
            parameters = self._at_rate(feed.rate)
            arguments = [
                f"{key}={value!r}"
                for key, value in parameters.items()
                if key in self.binary.arrays or key.endswith(".r")
            ]
            arguments += self._masks
            carried = {key: array for key, array in state.items() if key in self.binary.arrays}
            for key, array in carried.items():
                _write(folder / f"{key}.in", np.asarray(self._stored(key, array), dtype=self.dtype))
                arguments.append(f"{key}={folder / key}.in")
            self._call(folder, arguments)
            self._prove(folder, feed, parameters)
            final = {
                key: self._stored(key, self._read(folder, self.binary.arrays[key], self._stored(key, array).shape))
                for key, array in carried.items()
            }
            recording = self._read_records(folder, feed.recorded(every), nodes)
            raster = (
                {p.name: self._read_raster(folder, p, feed.presentations) for p in self.network.spiking()}
                if rasters
                else {}
            )
        return Segment({**state, **final}, recording, raster)

    def _stored(self, key: str, array: Array) -> Array:
        """A matrix as the program stores it, and back: what transmits events is stored by source, then target."""
        return array.T if array.ndim == 2 and self.binary.pathways.get(key.rpartition(".")[0]) == "events" else array

    def _write_plan(
        self, folder: Path, feed: Feed, learning: bool, every: int, nodes: list[Node], rasters: bool
    ) -> None:
        lines = [
            f"parent {os.getpid()}",
            f"presentations {feed.presentations}",
            f"steps {self.protocol.steps}",
            f"shown {self.protocol.shown_steps}",
            f"rasters {int(rasters)}",
            *(f"key {name} {key}" for name, key in feed.keys.items()),
            f"onset {self.protocol.onset_steps}",
            f"first {feed.start}",
            f"every {every}",
            f"learning {int(learning)}",
            *(f"record {node}" for node in nodes),
        ]
        lines += [
            f"frozen {self.numbers[pathway.name]}"
            for pathway in self.network.plastic()
            if not feed.learns(pathway.name)
        ]
        for name, table in feed.tables.items():
            rows = folder / f"{name}.rows"
            _write(rows, np.asarray(feed.rows[name], dtype=np.int64))
            lines += [
                f"bins {name} {table.shape[1] if len(table.shape) == 3 else 1}",
                f"rows {name} {rows}",
                *(f"{part} {name} {path}" for part, path in self._table(folder / name, table)),
            ]
        (folder / "plan.txt").write_text("\n".join(lines) + "\n")

    def _table(self, place: Path, table: Table) -> list[tuple[str, Path]]:
        """The files of a table: the data's are written once, others (noise) last as long as their segment."""
        if id(table) not in self._lasting:
            return self._write_table(place, table)
        if id(table) not in self._tables:
            self._tables[id(table)] = self._write_table(Path(self._scratch.name) / f"data-{len(self._tables)}", table)
        return self._tables[id(table)]

    def _write_table(self, place: Path, table: Table) -> list[tuple[str, Path]]:
        path, levels = place.with_name(f"{place.name}.table"), place.with_name(f"{place.name}.levels")
        if isinstance(table, ByteTable):
            _write(path, table.bytes)
            _write(levels, np.asarray(table.levels, dtype=self.dtype))
            return [("table", path), ("levels", levels)]
        _write(path, table, self.dtype)
        return [("table", path)]

    def _call(self, folder: Path, arguments: list[str]) -> None:
        command = [str(self.binary.folder / "main"), "--results_dir", f"{folder}/", *arguments]
        done = call(command, self.binary.folder, {"LD_BIND_NOW": "1"})
        if done.returncode == -signal.SIGILL:
            cache.forget(self.binary)
            raise WrongProcessor(
                "the compiled program holds instructions that this processor lacks, so it was taken out of the cache."
                " Run again to build it here, or set BIOFA_PORTABLE=1 to build it for any processor of this kind."
            )
        if done.returncode != 0 or done.stderr.strip() or "error" in done.stdout.lower():
            message = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
            raise ProgramFailed(f"the compiled program failed (exit code {done.returncode}): {message[0]}")

    def _prove(self, folder: Path, feed: Feed, parameters: Mapping[str, float]) -> None:
        """Refuse a segment that did not reach its end, or ran with other parameters than given."""
        done = folder / "done.txt"
        if not done.is_file() or done.read_text().split() != [
            "finished",
            str(feed.presentations * self.protocol.steps),
        ]:
            raise IncompleteRun(
                f"the compiled program stopped before the last of {feed.presentations} presentations. Run it again."
            )
        for key, value in parameters.items():
            if key in self.binary.arrays:
                found = float(self._read(folder, self.binary.arrays[key], (1,))[0])
                if found != self.dtype.type(value):
                    raise IncompleteRun(
                        f"the compiled program ran with {key} = {found!r} instead of {value!r}, so its result does not"
                        " count."
                    )

    def _read_records(self, folder: Path, at: Array, nodes: list[Node]) -> Recording:
        sizes = {str(node): self.network.population(node.population).size for node in nodes}
        return Recording(
            at, {name: self._read(folder, f"{name}.record", (len(at), size)) for name, size in sizes.items()}
        )

    def _read_raster(self, folder: Path, population: Population, presentations: int) -> Array:
        path = folder / f"{population.name}.s.raster"
        shape = (presentations, self.protocol.steps, population.size)
        raster = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
        if len(raster) != math.prod(shape):
            raise DiskFull(
                f"the compiled program did not finish writing: {path.name} has {len(raster)} bytes, expected"
                f" {math.prod(shape)}. {_room(folder)}"
            )
        return raster.reshape(shape)

    def _read(self, folder: Path, name: str, shape: tuple[int, ...]) -> Array:
        """An array file of exactly the expected size."""
        path = folder / name
        if 0 in shape:
            return np.empty(shape)
        expected = math.prod(shape) * self.dtype.itemsize
        size = path.stat().st_size if path.is_file() else None
        if size != expected:
            found = "is missing" if size is None else f"has {size} bytes"
            raise DiskFull(
                f"the compiled program did not finish writing: {name} {found}, expected {expected}. {_room(folder)}"
            )
        return np.fromfile(path, self.dtype).astype(float, copy=False).reshape(shape)


def _room(folder: Path) -> str:
    """Describe how full the disk is."""
    try:
        return f"Is the disk full, or a quota reached? {shutil.disk_usage(folder).free / 1e6:.1f} MB are free there."
    except OSError:
        return "Is the disk full, or was the folder removed?"


def _write(path: Path, array: Array, dtype: np.dtype | None = None) -> None:
    """Write an array row by row, some rows at a time, or say why not."""
    try:
        with open(path, "wb") as file:
            for start in range(0, len(array), ROWS):
                np.ascontiguousarray(array[start : start + ROWS], dtype=dtype).tofile(file)
    except OSError as error:
        raise DiskFull(f"the input of the compiled program could not be written ({error}). Is the disk full?") from None
