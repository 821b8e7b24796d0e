"""Spikes, traces, trials, and weights at the snapshots, in an NWB file, for sharing beside recordings.

    units                     one row a neuron: spike_times (s, the middle of their steps), obs_intervals (all of it),
                              population, neuron
    trials                    start_time, stop_time, example, target, answer, label, correct (`trials.py`)
    processing/simulation     a TimeSeries for each watched variable of the sampled neurons
    processing/learning       TimeSeries over the time of learning: `nse`, and `alignment_of_<pathway>` in degrees
    scratch/<pathway>         weights at the snapshots (snapshots, n_post, n_pre); `snapshots_at` the presentations
    source_script             the model file, TOML

Of a run in which time passes without a task: `units` of the neurons whose spikes were recorded, each spike at the end
of its step, `trials` one after the other, and processing/simulation the recorded traces, in the units of their
variables, weights in time, and rates.

NWB is for results: nobody runs a model from it. Everything in it is simulated, and it says so. Potentials have no unit,
since bioFA measures them by the threshold.
"""

from __future__ import annotations

import datetime
import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.equations.dimensions import describe
from bioFA.exchange.base import MODEL, Exported
from bioFA.exchange.format import Format
from bioFA.exchange.trials import trials
from bioFA.modelfiles import toml
from bioFA.runs.result import Result
from bioFA.tasks.nwb_recording import PYNWB

FORMAT = Format(
    "spikes, traces, trials and weights at the snapshots for sharing (NWB)",
    ".nwb",
    needs_result=True,
    holds_free=True,
    package=PYNWB,
)

SYNTHETIC = "http://purl.obolibrary.org/obo/NCBITaxon_32630"
"""The taxon 'synthetic construct': archives ask for the species of a subject, and have no word for none."""


def export(result: Result, path: Path) -> Exported:
    """Write the file.

    Raises:
        MissingError: if pynwb is not installed.
        FileError: if the task's data are no longer there.
    """
    pynwb = PYNWB.require("export to NWB")
    file = _file(pynwb, result)
    if result.free:
        _add_monitors(pynwb, file, result)
    else:
        _add_learned(pynwb, file, result)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The file path provided: .* does not end in")
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    return Exported(
        (path,),
        (
            (
                "network and rules: NWB holds recordings; the model file stands in source_script as text, weights in"
                " scratch"
                if not result.free
                else "the network: NWB holds recordings; the model file stands in source_script as text"
            ),
        ),
    )


def _add_monitors(pynwb: Any, file: Any, result: Result) -> None:
    """Recorded spikes, traces and rates, trial after trial."""
    protocol, network = result.experiment.protocol, result.experiment.network
    length, trials = protocol.steps * protocol.step, range(result.presentations)
    begin = result.continued % protocol.steps * protocol.step
    for trial in trials:
        file.add_trial(start_time=trial * length + begin, stop_time=(trial + 1) * length)
    file.add_unit_column(name="population", description="population of the neuron")
    file.add_unit_column(name="neuron", description="number of the neuron in its population")
    for population in result.recorded_spikes:
        for trains in zip(*(result.trains(population, trial) for trial in trials), strict=True):
            times = np.concatenate([trial * length + found for trial, (_, found) in enumerate(trains)])
            file.add_unit(
                spike_times=times,
                obs_intervals=[[begin, len(trials) * length]],
                population=population,
                neuron=trains[0][0],
            )
    if file.units is not None:
        file.units.resolution = protocol.step
    module = file.create_processing_module(name="simulation", description="recorded variables and rates")
    for number, trace in enumerate(result.traces):
        for variable in trace.variables:
            unit = describe(network.population(trace.population).neuron.dimension_of(variable))
            module.add(
                pynwb.TimeSeries(
                    name=f"{trace.population}_{variable}_{number}",
                    data=np.concatenate([trace.read(variable, trial) for trial in trials]),
                    unit="n.a." if unit == "1" else unit,
                    timestamps=np.concatenate([trial * length + trace.times for trial in trials]),
                    description=f"{variable} of the neurons {', '.join(map(str, trace.neurons))} of {trace.population}",
                )
            )
    for number, kept in enumerate(result.synapses):
        times = np.concatenate([trial * length + kept.times for trial in trials])
        for variable in kept.variables:
            unit = describe(network.weight_dimension(network.pathway(kept.pathway))) if variable == "w" else "1"
            ends = ", ".join(f"{j} to {i}" for j, i in zip(kept.pre, kept.post, strict=True))
            what, of = f"{variable} of the synapses of {kept.pathway} that join the neurons {ends}", variable
            if kept.edges is not None:
                what, of, unit = f"synapses of {kept.pathway} between the weights {kept.edges.tolist()}", "counts", "1"
            module.add(
                pynwb.TimeSeries(
                    name=f"{kept.pathway}_{of}_{number}",
                    data=np.concatenate([
                        kept.read(variable, trial) if kept.edges is None else kept.counts(trial) for trial in trials
                    ]),
                    unit="n.a." if unit == "1" else unit,
                    timestamps=times,
                    description=what,
                )
            )
    for population in result.recorded_rates:
        found = [result.rates(population, trial) for trial in trials]
        module.add(
            pynwb.TimeSeries(
                name=f"rate_of_{population}",
                data=np.concatenate([rates for _, rates in found]),
                unit="hertz",
                timestamps=np.concatenate([trial * length + times for trial, (times, _) in enumerate(found)]),
                description=f"spikes a second and neuron of {population}, from the beginning of each bin on",
            )
        )


def _add_learned(pynwb: Any, file: Any, result: Result) -> None:
    """Trials, spikes and traces of the first presentations, the course of learning, and weights."""
    _add_trials(file, result)
    if result.activity is not None:
        _add_activity(pynwb, file, result)
    _add_learning(pynwb, file, result)
    file.add_scratch(
        result.snapshots_at, name="snapshots_at", description="presentations before each snapshot of weights"
    )
    for name, weights in result.snapshots.items():
        file.add_scratch(
            weights,
            name=name.removesuffix(".w"),
            description="weights at the snapshots, (snapshots, postsynaptic, presynaptic)",
        )


def _file(pynwb: Any, result: Result) -> Any:
    started = result.provenance.get("started")
    text = toml.kept(result.experiment)
    identity = f"{text}{result.seed}{result.presentations}{result.backend}"
    return pynwb.NWBFile(
        session_description=(
            f"Simulated: {result.experiment.description or result.experiment.name} (scheme {result.experiment.scheme},"
            f" seed {result.seed})."
        ),
        identifier=hashlib.sha256(identity.encode()).hexdigest(),
        session_start_time=datetime.datetime.fromisoformat(started) if started else datetime.datetime.now(datetime.UTC),
        experiment_description=(
            "A network without a teacher, simulated by bioFA."
            if result.free
            else f"A network that learned for {result.presentations} presentations, simulated by bioFA."
        ),
        subject=pynwb.file.Subject(
            subject_id="simulated",
            description="No animal was used: a simulated network.",
            species=SYNTHETIC,
            sex="U",
            age="P0D",
        ),
        source_script=text,
        source_script_file_name=MODEL,
        was_generated_by=[["bioFA", result.provenance.get("versions", {}).get("bioFA", "unknown")]],
    )


def _add_trials(file: Any, result: Result) -> None:
    found = trials(result)
    columns = {
        "example": ("number of the training example", found.example),
        "target": ("wanted answer", found.target),
        "answer": ("answer at the end of the presentation", found.answer),
        "label": ("class of the example", found.label),
        "correct": ("whether the largest answer is the label's", found.correct),
    }
    known = {name: values for name, (_, values) in columns.items() if values is not None}
    for name in known:
        file.add_trial_column(name=name, description=columns[name][0])
    for row, (start, stop) in enumerate(zip(found.start, found.stop, strict=True)):
        file.add_trial(
            start_time=float(start), stop_time=float(stop), **{name: values[row] for name, values in known.items()}
        )


def _add_activity(pynwb: Any, file: Any, result: Result) -> None:
    activity, protocol = result.activity, result.experiment.protocol
    assert activity is not None
    file.add_unit_column(name="population", description="population of the neuron")
    file.add_unit_column(name="neuron", description="number of the neuron in its population")
    end = activity.presentations * protocol.steps * protocol.step
    for population, spikes in activity.spikes.items():
        for neuron in range(result.experiment.network.population(population).size):
            at = np.sort(spikes[spikes[:, 1] == neuron, 0])
            file.add_unit(
                spike_times=(at + 0.5) * protocol.step, obs_intervals=[[0.0, end]], population=population, neuron=neuron
            )
    file.units.resolution = protocol.step
    module = file.create_processing_module(
        name="simulation", description="variables of sample neurons, with the last weights and learning off"
    )
    for name, course in activity.courses.items():
        population, variable = name.split(".")
        neurons = ", ".join(map(str, activity.sampled[population]))
        module.add(
            pynwb.TimeSeries(
                name=f"{population}_{variable}",
                data=course,
                unit="n.a.",
                starting_time=0.0,
                rate=1 / protocol.step,
                description=(
                    f"{variable} of the neurons {neurons} of {population}; 1 is the threshold's distance from rest"
                    " where it is a potential"
                ),
            )
        )


def _add_learning(pynwb: Any, file: Any, result: Result) -> None:
    length = result.experiment.protocol.steps * result.experiment.protocol.step
    module = file.create_processing_module(
        name="learning", description=f"the course of learning; a presentation lasts {length:g} s"
    )

    def series(name: str, at: Any, values: Any, unit: str, description: str) -> None:
        steps = np.diff(at)
        when = (
            {"starting_time": float(at[0] * length), "rate": 1 / float(steps[0] * length)}
            if len(set(steps)) == 1
            else {"timestamps": at * length}
        )
        module.add(pynwb.TimeSeries(name=name, data=values, unit=unit, description=description, **when))

    series(
        "nse",
        result.recording.at,
        result.learning_curve,
        "n.a.",
        "squared error over the mean power of the targets, before learning from the presentation",
    )
    for pathway, course in result.alignment_course.items():
        series(
            f"alignment_of_{pathway}",
            result.snapshots_at,
            course["alignment"],
            "degrees",
            "angle between the feedback weights and the transposed forward weights",
        )
