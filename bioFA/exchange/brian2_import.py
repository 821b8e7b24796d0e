"""A network of one's own in Brian2 as an experiment of bioFA, with the same spikes.

    taken = bioFA.from_brian2(network, duration="2 s")
    print(taken)                                     # what became of it, and what was lost
    result = bioFA.simulate(taken.experiment, seed=1)

The description runs in Brian2's order of a step (`protocol.order = "brian2"`). Its spikes are those of Brian2 wherever
nothing is random, but for sums that round: bioFA adds what arrives at a neuron in one step before the neuron takes it.
A spike that Brian2 stamps with the time t at which its step begins has the time t + dt here, at which that step ends.
What is random in Brian2 is drawn by bioFA, at the same rate and of the same distribution, and is said to be lost.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2.core.namespace import get_local_namespace

from bioFA.consumers.brian.adapter import check_version
from bioFA.equations.dimensions import FREQUENCY, describe
from bioFA.errors import CannotWrite, Contradiction, MissingField, NoCounterpart, PlaceTaken, Unavailable, UnknownName
from bioFA.exchange import brian2_groups as groups
from bioFA.exchange.brian2_groups import Cells, distribution
from bioFA.exchange.brian2_names import dimension_of, label, written
from bioFA.exchange.brian2_synapses import Added, Taken, changed_variables, end
from bioFA.exchange.teachable import teachable
from bioFA.experiment import Experiment, Protocol
from bioFA.expressions import RESERVED
from bioFA.network import SHORT_NAMES, Network

Array = np.ndarray
SCHEDULE = ["start", "groups", "thresholds", "synapses", "resets", "end"]
"""Brian2's default order of a step."""
MOST_LISTED = 200_000
"""More synapses than this are kept in files, not in the description."""
PLACES = {
    "Thresholder": ("thresholds", "after_thresholds"),
    "Resetter": ("resets", "after_resets"),
    "StateUpdater": ("groups",),
    "SynapticPathway": ("synapses",),
    "PoissonInput": ("synapses",),
    "SpikeGeneratorGroup": ("thresholds",),
}
"""Where in the step bioFA has each part."""


@dataclass(frozen=True)
class FromBrian2:
    """A network that was taken over from Brian2.

    `names` are bioFA's populations and pathways by the names that Brian2's objects have; `lost` what was left out or is
    not the same, one sentence each.
    """

    experiment: Experiment
    lost: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def teachable(
        self, layers: Sequence[str], rate: float | str = "100 Hz", tau: float | str = "20 ms", gain: str = "int(r > 0)"
    ) -> Network:
        """The network with what learning along a chain of its populations needs (`bioFA.exchange.teachable`).

        Args:
            layers: bioFA's names of the populations, from the one that shows the examples to the one that answers.
            rate: the rate at which a neuron's r is 1, and at which the first layer shows a value of 1.
            tau: time constant of r, the low-passed spike train.
            gain: the slope of r, as a text.

        Raises:
            ModelError: naming the layer or pathway that cannot learn so.
        """
        return teachable(self.experiment, layers, rate, tau, gain)

    def __str__(self) -> str:
        network = self.experiment.network
        synapses = f"{len(network.populations)} populations, {len(network.pathways)} pathways"
        return "\n".join(
            [f"{self.experiment.name}, from Brian2: {synapses}", *(f"  lost: {sentence}" for sentence in self.lost)]
        )


def from_brian2(
    network: Any,
    duration: Any = "1 s",
    *,
    name: str = "from_brian2",
    namespace: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    frozen: bool = False,
    leave_out: Collection[str] = (),
) -> FromBrian2:
    """A network of Brian2 as a description of bioFA, as it is before it runs.

    Args:
        network: a `brian2.Network`, or its objects, such as `brian2.collect()`.
        duration: how long a trial of the description lasts: "2 s", seconds, or a quantity of Brian2.
        name: that of the experiment.
        namespace: where names of the equations are looked up, as `Network.run` does it; where this is called, if None.
        folder: a new or empty folder for pairs, weights and delays as `.npy` files; in the description, if None.
        frozen: leave out what changes synapses, such as spike-timing dependent plasticity, and say so.
        leave_out: names of objects that are not taken over; they are listed among what was lost.

    Raises:
        ModelError: naming the object that bioFA has no words for, and what to do.
        FileError: if the folder cannot be written, or holds something.
    """
    check_version()
    found = dict(namespace) if namespace is not None else get_local_namespace(level=1)
    objects = _objects(network, leave_out)
    return _Import(objects, found, name, duration, folder, frozen, leave_out).made()


def _objects(network: Any, leave_out: Collection[str]) -> list[Any]:
    """The objects of a network, by name; refuses one that bioFA cannot begin with."""
    if type(brian2.get_device()).__name__ != "RuntimeDevice":
        raise Unavailable(
            "Brian2 is set to build a program (set_device), so its values are not there to be read. Use"
            " set_device('runtime') where the network is made."
        )
    if isinstance(network, brian2.Network):
        if list(network.schedule) != SCHEDULE:
            raise NoCounterpart(
                f"the network's schedule is {network.schedule}; bioFA has Brian2's default one. Leave the schedule as"
                " it is."
            )
        if float(network.t) > 0:
            raise Contradiction(
                f"the network has run for {float(network.t):g} s, and spikes under way would be lost. Take it over"
                " before it runs, or store() it then and restore() it now."
            )
    everything = sorted(getattr(network, "objects", network), key=lambda thing: thing.name)
    names = {thing.name for thing in everything}
    if unknown := sorted(set(leave_out) - names):
        raise UnknownName(f"leave_out: the network has no object '{unknown[0]}'. It has: {', '.join(sorted(names))}.")
    return [thing for thing in everything if thing.name not in leave_out]


class _Import:
    """One network on its way."""

    def __init__(
        self,
        objects: list[Any],
        namespace: Mapping[str, Any],
        name: str,
        duration: Any,
        folder: str | Path | None,
        frozen: bool,
        leave_out: Iterable[str],
    ):
        self.objects, self.namespace, self.name, self.frozen = objects, namespace, name, frozen
        self.lost = [f"{other}: left out." for other in leave_out]
        self.names: dict[str, str] = {}
        self.cells: dict[str, Cells] = {}
        self.pathways: list[dict[str, Any]] = []
        self.tables: dict[int, str] = {}
        self.dt = self._step()
        self.duration = Protocol(duration=duration, dt=self.dt).duration or 0.0
        self.folder = None if folder is None else _emptied(Path(folder).absolute())

    def _step(self) -> float:
        """The step that all have."""
        found = {float(thing.clock.dt_): thing for thing in self._of(brian2.NeuronGroup, brian2.Synapses)}
        found |= {float(t.clock.dt_): t for t in self._of(brian2.PoissonGroup, brian2.SpikeGeneratorGroup)}
        if not found:
            raise MissingField("the network has no groups of neurons. Give a brian2.Network, or its objects.")
        if len(found) > 1:
            shown = ", ".join(f"{thing.name}: {dt:g} s" for dt, thing in found.items())
            raise NoCounterpart(f"the network has several clocks ({shown}); bioFA has one. Give all groups one dt.")
        return next(iter(found))

    def _of(self, *kinds: type) -> list[Any]:
        return [thing for thing in self.objects if isinstance(thing, kinds)]

    def made(self) -> FromBrian2:
        """The description."""
        self._check_places()
        self._groups()
        for synapses in self._of(brian2.Synapses):
            self._synapses(synapses)
        for given in self._of(brian2.PoissonInput):
            self._input(given)
        self._in_time()
        record = self._record()
        populations = [
            {"name": cells.name, "size": cells.size, "neuron": cells.finished()}
            | ({"background": cells.backgrounds} if cells.backgrounds else {})
            for cells in self.cells.values()
        ]
        experiment = Experiment(
            name=self.name,
            description="A network that was written in Brian2, taken over by bioFA.from_brian2.",
            circuit={"name": "network", "populations": populations, "pathways": self.pathways},
            protocol={"duration": self.duration, "dt": self.dt, "order": "brian2"},
            record=record,
        )
        return FromBrian2(experiment, tuple(dict.fromkeys(self.lost)), self.names)

    def _check_places(self) -> None:
        """Everything must stand where it is in Brian2's default order, and be known."""
        known = (
            brian2.NeuronGroup, brian2.Synapses, brian2.PoissonGroup, brian2.SpikeGeneratorGroup, brian2.PoissonInput,
            brian2.SpikeMonitor, brian2.StateMonitor, brian2.PopulationRateMonitor, brian2.Subgroup,
        )  # fmt: skip
        for thing in self.objects:
            if not isinstance(thing, known) or isinstance(thing, brian2.SpatialNeuron):
                raise NoCounterpart(
                    f"{label(thing)}: bioFA has nothing of this kind; what runs in a simulation is described. Take the"
                    f" network over without it: leave_out=['{thing.name}']."
                )
            for part in (thing, *thing.contained_objects):
                places = PLACES.get(type(part).__name__)
                if places is not None and part.when not in places:
                    raise NoCounterpart(
                        f"{label(thing)}: '{part.name}' runs in '{part.when}'; bioFA has it in '{places[0]}' only, as"
                        " Brian2's default is."
                    )
                if not part.active:
                    raise NoCounterpart(
                        f"{label(thing)}: '{part.name}' is not active. Take the network over without it, or switch it"
                        " on."
                    )

    def _name(self, brians: str) -> str:
        """A name for an object of Brian2, which bioFA allows and nothing else has."""
        base = re.sub(r"[^a-z0-9_]", "_", brians.lower()).strip("_") or "cells"
        base = base if base[0].isalpha() else f"n{base}"
        if base in RESERVED - SHORT_NAMES or keyword.iskeyword(base):
            base = f"{base}_cells"
        taken, found, number = {*self.names.values(), *self.tables.values()}, base, 1
        while found in taken:
            number += 1
            found = f"{base}_{number}"
        return found

    def _groups(self) -> None:
        """Every group as a population."""
        changed: dict[str, set[str]] = {}
        for synapses in self._of(brian2.Synapses):
            for group, variable in changed_variables(synapses):
                changed.setdefault(group, set()).add(variable)
        for given in self._of(brian2.PoissonInput):
            changed.setdefault(end(given._group).group.name, set()).add(given.target_var)
        for group in self._of(brian2.NeuronGroup, brian2.PoissonGroup, brian2.SpikeGeneratorGroup):
            called = self.names[group.name] = self._name(group.name)
            if isinstance(group, brian2.NeuronGroup):
                cells = groups.neurons(group, called, self.namespace, changed.get(group.name, ()), self.lost)
            elif isinstance(group, brian2.PoissonGroup):
                cells = groups.poisson(group, called, self.namespace, self.lost)
            else:
                cells = groups.given_spikes(group, called, self.duration)
            self.cells[group.name] = cells

    def _moving(self) -> set[tuple[str, str]]:
        """Every variable of a neuron that is not the same for all time."""
        return {
            (brians, variable)
            for brians, cells in self.cells.items()
            if cells.reader is not None
            for variable, own in cells.reader.own.items()
            if own not in cells.neuron["parameters"]
        }

    def _synapses(self, synapses: Any) -> None:
        for side, group in (("source", synapses.source), ("target", synapses.target)):
            if end(group).group.name not in self.cells:
                raise NoCounterpart(
                    f"{label(synapses)}: its {side} '{end(group).group.name}' is not among the network's groups. Add"
                    " it, or leave these synapses out."
                )
        if not len(synapses):
            self.lost.append(f"{label(synapses)}: it has no synapses (connect).")
            return
        readers = {brians: cells.reader for brians, cells in self.cells.items()}
        added = Taken(synapses, self.namespace, self._moving(), readers, self.frozen, self.lost).added()
        for part in added:
            self._pathway(synapses.name if len(added) == 1 else f"{part.what}_{part.variable}", part)

    def _pathway(self, brians: str, part: Added) -> None:
        """What a statement adds, as a pathway."""
        source, target = self.cells[part.source.name], self.cells[part.target.name]
        assert target.reader is not None
        variable = target.reader.own[part.variable]
        called = self.names[brians] = self._name(brians)
        pairs = np.stack([part.sent, part.changed], axis=1)
        if self.folder is None and len(pairs) > MOST_LISTED:
            raise MissingField(
                f"'{brians}' has {len(pairs)} synapses, too many to be written in a description. Give a folder for"
                " their lists: from_brian2(network, folder='my_network')."
            )
        pathway = {
            "name": called,
            "source": source.name,
            "target": target.name,
            "port": target.port(variable, part.factor, describe(part.unit)),
            "carries": "s" if part.event == "spike" else part.event,
            "connect": {"name": "pairs", **self._kept(called, "pairs", pairs)},
            "weights": self._distribution(called, "weights", part.weights),
        }
        if part.steps.any():
            delays = self._distribution(called, "delays", part.steps * self.dt)
            pathway["delay"] = delays | {"low": 0} if isinstance(delays, dict) and "path" in delays else delays
        self.pathways.append(pathway)

    def _distribution(self, pathway: str, what: str, values: Array) -> Any:
        """Numbers of synapses in SI: one, a list, or a file."""
        if len(values) == 1:
            return float(values[0])
        if self.folder is None:
            return {"name": "values", "values": values.tolist()}
        return {"name": "from_file", **self._kept(pathway, what, values)}

    def _kept(self, pathway: str, what: str, array: Array) -> dict[str, Any]:
        """An array of synapses: itself, or the path of its file."""
        if self.folder is None:
            return {what: array.tolist()}
        path = self.folder / f"{pathway}_{what}.npy"
        np.save(path, array)
        return {"path": str(path)}

    def _input(self, given: Any) -> None:
        """A `PoissonInput` as a background of its neurons."""
        to = end(given._group)
        if to.group.name not in self.cells:
            raise NoCounterpart(f"{label(given)}: '{to.group.name}' is not among the network's groups. Add it.")
        cells = self.cells[to.group.name]
        if isinstance(given.weight, str) or cells.reader is None:
            raise NoCounterpart(f"{label(given)}: its weight is a text. Give a number.")
        variable, size = cells.reader.own[given.target_var], len(given._group)
        dimension = dimension_of(to.group.variables[given.target_var].dim)
        rates = np.zeros(cells.size)
        rates[to.first : to.first + size] = float(given.rate)
        cells.backgrounds.append({
            "port": cells.port(variable, "", describe(dimension)),
            "rate": distribution(rates, FREQUENCY),
            "weight": written(float(given.weight), dimension),
            "count": int(given.N),
        })
        self.lost.append(
            f"{label(given)}: its spikes are drawn by bioFA, as Poisson numbers of the same mean; Brian2 draws binomial"
            " ones."
        )

    def _in_time(self) -> None:
        """Every array in time as a source, with a pathway to each group that names it."""
        sources: dict[str, Cells] = {}
        for cells in list(self.cells.values()):
            for port, array in cells.reader.tables.items() if cells.reader is not None else ():
                if id(array) not in self.tables:
                    called = self._name(port)
                    self.tables[id(array)] = called
                    sources[f"{called} (TimedArray)"] = groups.in_time(array, called, self.dt)
                called = self.tables[id(array)]
                name = self._name(f"{called}_to_{cells.name}")
                self.names[f"{name} (TimedArray)"] = name
                self.pathways.append({
                    "name": name, "source": called, "target": cells.name, "port": port, "carries": "I", "weights": 1.0,
                })  # fmt: skip
        self.cells |= sources

    def _record(self) -> dict[str, Any]:
        """What monitors ask for; every spike, where there is none for spikes."""
        record: dict[str, Any] = {}
        spikes = []
        for monitor in self._of(brian2.SpikeMonitor):
            to = end(monitor.source)
            if monitor.event != "spike":
                self.lost.append(f"{label(monitor)}: events other than spikes are not recorded.")
                continue
            if not monitor.record:
                self.lost.append(f"{label(monitor)}: it counts only; here every spike is recorded.")
            part = (
                ""
                if to.first == 0 and len(monitor.source) == len(to.group)
                else (f"[{to.first}:{to.first + len(monitor.source)}]")
            )
            spikes.append(f"{self.names[to.group.name]}{part}")
        if spikes:
            record["spikes"] = list(dict.fromkeys(spikes))
        traces = []
        for monitor in self._of(brian2.StateMonitor):
            traces += self._trace(monitor)
        if traces:
            record["traces"] = traces
        if self._of(brian2.PopulationRateMonitor):
            record["rates"] = {"bin": self.dt}
        return record

    def _trace(self, monitor: Any) -> list[dict[str, Any]]:
        to = end(monitor.source)
        cells = self.cells.get(to.group.name)
        if cells is None or cells.reader is None:
            self.lost.append(f"{label(monitor)}: nothing of '{monitor.source.name}' can be recorded.")
            return []
        variables = []
        for variable in monitor.record_variables:
            if variable in cells.reader.own and cells.reader.own[variable] not in cells.neuron["parameters"]:
                variables.append(cells.reader.own[variable])
            else:
                self.lost.append(f"{label(monitor)}: '{variable}' is not recorded, as it never changes.")
        if not variables:
            return []
        self.lost.append(
            f"{label(monitor)}: what is recorded at the beginning of a step is before the reset of the neurons that"
            " have just spiked (in Brian2, when='after_thresholds' of the step before)."
        )
        neurons = [int(i) + to.first for i in np.atleast_1d(monitor.record)]
        every = float(monitor.clock.dt_)
        return [
            {"population": cells.name, "variables": variables, "neurons": neurons}
            | ({"every": every} if every != self.dt else {})
        ]


def _emptied(folder: Path) -> Path:
    """A folder that holds nothing, made where it is not there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PlaceTaken(f"'{folder}' is there already and holds something. Give another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"'{folder}' could not be written: {error}. Give a folder of your own.") from None
    return folder
