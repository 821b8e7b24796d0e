"""What a spiking network becomes on average: its rate network, the convergence to it,
and the angle of its updates to the gradient.

Averaged over a time T, with the weights frozen, what spiking neurons do is what the rate network predicts, up to

    difference(T)^2 = bias^2 + noise^2,     noise proportional to T^slope,     slope = -1/2 for independent spikes

The bias is what averaging cannot take away: a rate curve is no straight line, so the mean rate under a
fluctuating current is not the rate under the mean current, nor the mean of a product the product of means.
It is a measurement, no verdict: in correct networks it is 0.1 to 0.4 of rates, and up to all of errors and changes
after training, since the two networks leave different errors. Whether a rule is right is decided from recorded spikes
(`tests/papers.py`). `rate_network` gives the prediction, `converge` measures slope and bias, `update_angles` compares
what the spikes would change with the gradient of the rate network's loss: at the rate network's own errors, and at
those that the spikes made. Only the second says how an error is turned into changes; the first also how far the two
networks' errors are apart, which training cannot take away and soon is all that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from bioFA.analysis.alignment import angles
from bioFA.consumers.base import Consumer
from bioFA.consumers.reference import Reference
from bioFA.errors import ModelError, NoCounterpart, Unavailable
from bioFA.experiment import Experiment, Phase, Protocol
from bioFA.instance import Feed, Instance, draw
from bioFA.measures.record import Record
from bioFA.network import Network, Pathway
from bioFA.runs.simulation import Progress

Array = np.ndarray
FROZEN = 1e-6
"""Every learning rate is multiplied by this, so that a window's changes tell what would be learned and move nothing."""
SAMPLE = 10e-3
WINDOW, WINDOWS, SETTLING = 50, 128, 40
"""Samples in the shortest window, which must be long beside the time constants; how many windows are measured;
samples before the first."""
LENGTHS = (1, 2, 4, 8)
SLOPE, SLOPE_BOUND = -0.5, 0.1
"""How the noise falls where spikes are independent,
and how far from it a slope may be that was measured from so few windows."""


@dataclass(frozen=True)
class Quantity:
    """One averaged quantity: root mean squares over its neurons or synapses, relative to the prediction's.

    `differences[k]` is the difference to the prediction after `times[k]` seconds, `bias` what is left of
    it after all the time, and `slope` the power of time with which the rest falls.
    """

    name: str
    times: tuple[float, ...]
    differences: tuple[float, ...]
    slope: float
    bias: float

    @property
    def holds(self) -> bool:
        """Whether the noise falls as 1/sqrt(T), to whatever bias."""
        return abs(self.slope - SLOPE) <= SLOPE_BOUND

    def __str__(self) -> str:
        course = (
            f"{self.differences[0]:.3f} after {self.times[0]:g} s, {self.differences[-1]:.3f} after"
            f" {self.times[-1]:g} s"
        )
        return (
            f"  {self.name:<33} {course}; slope {self.slope:.2f}, bias"
            f" {self.bias:.3f}{'' if self.holds else '   SLOPE OUTSIDE ITS BOUNDS'}"
        )


@dataclass(frozen=True)
class RateLimit:
    """How a spiking network compares with its rate network.

    `angles[n]` are the update angles in degrees by pathway after n presentations of training, `own_angles[n]` those to
    the gradient at the errors that the spikes made. Where there is nothing to compare with, `reason` says why, for the
    averages or for the angles.
    """

    quantities: tuple[Quantity, ...] = ()
    angles: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    own_angles: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether the noise of every average falls as 1/sqrt(T); so it is where there are none."""
        return all(quantity.holds for quantity in self.quantities)

    def summary(self) -> dict[str, Any]:
        """What `biofa verify --json` prints of it."""
        averages = {
            q.name: {
                "times_s": q.times,
                "differences": q.differences,
                "slope": q.slope,
                "bias": q.bias,
                "holds": q.holds,
            }
            for q in self.quantities
        }
        return {
            "holds": self.holds, "averages": averages, "bounds": {"slope": [SLOPE - SLOPE_BOUND, SLOPE + SLOPE_BOUND]},
            "update_angles": {str(n): dict(a) for n, a in self.angles.items()},
            "update_angles_at_own_errors": {str(n): dict(a) for n, a in self.own_angles.items()}, "reason": self.reason,
        }

    def __str__(self) -> str:
        lines = []
        if self.quantities:
            lines.append(
                "Against the rate network, weights frozen: difference to its prediction (1 is the size of the"
                f" prediction); slope must be {SLOPE:g} within {SLOPE_BOUND:g}, the bias is what correct spiking"
                " neurons differ by, and has no bound"
            )
            lines += map(str, self.quantities)
        for measured, at in (
            (self.angles, "at its own errors"),
            (self.own_angles, "at the errors that the spikes made"),
        ):
            if measured:
                lines.append(f"Angle between what the spikes would change and the gradient of the rate network, {at}:")
            for pathway in next(iter(measured.values()), {}):
                lines.append(
                    f"  {pathway:<33} "
                    + ", ".join(f"{found[pathway]:.0f} deg after {n} presentations" for n, found in measured.items())
                )
        if self.reason:
            lines.append(f"Not compared with a rate network: {self.reason}")
        return "\n".join(lines)


def compare_with_rates(
    experiment: Experiment,
    seed: int,
    runner: Callable[[Instance], Consumer],
    presentations: int = 1000,
    progress: Progress | None = None,
) -> RateLimit:
    """Train for a while, with the update angle at the beginning, half-way and at the end;
    then freeze the weights and average.

    Args:
        experiment: the spiking experiment.
        seed: of the instance.
        runner: makes a consumer of an instance; `simulation.consumer` bound to a backend.
        presentations: of the training, or one epoch if that is shorter.
        progress: called after every part.
    """
    instance = draw(experiment, seed)
    try:
        _prediction(experiment, instance, _weights(instance.state))
    except ModelError as error:
        return RateLimit(reason=str(error))
    consumer = runner(instance)
    state: Mapping[str, Array] = instance.state
    last = min(presentations, len(instance.data.train))
    measured: dict[int, dict[str, float]] = {}
    own: dict[int, dict[str, float]] = {}
    reason = ""
    for start, stop in pairwise((0, 0, last // 2, last)):
        if stop > start:
            state = consumer.segment(state, instance.training(start, stop), True).state
        try:
            measured[stop], own[stop] = update_angles(experiment, instance, _weights(state), consumer)
        except ModelError as error:
            reason = str(error)
        if progress is not None:
            progress(stop, last, measured.get(stop, {}))
    return RateLimit(converge(experiment, instance, _weights(state), runner), measured, own, reason)


def _weights(state: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array for name, array in state.items() if name.endswith((".w", ".norm", ".gathered"))}


def rate_network(network: Network) -> Network:
    """The same circuit with every spiking or leaky neuron replaced by what it is on average.

    Raises:
        ModelError: if a neuron has no such unit, a pathway carries what no rate unit has,
            or the rate network has a cycle.
    """
    populations = []
    for population in network.populations:
        unit = population.neuron.rate_unit()
        if unit is None:
            raise NoCounterpart(
                f"{type(population.neuron).__name__} of population '{population.name}' has no rate unit."
            )
        populations.append(population.replace(neuron=unit))
    for pathway in network.plastic():
        if pathway.traces():
            raise NoCounterpart(
                f"the rule of pathway '{pathway.name}' keeps traces of single spikes, for which a rate unit has no"
                " counterpart."
            )
    units = {population.name: population.neuron for population in populations}
    return network.replace(populations=tuple(populations), pathways=tuple(_carried(p, units) for p in network.pathways))


def _carried(pathway: Pathway, units: Mapping[str, object]) -> Pathway:
    published = units[pathway.source].publishes  # type: ignore[attr-defined]
    if pathway.carries in published:
        return pathway
    if pathway.carries == "train":
        return pathway.replace(carries="r")
    raise NoCounterpart(
        f"pathway '{pathway.name}' carries '{pathway.carries}', for which a rate unit has no counterpart."
    )


def rate_experiment(experiment: Experiment) -> Experiment:
    """The rate network of an experiment, one presentation a step."""
    return experiment.replace(circuit=rate_network(experiment.network), protocol=Protocol(epochs=1), record=Record())


def converge(
    experiment: Experiment, instance: Instance, state: Mapping[str, Array], runner: Callable[[Instance], Consumer]
) -> tuple[Quantity, ...]:
    """How mean rates, fed-back errors and weight changes of a spiking network approach the rate network's.

    The weights in `state` are frozen and one example is shown all the time.

    Args:
        experiment: the spiking experiment.
        instance: of that experiment, for its data.
        state: weights `(n_post, n_pre)` by `pathway.w`, such as those after some training.
        runner: makes a consumer of an instance; `simulation.consumer` bound to a backend.

    Raises:
        ModelError: if the experiment has no rate network.
    """
    expected = _prediction(experiment, instance, state)
    spiking = experiment.network.spiking()
    ports = [str(node) for node in expected if node.endswith(".error")]
    protocol = experiment.protocol.replace(
        presentation=SAMPLE,
        learning_onset=0.0,
        blank=0.0,
        reset=False,
        epochs=1,
        presentations=None,
        phases=(),
        stop=None,
    )
    held = draw(experiment.replace(protocol=protocol, record=Record(variables=tuple(ports))), instance.seed)
    consumer = runner(held)
    frozen = _weights(state)
    now = {**held.state, **frozen}
    found: dict[str, list[Array]] = {name: [] for name in expected}
    for start, stop in pairwise((0, SETTLING, *range(SETTLING + WINDOW, SETTLING + WINDOW * WINDOWS + 1, WINDOW))):
        segment = consumer.segment(now, _held_feed(held, start, stop), True, every=1, rasters=True)
        now = {**segment.state, **frozen}
        if start == 0:
            continue
        for population in spiking:
            if f"{population.name}.r" in found:
                trains = segment.rasters[population.name].mean(axis=(0, 1)) / (population.neuron.unit() * protocol.step)
                found[f"{population.name}.r"].append(trains)
        for port in ports:
            found[port].append(segment.recording.arrays[port].mean(axis=0))
        for pathway in experiment.network.plastic():
            change = (segment.state[f"{pathway.name}.w"] - frozen[f"{pathway.name}.w"]) / (FROZEN * (stop - start))
            found[f"{pathway.name} change"].append(change.ravel())
    return tuple(_quantity(name, np.array(rows), expected[name]) for name, rows in found.items())


def _held_feed(instance: Instance, start: int, stop: int) -> Feed:
    """The first training example, over and over, at rates that move nothing."""
    feed = instance.training(0, 1)
    rows = {name: np.repeat(row[:1], stop - start) for name, row in feed.rows.items()}
    return replace(feed, presentations=stop - start, rows=rows, start=start, phase=Phase(epochs=1, rate=FROZEN))


def _prediction(experiment: Experiment, instance: Instance, state: Mapping[str, Array]) -> dict[str, Array]:
    """What the rate network says: mean rates, errors that arrive,
    and the change of each plastic pathway in one presentation."""
    network = experiment.network
    for pathway in network.plastic():
        if pathway.learning.gathers:
            raise NoCounterpart(f"pathway '{pathway.name}' gathers its changes, which a window cannot hold apart.")
    rate = rate_experiment(experiment)
    rates = [f"{p.name}.r" for p in network.spiking() if p.neuron.shows is None]
    ports = [f"{p.name}.error" for p in network.spiking() if network.arriving(p.name, "error")]
    held = draw(rate.replace(record=Record(variables=(*rates, *ports))), instance.seed)
    feed = instance.training(0, 1)
    for population in network.populations:
        if (
            population.neuron.shown == "value"
            and population.neuron.shows
            and (feed.tables[population.name][feed.rows[population.name][:1]] < 0).any()
        ):
            raise NoCounterpart(
                f"population '{population.name}' shows negative values, which one population of spikes cannot say."
            )
    before = {**held.state, **{name: array for name, array in state.items() if name in held.state}}
    segment = Reference(held).segment(before, _held_feed(held, 0, 1), True, every=1)
    changes = {
        f"{p.name} change": ((segment.state[f"{p.name}.w"] - before[f"{p.name}.w"]) / FROZEN).ravel()
        for p in network.plastic()
    }
    return {name: segment.recording.arrays[name][0] for name in (*rates, *ports)} | changes


def _quantity(name: str, windows: Array, expected: Array) -> Quantity:
    """Slope and bias of the means over windows `(n, size)`, as parts of the prediction's root mean square."""
    scale = float(np.sqrt((expected**2).mean())) or 1.0
    mean = windows.mean(axis=0)
    noises, differences = [], []
    for length in LENGTHS:
        grouped = windows[: len(windows) // length * length].reshape(-1, length, windows.shape[1]).mean(axis=1)
        noises.append(float(np.sqrt(((grouped - mean) ** 2).sum(axis=0) / (len(grouped) - 1)).mean()))
        differences.append(float(np.sqrt(((grouped - expected) ** 2).mean())) / scale)
    times = tuple(length * WINDOW * SAMPLE for length in LENGTHS)
    slope = float(np.polyfit(np.log(times), np.log(noises), 1)[0])
    return Quantity(name, times, tuple(differences), slope, float(np.sqrt(((mean - expected) ** 2).mean())) / scale)


def update_angles(
    experiment: Experiment, instance: Instance, state: Mapping[str, Array], consumer: Consumer, examples: int = 20
) -> tuple[dict[str, float], dict[str, float]]:
    """The angle in degrees, for each plastic pathway,
    between what the spikes would change and the gradient of the rate network's loss.

    Both are summed over the first training examples, with the weights frozen. First the gradient at the rate network's
    own errors; then at the errors of the spiking network, as recorded at the end of each presentation: the rate network
    is shown targets that leave it with those.

    Raises:
        ModelError: if there is no rate network, or the circuit has no layers, along which backpropagation is laid.
    """
    if experiment.circuit.scheme_class() is None:
        raise Unavailable("only a circuit with layers has a backpropagation scheme to compare with.")
    frozen = Phase(epochs=1, rate=FROZEN)
    readout = str(experiment.network.readout)
    spoken = next(p.name for p in experiment.network.populations if getattr(p.neuron, "of", "") == "targets")
    segment = consumer.segment(
        {**instance.state, **state},
        replace(instance.training(0, examples), phase=frozen),
        True,
        every=1,
        only=(readout,),
    )
    after, answers = segment.state, segment.recording.arrays[readout]
    exact = draw(rate_experiment(experiment.with_scheme("bp")), instance.seed)
    weights = {**exact.state, **{name: array for name, array in state.items() if name in exact.state}}
    feed = replace(exact.training(0, examples), phase=frozen)
    said = str(exact.network.readout)
    own = Reference(exact).segment(weights, feed, True, every=1, only=(said,))
    targets = np.array([feed.tables[spoken][row] for row in feed.rows[spoken]])
    shifted = replace(
        feed,
        tables={**feed.tables, spoken: targets - answers + own.recording.arrays[said]},
        rows={**feed.rows, spoken: np.arange(feed.presentations)},
    )
    theirs = Reference(exact).segment(weights, shifted, True, only=())
    names = [p.name for p in experiment.network.plastic() if f"{p.name}.w" in exact.state]

    def to(descended: Mapping[str, Array]) -> dict[str, float]:
        changes = {
            name: (after[f"{name}.w"] - state[f"{name}.w"], descended[f"{name}.w"] - weights[f"{name}.w"])
            for name in names
        }
        return {
            name: float(angles(spikes.reshape(1, -1), exactly.reshape(1, -1))[0])
            for name, (spikes, exactly) in changes.items()
        }

    return to(own.state), to(theirs.state)
