"""What is wrong with a run, and with that why nothing was learned: faults that show in what a run leaves behind.

    no_learning      the last answers explain less than a tenth of the variance of the targets
    exploding        the error ended at ten times that of no answer, or of the beginning
    silent           most neurons of a population answer no example
    saturated        nearly all neurons of a population are where their gain is almost 0
    no_error         nothing arrives at the error port of a population that learns from it
    weak_feedback    what arrives is a small part of what the transposed forward weights would carry, and nothing below
                     it moved
    opposed          the fed-back error points away from that of the transpose (angle above 90 degrees)
    rank_deficient   feedback weights pass on fewer directions of the error than they could
    still            nothing was learned, and a pathway that should have hardly moved
    overfitting      the validation error rose while the training error fell
    batch_waits      the changes of the last presentations never reached the weights, since their batch was not full

Looked at are the recording, the first and the last weights, and one pass of the NumPy reference, or of a static
network all at once (`at_once.py`), over at most 50 training examples, with the last weights and learning off. A run
that ended in numbers that are not finite has no result; `Diverged` names it. A check is a function of the `Evidence`,
which yields findings; `CHECKS` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bioFA.consumers.reference import Reference
from bioFA.experiment import STATIC_DT
from bioFA.instance import Instance
from bioFA.network import Network, Node, Pathway
from bioFA.neurons import NeuronModel
from bioFA.neurons.base import Moment
from bioFA.runs import at_once
from bioFA.runs.activity import Activity, activity, watched
from bioFA.runs.result import Finding, Result, late_angles

Array = np.ndarray

EXAMPLES = 50
"""The pass shows at most so many training examples,"""
STEPS = 1000
"""and takes about so many steps."""
EXPLAINED = 0.1
"""Less of the targets' variance explained counts as nothing learned."""
ROUNDING = 1e-12
FEWEST_EVALUATIONS, LATE_EVALUATIONS, RISEN = 5, 2, 1.25
"""Overfitting is looked for in so many evaluations, the best of which is not among so many last ones; a quarter more
than the best is a rise: 360 validation images leave that of a network which has stopped improving some 10 % apart."""
BETTER = 0.8
"""An error rate below this share of that of always answering the most frequent class counts as learned."""
WORSE = 10.0
MOST_UNITS = 0.5
MOST_GAINS = 0.9
LOW_GAIN = 0.01
"""A gain below this share of the largest counts as saturated."""
NOTHING = 1e-12
WEAK = 0.05
HARDLY = 0.01
"""Weights that moved by less than this share of their norm hardly moved."""
MOST_ANGLES = 0.9
FASTEST = 200.0
"""Hz; what is faster is no mean rate of a cortical population."""
SYNCHRONOUS = 0.8
FEWEST_SYNCHRONOUS = 5
LARGEST_RANKED = 1000
"""The rank of a larger matrix is not looked at: it would take longer than the rest."""


@dataclass(frozen=True)
class Evidence:
    """What checks look at. `values[node]` is `(n, size)`: each variable at the end of a presentation,
    with the last weights and learning off.

    `rasters[population]` `(n, steps, size)` are the spikes of the same presentations, where neurons spike, and
    `activity` the same as the result keeps it; `courses[node]` `(n, steps,
    size)` are the errors in every step of these `count` presentations, where the network is not static.
    """

    result: Result
    values: Mapping[str, Array]
    rasters: Mapping[str, Array] = field(default_factory=dict)
    activity: Activity | None = None
    courses: Mapping[str, Array] = field(default_factory=dict)
    count: int = 0

    @property
    def network(self) -> Network:
        """The network that ran."""
        return self.result.experiment.network

    @cached_property
    def answering(self) -> list[str]:
        """The populations through which the input reaches the answer, the answering one last."""
        judge = next(p.name for p in self.network.populations if p.neuron.compares_targets)
        found = list(
            dict.fromkeys(
                [self.network.readout.population, *(p.source for p in self.network.arriving(judge, "prediction"))]
            )
        )
        for population in found:
            found += [
                p.source
                for p in self.network.pathways
                if p.target == population and p.port == "drive" and p.source not in found
            ]
        return [name for name in reversed(found) if self.network.population(name).neuron.shows is None]

    @cached_property
    def mean_answer(self) -> float:
        """NSE of the best constant answer, the share of the targets' power that is variance; 1, that of no answer,
        where that is 0 or not known: targets that are all the same, or spike trains,
        whose distance the circuit measures itself."""
        targets = self.result.targets
        if self.network.measure or self.network.wanted is not None or not targets.any():
            return 1.0
        share = float(np.sum((targets - targets.mean(axis=0)) ** 2) / np.sum(targets**2))
        return share if share > ROUNDING else 1.0

    @property
    def learned(self) -> bool:
        """Whether the run explains a noticeable part of the targets' variance at its end, or classifies far better than
        by the most frequent class; what is not known (NaN, or nothing recorded) counts as learned,
        so that nothing is claimed."""
        metrics = self.result.metrics
        nse = metrics.get("nse", np.nan)
        if not np.isfinite(nse):
            return True
        frequent = self.result.targets.mean(axis=0).max(initial=0.0)
        better = False
        for split in ("validation", "test"):
            if frequent > 0 and f"{split}_error" in metrics:
                # of the split itself, where that is known: its classes may be others than those of training
                balance = self.result.class_balance.get(split, {})
                constant = min(1 - frequent, balance.get("constant_error", 1.0))
                better |= metrics[f"{split}_error"] < BETTER * constant
        return better or nse < (1 - EXPLAINED) * self.mean_answer

    @property
    def window(self) -> str:
        """Describe the presentations that are looked at."""
        protocol = self.result.experiment.protocol
        length = "" if protocol.presentation is None else f" of {protocol.presentation:g} s"
        return f"in the first {self.count} presentations{length}, shown again with the final weights"

    def largest(self, name: str) -> float:
        """The largest absolute value of a variable in the window: over all steps where they were kept,
        else at the end of each presentation."""
        found = self.courses.get(name, self.values.get(name, np.zeros(0)))
        return float(np.abs(found).max(initial=0.0))

    def moved(self, pathway: Pathway) -> float:
        """How far a pathway's weights went, over the norm that they began with;
        infinite where they began at 0 and went anywhere."""
        shots = self.result.snapshots[f"{pathway.name}.w"]
        way, norm = float(np.linalg.norm(shots[-1] - shots[0])), float(np.linalg.norm(shots[0]))
        return way / norm if norm > 0 else np.inf if way > 0 else 0.0

    def firing_rates(self) -> dict[str, float]:
        """The mean firing rate in Hz of each spiking population."""
        return {
            name: float(raster.mean()) / self.result.experiment.protocol.step for name, raster in self.rasters.items()
        }

    def feedback(self) -> list[Pathway]:
        """The measured feedback pathways that do not carry the transpose itself."""
        return [
            p for p in self.network.measured_feedback() if p.weights.shares is None or p.weights.shares != p.stands_for
        ]

    def hears(self, population: str) -> list[Pathway]:
        """The pathways into a population that learn from its error."""
        return [
            p
            for p in self.network.plastic()
            if p.target == population and p.plasticity and "error" in p.plasticity.reads_post
        ]


def gather(result: Result, instance: Instance) -> Evidence:
    """One pass over a few training examples, beside what the run left."""
    ends = [instance.presentations(), *instance.phase_ends()]
    count = min(EXAMPLES, max(1, STEPS // instance.experiment.protocol.steps), *ends)
    if at_once.can_show(instance):
        with np.errstate(all="ignore"):
            return Evidence(result, at_once.show(instance, result.state, instance.training(0, count)), count=count)
    shown = watched(instance.network)
    errors = () if instance.network.is_static() else _errors(instance.network)
    segment = Reference(instance).segment(
        result.state,
        instance.training(0, count),
        learning=False,
        every=1,
        rasters=True,
        watched=tuple(dict.fromkeys((*shown, *errors))),
        recorded=instance.network.order,
    )
    kept = {str(node) for node in shown}
    plotted = replace(segment, courses={name: course for name, course in segment.courses.items() if name in kept})
    return Evidence(result, segment.recording.arrays, segment.rasters, activity(plotted), segment.courses, count)


def _errors(network: Network) -> tuple[Node, ...]:
    """What is looked at in every step, since it may be there in some only:
    errors where they leave and where they arrive."""
    units = [Node(p.name, "r") for p in network.populations if p.neuron.compares_targets and "r" in p.neuron.publishes]
    return (*units, *(Node(p.name, "error") for p in network.populations if network.arriving(p.name, "error")))


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """Everything that the checks find in a finished run, in the order of `CHECKS`."""
    with np.errstate(all="ignore"):  # a run may end with numbers near the largest there are
        return tuple(finding for check in CHECKS for finding in check(evidence))


def check_learning(evidence: Evidence) -> Iterator[Finding]:
    """Nothing learned."""
    if evidence.learned:
        return
    if evidence.network.plastic() and not any(
        _reads_error(evidence.network, pathway) for pathway in evidence.network.plastic()
    ):
        rules = ", ".join(
            dict.fromkeys(p.plasticity.family_name for p in evidence.network.plastic() if p.plasticity is not None)
        )
        yield Finding(
            "no_learning",
            str(evidence.network.readout),
            f"the training NSE is {evidence.result.metrics['nse']:.3g} after {evidence.result.presentations}"
            f" presentations, and no rule here ({rules}) reads an error, so that nothing draws the answer to the"
            " targets: learning for longer would not. Give the pathways into the output a rule that reads an error,"
            " such as delta_rule.",
        )
        return
    answer = "the mean target as the answer to everything" if evidence.mean_answer < 1 else "no answer at all"
    yield Finding(
        "no_learning",
        str(evidence.network.readout),
        f"nothing was learned in {evidence.result.presentations} presentations: the training NSE is"
        f" {evidence.result.metrics['nse']:.3g} at the end, where {answer} would have {evidence.mean_answer:.3g}.",
    )


def check_exploding(evidence: Evidence) -> Iterator[Finding]:
    """An error that grew far beyond that of no answer."""
    if "nse" not in evidence.result.metrics:
        return
    first, last = float(evidence.result.learning_curve[0]), evidence.result.metrics["nse"]
    if last > WORSE * max(1.0, first):
        fastest = max(evidence.network.plastic(), key=evidence.moved)
        largest = float(np.abs(evidence.result.snapshots[f"{fastest.name}.w"][-1]).max())
        yield Finding(
            "exploding", fastest.name,
            f"the weights explode: the training NSE went from {first:.3g} to {last:.3g}, and the largest weight of "
            f"'{fastest.name}' is {largest:.3g}. Lower the learning rate, the initial weights or the feedback weights.",
        )


def check_silent(evidence: Evidence) -> Iterator[Finding]:
    """Neurons that answer nothing."""
    for name in evidence.answering:
        rates = evidence.values.get(f"{name}.r")
        if rates is None or name in evidence.rasters:
            continue
        silent = int((np.abs(rates) <= NOTHING).all(axis=0).sum())
        if silent > MOST_UNITS * rates.shape[1]:
            yield Finding(
                "silent",
                name,
                f"{silent} of {rates.shape[1]} neurons of '{name}' answer none of {len(rates)} training examples, so"
                " nothing passes them and nothing above them learns. Draw larger weights into them, raise their"
                " biases, or lower the learning rate.",
            )


def check_saturated(evidence: Evidence) -> Iterator[Finding]:
    """Neurons whose gain is almost nothing, where the gain matters:
    everywhere but in an output whose error leaves it out."""
    network = evidence.network
    gated = any(p.source == network.readout.population and p.carries == "gain" for p in network.pathways)
    for name in evidence.answering:
        rates, gains = evidence.values.get(f"{name}.r"), evidence.values.get(f"{name}.gain")
        if rates is None or gains is None or (name == network.readout.population and not gated):
            continue
        unit = network.population(name).neuron.rate_unit()
        if unit is None or unit.own_parameters():  # parameters that a neuron draws are not known here
            continue
        low = (gains < LOW_GAIN * _largest_gain(unit)) & (rates != 0)
        if (share := float(low.mean())) > MOST_GAINS:
            yield Finding(
                "saturated",
                name,
                f"the neurons of '{name}' are saturated: in {share:.0%} of their answers the gain is below"
                f" {LOW_GAIN:.0%} of its largest, so an error hardly changes the weights into them. Draw smaller"
                " weights into them, scale the input down, or lower the learning rate.",
            )


def _largest_gain(neuron: NeuronModel) -> float:
    """The largest gain of a unit without state near rest, at a drive of -1, 0 and 1."""
    drives, moment = np.array([-1.0, 0.0, 1.0]), Moment(size=3, dt=STATIC_DT)
    known = dict.fromkeys(neuron.ports, drives)
    for variable in ("r", "gain"):
        known[variable] = neuron.published(variable, {need: known[need] for need in neuron.needs(variable)}, moment)
    return float(known["gain"].max())


def check_spikes(evidence: Evidence) -> Iterator[Finding]:
    """Spiking neurons that never spike, spike faster than cells do, or all at once."""
    network, step = evidence.network, evidence.result.experiment.protocol.step
    for name, raster in evidence.rasters.items():
        size, duration = raster.shape[-1], raster.shape[0] * raster.shape[1] * step
        silent = int((raster.sum(axis=(0, 1)) == 0).sum())
        neuron = network.population(name).neuron
        # errors may well be small
        if neuron.shows is None and not neuron.compares_targets and silent > MOST_UNITS * size:
            yield Finding(
                "silent",
                name,
                f"{silent} of {size} neurons of '{name}' do not spike once in {duration:g} s ({evidence.window}), so"
                " nothing passes them and nothing above them learns. Draw larger weights into them, or raise their"
                " biases.",
            )
        rate = float(raster.mean()) / step
        if rate > FASTEST:
            yield Finding(
                "too_fast",
                name,
                f"the neurons of '{name}' spike at {rate:.0f} Hz in the mean ({evidence.window}), above {FASTEST:g} Hz,"
                " faster than most cells can. Draw smaller weights into them, lower their biases, or lengthen their"
                " refractory period.",
            )
        synchrony = _synchrony(raster)
        if size >= FEWEST_SYNCHRONOUS and synchrony > SYNCHRONOUS:
            yield Finding(
                "synchronous",
                name,
                f"the neurons of '{name}' spike all at once: the synchrony of their spikes is {synchrony:.2f}, where 0"
                " is independent and 1 is as one. Then they say no more than one neuron would. Draw weights that"
                " differ, or give them inputs that do.",
            )


def _synchrony(raster: Array) -> float:
    """chi: the population's fluctuations over those of its neurons, in bins of one step; Golomb & Rinzel (1993), Phys.
    Rev. E 48:4810, eq. 8."""
    spikes = raster.reshape(-1, raster.shape[-1]).astype(float)
    single = float(spikes.var(axis=0).mean())
    return float(np.sqrt(spikes.mean(axis=1).var() / single)) if single > 0 else 0.0


def check_error_arrives(evidence: Evidence) -> Iterator[Finding]:
    """Populations that learn from an error and receive none."""
    network = evidence.network
    mismatch = max(evidence.largest(f"{p.name}.r") for p in network.populations if p.neuron.compares_targets)
    for population in network.populations:
        learning = evidence.hears(population.name)
        if learning and mismatch > 0 and evidence.largest(f"{population.name}.error") <= NOTHING * mismatch:
            arriving = ", ".join(f"'{p.name}'" for p in network.arriving(population.name, "error"))
            yield Finding(
                "no_error",
                population.name,
                f"no error arrives at '{population.name}' {evidence.window}, from which"
                f" {', '.join(repr(p.name) for p in learning)} would learn. Look at the weights of {arriving}, and at"
                " what they carry.",
            )


def check_feedback_size(evidence: Evidence) -> Iterator[Finding]:
    """Feedback that is too small to move what is below it."""
    for pathway in evidence.feedback():
        arrives, transposed = (_size(evidence.values[f"{pathway.target}.{port}"]) for port in ("error", "probe"))
        below = evidence.hears(pathway.target)
        if (
            below
            and NOTHING * transposed < arrives < WEAK * transposed
            and (way := max(map(evidence.moved, below))) < HARDLY
        ):
            yield Finding(
                "weak_feedback",
                pathway.name,
                f"the feedback is too small: '{pathway.name}' brings {arrives / transposed:.2g} of what the transposed"
                f" forward weights would, and the weights into '{pathway.target}' moved by {way:.2g} of their norm."
                " Draw larger feedback weights, or raise the learning rate of the hidden rule.",
            )


def _size(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def check_feedback_angle(evidence: Evidence) -> Iterator[Finding]:
    """Feedback that opposes what the transpose would carry."""
    for pathway in evidence.feedback():
        course = evidence.result.feedback_angles[pathway.name]
        late = course[len(course) - late_angles(len(course)):]
        late = late[np.isfinite(late)]
        if len(late) and np.mean(late > 90) > MOST_ANGLES:
            yield Finding(
                "opposed",
                pathway.name,
                f"what '{pathway.name}' brings points away from what the transposed forward weights would bring: an"
                f" angle of {np.median(late):.0f} degrees, above 90 in {np.mean(late > 90):.0%} of the last {len(late)}"
                " recorded presentations. The forward weights have not turned towards the feedback: learn for longer,"
                " from smaller forward weights, or with other feedback.",
            )


def check_feedback_rank(evidence: Evidence) -> Iterator[Finding]:
    """Feedback weights, of matrices, that lose directions of the error."""
    network, result = evidence.network, evidence.result
    last = {name: shots[-1] for name, shots in result.snapshots.items()}
    measured = evidence.feedback()
    for pathway in network.pathways:
        if (
            pathway.port != "error"
            or pathway.listed
            or pathway.weights.one_to_one
            or pathway.weights.redrawn
            or not (pathway.weights.owns or pathway in measured)
        ):
            continue
        matrix = network.effective(pathway, last)
        full = min(matrix.shape)
        if full > LARGEST_RANKED or not matrix.any() or (rank := int(np.linalg.matrix_rank(matrix))) == full:
            continue
        yield Finding(
            "rank_deficient",
            pathway.name,
            f"the feedback weights of '{pathway.name}' have rank {rank} of {full}: what differs in the other"
            f" {full - rank} directions of the error is the same to '{pathway.target}'.",
        )


def check_still(evidence: Evidence) -> Iterator[Finding]:
    """Pathways that hardly moved, where nothing was learned."""
    for pathway in () if evidence.learned else evidence.network.plastic():
        if (
            _reads_error(evidence.network, pathway)
            and _waiting(evidence, pathway) < evidence.result.presentations
            and (way := evidence.moved(pathway)) < HARDLY
        ):
            yield Finding(
                "still",
                pathway.name,
                f"the weights of '{pathway.name}'"
                f" {f'moved by {way:.2g} of their norm' if way > 0 else 'did not move at all'}. Raise the learning rate"
                " of its rule, or learn for longer.",
            )


def _reads_error(network: Network, pathway: Pathway) -> bool:
    """Whether a rule reads more than activity: what arrives at another port than the drive,
    or what an error unit sends."""
    rule = pathway.plasticity
    read = (
        set(rule.reads_post) & set(network.population(pathway.target).neuron.ports) - {"drive"}
        if rule is not None
        else set()
    )
    return bool(read) or network.population(pathway.source).neuron.compares_targets


def check_overfitting(evidence: Evidence) -> Iterator[Finding]:
    """A validation error that rises while the training error falls."""
    curve, at = evidence.result.learning_curve, evidence.result.recording.at
    rows = [
        (row["presentation"], row["nse"])
        for row in evidence.result.evaluations
        if row["split"] == "validation" and row["nse"] is not None
    ]
    if len(rows) < FEWEST_EVALUATIONS or len(curve) < FEWEST_EVALUATIONS:
        return
    best = int(np.argmin([value for _, value in rows]))
    (when, lowest), (_, last) = rows[best], rows[-1]
    window = max(1, len(curve) // len(rows))
    then, now = curve[at < when][-window:], curve[-window:]
    if best < len(rows) - LATE_EVALUATIONS and len(then) and last > RISEN * lowest and now.mean() < then.mean():
        yield Finding(
            "overfitting",
            str(evidence.network.readout),
            f"the network overfits: its validation NSE was lowest, {lowest:.3g}, after {when} presentations, and is"
            f" {last:.3g} at the end, while the training NSE fell from {then.mean():.3g} to {now.mean():.3g}. Stop"
            " early (protocol.stop = { measure = 'validation_nse', patience = 3 }), or give more examples.",
        )


def _waiting(evidence: Evidence, pathway: Pathway) -> int:
    """How many of the last presentations wait for their batch to be full."""
    return evidence.result.presentations % pathway.learning.batch


def check_batch(evidence: Evidence) -> Iterator[Finding]:
    """Changes that wait for a batch that the run did not fill."""
    done = evidence.result.presentations
    waiting: dict[int, str] = {}
    for pathway in evidence.network.plastic():
        if _waiting(evidence, pathway):
            waiting.setdefault(pathway.learning.batch, pathway.name)
    for batch, name in waiting.items():
        left = done % batch
        reached = (
            "so nothing reached the weights"
            if left == done
            else f"so they did not reach the weights, and {done - left} did"
        )
        yield Finding(
            "batch_waits",
            name,
            f"the changes of the last {left} of {done} presentations wait for their batch of {batch} to be full,"
            f" {reached}. Give a batch that divides the presentations, or continue the run (--after), which makes them"
            " as one longer run would.",
        )


CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    check_learning,
    check_exploding,
    check_silent,
    check_saturated,
    check_spikes,
    check_error_arrives,
    check_feedback_size,
    check_feedback_angle,
    check_feedback_rank,
    check_still,
    check_batch,
    check_overfitting,
)
