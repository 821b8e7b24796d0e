"""Turn a program into a Brian2 network and let Brian2 write its C++.

Run as a process of its own (`__main__.py`): Brian2's device,
preferences and clocks are process-wide, and a user's own Brian2 session is not to notice.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import brian2
import numpy as np

from bioFA import units
from bioFA.consumers.brian import adapter
from bioFA.consumers.brian.batch import BY_LANES, BatchedPathway, batched, find_factors
from bioFA.consumers.brian.factors import Factors, factorise
from bioFA.consumers.brian.objects import shorten
from bioFA.consumers.brian.program import GroupSpec, PathwaySpec, Program, StepSpec

UNITS = {unit: brian2.Unit(1) if unit == "1" else getattr(brian2, name) for unit, name in units.BRIAN2.items()}


def generate(program: Program, folder: Path) -> None:
    """Write the C++ project of a program, and `written.json`: which file will hold
    which variable, and how each pathway was compiled."""
    adapter.check_version()
    program = batched(program)
    brian2.set_device("cpp_standalone", build_on_run=False)
    brian2.prefs["codegen.cpp.extra_compile_args"] = []  # bioFA compiles, with flags of its own (cache.py)
    usual = ("block", "inverse", "numbers", "listed", "joined", "background", "rows", "ahead")
    headers = [*([] if program.strict else ["vectors"]), *usual, *(["batch"] if program.lanes > 1 else [])]
    brian2.prefs["codegen.cpp.headers"] = [f'"biofa_{name}.h"' for name in headers]
    brian2.prefs["codegen.loop_invariant_optimisations"] = not program.strict  # they change the order of operations
    brian2.prefs["core.default_float_dtype"] = getattr(np, program.precision)
    brian2.defaultclock.dt = program.dt * brian2.second
    clock = brian2.defaultclock
    groups = {spec.name: _group(spec, program) for spec in program.groups}
    pathways: dict[str, Any] = {}
    numbers = program.numbers()
    for spec in sorted(program.pathways, key=lambda spec: spec.owner != spec.name):
        source, target, shared = groups[spec.source], groups[spec.target], pathways.get(spec.owner)
        given = {"T": "s", "dt": "s"} | spec.parameters
        dimensions = {name: UNITS[given.get(name, "1")] for name in _parameters(program, spec)}
        kind = BatchedPathway if program.lanes > 1 else adapter.DensePathway
        number = numbers[spec.name]
        pathways[spec.name] = kind(spec, source, target, dimensions, shared, number, clock, program.lanes)
    for spec in program.pathways:
        for other, name, index in ((spec.follows, "w_followed", "_turned_idx"), (spec.partner, "w_partner", "_idx")):
            if other:
                adapter.read_weights(pathways[spec.name], name, pathways[other], index)
    how = _Steps(program, groups, pathways).place()
    network = brian2.Network(*groups.values(), *(pathway.group for pathway in pathways.values()))
    device = brian2.get_device()
    device.insert_code("before_start", "biofa::serve(args, brian::results_dir);")
    device.insert_code("before_start", "biofa::segment().begin(brian::results_dir);")
    device.insert_code("after_start", adapter.sized(pathways.values()))
    device.apply_run_args()  # the parameters of the command line, before the steps are run
    device.insert_code("before_network_run", adapter.own_loop(network))
    network.run(program.dt * brian2.second, namespace={})
    device.insert_code("after_end", "biofa::segment().end();")
    folder.mkdir(parents=True, exist_ok=True)
    for header in Path(__file__).parent.glob("*.h"):
        shutil.copy(header, folder)
    device.build(directory=str(folder), compile=False, run=False)
    arrays: dict[str, str] = {}
    for population in program.groups:
        names = [
            *(brian2.Equations(population.dynamics).diff_eq_names if population.dynamics else ()),
            *population.kept,
            *population.parameters,
            *population.constants,
        ]
        names += ["cell"] if population.dale else []
        arrays |= {f"{population.name}.{name}": adapter.array_file(groups[population.name], name) for name in names}
    for pathway in program.pathways:
        names = [
            *(["w"] if pathway.owner == pathway.name else []),
            *(["exists"] if pathway.masked else []),
            *_parameters(program, pathway),
        ]
        names += [
            *(["gathered"] if pathway.gathers else []),
            *(["norm"] if pathway.normalised else []),
            *pathway.traces,
        ]
        arrays |= {f"{pathway.name}.{name}": adapter.array_file(pathways[pathway.name].group, name) for name in names}
    parameters = [f"{group.name}.{name}" for group in program.groups for name in group.parameters]
    parameters += [f"{spec.name}.{name}" for spec in program.pathways for name in _parameters(program, spec)]
    handed = {*parameters, *(f"{group.name}.{name}" for group in program.groups for name in (*group.constants, "cell"))}
    handed |= {f"{spec.name}.exists" for spec in program.pathways}
    states = {file for name, file in arrays.items() if name not in handed}
    objects = folder / "objects.cpp"
    others = "".join(file.read_text() for file in folder.rglob("*.cpp") if file != objects)
    text, together, states_handed = shorten(
        objects.read_text(), others, states, [arrays[name] for name in parameters]
    )
    objects.write_text(text)
    written = {
        "arrays": arrays, "parameters": parameters if together else [], "pathways": how, "handed": states_handed,
    }
    (folder / "written.json").write_text(json.dumps(written))


def _parameters(program: Program, spec: PathwaySpec) -> list[str]:
    """The parameters of a pathway: the ridge of a pseudo-inverse, or the rule's, the learning time T, and dt."""
    if not spec.equations:
        return ["ridge"] if spec.inverse_of else []
    return [*spec.parameters, *spec.learning_parameters(), "T", "dt"]


def _group(spec: GroupSpec, program: Program) -> brian2.NeuronGroup:
    equations = [spec.dynamics] if spec.dynamics else []
    equations += [f"{name} : 1" for name in (*spec.variables, *spec.kept)]
    equations += [f"{name} : {units.BRIAN2[unit]} (shared, constant)" for name, unit in spec.parameters.items()]
    equations += ["cell : 1 (constant)"] if spec.dale else []
    equations += ["time : second (shared)"] if spec.timed else []
    equations += ["seconds : 1 (shared)"] if spec.seconds else []
    equations += ["course : 1 (shared)"] if spec.course else []
    equations += [f"{name} : 1 (constant)" for name in spec.constants]
    steps = "\n".join(statement for step in program.steps if step.of == spec.name for statement in step.statements)
    named = adapter.functions("\n".join((steps, spec.before, spec.after)))
    size = spec.size * program.lanes
    group = brian2.NeuronGroup(size, "\n".join(equations), method=spec.method, name=spec.name, namespace=named)
    if spec.dynamics:
        adapter.Advance(group, spec.method, spec.before, spec.after, "OWN" if program.strict else "")
    return group


def _by_rows(spec: PathwaySpec) -> tuple[Factors, str] | None:
    """How a pathway's rule changes its matrix, and by which presynaptic variable, if it does so row by row."""
    plain = not (spec.masked or spec.bounded or spec.gathers or spec.traces or spec.late_pre or spec.late_post)
    if not (spec.equations and plain and not spec.listed and spec.sign == "any" and len(spec.reads_pre) == 1):
        return None
    factors = factorise(spec.rate, {*spec.parameters, "T", "dt"}, f"{spec.reads_pre[0]}_pre")
    return (factors, spec.reads_pre[0]) if factors else None


class _Steps:
    """The steps of a program, each given its place: all in the slot `start`, so that states advance after them.

    A method for each kind of step, with its name; threshold tests alone come after the states.
    """

    def __init__(self, program: Program, groups: Mapping[str, Any], pathways: Mapping[str, Any]):
        self.program, self.groups, self.pathways = program, groups, pathways
        self.specs = {spec.name: spec for spec in program.pathways}
        self.listed = {spec.name: spec for spec in program.listed}
        self.counter = adapter.STEP
        self.lanes, self.real = program.lanes, "double" if program.precision == "float64" else "float"
        self.factors = (find_factors(program) or {}) if self.lanes > 1 else {
            spec.name: factorise(spec.rate, {*spec.parameters, "T", "dt"})
            for spec in program.pathways
            if spec.may_block and spec.equations
        }
        self.rows = {} if program.strict else {spec.name: rows for spec in program.pathways if (rows := _by_rows(spec))}
        self.blocks = {
            spec.name: "biofa::block<{real}, {0}, {n_pre}, {n_post}>()".format(number, **pathways[spec.name].sizes)
            for number, spec in enumerate(program.pathways)
            if spec.may_block and self.factors.get(spec.name, "fixed") is not None and self.lanes == 1
        }

    def place(self) -> dict[str, str]:
        """Give every step its place.

        Returns:
            How each pathway was compiled: `dense`, `blocked` where it works through presentations in blocks, `batched`
            where it works through those of a batch side by side, `listed`, or, where its matrix is stored by
            presynaptic neuron, `events` if those that spike are visited, `rows` if all are.
        """
        if self.lanes > 1:
            learns = next(spec.name for spec in self.program.pathways if spec.equations)
            self._add(self.program.groups[0].name, "chunk", 0, batch=adapter.array_name(self.pathways[learns], "batch"))
        for order, step in enumerate(self.program.steps, 1):
            getattr(self, step.kind)(step, 10 * order)
        by_pre = [name for name in self.pathways if self.specs[name].by_pre]
        events = [name for name in by_pre if self.specs[self.specs[name].owner].event]
        listed = [*self.listed, *(name for name in self.pathways if self.specs[name].listed)]
        plain = "batched" if self.lanes > 1 else "dense"
        ways = {plain: self.pathways, "rows": by_pre, "events": events, "blocked": self.blocks, "listed": listed}
        return {name: way for way, names in ways.items() for name in names}

    def _add(self, of: str, template: str, order: int, code: str = "", **keywords: Any) -> None:
        group = self.groups[of]
        if self.lanes > 1:
            template += "_batch" if template in BY_LANES else ""
            keywords |= {"lanes": self.lanes, "real": self.real}
        group.contained_objects.append(adapter.Runner(group, template, order, code, **keywords))

    def restart(self, step: StepSpec, order: int) -> None:
        """Put the state of a population, or the traces of a pathway, back to their beginning."""
        if step.of in self.specs:
            self.pathways[step.of].restart(step.values, order)
            return
        group = self.groups[step.of]
        values: list[tuple[str, float | str]] = [
            (adapter.array_name(group, variable), value) for variable, value in step.values.items()
        ]
        values += [
            (adapter.array_name(group, variable), f"{adapter.array_name(group, first)}[_i]")
            for variable, (_, first) in step.reads.items()
        ]
        self._add(step.of, "restart", order, values=values, size=len(group), step=self.counter)

    def draw(self, step: StepSpec, order: int) -> None:
        """Fill a population's random numbers."""
        group = self.groups[step.of]
        numbers = [
            (
                f"{step.of}.{name}" if step.named else step.of,
                adapter.array_name(group, step.reads[name][1] if name in step.reads else name),
                "draw_normal" if name in step.normal else "draw",
            )
            for name in step.nodes
        ]
        shared: Literal["", "OWN"] = "OWN" if self.program.strict else ""
        self._add(step.of, "draw", order, numbers=numbers, size=len(group), step=self.counter, shared=shared)

    def foresee(self, step: StepSpec, order: int) -> None:
        """Draw the spikes of a source for as long as it shows the same."""
        group = self.groups[step.of]
        into, real = adapter.array_name(group, "s"), adapter.number_type(group, "s")
        named = {"name": step.of, "into": into, "real": real, "size": len(group), "step": self.counter}
        self._add(step.of, "foresee", order, "\n".join(step.statements), **named)

    def clock(self, step: StepSpec, order: int) -> None:
        """Tell a population the time since the presentation began."""
        variable = step.nodes[0] if step.nodes else "time"
        time, dt = adapter.array_name(self.groups[step.of], variable), adapter.step_length(brian2.defaultclock)
        self._add(step.of, "clock", order, time=time, step=self.counter, dt=dt)

    def course(self, step: StepSpec, order: int) -> None:
        """Tell a source what its course says of the step."""
        course = adapter.array_name(self.groups[step.of], step.nodes[0])
        self._add(step.of, "course", order, name=step.of, course=course, step=self.counter)

    def spike(self, step: StepSpec, order: int) -> None:
        """Count the spikes that are handed to a source."""
        group = self.groups[step.of]
        spikes = adapter.array_name(group, step.nodes[0])
        shared: Literal["", "OWN"] = "OWN" if self.program.strict else ""
        self._add(
            step.of, "spike", order, shared=shared, name=step.of, spikes=spikes, size=len(group), step=self.counter
        )

    def show(self, step: StepSpec, order: int) -> None:
        """Load what a source shows, or the weights of a pathway."""
        if step.of in self.specs:
            self.pathways[step.of].show(order)
            return
        group = self.groups[step.of]
        rates = adapter.array_name(group, step.nodes[0])
        self._add(step.of, "show", order, size=len(group), step=self.counter, rates=rates, name=step.of)

    def invert(self, step: StepSpec, order: int) -> None:
        """Compute a pathway's weights as the pseudo-inverse of another's."""
        self.pathways[step.of].invert(self.pathways[self.specs[step.of].inverse_of], order)

    def evaluate(self, step: StepSpec, order: int) -> None:
        """Run statements for every neuron of a population."""
        for name, (population, variable) in step.reads.items():
            adapter.refer(self.groups[step.of], name, self.groups[population], variable)
        if "\nelapsed = " in "\n".join(step.statements):  # a shorter step, to be made until it has made all of dt
            self._add(step.of, "adaptive", order, "\n".join(step.statements))
            return
        template = "look" if step.only else "neurons"
        shared: Literal["", "OWN"] = "OWN" if self.program.strict and not step.only else ""
        code = "\n".join(step.statements)
        self._add(step.of, template, order, code, shared=shared, only=step.only, step=self.counter)

    def test(self, step: StepSpec, order: int) -> None:
        """Run statements after the integration of the step."""
        self._add(step.of, "neurons", order, "\n".join(step.statements), when="thresholds")

    def transmit(self, step: StepSpec, order: int) -> None:
        """Sum a pathway's synapses into a port."""
        spec, pathway = self.specs[step.of], self.pathways[step.of]
        if step.of in self.blocks:
            pathway.transmit_block(self.blocks[step.of], spec.port, step.accumulate, order)
        else:
            foreseen = any(other.kind == "foresee" and other.of == spec.source for other in self.program.steps)
            fixed = spec.owner == spec.name and not (spec.equations or spec.redrawn or spec.inverse_of or step.only)
            decays = fixed and not self.program.strict and any(group.dynamics for group in self.program.groups)
            pathway.transmit(step.accumulate, order, step.only, foreseen and not spec.late_pre, decays)

    def forget(self, step: StepSpec, order: int) -> None:
        """Drop what is under way on a pathway."""
        spec = self.specs.get(step.of) or self.listed[step.of]
        self._add(spec.target, "forget", order, name=step.of, step=self.counter)

    def gather(self, step: StepSpec, order: int) -> None:
        """List the neurons in which a variable is not 0; what the step before left as a step begins, so that all have
        listed theirs long since when they are read."""
        group, variable = self.groups[step.of], step.nodes[0]
        kept = next(spec.kept for spec in self.program.groups if spec.name == step.of)
        if variable in kept[:9]:
            begins = sum(other.kind in ("restart", "forget") for other in self.program.steps)
            order = 10 * begins + 1 + kept.index(variable)
        values = adapter.array_name(group, variable)
        name = f"{step.of}.{variable}"
        size = len(group)
        self._add(step.of, "gather", order, name=name, values=values, size=size, step=self.counter, shared="GATHERS")

    def depart(self, step: StepSpec, order: int) -> None:
        """Put on its way what listed synapses send: where it arrives later, as the step ends, when all have sent."""
        spec = self.listed[step.of]
        source = self.groups[spec.source]
        later = [other.kind for other in self.program.steps if other.of == step.of][-1] == "depart"
        self._add(
            spec.target,
            "depart",
            order,
            when="end" if later else "start",
            shared="" if spec.dynamics else "SENDS",  # what dynamics keep of a source is moved once
            name=spec.name,
            senders=f"{spec.source}.{spec.carries}",
            dynamics=spec.dynamics or "unchanging",
            dt=adapter.step_length(brian2.defaultclock),
            n_pre=len(source),
            n_post=len(self.groups[spec.target]),
            step=self.counter,
        )

    def arrive(self, step: StepSpec, order: int) -> None:
        """Add what arrives to its port."""
        spec = self.listed.get(step.of) or self.specs[step.of]
        target = self.groups[spec.target]
        port = adapter.array_name(target, spec.port)
        self._add(
            spec.target,
            "arrive",
            order,
            shared="OWN",
            name=spec.name if step.of in self.listed else f"{spec.name}.dendrite",
            port=port,
            size=len(target),
            accumulate=step.accumulate,
            step=self.counter,
        )

    def see(self, step: StepSpec, order: int) -> None:
        """Take what synapses see late."""
        self.pathways[step.of].take(*step.nodes, order)

    def note(self, step: StepSpec, order: int) -> None:
        """Keep what synapses are to see later."""
        self.pathways[step.of].note(*step.nodes, order)

    def outside(self, step: StepSpec, order: int) -> None:
        """Add what a population's background brings to a port."""
        group = self.groups[step.of]
        spec = next(spec for spec in self.program.groups if spec.name == step.of)
        trains = []
        for number in step.trains:
            own, weighted = ("_i" if differs else "0" for differs in spec.trains[number])
            mean, none, most, weight = (
                adapter.array_name(group, f"{name}_{number}") for name in ("mean", "none", "most", "weight")
            )
            trains.append((f"{step.of}.background_{number}", mean, none, most, own, weight, weighted))
        self._add(
            step.of,
            "outside",
            order,
            shared="OWN",
            trains=trains,
            port=adapter.array_name(group, step.nodes[0]),
            size=len(group),
            accumulate=step.accumulate,
            step=self.counter,
            real=adapter.number_type(group, step.nodes[0]),
        )

    def record(self, step: StepSpec, order: int) -> None:
        """Keep variables and spikes."""
        records, rasters = ([(n, *self._array(step, n)) for n in nodes] for nodes in (step.nodes, step.rasters))
        owner = self.program.groups[0].name
        seldom = [self.specs[s.of] for s in self.program.steps if s.kind == "transmit" and s.only == "recorded"]
        summed = [f"{spec.target}.{spec.port}" for spec in seldom]
        self._add(owner, "record", order, records=records, rasters=rasters, seldom=summed, step=self.counter)

    def monitor(self, step: StepSpec, order: int) -> None:
        """Keep every spike, and what traces ask for: taken here, written as the step ends."""
        spikes = list(zip(step.rasters, step.nodes, strict=True))
        owners = {**self.pathways, **self.groups}
        traced = [
            (node, adapter.array_name(owners[at[0]], at[1]), len(self.groups[at[0]]) if at[0] in self.groups else 0)
            for node, at in step.reads.items()
            if at[0] in owners
        ]
        named = dict.fromkeys(name for name, _ in step.reads.values())
        moving = [self.listed[name] for name in named if name in self.listed]
        owner = self.program.groups[0].name
        if moving:  # before any of them is used in the step
            begins = sum(other.kind in ("restart", "forget") for other in self.program.steps)
            observed = [(spec.name, spec.dynamics, len(self.groups[spec.source])) for spec in moving]
            dt = adapter.step_length(brian2.defaultclock)
            order = 10 * begins + 9
            self._add(owner, "observe", order, observed=observed, dt=dt, real=self.real, step=self.counter)
        if traced:
            shared = "GATHERS" if all(size for _, _, size in traced) else ""
            self._add(owner, "trace", order, traced=traced, step=self.counter, shared=shared)
        self._add(owner, "monitor", order, spikes=spikes, step=self.counter, shared="WATCHES", when="end")

    def _array(self, step: StepSpec, node: str) -> tuple[str, int]:
        """The C++ pointer to a population's variable, and how many values it has."""
        population, variable = step.reads.get(node) or node.split(".")
        return adapter.array_name(self.groups[population], variable), len(self.groups[population])

    def learn(self, step: StepSpec, order: int) -> None:
        """Make one step of a pathway's plasticity rule: its weights, then its traces."""
        spec, pathway = self.specs[step.of], self.pathways[step.of]
        for side, names in (("pre", spec.reads_pre), ("post", spec.reads_post)):
            for name in names:
                pathway.see(side, name)
        if spec.sign == "dale":
            pathway.see("pre", "cell")
        if step.transmits and step.of not in self.rows:
            pathway.transmit(step.accumulate, order - 1, "")
        if step.of in self.blocks:
            pathway.learn_block(self.blocks[step.of], self.factors[step.of], order)
        elif self.lanes > 1:
            pathway.learn_lanes(self.factors[step.of], order)
        elif step.of in self.rows:
            pathway.learn_rows(*self.rows[step.of], order, step.accumulate if step.transmits else None)
        else:
            pathway.learn(order)
        if spec.traces:
            pathway.trace(order + 5)
        if spec.follows_weight:
            pathway.keep_weight(order - 3)

    def apply(self, step: StepSpec, order: int) -> None:
        """Make the changes that were gathered, where a batch ends."""
        if self.lanes > 1:
            self.pathways[step.of].apply_lanes(self.factors[step.of], order)
        else:
            self.pathways[step.of].apply(order)
