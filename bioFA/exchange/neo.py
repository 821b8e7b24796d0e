"""Spikes, traces, trials and the course of learning as a Neo block, in a NIX file, for Elephant and whatever reads Neo.

    segment `activity`   one SpikeTrain a neuron (annotations population, neuron), spikes in the middle of their steps;
                         one AnalogSignal a watched variable of the sampled neurons; an Epoch `presentations` with what
                         each showed, wanted and answered
    segment `learning`   IrregularlySampledSignals over the time of learning: `nse`;
                         `alignment` of each measured feedback pathway in degrees

Of a run in which time passes without a task: a segment a trial, with one SpikeTrain a neuron whose spikes were
recorded, each at the end of its step, and one AnalogSignal a trace and variable, in its unit, and `rate of
<population>`.

Beside them the NIX file holds the weights of each pathway at the snapshots, a DataArray (snapshots, n_post, n_pre) of
type `biofa.weights` each: Neo has no object for matrices,
and one channel a synapse would take milliseconds and kilobytes for each.

Annotations of the block: model (TOML), scheme, seed, presentations, versions.
Time is in seconds; a static network has 1 ms a presentation, by name.

    import neo, elephant
    block = neo.NixIO("activity.nix", "ro").read_block()
    weights = nixio.File.open("activity.nix", "r").blocks[0].data_arrays["input_to_hidden.w"][:]
    elephant.statistics.mean_firing_rate(block.segments[0].spiketrains[0])
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.equations.dimensions import describe
from bioFA.exchange.base import Exported
from bioFA.exchange.format import Format
from bioFA.exchange.trials import Trials, trials
from bioFA.modelfiles import toml
from bioFA.runs.result import Result
from bioFA.tasks.nix_recording import NEO

FORMAT = Format(
    "spikes, traces, trials and the course of learning as a Neo block (NIX)",
    ".nix",
    needs_result=True,
    holds_free=True,
    package=NEO,
)


def export(result: Result, path: Path) -> Exported:
    """Write the block to a NIX file.

    Raises:
        MissingError: if Neo or nixio is not installed.
    """
    nixio = NEO.require("export to Neo")
    io = NEO.require("export to Neo", "neo.io").NixIO(str(path), "ow")
    try:
        io.write_block(block(result))
    finally:
        io.close()
    with nixio.File.open(str(path), nixio.FileMode.ReadWrite) as file:
        _add_weights(file.blocks[0], result)
    lost = [
        "network and rules: Neo holds recordings; the model stands in the block's annotation 'model' as text, and"
        " weights as arrays of NIX"
    ]
    if result.activity is None and not result.free:
        lost.append("spikes and traces: nobody spikes here; the course of learning is written")
    return Exported((path,), tuple(lost))


def block(result: Result) -> Any:
    """A result as a `neo.Block`, as this file describes.

    Raises:
        MissingError: if Neo is not installed.
    """
    neo = NEO.require("a block of Neo", "neo")
    made = neo.Block(
        name=result.experiment.name,
        description=result.experiment.description or None,
        model=toml.kept(result.experiment),
        scheme=result.experiment.scheme,
        seed=result.seed,
        presentations=result.presentations,
        versions=json.dumps(result.provenance.get("versions", {})),
        software="bioFA",
    )
    if result.free:
        made.segments += [_trial(neo, result, trial) for trial in range(result.presentations)]
        return made
    if result.activity is not None:
        made.segments.append(_activity(neo, result))
    made.segments.append(_learning(neo, result))
    return made


def _trial(neo: Any, result: Result, trial: int) -> Any:
    """What was recorded in a trial."""
    from quantities import Hz, s

    protocol, network = result.experiment.protocol, result.experiment.network
    end = protocol.steps * protocol.step * s
    segment = neo.Segment(name=f"trial {trial}", description="time passes without a task")
    for population in result.recorded_spikes:
        for neuron, times in result.trains(population, trial):
            segment.spiketrains.append(
                neo.SpikeTrain(
                    times * s,
                    t_start=result.continued % protocol.steps * protocol.step * s,
                    t_stop=end,
                    name=f"{population} {neuron}",
                    population=population,
                    neuron=neuron,
                )
            )
    for trace in (trace for trace in result.traces if len(trace.times)):
        for variable in trace.variables:
            dimension = network.population(trace.population).neuron.dimension_of(variable)
            segment.analogsignals.append(
                neo.AnalogSignal(
                    trace.read(variable, trial),
                    units=_unit(describe(dimension)),
                    sampling_period=(trace.times[1] - trace.times[0] if len(trace.times) > 1 else protocol.step) * s,
                    t_start=trace.times[0] * s,
                    name=f"{trace.population}.{variable}",
                    neurons=list(trace.neurons),
                    unit=describe(dimension),
                )
            )
    for kept in (kept for kept in result.synapses if len(kept.times)):
        for variable in kept.variables:
            weight = variable == "w" and kept.edges is None
            unit = describe(network.weight_dimension(network.pathway(kept.pathway))) if weight else "1"
            segment.analogsignals.append(
                neo.AnalogSignal(
                    kept.read(variable, trial) if kept.edges is None else kept.counts(trial),
                    units=_unit(unit),
                    sampling_period=(kept.times[1] - kept.times[0] if len(kept.times) > 1 else protocol.step) * s,
                    t_start=kept.times[0] * s,
                    name=f"{kept.pathway}.{variable if kept.edges is None else 'counts'}",
                    pre=kept.pre.tolist(),
                    post=kept.post.tolist(),
                    unit=unit,
                    **({} if kept.edges is None else {"edges": kept.edges.tolist()}),
                )
            )
    for population, width in result.recorded_rates.items():
        times, rates = result.rates(population, trial)
        segment.analogsignals.append(
            neo.AnalogSignal(
                rates.reshape(-1, 1),
                units=Hz,
                sampling_period=width * s,
                t_start=times[0] * s,
                name=f"rate of {population}",
            )
        )
    return segment


def _unit(name: str) -> Any:
    """A unit of quantities; a plain number where it knows none of that name (the annotation `unit` has it)."""
    from quantities import dimensionless
    from quantities.registry import unit_registry

    try:
        return dimensionless if name == "1" else unit_registry[name]
    except LookupError:
        return dimensionless


def _activity(neo: Any, result: Result) -> Any:
    from quantities import dimensionless, s

    activity, protocol, network = result.activity, result.experiment.protocol, result.experiment.network
    assert activity is not None
    segment = neo.Segment(name="activity", description="with the last weights and learning off")
    end = activity.presentations * protocol.steps * protocol.step * s
    for population, spikes in activity.spikes.items():
        for neuron in range(network.population(population).size):
            at = np.sort(spikes[spikes[:, 1] == neuron, 0])
            train = neo.SpikeTrain(
                (at + 0.5) * protocol.step * s,
                t_start=0 * s,
                t_stop=end,
                name=f"{population} {neuron}",
                population=population,
                neuron=neuron,
            )
            segment.spiketrains.append(train)
    for name, course in activity.courses.items():
        neurons = activity.sampled[name.split(".")[0]].tolist()
        segment.analogsignals.append(
            neo.AnalogSignal(
                course.astype(float),
                units=dimensionless,
                sampling_period=protocol.step * s,
                t_start=0 * s,
                name=name,
                neurons=neurons,
            )
        )
    segment.epochs.append(_epoch(neo, trials(result)))
    return segment


def _epoch(neo: Any, found: Trials) -> Any:
    from quantities import s

    columns: dict[str, Any] = (
        {"example": found.example}
        | {f"target_{n}": column for n, column in enumerate(found.target.T)}
        | {f"answer_{n}": column for n, column in enumerate(found.answer.T)}
    )
    if found.label is not None and found.correct is not None:
        columns |= {"label": found.label, "correct": found.correct.astype(int)}
    return neo.Epoch(
        times=found.start * s,
        durations=(found.stop - found.start) * s,
        labels=np.array([f"example {n}" for n in found.example]),
        name="presentations",
        array_annotations=columns,
    )


def _learning(neo: Any, result: Result) -> Any:
    from quantities import degree, dimensionless, s

    length = result.experiment.protocol.steps * result.experiment.protocol.step
    segment = neo.Segment(name="learning", description=f"{length:g} s a presentation")

    def signal(name: str, at: Any, values: Any, unit: Any, **notes: Any) -> None:
        segment.irregularlysampledsignals.append(
            neo.IrregularlySampledSignal(
                at * length * s, values.reshape(len(at), -1), units=unit, time_units=s, name=name, **notes
            )
        )

    signal("nse", result.recording.at, result.learning_curve, dimensionless)
    for pathway, course in result.alignment_course.items():
        signal(f"alignment of {pathway}", result.snapshots_at, course["alignment"], degree)
    return segment


def _add_weights(block: Any, result: Result) -> None:
    """The weights at the snapshots as arrays of a NIX block, each axis with its name."""
    for name, weights in result.snapshots.items():
        array = block.create_data_array(name, "biofa.weights", data=weights, label="weight")
        array.append_range_dimension([float(at) for at in result.snapshots_at], label="presentation")
        for axis in ("postsynaptic neuron", "presynaptic neuron"):
            array.append_set_dimension().label = axis
