"""Turn a program into a Brian2 network and let Brian2 write its C++.

Run as a process of its own (`__main__.py`): Brian2's device,
preferences and clocks are process-wide, and a user's own Brian2 session is not to notice.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import brian2
import numpy as np

from bioFA import units
from bioFA.consumers.brian import adapter
from bioFA.consumers.brian.factors import factorise
from bioFA.consumers.brian.program import GroupSpec, PathwaySpec, Program

UNITS = {unit: brian2.Unit(1) if unit == "1" else getattr(brian2, name) for unit, name in units.BRIAN2.items()}


def generate(program: Program, folder: Path) -> None:
    """Write the C++ project of a program, and `written.json`: which file will hold
    which variable, and how each pathway was compiled."""
    adapter.check_version()
    brian2.set_device("cpp_standalone", build_on_run=False)
    brian2.prefs["codegen.cpp.extra_compile_args"] = []  # bioFA compiles, with flags of its own (cache.py)
    brian2.prefs["codegen.cpp.headers"] = ['"biofa_block.h"', '"biofa_inverse.h"']
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
        pathways[spec.name] = adapter.DensePathway(spec, source, target, dimensions, shared, numbers[spec.name], clock)
    for spec in program.pathways:
        for other, name, index in ((spec.follows, "w_followed", "_turned_idx"), (spec.partner, "w_partner", "_idx")):
            if other:
                adapter.read_weights(pathways[spec.name], name, pathways[other], index)
    how = _order_steps(program, groups, pathways)
    network = brian2.Network(*groups.values(), *(pathway.group for pathway in pathways.values()))
    device = brian2.get_device()
    device.insert_code("before_start", "biofa::stretch().begin(brian::results_dir);")
    device.apply_run_args()  # the parameters of the command line, before the steps are run
    device.insert_code("before_network_run", adapter.own_loop(network, clock))
    network.run(program.dt * brian2.second, namespace={})
    device.insert_code("after_end", "biofa::stretch().end();")
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
    (folder / "written.json").write_text(json.dumps({"arrays": arrays, "pathways": how}))


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
    return brian2.NeuronGroup(spec.size, "\n".join(equations), method=spec.method, name=spec.name, namespace={})


def _order_steps(program: Program, groups: dict[str, Any], pathways: dict[str, Any]) -> dict[str, str]:
    """Give every step of the program its place: all in the slot `start`, so that states advance after them;
    threshold tests come last.

    Returns:
        How each pathway was compiled: `dense`, `blocked` where it works through presentations in blocks, or `events`
        where its matrix is stored by presynaptic neuron.
    """
    specs = {spec.name: spec for spec in program.pathways}
    rates = {spec.name: spec.rate for spec in program.pathways if spec.equations}
    factors = {
        spec.name: factorise(rates[spec.name], {*spec.parameters, "T", "dt"})
        for spec in program.pathways
        if spec.may_block and spec.equations
    }
    blocks = {
        spec.name: f"biofa::block<{pathways[spec.name].sizes['real']}, {number}>()"
        for number, spec in enumerate(program.pathways)
        if spec.may_block and factors.get(spec.name, "fixed") is not None
    }
    clock = brian2.defaultclock
    for order, step in zip(range(0, 10 * len(program.steps), 10), program.steps, strict=True):
        if step.kind == "show" and step.of in specs:
            pathways[step.of].show(order)
        elif step.kind == "invert":
            pathways[step.of].invert(pathways[specs[step.of].inverse_of], order)
        elif step.kind == "show":
            group = groups[step.of]
            group.contained_objects.append(
                adapter.Runner(
                    group,
                    "show",
                    order,
                    size=len(group),
                    step=adapter.step_counter(clock),
                    rates=adapter.array_name(group, step.nodes[0]),
                    name=step.of,
                )
            )
        elif step.kind == "draw":
            group = groups[step.of]
            arrays = [adapter.array_name(group, variable) for variable in step.nodes]
            group.contained_objects.append(
                adapter.Runner(
                    group, "draw", order, arrays=arrays, size=len(group), step=adapter.step_counter(clock), name=step.of
                )
            )
        elif step.kind == "clock":
            group = groups[step.of]
            told = {
                "time": adapter.array_name(group, "time"),
                "step": adapter.step_counter(clock),
                "dt": adapter.step_length(clock),
            }
            group.contained_objects.append(adapter.Runner(group, "clock", order, **told))
        elif step.kind == "restart" and step.of in specs:
            pathways[step.of].restart(step.values, order)
        elif step.kind == "restart":
            group = groups[step.of]
            values = [(adapter.array_name(group, variable), value) for variable, value in step.values.items()]
            group.contained_objects.append(
                adapter.Runner(
                    group, "restart", order, values=values, size=len(group), step=adapter.step_counter(clock)
                )
            )
        elif step.kind == "test":
            group = groups[step.of]
            group.contained_objects.append(
                adapter.Runner(group, "stateupdate", order, "\n".join(step.statements), when="thresholds")
            )
        elif step.kind == "evaluate":
            group = groups[step.of]
            for name, (population, variable) in step.reads.items():
                adapter.refer(group, name, groups[population], variable)
            group.contained_objects.append(
                adapter.Runner(
                    group,
                    "look" if step.only else "stateupdate",
                    order,
                    "\n".join(step.statements),
                    only=step.only,
                    step=adapter.step_counter(clock),
                )
            )
        elif step.kind == "transmit":
            spec = specs[step.of]
            if step.of in blocks:
                pathways[step.of].transmit_block(blocks[step.of], spec.port, step.accumulate, order)
            else:
                pathways[step.of].transmit(
                    spec.carries, spec.port, spec.transposed, step.accumulate, bool(spec.follows), order, step.only
                )
        elif step.kind == "record":
            owner = groups[program.groups[0].name]
            records, rasters = (
                [(node, *_array(groups, node)) for node in nodes] for nodes in (step.nodes, step.rasters)
            )
            owner.contained_objects.append(
                adapter.Runner(
                    owner, "record", order, records=records, rasters=rasters, step=adapter.step_counter(clock)
                )
            )
        elif step.kind == "apply":
            pathways[step.of].apply(order)
        else:
            spec = specs[step.of]
            for side, names in (("pre", spec.reads_pre), ("post", spec.reads_post)):
                for name in names:
                    pathways[step.of].see(side, name)
            if spec.sign == "dale":
                pathways[step.of].see("pre", "cell")
            if step.of in blocks:
                pathways[step.of].learn_block(blocks[step.of], factors[step.of], order)
            else:
                pathways[step.of].learn(rates[step.of], order)
            if spec.traces:
                pathways[step.of].trace(order + 5)
            if spec.follows_weight:
                pathways[step.of].keep_weight(order - 3)
    return {name: "blocked" if name in blocks else "events" if specs[name].by_pre else "dense" for name in pathways}


def _array(groups: dict[str, Any], node: str) -> tuple[str, int]:
    """The C++ pointer to a population's variable, and how many values it has."""
    population, variable = node.split(".")
    return adapter.array_name(groups[population], variable), len(groups[population])
