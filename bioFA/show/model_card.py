"""The model card: an experiment as tables, in the style of Nordlie et al. (2009).

    A summary, B populations, C connectivity, D neuron models, E plasticity, F task, G protocol, H measurements

Everything is read from the description: equations are those that are simulated, and the
mathematics above them the formulae in the part's own docstring.

Source: Nordlie, Gewaltig & Plesser (2009), PLoS Comput. Biol. 5:e1000456, tables 1 to 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bioFA.components import Component, headline, mathematics
from bioFA.experiment import PRESENTED, Experiment
from bioFA.network import Learning, Network, Pathway, Population
from bioFA.rules import PlasticityRule
from bioFA.synapses.connect import Shape
from bioFA.units import as_time

LONGEST = 120
"""Longer values, such as matrices that are given number by number, are cut."""
P = TypeVar("P", bound=Component)


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; a cell of several lines keeps them."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def card(experiment: Experiment) -> list[Table]:
    """All tables of an experiment."""
    network = experiment.network
    return [
        _summary(experiment),
        _populations(network),
        _connectivity(network),
        *_neurons(network),
        *_plasticity(network),
        _task(experiment),
        _protocol(experiment),
        _measurements(experiment),
    ]


def parameters(part: Component) -> list[tuple[str, str, str]]:
    """Every field of a part: name, value, unit; `-` for what is not a quantity."""
    rows = []
    for name, value in part.model_dump(mode="json", exclude_none=True).items():
        if value in ([], {}, ""):
            continue
        unit = type(part).unit_of(name)
        if isinstance(value, str) and unit != "1" and (match := re.fullmatch(r"(\S+) (\S+)", value)):
            rows.append((name, match[1], match[2]))
        else:
            rows.append((name, _value(value), unit if isinstance(value, float) else "-"))
    return rows


def _value(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def _in_words(part: Component) -> str:
    """A part and its values in one line."""
    fields = part.model_dump(mode="json", exclude_none=True)
    return ", ".join([part.family_name, *(f"{name} = {_value(value)}" for name, value in fields.items())])


def _summary(experiment: Experiment) -> Table:
    network, circuit = experiment.network, experiment.circuit
    plastic = network.plastic()
    rows = [
        ("Model", f"{experiment.name}: {experiment.description}" if experiment.description else experiment.name),
        ("Populations", ", ".join(p.name for p in network.populations)),
        ("Topology", circuit.topology()),
        (
            "Learning scheme",
            f"{experiment.scheme}: {headline(scheme)}" if (scheme := circuit.scheme_class()) else experiment.scheme,
        ),
        *(("Note", caveat) for caveat in circuit.caveats()),
        ("Connectivity", f"{len(network.pathways)} pathways, {len(plastic)} of which learn"),
        ("Neuron models", ", ".join(dict.fromkeys(p.neuron.family_name for p in network.populations))),
        ("Plasticity", ", ".join(dict.fromkeys(p.plasticity.family_name for p in plastic if p.plasticity)) or "none"),
        ("Task", _task_line(experiment)),
        (
            "Measurements",
            (
                "declared monitors"
                if experiment.free
                else f"{experiment.network.readout} against the targets; {len(network.measured_feedback())} feedback"
                " pathways against their probes"
            ),
        ),
    ]
    return Table("A  Model summary", ("", ""), rows)


def _populations(network: Network) -> Table:
    lawful = any(p.inhibitory is not None for p in network.populations)
    driven = any(p.background for p in network.populations)
    rows = []
    for p in network.populations:
        cells = p.cells()
        signs = (
            ()
            if not lawful
            else (
                ("any",)
                if cells is None
                else (f"{int((cells > 0).sum())} excitatory, {int((cells < 0).sum())} inhibitory",)
            )
        )
        background = (_background(p),) if driven else ()
        rows.append((p.name, p.neuron.family_name, str(p.size), *signs, *background))
    columns = (*(("Cells (Dale's law)",) if lawful else ()), *(("Background",) if driven else ()))
    return Table("B  Populations", ("Name", "Neuron model", "Size", *columns), rows)


def _in_line(given: Any) -> str:
    """A value of a model file; a table with its name first."""
    if not isinstance(given, dict):
        return _value(given)
    fields = {name: value for name, value in given.items() if (name, value) != ("outside", "redraw")}
    name = [str(fields.pop("name"))] if "name" in fields else []
    return ", ".join([*name, *(f"{field} = {_value(value)}" for field, value in fields.items())])


def _background(population: Population) -> str:
    """The Poisson spikes that reach each neuron of a population from outside."""
    return "; ".join(", ".join(f"{n} {_value(v)}" for n, v in part.model_dump(mode="json").items())
                     for part in population.background) or "-"  # fmt: skip


def _connectivity(network: Network) -> Table:
    rows = []
    for p in network.pathways:
        carried = "" if p.carries == "r" else f" ({p.carries})"
        rows.append((
            p.name, f"{p.source}{carried}", f"{p.target}.{p.port}", _pattern(network, p), _weights(p),
            p.plasticity.family_name if p.plasticity else "fixed", p.stands_for or "-",
        ))
    return Table(
        "C  Connectivity", ("Name", "Source", "Target", "Pattern", "Weights", "Plasticity", "Stands for"), rows
    )


def _pattern(network: Network, pathway: Pathway) -> str:
    """Which neurons are joined, and after which delay."""
    if pathway.delay.none:
        return _joined(network, pathway)
    delay = pathway.model_dump(mode="json")["delay"]
    seen = network.delay_of(pathway)
    return f"{_joined(network, pathway)}; delay {_in_line(delay)}{f'; {seen}' if seen else ''}"


def _joined(network: Network, pathway: Pathway) -> str:
    post, pre = network.shape(pathway)
    if pathway.connect is not None:
        kind, both = pathway.connect.describe(Shape(pre, post, pathway.source == pathway.target)).split(", ", 1)
        fields = pathway.connect.model_dump(mode="json", exclude={"multapses", "autapses"}, exclude_none=True)
        return _in_line({"name": kind, **fields}) + f", {both}"
    if pathway.weights.one_to_one:
        return f"one to one, {post} synapses"
    if pathway.fan_in is not None:
        return f"fan-in {pathway.fan_in}, {post * pathway.fan_in} synapses"
    if pathway.density < 1:
        return f"random, p = {pathway.density:g}, about {post * pre * pathway.density:.0f} synapses"
    return f"all to all, {post * pre} synapses"


def _weights(pathway: Pathway) -> str:
    weights = pathway.weights
    if pathway.listed:
        sign = "" if pathway.sign == "any" else f"; {pathway.sign}"
        return _in_line(pathway.model_dump(mode="json")["weights"]) + sign
    if weights.shares:
        text = f"those of {weights.shares}{', transposed' if weights.transports else ''}"
    elif weights.redrawn:
        text = f"redrawn in every presentation: {_in_words(weights.drawn_from())}"
    else:
        text = _in_words(weights)
    sign = (
        ""
        if pathway.sign == "any"
        else f"; signs of {pathway.stands_for}" if pathway.sign == "concordant" else f"; {pathway.sign}"
    )
    return text + sign


def _groups(parts: Iterable[tuple[str, P]]) -> list[tuple[P, list[str]]]:
    """Equal parts together, each with the names of those that have it."""
    groups: list[tuple[P, list[str]]] = []
    for name, part in parts:
        known = next((names for other, names in groups if type(other) is type(part) and other == part), None)
        if known is None:
            groups.append((part, [name]))
        else:
            known.append(name)
    return groups


def _part_rows(part: Component, equations: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    text = headline(type(part))
    written = mathematics(type(part))
    return [
        *([("description", text, "")] if text else []), *([("mathematics", written, "")] if written else []),
        *((name, equation, "") for name, equation in equations), *parameters(part),
    ]


def _neurons(network: Network) -> list[Table]:
    tables = []
    for neuron, names in _groups((p.name, p.neuron) for p in network.populations):
        equations = [(f"as simulated: {name}", f"{name} = {text}") for name, text in neuron.expressions().items()]
        if dynamics := neuron.dynamics():
            equations.insert(0, ("as simulated: state", f"{_plain(dynamics)}    ({neuron.integration()})"))
        if neuron.ports:
            equations.append(("ports", ", ".join(neuron.ports)))
        tables.append(
            Table(
                f"D  Neuron model {neuron.family_name}: {', '.join(names)}",
                ("Field", "Value", "Unit"),
                _part_rows(neuron, equations),
            )
        )
    return tables


def _plasticity(network: Network) -> list[Table]:
    tables = []
    for rule, names in _groups(
        (p.name, p.plasticity) for p in network.plastic() if isinstance(p.plasticity, PlasticityRule)
    ):
        rows = _part_rows(rule, [("as simulated", _plain(rule.equations))])
        learning = network.pathway(names[0]).learning
        rows += [
            (f"learning.{name}", value, unit) for name, value, unit in parameters(learning) if learning != Learning()
        ]
        tables.append(Table(f"E  Plasticity {rule.family_name}: {', '.join(names)}", ("Field", "Value", "Unit"), rows))
    return tables


def _plain(equations: str) -> str:
    """Equations without what Brian2 wants to be told of them."""
    return "\n".join(re.sub(r"\s*:\s*1(\s*\(.*\))?\s*$", "", line.strip()) for line in equations.strip().splitlines())


def _task_line(experiment: Experiment) -> str:
    task = experiment.task
    return "none: time passes" if task is None else f"{task.family_name}: {headline(type(task))}"


def _task(experiment: Experiment) -> Table:
    task = experiment.task
    if task is None:
        return Table("F  No task", ("Field", "Value", "Unit"), [])
    return Table(f"F  Task {task.family_name}", ("Field", "Value", "Unit"), _part_rows(task, []))


def _protocol(experiment: Experiment) -> Table:
    protocol = experiment.protocol
    rows = parameters(protocol)
    if protocol.free:
        rows = [row for row in rows if row[0] not in PRESENTED]
        learning = ", and learning," if experiment.network.plastic() else ""
        begins = f"from step {protocol.warm_up_steps} on"
        rows.append(("steps", f"{protocol.steps} a trial, measured{learning} {begins}", ""))
    elif protocol.dt is None:
        rows.append(("step", "one step a presentation: every neuron is static", ""))
    else:
        rows.append(("steps", f"{protocol.steps} a presentation, learning from step {protocol.onset_steps} on", ""))
    return Table("G  Protocol", ("Field", "Value", "Unit"), rows)


def _measurements(experiment: Experiment) -> Table:
    if experiment.free:
        return _monitored(experiment)
    every = experiment.record.every
    rows = [
        ("recorded", ", ".join(str(node) for node in experiment.recorded)),
        ("when", "at the end of every presentation" if every == 1 else f"at the end of one presentation in {every}"),
        ("NSE", "sum |target - answer|^2 / sum |target|^2, before learning from the presentation"),
        (
            "alignment angle",
            (
                "between feedback weights B and transposed forward weights W', in degrees: 0 agree, 90 unrelated, 180"
                " oppose"
            ),
        ),
    ]
    return Table("H  Measurements", ("", ""), rows)


def _monitored(experiment: Experiment) -> Table:
    """What a run without a task records and measures."""
    record, spiking = experiment.record, [p.name for p in experiment.network.spiking()]
    rows = [("spikes", ", ".join(spiking if record.spikes is None else record.spikes) or "none")]
    for trace in record.traces:
        every = "every step" if trace.every is None else f"every {as_time(trace.every)}"
        names = ", ".join(f"{trace.population}.{variable}" for variable in trace.variables)
        rows.append(("trace", f"{names} of neurons {', '.join(map(str, trace.neurons))}, {every}"))
    for kept in record.synapses:
        which = "all synapses" if kept.sample is None else f"a sample of {kept.sample:,} synapses"
        which = which if kept.pairs is None else f"{len(kept.pairs)} pairs"
        which = which if kept.pre is None else f"the synapses of presynaptic neurons {', '.join(map(str, kept.pre))}"
        how = f" in {kept.histogram.bins} bins" if kept.histogram is not None else ""
        names = ", ".join(f"{kept.pathway}.{variable}" for variable in kept.variables)
        moves = experiment.network.pathway(kept.pathway).dynamics is not None
        kind = "dynamics in time" if moves else "weights in time"
        rows.append((kind, f"{names} of {which}{how}, every {as_time(kept.every)}"))
    if record.rate_bins is not None:
        rows.append(("rates", f"of {', '.join(spiking)} in bins of {as_time(record.rate_bins.bin)}"))
    rows.append(("measures", "rate, CV of intervals, Fano factor, synchrony and spectrum of every spiking population"))
    rows += [
        ("declared", f"{one.label}{f', {one.better} is better' if one.better is not None else ''}")
        for one in experiment.measures
    ]
    return Table("H  Measurements", ("", ""), rows)
