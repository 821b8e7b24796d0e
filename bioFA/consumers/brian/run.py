"""Run a compiled program, which serves segment after segment: the whole state in and out, every segment proven.

A Brian2 standalone binary exits with 0 when it could not read a parameter, could not write a
result, or was stopped half way. So a segment counts only if all of this holds: exit code 0 of the
fork of the program that ran it (biofa_runtime.h), nothing on the error stream, the runtime's own
mark that the last step was reached, every file of state and record present with its exact size,
and every parameter read back as it was given.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bioFA.consumers.base import Recording, Segment, one_by_one
from bioFA.consumers.brian import cache
from bioFA.consumers.brian.compose import make_program, run_constants, run_parameters
from bioFA.consumers.brian.outputs import Growing, room, unfinished, whole
from bioFA.consumers.brian.program import PathwaySpec
from bioFA.errors import DiskFull, IncompleteRun, OutOfRange, ProgramFailed, WrongProcessor
from bioFA.instance import Feed, Instance, Synapses
from bioFA.measures.record import Trace
from bioFA.network import Node, Population
from bioFA.synapses.dynamics import LONG_AGO
from bioFA.system.processes import Served
from bioFA.tasks import ByteTable, Table

Array = np.ndarray
SCRATCH = "biofa-run-"
"""How the folder begins in which a run's inputs and outputs pass by."""
ROWS = 4096
"""So many rows are converted at a time on the way to disk."""
MOST_PASSING = 1 << 24
"""In bytes, what may lie in files beside each other of several segments that one call runs."""
WIDE = np.dtype(np.float64)
"""The type of synapses that are listed and of what is under way, in any precision."""


class _Begun(NamedTuple):
    """What a call of the program began with: its parameters, its arguments, and the keys of what they carry of the
    state."""

    parameters: dict[str, float]
    arguments: list[str]
    carried: list[str]


class Compiled:
    """The Brian2 consumer of an instance: builds the binary, or finds it, and runs it."""

    name = "cpp"

    def __init__(
        self,
        instance: Instance,
        precision: str = "float64",
        blocked: bool | None = None,
        scratch: Path | None = None,
        binary: cache.Binary | None = None,
        threads: int = 1,
    ):
        self.threads = threads
        self.network = instance.network
        self.protocol = instance.experiment.protocol
        self.recorded = instance.experiment.recorded
        self.every = instance.experiment.record.every
        program = make_program(instance.experiment, precision, blocked)
        self.dtype = np.dtype(precision)
        self.traces = [
            (trace, trace.steps(self.protocol.step, self.protocol.shown_steps))
            for trace in (instance.experiment.traced if instance.experiment.free else ())
        ]
        self.weighed = [
            (kept, kept.steps(self.protocol.step, self.protocol.shown_steps), len(chosen.places))
            for kept, chosen in zip(instance.experiment.record.synapses, instance.chosen, strict=False)
        ]
        constants = run_constants(instance, self.protocol.reset)
        alike = {name: float(array[0]) for name, array in constants.items()}
        self._at_rate = partial(run_parameters, instance.experiment, program, alike=alike)
        self.numbers = program.numbers()
        for name, value in self._at_rate().items():
            if not math.isfinite(value):
                raise OutOfRange(f"the parameter {name} must be a finite number; got {value}.")
        self.binary = binary or cache.build(program)
        self._served: Served | None = None
        self._settings: dict[float, tuple[dict[str, float], list[str]]] = {}
        self._segments, self._process = 0, os.getpid()
        self._before: Path | None = None
        self._written: dict[str, tuple[Array, str]] = {}
        self.timing: dict[str, float] = {
            "codegen_s": self.binary.codegen_s, "compile_s": self.binary.compile_s, "cached": self.binary.cached,
        }
        self.engine: dict[str, object] = {"precision": precision, "pathways": self.binary.pathways}
        self.engine |= {"threads": threads} if threads > 1 else {}
        self._scratch = tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch, ignore_cleanup_errors=True)
        self._lasting = {
            id(table): table for split in instance.data.splits().values() for table in (split.inputs, split.targets)
        }
        self._tables: dict[int, list[tuple[str, Path]]] = {}
        self._same_tables = instance.same_tables
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
        for group in program.groups:
            for name in group.constants:
                path = Path(self._scratch.name) / f"{group.name}.{name}"
                _write(path, np.asarray(np.broadcast_to(constants[path.name], group.size), dtype=self.dtype))
                self._masks.append(f"{path.name}={path}")
        self._keys = {
            f"{p.name}.{variable}": f"{p.name}.{p.neuron.called(variable)}"
            for p in self.network.populations
            for variable in p.neuron.state
        }
        self._listed = {}
        for spec in program.listed:
            self._listed[spec.name] = Path(self._scratch.name) / f"{spec.name}.synapses"
            targets = self.network.population(spec.target).size
            _write_synapses(self._listed[spec.name], instance.synapses[spec.name], targets)
        self._kept = {
            f"{spec.name}.{variable}": value
            for spec in program.listed
            if (dynamics := self.network.pathway(spec.name).dynamics) is not None
            for variable, value in {"since": LONG_AGO, **dynamics.keeps}.items()
        }
        self._on_the_way = {f"{p.name}.under_way": p.name for p in program.listed}
        for number, ((kept, _, _), chosen) in enumerate(zip(self.weighed, instance.chosen, strict=True)):
            _write(self._places(number), self._stored_places(kept.pathway, chosen.places))
        for pathway in program.pathways:
            self._on_the_way |= pathway.histories
            self._write_joined(pathway, instance)

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
        with self._passing() as folder:
            begun = self._begin(folder, state, feed, learning, every, nodes, rasters)
            for _ in self._call(folder, begun.arguments):
                raise IncompleteRun("the compiled program handed out a part of a segment. Run it again.")
            self._prove(folder, feed, begun.parameters)
            final = self._final(folder, state, begun)
            spikes, traces, synapses = self._read_monitors(folder, feed)
            recording = self._read_records(folder, feed.recorded(every), nodes)
            raster = (
                {p.name: self._read_raster(folder, p, feed.presentations) for p in self.network.spiking()}
                if rasters
                else {}
            )
        return Segment({**state, **final}, recording, raster, spikes=spikes, traces=traces, synapses=synapses)

    def segments(
        self, state: Mapping[str, Array], points: Sequence[int], feed: Callable[[int, int], Feed]
    ) -> Iterator[Segment]:
        """Run segment after segment, as `Consumer.segments` says: in one call of the program where what passes by is
        small, and nothing but the state passes from one to the next.

        Raises:
            RunError: if a segment is not proven complete.
        """
        if len(points) > 2 and self._may_follow(state, points):
            return self._one_after_the_other(state, points, feed(points[0], points[-1]))
        return one_by_one(self, state, points, feed)

    def _may_follow(self, state: Mapping[str, Array], points: Sequence[int]) -> bool:
        """Whether the segments between some points may follow each other in one call."""
        shown = points[-1] - points[0]
        recorded = sum(self.network.population(node.population).size for node in self.recorded)
        passing = sum(array.nbytes for array in state.values()) * len(points) + 8 * shown * (1 + recorded // self.every)
        files = {self.binary.arrays.get(self._key(key)) for key in state}
        return self._same_tables and passing <= MOST_PASSING and files == set(self.binary.handed)

    def _one_after_the_other(self, state: Mapping[str, Array], points: Sequence[int], feed: Feed) -> Iterator[Segment]:
        """Segments in one call of the program, which hands out the state at the points between them."""
        sizes = {str(node): self.network.population(node.population).size for node in self.recorded}
        with self._passing() as folder, contextlib.ExitStack() as stack:
            files = {name: Growing(folder, name) for name in ("handed", *(f"{name}.record" for name in sizes))}
            for file in files.values():
                stack.callback(file.close)
            stops = [point - feed.start for point in points[1:-1]]
            begun = self._begin(folder, state, feed, True, self.every, self.recorded, stops=stops)
            parts = pairwise([0, *stops, feed.presentations])

            def recording(start: int, stop: int, last: bool = False) -> Recording:
                at = np.arange(-(feed.start + start) % self.every, stop - start, self.every)
                taken = {name: files[f"{name}.record"].take(len(at) * size * self.dtype.itemsize, last)
                         for name, size in sizes.items()}  # fmt: skip
                return Recording(at, {name: self._array(part, (len(at), sizes[name])) for name, part in taken.items()})

            for _ in self._call(folder, begun.arguments):
                start, stop = next(parts, (0, 0))
                handed = self._state_at(files["handed"], state, stop, begun.parameters)
                yield Segment({**state, **handed}, recording(start, stop))
            start, stop = next(parts, (0, 0))
            if stop != feed.presentations:
                raise IncompleteRun(f"the compiled program left out a stop before presentation {stop}. Run it again.")
            self._prove(folder, feed, begun.parameters)
            segment = Segment({**state, **self._final(folder, state, begun)}, recording(start, stop, last=True))
        yield segment

    def _state_at(
        self, file: Growing, state: Mapping[str, Array], stop: int, parameters: Mapping[str, float]
    ) -> dict[str, Array]:
        """The state at a stop, refused where the program did not reach it, or ran with other parameters than given."""
        keys = {self.binary.arrays[self._key(key)]: key for key in state}
        stored = [(key, self._stored(key, state[key]).shape) for key in map(keys.__getitem__, self.binary.handed)]
        sizes = [math.prod(shape) * self.dtype.itemsize for _, shape in stored]
        ends = list(accumulate([*sizes, len(self.binary.parameters) * self.dtype.itemsize], initial=0))
        content = memoryview(file.take(ends[-1] + 8))
        if int.from_bytes(content[-8:], sys.byteorder) != stop:
            raise IncompleteRun(f"the compiled program stopped before presentation {stop}. Run it again.")
        self._compare(np.frombuffer(content[ends[-2] : ends[-1]], self.dtype), parameters)
        return {
            key: self._stored(key, self._array(content[start:end], shape))
            for (key, shape), (start, end) in zip(stored, pairwise(ends[:-1]), strict=True)
        }

    def _begin(
        self, folder: Path, state: Mapping[str, Array], feed: Feed, learning: bool, every: int, nodes: Sequence[Node],
        rasters: bool = False, stops: Sequence[int] = (),
    ) -> _Begun:
        """Write what a call begins with."""
        under_way = {key: state[key] for key in sorted(self._on_the_way)}
        kept = {key: state[key] for key in self._kept}
        self._write_plan(folder, feed, learning, every, nodes, rasters, under_way, kept, stops)
        parameters, settings = self._set(feed.rate)
        arguments = [*settings, *self._masks]
        carried = [key for key in state if self._key(key) in self.binary.arrays]
        for key in carried:
            known, place = self._written.get(key, (None, ""))
            if known is not state[key]:
                place = f"{folder / key}.in"
                _write(Path(place), np.asarray(self._stored(key, state[key]), dtype=self.dtype))
            arguments.append(f"{self._key(key)}={place}")
        return _Begun(parameters, arguments, carried)

    def _final(self, folder: Path, state: Mapping[str, Array], begun: _Begun) -> dict[str, Array]:
        """What a call ended with of the state."""
        files = {key: self.binary.arrays[self._key(key)] for key in begun.carried}
        final = {
            key: self._stored(key, self._read(folder, name, self._stored(key, state[key]).shape))
            for key, name in files.items()
        }
        self._written = {key: (final[key], os.path.join(folder, name)) for key, name in files.items()}
        final |= {
            key: self._read(folder, f"{name}.under_way", state[key].shape, WIDE)
            for key, name in self._on_the_way.items()
        }
        return final | {key: self._read(folder, f"{key}.kept", state[key].shape, WIDE) for key in self._kept}

    def _set(self, rate: float) -> tuple[dict[str, float], list[str]]:
        """The parameters of a phase of this rate, and the arguments that say them."""
        if rate not in self._settings:
            parameters = self._at_rate(rate)
            named = {key: value for key, value in parameters.items() if key in self.binary.arrays or key.endswith(".r")}
            self._settings[rate] = parameters, [f"{key}={value!r}" for key, value in named.items()]
        return self._settings[rate]

    @contextlib.contextmanager
    def _passing(self) -> Iterator[Path]:
        """A folder for the inputs and outputs of one segment. What it holds of the state at the end stays until the
        next segment, which begins with it, has ended. A fork of the process leaves the files of its parent alone."""
        if self._process != os.getpid():
            self._process, self._before, self._written = os.getpid(), None, {}
        self._segments += 1
        folder = Path(self._scratch.name) / f"segment-{self._process}-{self._segments}"
        folder.mkdir()
        before, written = self._before, self._written
        try:
            yield folder
        finally:
            if self._written is written:  # it did not reach its end
                self._written = {}
            _empty(folder, {path for _, path in self._written.values()})
            if before is not None:
                _empty(before)
            self._before = folder

    def _write_joined(self, spec: PathwaySpec, instance: Instance) -> None:
        """The files that say where the synapses of a pathway that learns are, and how late each sees what."""
        if spec.listed:
            self._listed[spec.name] = Path(self._scratch.name) / f"{spec.name}.synapses"
            for part in ("first", "post"):
                _write(self._listed[spec.name].with_name(f"{spec.name}.synapses.{part}"),
                       getattr(instance.synapses[spec.name], part))  # fmt: skip
        for part, kind in (("axonal", spec.axonal), ("dendritic", spec.dendritic)):
            if kind == "each":
                steps = instance.delays[spec.name][part]
                self._listed[f"{spec.name}.{part}"] = path = Path(self._scratch.name) / f"{spec.name}.{part}"
                _write(path, np.asarray(steps.T if spec.rows_of_pre and steps.ndim == 2 else steps, dtype=np.int32))

    def _key(self, key: str) -> str:
        """The name in the program of a variable of the state."""
        return self._keys.get(key, key)

    def _stored(self, key: str, array: Array) -> Array:
        """A matrix as the program stores it, and back: some are stored by source, then target."""
        return array.T if array.ndim == 2 and self._is_by_pre(key.rpartition(".")[0]) else array

    def _is_by_pre(self, pathway: str) -> bool:
        return self.binary.pathways.get(pathway) in ("events", "rows")

    def _places(self, number: int) -> Path:
        """The file of which synapses are recorded."""
        return Path(self._scratch.name) / f"synapses-{number}.places"

    def _stored_places(self, pathway: str, places: Array) -> Array:
        """Places in a matrix, read row by row, as those in what the program stores of it."""
        if not self._is_by_pre(pathway):
            return places.astype(np.int64)
        n_post, n_pre = self.network.shape(self.network.pathway(pathway))
        post, pre = np.divmod(places.astype(np.int64), n_pre)
        return pre * n_post + post

    def _write_plan(
        self,
        folder: Path,
        feed: Feed,
        learning: bool,
        every: int,
        nodes: Sequence[Node],
        rasters: bool,
        under_way: Mapping[str, Array],
        kept: Mapping[str, Array],
        stops: Sequence[int],
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
            *(f"stop {stop}" for stop in stops),
        ]
        lines += [
            f"frozen {self.numbers[pathway.name]}"
            for pathway in self.network.plastic()
            if not feed.learns(pathway.name)
        ]
        lines += [f"span {feed.span[0]} {feed.span[1]}"] if feed.span else []
        lines += [f"threads {self.threads}"] if self.threads > 1 else []
        for key, array in under_way.items():
            _write(folder / f"{key}.in", np.asarray(array, dtype=WIDE))
            lines.append(f"under_way {self._on_the_way[key]} {len(array)} {array.shape[1]} {folder / key}.in")
        lines += [f"synapses {name} {path}" for name, path in self._listed.items()]
        for key, array in kept.items():
            _write(folder / f"{key}.in", np.asarray(array, dtype=WIDE))
            lines.append(f"kept {key} {self._kept[key]!r} {folder / key}.in")
        lines += self._handed(folder, feed)
        for trace, variable, steps in self._traced() if feed.span else ():
            neurons = " ".join(map(str, trace.neurons))
            lines.append(
                f"trace {trace.population}.{variable} {steps.start} {steps.stop} {steps.step} {len(trace.neurons)}"
                f" {neurons}"
            )
        for number, (synapses, steps, _) in enumerate(self.weighed if feed.span else ()):
            of = f"{steps.start} {steps.stop} {steps.step} -1 {self._places(number)}"
            lines += [f"trace {synapses.pathway}.{variable} {of}" for variable in synapses.variables]
        shown: dict[int, Path] = {}
        for name, table in feed.tables.items():
            rows = feed.rows[name]
            if id(rows) not in shown:  # sources of one task show the same examples
                shown[id(rows)] = folder / f"{name}.rows"
                _write(shown[id(rows)], np.asarray(rows, dtype=np.int64))
            lines += [
                f"bins {name} {table.shape[1] if len(table.shape) == 3 else 1}",
                f"rows {name} {shown[id(rows)]}",
                *(f"{part} {name} {path}" for part, path in self._table(folder / name, table)),
            ]
        with open(folder / "plan.txt", "wb") as plan:
            plan.write(("\n".join(lines) + "\n").encode())

    def _handed(self, folder: Path, feed: Feed) -> list[str]:
        """What is handed to sources that need no task, and whose random numbers are the same in all presentations."""
        lines = [
            f"same {p.name}.{draw}"
            for p in self.network.populations
            if p.neuron.numbers_of(1) == 0
            for draw in p.neuron.draws
        ]
        for name, course in feed.courses.items():
            _write(folder / f"{name}.course", np.asarray(course, dtype=WIDE))
            lines.append(f"course {name} {folder / name}.course")
        for name, (first, which) in feed.trains.items():
            _write(folder / f"{name}.train.first", np.asarray(first, dtype=np.int64))
            _write(folder / f"{name}.train.which", np.asarray(which, dtype=np.int32))
            lines.append(f"train {name} {folder / name}.train")
        return lines

    def _traced(self) -> list[tuple[Trace, str, range]]:
        """Every variable that a trace asks for, in their order, with its steps."""
        return [(trace, variable, steps) for trace, steps in self.traces for variable in trace.variables]

    def _table(self, place: Path, table: Table) -> list[tuple[str, Path]]:
        """The files of a table: the data's are written once, others (noise) last as long as their segment."""
        if id(table) not in self._lasting:
            return self._write_table(place, table)
        if id(table) not in self._tables:
            place = Path(self._scratch.name) / f"data-{os.getpid()}-{len(self._tables)}"
            self._tables[id(table)] = self._write_table(place, table)
        return self._tables[id(table)]

    def _write_table(self, place: Path, table: Table) -> list[tuple[str, Path]]:
        path, levels = place.with_name(f"{place.name}.table"), place.with_name(f"{place.name}.levels")
        if isinstance(table, ByteTable):
            _write(path, table.bytes)
            _write(levels, np.asarray(table.levels, dtype=self.dtype))
            return [("table", path), ("levels", levels)]
        chunks = (table[start : start + ROWS] for start in range(0, len(table), ROWS))
        if all(((chunk == 0) | (chunk == 1)).all() for chunk in chunks):
            _write(path, table, np.dtype(np.uint8))  # spikes
            _write(levels, np.ones(1, self.dtype))
            return [("table", path), ("levels", levels)]
        _write(path, table, self.dtype)
        return [("table", path)]

    def _call(self, folder: Path, arguments: list[str]) -> Iterator[None]:
        """Have the program do something, and go on whenever it has handed out a part of that, to its end."""
        if self._served is None:
            program = str(self.binary.folder / "main")
            self._served = Served([program, "--serve"], self.binary.folder, {"LD_BIND_NOW": "1"})
        done = yield from self._served.follow(["--results_dir", f"{folder}/", *arguments])
        if done.code == -signal.SIGILL:
            cache.forget(self.binary)
            raise WrongProcessor(
                "the compiled program holds instructions that this processor lacks, so it was taken out of the cache."
                " Run again to build it here, or set BIOFA_PORTABLE=1 to build it for any processor of this kind."
            )
        if not done.ended or done.complained.strip() or "error" in done.said.lower():
            message = (done.complained.strip() or done.said.strip() or "no message").splitlines()
            raise ProgramFailed(f"the compiled program failed (exit code {done.code}): {message[0]}")

    def _prove(self, folder: Path, feed: Feed, parameters: Mapping[str, float]) -> None:
        """Refuse a segment that did not reach its end, or ran with other parameters than given."""
        steps = feed.presentations * self.protocol.steps if feed.span is None else feed.span[1] - feed.span[0]
        try:
            done = bytes(whole(os.path.join(folder, "done.txt")))
        except FileNotFoundError:
            done = b""
        if done.split() != [b"finished", str(steps).encode()]:
            what = f"{feed.presentations} presentations" if feed.span is None else f"{steps} steps"
            raise IncompleteRun(f"the compiled program stopped before the last of {what}. Run it again.")
        self._compare(self._read(folder, "parameters", (len(self.binary.parameters),)), parameters)
        for key, value in parameters.items():
            if key in self.binary.arrays and key not in self.binary.parameters:
                self._compare_one(key, self._read(folder, self.binary.arrays[key], (1,))[0], value)

    def _compare(self, taken: Array, parameters: Mapping[str, float]) -> None:
        """Refuse what ran with other parameters than given, of those whose values come together."""
        for key, found in zip(self.binary.parameters, taken, strict=True):
            if key in parameters:
                self._compare_one(key, found, parameters[key])

    def _compare_one(self, key: str, taken: float, given: float) -> None:
        if (found := float(taken)) != self.dtype.type(given):
            raise IncompleteRun(
                f"the compiled program ran with {key} = {found!r} instead of {given!r}, so its result does not count."
            )

    def _read_records(self, folder: Path, at: Array, nodes: list[Node]) -> Recording:
        sizes = {str(node): self.network.population(node.population).size for node in nodes}
        return Recording(
            at, {name: self._read(folder, f"{name}.record", (len(at), size)) for name, size in sizes.items()}
        )

    def _read_monitors(
        self, folder: Path, feed: Feed
    ) -> tuple[dict[str, tuple[Array, Array]], tuple[dict[str, Array], ...], tuple[dict[str, Array], ...]]:
        """The spikes of every population, and what the traces of neurons and of synapses asked for, where time passes
        without a task."""
        if feed.span is None:
            return {}, (), ()
        spikes = {}
        for population in self.network.spiking():
            path = folder / f"{population.name}.s.spikes"
            pairs = np.fromfile(path, np.int32) if path.is_file() else np.empty(0, np.int32)
            if (not path.is_file() and feed.span[1] > feed.span[0]) or len(pairs) % 2:
                raise DiskFull(f"the compiled program did not finish writing: {path.name}. {room(folder)}")
            spikes[population.name] = (pairs[::2].copy(), pairs[1::2].astype(np.int64))
        traces: list[dict[str, Array]] = [{} for _ in self.traces]
        which = [number for number, (trace, _) in enumerate(self.traces) for _ in trace.variables]
        for place, (number, (trace, variable, steps)) in enumerate(zip(which, self._traced(), strict=True)):
            samples = sum(1 for step in range(*feed.span) if step in steps)
            traces[number][variable] = self._read(folder, f"{place}.trace", (samples, len(trace.neurons)))
        synapses: list[dict[str, Array]] = []
        place = len(which)
        for kept, steps, count in self.weighed:
            samples = sum(1 for step in range(*feed.span) if step in steps)
            files = {variable: f"{place + n}.trace" for n, variable in enumerate(kept.variables)}
            synapses.append({variable: self._read(folder, file, (samples, count)) for variable, file in files.items()})
            place += len(files)
        return spikes, tuple(traces), tuple(synapses)

    def _read_raster(self, folder: Path, population: Population, presentations: int) -> Array:
        path = folder / f"{population.name}.s.raster"
        shape = (presentations, self.protocol.steps, population.size)
        raster = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
        if len(raster) != math.prod(shape):
            raise DiskFull(
                f"the compiled program did not finish writing: {path.name} has {len(raster)} bytes, expected"
                f" {math.prod(shape)}. {room(folder)}"
            )
        return raster.reshape(shape)

    def _read(self, folder: Path, name: str, shape: tuple[int, ...], dtype: np.dtype | None = None) -> Array:
        """An array file of exactly the expected size."""
        path, dtype = os.path.join(folder, name), dtype or self.dtype
        if 0 in shape:
            return np.empty(shape)
        expected = math.prod(shape) * dtype.itemsize
        try:
            content = whole(path)
        except OSError:
            content = None
        if content is None or len(content) != expected:
            found = "is missing" if content is None else f"has {len(content)} bytes"
            raise unfinished(folder, name, found, expected)
        return self._array(content, shape, dtype)

    def _array(
        self, content: bytearray | memoryview, shape: tuple[int, ...], dtype: np.dtype | None = None
    ) -> Array:
        """Numbers in double precision, in a shape."""
        return np.frombuffer(content, dtype or self.dtype).astype(float, copy=False).reshape(shape)


def _write_synapses(place: Path, synapses: Synapses, targets: int) -> None:
    """The files of listed synapses onto so many targets, as `biofa_listed.h` maps them."""
    post = np.uint16 if targets <= 2**16 else np.int32
    for name, dtype in (("first", np.int64), ("post", post), ("weights", WIDE), ("delays", np.int32)):
        _write(place.with_name(f"{place.name}.{name}"), getattr(synapses, name), np.dtype(dtype))
    for name, values in synapses.parameters.items():
        _write(place.with_name(f"{place.name}.{name}"), values, WIDE)


def _empty(folder: Path, but: Collection[str] = ()) -> None:
    """Remove a folder of files, or all of it but some files."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if (path := os.path.join(folder, name)) not in but:
                os.unlink(path)
        if not but:
            os.rmdir(folder)


def _write(path: Path, array: Array, dtype: np.dtype | None = None) -> None:
    """Write an array row by row, some rows at a time, or say why not."""
    try:
        with open(path, "wb", buffering=0) as file:
            for start in range(0, len(array), ROWS):
                rest = memoryview(np.asarray(array[start : start + ROWS], dtype=dtype).tobytes())
                while len(rest):
                    rest = rest[file.write(rest) :]
    except OSError as error:
        raise DiskFull(f"the input of the compiled program could not be written ({error}). Is the disk full?") from None
