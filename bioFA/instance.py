"""An instance: an experiment and a seed, with every random number drawn.

Each purpose has its own stream, named, not numbered: `weights/input_to_hidden`, `order/3`.
So adding a pathway leaves all other draws alone, and every scheme sees the same data in the
same order from the same initial weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bioFA import draws
from bioFA.distributions import Distribution
from bioFA.equations.dimensions import FREQUENCY, Dimension
from bioFA.errors import (
    Contradiction,
    ModelError,
    NothingToLearn,
    OutOfRange,
    UnknownName,
    WrongData,
    WrongShape,
    under,
)
from bioFA.experiment import Experiment, Phase
from bioFA.measures.record import SynapseTrace
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.base import TaskSource
from bioFA.neurons.noise_source import NoiseSource
from bioFA.synapses.dynamics import LONG_AGO
from bioFA.tasks import ByteTable, Data, Split, Table

Array = np.ndarray
NO_DATA = Data(Split(np.zeros((0, 0)), np.zeros((0, 0))))
"""The data of an experiment without a task."""
NOISE_BLOCK = 256
"""Noise is drawn in blocks of this many presentations, so that any segment can be drawn alone."""


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The random stream of one purpose under one seed."""
    return np.random.default_rng([seed, *purpose.encode()])


@dataclass(frozen=True)
class Feed:
    """What the sources show in a segment of presentations: `table[row]` for each presentation.

    `tables` maps a source population to a matrix `(n, size)`, or with a time axis `(n, bins, size)`, or a pathway that
    is redrawn to its weights as rows, `rows` to the row shown in each presentation; `start` is the number of the first
    presentation in the whole run, `phase` says which pathways learn and how fast, where the training has phases. `keys`
    maps a population that draws random numbers to the key of its numbers (`bioFA.draws`), and, where it draws several
    by name, `population.name`. `span` are the steps of the one presentation, from the first to before the last, where
    the segment is only a part of it. `courses` maps a source that needs no task to what it shows in each step of a
    presentation, or of `span`, `(steps,)`; `trains` one with given spikes to them: those of step n, counted from the
    first one here, are of the neurons `which[first[n] : first[n + 1]]`, `(first, which)`.
    """

    presentations: int
    tables: Mapping[str, Table]
    rows: Mapping[str, Array]
    start: int = 0
    keys: Mapping[str, int] = field(default_factory=dict)
    phase: Phase | None = None
    span: tuple[int, int] | None = None
    courses: Mapping[str, Array] = field(default_factory=dict)
    trains: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)

    def learns(self, pathway: str) -> bool:
        """Whether a plastic pathway learns in this segment."""
        return self.phase is None or self.phase.learns is None or pathway in self.phase.learns

    @property
    def rate(self) -> float:
        """What every learning rate is multiplied by."""
        return 1.0 if self.phase is None else self.phase.rate

    def recorded(self, every: int) -> Array:
        """The presentations of this segment, counted from its beginning, that the run records:
        every so many of the whole run."""
        return np.arange(-self.start % every, self.presentations, every)


@dataclass(frozen=True)
class Synapses:
    """The listed synapses of a pathway, sorted by presynaptic, then postsynaptic neuron.

    `first` `(n_pre + 1,)` int64: those of presynaptic neuron j are `first[j]` to before `first[j + 1]`; `post`
    `(n_synapses,)` int32 where each arrives; `weights` `(n_synapses,)`, in SI, or `(1,)` where all are alike; `delays`
    in steps, int32, `(n_synapses,)`, or `(1,)` where all are alike; `parameters` those of their dynamics, in SI,
    `(n_synapses,)`, or `(1,)` where all are alike. Where the synapses learn, `weights` are the first ones.
    """

    first: Array
    post: Array
    weights: Array
    delays: Array
    parameters: Mapping[str, Array] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        """How many steps ahead something may be under way, with the one that begins."""
        return int(self.delays.max(initial=0)) + 1

    @property
    def pre(self) -> Array:
        """The presynaptic neuron of each, `(n_synapses,)`, int32."""
        return np.repeat(np.arange(len(self.first) - 1, dtype=np.int32), np.diff(self.first))


@dataclass(frozen=True)
class Chosen:
    """Synapses that are recorded: their places in `pathway.w`, read row by row, or in `pathway.x`, and between which
    neurons each is, `(n,)` each."""

    places: Array
    pre: Array
    post: Array


@dataclass(frozen=True)
class Instance:
    """An experiment with its draws. `state` holds `pathway.w` and traces `(n_post, n_pre)`, `(n_synapses,)` of listed
    synapses that learn, and `population.u` `(size,)`; of listed synapses that do not, `pathway.under_way` `(slots,
    n_post)`: row r is what arrives r steps after the next one begins. Of all others, what they are still to see:
    `pathway.under_way` of what they carry `(longest axonal delay, n_pre)`, `pathway.r_pre` and `pathway.error_post` of
    what else a rule reads, the last row being what was sent in the step before; and `pathway.dendrite` `(slots,
    n_post)`, like `under_way` of listed ones, what is on its way along the dendrites. Of synapses with dynamics
    `pathway.since` `(n_pre,)`, for how many steps each presynaptic neuron has been silent, as the next one begins, and
    `pathway.x` and the like, what each synapse keeps, `(n_synapses,)`.

    `masks[pathway]` `(n_post, n_pre)` says which synapses of a sparse pathway exist; `synapses[pathway]` are those of
    one that lists them; `delays[pathway]` the steps of each part of the delay of one that learns or is a matrix, by
    part, `(1,)`, `(n_post, n_pre)` or `(n_synapses,)`; `constants["population.tau"]` are parameters that may differ
    between neurons, `(size,)`, or `(1,)`; `trains[population]` are step and neuron of all given spikes of a source.
    """

    experiment: Experiment
    seed: int
    data: Data
    state: Mapping[str, Array]
    masks: Mapping[str, Array] = field(default_factory=dict)
    synapses: Mapping[str, Synapses] = field(default_factory=dict)
    delays: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    trains: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """The experiment's network."""
        return self.experiment.network

    @property
    def same_tables(self) -> bool:
        """Whether all presentations show rows of the data, and no noise or weights that are drawn for them."""
        noisy = any(isinstance(population.neuron, NoiseSource) for population in self.network.populations)
        return not noisy and not self.network.redrawn()

    def presentations(self) -> int:
        """How many presentations the training has, or trials, where time passes without a task."""
        if self.experiment.free:
            return self.experiment.protocol.trials
        return self.experiment.protocol.training(len(self.data.train))

    def phase_ends(self) -> list[int]:
        """After how many presentations, or steps of a trial, each phase ends; empty where there are none."""
        return self.experiment.protocol.phase_ends(len(self.data.train))

    @cached_property
    def chosen(self) -> tuple[Chosen, ...]:
        """The synapses that `record.synapses` asks for, in its order.

        Raises:
            ModelError: if no synapse joins a pair that it names.
        """
        found = []
        for number, kept in enumerate(self.experiment.record.synapses if self.experiment.free else ()):
            with under("record", "synapses", number):
                found.append(self._chosen(kept))
        return tuple(found)

    def _chosen(self, kept: SynapseTrace) -> Chosen:
        pathway = self.network.pathway(kept.pathway)
        n_post, n_pre = self.network.shape(pathway)
        if pathway.listed:
            pre, post = self.synapses[pathway.name].pre, self.synapses[pathway.name].post
            places = np.arange(len(post))
        else:
            places = np.flatnonzero(self.masks.get(pathway.name, np.ones((n_post, n_pre), dtype=bool)))
            post, pre = np.divmod(places, n_pre)
        which = np.arange(len(places))
        if kept.sample is not None:
            count = min(kept.sample, len(places))
            which = np.arange(count) * len(places) // max(count, 1)
        if kept.pre is not None:
            which = np.concatenate([np.flatnonzero(pre == j) for j in dict.fromkeys(kept.pre)])
        if kept.pairs is not None:
            joined = [np.flatnonzero((pre == j) & (post == i)) for j, i in kept.pairs]
            for number, ((j, i), some) in enumerate(zip(kept.pairs, joined, strict=True)):
                if not len(some):
                    reached = np.unique(post[pre == j])
                    known = f"{', '.join(map(str, reached[:10]))}{', ...' if len(reached) > 10 else ''}"
                    raise UnknownName(
                        f"SynapseTrace.pairs: '{pathway.name}' has no synapse from neuron {j} to neuron {i} with this"
                        f" seed. Neuron {j} reaches {known or 'none'}.",
                        at=("pairs", number),
                    )
            which = np.concatenate(joined)
        return Chosen(places[which], pre[which].astype(np.int32), post[which].astype(np.int32))

    def order(self, start: int, stop: int) -> Array:
        """Which training example each presentation from `start` to `stop` shows."""
        count = len(self.data.train)
        epochs = range(start // count, -(-stop // count))
        if self.experiment.protocol.shuffle:
            parts = [stream(self.seed, f"order/{epoch}").permutation(count) for epoch in epochs]
        else:
            parts = [np.arange(count) for _ in epochs]
        return np.concatenate(parts)[start - epochs[0] * count :][: stop - start]

    def training(self, start: int, stop: int) -> Feed:
        """The training presentations from `start` to `stop`, all of one phase.

        Raises:
            ValueError: if a phase ends between them.
        """
        return self._in_phase(self.presented(start, stop), start, stop)

    def _in_phase(self, feed: Feed, start: int, stop: int) -> Feed:
        """The same with the phase that it belongs to."""
        ends = self.phase_ends()
        if not ends:
            return feed
        if any(start < end < stop for end in ends):
            raise ValueError(f"a phase ends between {start} and {stop}: its ends are {ends}")
        return replace(
            feed, phase=self.experiment.protocol.phases[next(number for number, end in enumerate(ends) if stop <= end)]
        )

    def presented(self, start: int, stop: int) -> Feed:
        """What the training presentations from `start` to `stop` show, whatever their phases."""
        return self._feed("train", self.order(start, stop), start)

    def passing(self, trial: int, start: int, stop: int) -> Feed:
        """The steps from `start` to before `stop` of one trial, all of one phase, where time passes without a task.

        Raises:
            ValueError: if a phase ends between them.
        """
        return self._in_phase(self._feed("trial", np.arange(1), trial, (start, stop)), start, stop)

    def trial_begins(self, trial: int) -> dict[str, Array]:
        """The state of all neurons, and the traces at synapses, as a trial begins, with nothing under way: first values
        drawn for this trial."""
        return (
            _first_state(self.network, self.seed, trial)
            | _under_way(self.network, self.synapses, self.delays)
            | _first_traces(self.network, self.synapses)
        )

    def evaluation(self, split: str) -> Feed:
        """Every example of a split once, in its order."""
        return self._feed(split, np.arange(len(self.data.splits()[split])), 0)

    def _feed(self, split: str, shown: Array, start: int, span: tuple[int, int] | None = None) -> Feed:
        tables: dict[str, Table] = {}
        rows: dict[str, Array] = {}
        for population in self.network.populations:
            neuron = population.neuron
            if isinstance(neuron, TaskSource):
                tables[population.name] = getattr(self.data.splits()[split], neuron.of)
                rows[population.name] = shown
            elif isinstance(neuron, NoiseSource):
                noise = self._noise(f"noise/{split}/{population.name}", population.size, start, start + len(shown))
                tables[population.name] = neuron.sigma * noise
                rows[population.name] = np.arange(len(shown))
        keys = {
            name: draws.key(self.seed, f"draws/{split}/{name}")
            for population in self.network.populations
            for name in _drawn(population)
        }
        for pathway in self.network.redrawn():
            tables[pathway.name] = self._redrawn(f"weights/{split}/{pathway.name}", pathway, start, start + len(shown))
            rows[pathway.name] = np.arange(len(shown))
        steps = span or (0, self.experiment.protocol.steps)
        courses = {
            population.name: course
            for population in self.network.populations
            if (course := population.neuron.course(self.experiment.protocol.step, *steps)) is not None
        }
        trains = {name: _between(*train, *steps) for name, train in self.trains.items()}
        return Feed(len(shown), tables, rows, start, keys, span=span, courses=courses, trains=trains)

    def _noise(self, purpose: str, size: int, start: int, stop: int) -> Array:
        return self._blocks(purpose, start, stop, lambda rng: rng.standard_normal((NOISE_BLOCK, size)))

    def _redrawn(self, purpose: str, pathway: Pathway, start: int, stop: int) -> Array:
        """A pathway's weights in each presentation, as rows `(n, n_post * n_pre)`."""
        shape, mask = self.network.shape(pathway), self.masks.get(pathway.name)
        return self._blocks(
            purpose,
            start,
            stop,
            lambda rng: np.array([
                _constrained(self.network, pathway, pathway.weights.draw(rng, shape), mask).ravel()
                for _ in range(NOISE_BLOCK)
            ]),
        )

    def _blocks(self, purpose: str, start: int, stop: int, draw_block: Callable[[np.random.Generator], Array]) -> Array:
        """The rows of the presentations from `start` to `stop`, drawn block by block."""
        blocks = range(start // NOISE_BLOCK, -(-stop // NOISE_BLOCK))
        drawn = [draw_block(stream(self.seed, f"{purpose}/{block}")) for block in blocks]
        first = start - blocks[0] * NOISE_BLOCK
        return np.concatenate(drawn)[first : first + stop - start]

    def with_weights(self, weights: Mapping[str, Array]) -> tuple[Instance, list[str]]:
        """The same instance with given weights in place of drawn ones, by `pathway.w`,
        and the names of the pathways that took some.

        Everything else is drawn: neuron state, order, noise, and pathways that nothing is given for.

        Raises:
            ModelError: if a pathway has another shape than its weights, or nothing given has a pathway here.
        """
        taken = [name for name in self.state if name in weights]
        for name in taken:
            if weights[name].shape != self.state[name].shape:
                raise WrongShape(
                    f"pathway '{name.removesuffix('.w')}' has weights of shape {self.state[name].shape} here; those"
                    f" given have {weights[name].shape}. Give weights of a network with the same sizes."
                )
        if not taken:
            ours, given = (
                ", ".join(sorted(n.removesuffix(".w") for n in names if n.endswith(".w"))) or "none"
                for names in (self.state, weights)
            )
            raise UnknownName(f"no pathway here has the name of given weights. Pathways here: {ours}; given: {given}.")
        self._check_promises({name: weights[name] for name in taken})
        state = {**self.state, **{name: np.ascontiguousarray(weights[name], dtype=float) for name in taken}}
        for pathway in self.network.plastic():
            if f"{pathway.name}.w" in taken:
                synapses = self.synapses.get(pathway.name)
                state |= _gathering(self.network, pathway, state[f"{pathway.name}.w"], synapses)
        return replace(self, state=state), [name.removesuffix(".w") for name in taken]

    def continued_from(self, state: Mapping[str, Array], seed: int, presentations: int) -> Instance:
        """The same instance with the whole state of another run that it goes on from, which had `presentations`.

        Raises:
            ModelError: if that run had another seed or other neurons or synapses, or as many presentations as this one.
        """
        if seed != self.seed:
            raise Contradiction(
                f"a run goes on with the draws of the one before, whose seed was {seed}; got seed {self.seed}. Give"
                f" seed {seed}."
            )
        if not self.experiment.free and presentations >= self.presentations():
            raise NothingToLearn(
                f"nothing is left to do: the run before had {presentations} presentations, and the protocol has"
                f" {self.presentations()} in all. Give a longer protocol, such as more epochs."
            )
        for name in sorted({*self.state, *state}):
            ours, given = (which[name].shape if name in which else None for which in (self.state, state))
            if ours != given:
                found = [f"has the shape {shape}" if shape is not None else "is not there" for shape in (ours, given)]
                raise WrongShape(
                    f"'{name}' {found[0]} here, but {found[1]} in the run to go on from. Give the model of that run."
                )
        self._check_promises(state)
        return replace(self, state={name: np.ascontiguousarray(state[name], dtype=float) for name in self.state})

    def _check_promises(self, weights: Mapping[str, Array]) -> None:
        """Refuse given weights that break what the model says of its weights: which synapses exist, their signs,
        their bounds.

        Raises:
            WrongData: naming the pathway, and how many weights are not finite.
            ModelError: naming the pathway, how many weights break which promise, and the first of them.
        """
        for pathway in self.network.pathways:
            given = weights.get(f"{pathway.name}.w")
            if given is None or f"{pathway.name}.w" not in self.state:
                continue
            if not np.isfinite(given).all():
                post, pre = self._ends(pathway, ~np.isfinite(given))
                raise WrongData(
                    f"pathway '{pathway.name}': {np.count_nonzero(~np.isfinite(given))} of {given.size} given weights"
                    f" are not finite; the first goes from neuron {pre} to neuron {post}. Give weights from before they"
                    " diverged."
                )
            synapses = self.synapses.get(pathway.name)
            for broken, promise in _broken(self.network, pathway, given, self.masks.get(pathway.name), synapses):
                if broken.any():
                    post, pre = self._ends(pathway, broken)
                    raise Contradiction(
                        f"pathway '{pathway.name}': {broken.sum()} of {given.size} given weights break what the model"
                        f" says of them, {promise}; the first goes from neuron {pre} to neuron {post}:"
                        f" {given[broken][0]:g}. Give weights that were learned under the same description, or change"
                        " the description."
                    )

    def _ends(self, pathway: Pathway, which: Array) -> tuple[int, int]:
        """The postsynaptic and the presynaptic neuron of the first of some synapses."""
        synapses, first = self.synapses.get(pathway.name), np.argwhere(which)[0]
        return tuple(first) if synapses is None else (synapses.post[first[0]], synapses.pre[first[0]])

    def check_range(self, kind: type[np.floating]) -> None:
        """Refuse numbers that a narrower kind of float would make infinite.

        Raises:
            WrongData: naming the split, its row and the number.
        """
        largest = float(np.finfo(kind).max)
        for split, part in self.data.splits().items():
            for name, table in (("inputs", part.inputs), ("targets", part.targets)):
                array = table.levels if isinstance(table, ByteTable) else table
                if array.size and max(array.max(), -array.min()) > largest:
                    at = np.argwhere(np.abs(array) > largest)[0]
                    raise WrongData(
                        f"the {split} {name} of {type(self.experiment.task).__name__} hold {array[tuple(at)]:g} in row"
                        f" {at[0]}, column {at[-1]}, which {kind.__name__} cannot hold (at most {largest:.3g}). Use"
                        " --precision float64, or scale the data, such as scaling = 'standard'."
                    )

    def data_sha256(self) -> str:
        """A hash of all examples and of all given spikes, to tell whether data on disk have changed."""
        digest = hashlib.sha256()
        for name, split in self.data.splits().items():
            for table in (split.inputs, split.targets, split.labels):
                for part in (
                    (table.bytes, table.levels) if isinstance(table, ByteTable) else () if table is None else (table,)
                ):
                    digest.update(f"{name} {part.dtype} {part.shape}".encode())
                    digest.update(np.ascontiguousarray(part).data)
        for name, train in sorted(self.trains.items()):
            for part in train:
                digest.update(f"{name} {part.dtype} {part.shape}".encode())
                digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def draw(experiment: Experiment, seed: int) -> Instance:
    """Draw every random number of an experiment.

    Args:
        experiment: the description.
        seed: a whole number >= 0.

    Raises:
        ModelError: if the seed is not a whole number >= 0.
        FileError: if data or weights on disk are missing.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise OutOfRange(f"seed must be a whole number from 0 to 2**63 - 1; got {seed!r}. For example: seed = 1.")
    seed = int(seed)
    state, masks = _beginning(experiment.network, seed)
    constants = _constants(experiment.network, seed)
    synapses: dict[str, Synapses] = {}
    delays: dict[str, Mapping[str, Array]] = {}
    for pathway in experiment.network.listed():
        synapses[pathway.name], parts = _listed(experiment, pathway, seed, constants)
        if pathway.plasticity is not None:
            delays[pathway.name] = parts
            state |= _first_weights(experiment.network, pathway, synapses[pathway.name])
    delays |= _delays(experiment, seed, constants)
    state |= _under_way(experiment.network, synapses, delays) | _first_traces(experiment.network, synapses)
    trains, notes = _trains(experiment), _notes(experiment, constants)
    if experiment.task is None:
        data = replace(NO_DATA, notes=notes)
        instance = Instance(experiment, seed, data, state, masks, synapses, delays, constants, trains)
        _ = instance.chosen
        return instance
    data = experiment.task.draw(lambda purpose: stream(seed, purpose))
    if not data.train.targets.any():
        raise NothingToLearn(
            f"the train targets of {type(experiment.task).__name__} are all zero, so there is nothing to learn. Check"
            " the task."
        )
    if notes:
        data = replace(data, notes=(*data.notes, *notes))
    return Instance(experiment, seed, data, state, masks, synapses, delays, constants, trains)


def _notes(experiment: Experiment, constants: Mapping[str, Array]) -> tuple[str, ...]:
    """What sources do not show of what they are given."""
    protocol = experiment.protocol
    return tuple(
        f"population '{population.name}': {note}"
        for population in experiment.network.populations
        for note in population.neuron.notes(
            protocol.step,
            protocol.steps,
            {name.partition(".")[2]: of for name, of in constants.items() if name.startswith(f"{population.name}.")},
        )
    )


def _trains(experiment: Experiment) -> dict[str, tuple[Array, Array]]:
    """The given spikes of every source that has some."""
    found: dict[str, tuple[Array, Array]] = {}
    protocol = experiment.protocol
    for population in experiment.network.populations:
        try:
            trains = population.neuron.trains(population.size, protocol.step, protocol.steps)
        except ModelError as error:
            raise error.prefixed(f"population '{population.name}': ") from None
        if trains is not None:
            found[population.name] = trains
    return found


def _between(steps: Array, neurons: Array, start: int, stop: int) -> tuple[Array, Array]:
    """The spikes from a step to before another, by step: where those of each step begin, and their neurons."""
    first = np.searchsorted(steps, np.arange(start, stop + 1)).astype(np.int64)
    return first - first[0], neurons[first[0] : first[-1]]


def _drawn(population: Population) -> list[str]:
    """For what a population needs random numbers: by its name where they are of one kind, else by name and number."""
    found = [population.name] if population.neuron.draws and not population.neuron.named_draws else []
    found += [f"{population.name}.{name}" for name in population.neuron.draws if population.neuron.named_draws]
    return [*found, *(f"{population.name}.background_{n}" for n in range(len(population.background)))]


def _listed(
    experiment: Experiment, pathway: Pathway, seed: int, constants: Mapping[str, Array]
) -> tuple[Synapses, dict[str, Array]]:
    """The synapses of a pathway that lists them, each with its weight and its delay, and the parts of the delays."""
    network, dt = experiment.network, experiment.protocol.dt
    layer = network.laid_by(pathway)
    assert layer.connect is not None
    _, n_pre = network.shape(pathway)
    place = f"pathway '{pathway.name}'"
    try:
        pairs = layer.connect.draw(stream(seed, f"connect/{layer.name}"), network.laying(pathway, constants))
    except ModelError as error:
        raise error.prefixed(f"{place}: ") from None
    count = len(pairs.pre)
    first_pre, first_post = network.parts(pathway)
    # int32 as the list is, or NumPy would search in a copy of it
    first = np.searchsorted(pairs.pre, np.arange(-first_pre, n_pre + 1 - first_pre, dtype=np.int32)).astype(np.int64)
    dimension = network.weight_dimension(pathway)
    at = network.between(pathway, constants).at(pairs.pre, pairs.post)
    weights = pathway.weights.draw_at(stream(seed, f"weights/{pathway.name}"), at, dimension, f"{place}: weights")
    parts = dict.fromkeys(pathway.delay.parts(), np.zeros(1, dtype=np.int32))
    if dt is not None and not pathway.delay.none:
        parts = pathway.delay.draw(stream(seed, f"delay/{pathway.name}"), count, dt, f"{place}: delay", at)
    if pairs.order is not None:
        weights = weights if len(weights) == 1 or not pathway.weights.given else weights[pairs.order]
        given = pathway.delay.parts()
        parts = {name: part[pairs.order] if given[name].given else part for name, part in parts.items()}
    delays = sum(parts.values(), np.zeros(1, dtype=np.int32))
    parameters: dict[str, Array] = {}
    for name, (distribution, of) in (pathway.dynamics.own_parameters() if pathway.dynamics else {}).items():
        rng = stream(seed, f"dynamics/{pathway.name}.{name}")
        values = distribution.draw_at(rng, at, of, f"{place}: dynamics.{name}")
        parameters[name] = values if pairs.order is None or not distribution.given else values[pairs.order]
    post = pairs.post if not first_post else pairs.post + np.int32(first_post)
    made = Synapses(first, post, weights, delays, parameters)
    if pathway.sign != "any" or network.signs(pathway) is not None or pathway.learning.bounded:
        each = weights if network.signs(pathway) is None else np.broadcast_to(weights, count)
        weights = _constrained(network, pathway, each, None, made)
    return replace(made, weights=weights), parts


def _delays(
    experiment: Experiment, seed: int, constants: Mapping[str, Array]
) -> dict[str, Mapping[str, Array]]:
    """The parts of the delays of matrices, in steps."""
    dt = experiment.protocol.dt
    found: dict[str, Mapping[str, Array]] = {}
    for pathway in experiment.network.pathways:
        if dt is None or pathway.listed or pathway.delay.none:
            continue
        shape = experiment.network.shape(pathway)
        rng, place = stream(seed, f"delay/{pathway.name}"), f"pathway '{pathway.name}': delay"
        at = None
        if any(part.pairwise for part in pathway.delay.parts().values()):
            post, pre = (axis.ravel() for axis in np.indices(shape))
            at = experiment.network.between(pathway, constants).at(pre, post)
        parts = pathway.delay.draw(rng, shape[0] * shape[1], dt, place, at)
        found[pathway.name] = {
            name: part if pathway.delay.parts()[name].alike else part.reshape(shape) for name, part in parts.items()
        }
    return found


def _under_way(
    network: Network, synapses: Mapping[str, Synapses], delays: Mapping[str, Mapping[str, Array]]
) -> dict[str, Array]:
    """What is under way before the first step, nothing, and what synapses with dynamics keep: they are at rest."""
    found: dict[str, Array] = {}
    for pathway in network.pathways:
        n_post, n_pre = network.shape(pathway)
        if pathway.fixed_list:
            found[f"{pathway.name}.under_way"] = np.zeros((synapses[pathway.name].slots, n_post))
        elif pathway.name in delays:
            longest = {name: int(part.max(initial=0)) for name, part in delays[pathway.name].items()}
            for key, (side, _) in pathway.seen_late.items():
                part, size = ("axonal", n_pre) if side == "pre" else ("dendritic", n_post)
                found[key] = np.zeros((max(longest[part], 1), size))
            if pathway.late("post"):
                found[f"{pathway.name}.dendrite"] = np.zeros((longest["dendritic"] + 1, n_post))
        if pathway.dynamics is not None:
            found[f"{pathway.name}.since"] = np.full(n_pre, LONG_AGO)
            for variable, value in pathway.dynamics.keeps.items():
                found[f"{pathway.name}.{variable}"] = np.full(len(synapses[pathway.name].post), value)
    return found


def _constants(network: Network, seed: int) -> dict[str, Array]:
    """The parameters that may differ between neurons, and rate and weight of their background."""
    found: dict[str, Array] = {}
    for population in network.populations:
        drawn = {name: (*given, population.size) for name, given in population.neuron.own_parameters().items()}
        for number, background in enumerate(population.background):
            dimension = population.neuron.dimension_of(background.port)
            drawn[f"background_{number}_rate"] = (background.rate, FREQUENCY, population.size)
            drawn[f"background_{number}_weight"] = (background.weight, dimension, population.size)
        for name, (distribution, dimension, size) in drawn.items():
            place = f"{population.name}.{name}"
            found[place] = _constant(place, distribution, dimension, size, seed)
    return found


def _constant(place: str, distribution: Distribution, dimension: Dimension, size: int, seed: int) -> Array:
    """One parameter of a population, `(size,)`, or `(1,)` where all neurons have the same."""
    rng = stream(seed, f"parameters/{place}")
    return distribution.draw(rng, 1 if distribution.alike else size, dimension, place)


def _first_state(network: Network, seed: int, trial: int) -> dict[str, Array]:
    """The state of all neurons as a trial begins."""
    state: dict[str, Array] = {}
    for population in network.populations:
        neuron = population.neuron
        for variable, value in neuron.state.items():
            state[f"{population.name}.{variable}"] = np.full(population.size, value)
        for variable, parameter in neuron.begins_as().items():
            distribution, dimension = neuron.own_parameters()[parameter]
            values = _constant(f"{population.name}.{parameter}", distribution, dimension, population.size, seed)
            state[f"{population.name}.{variable}"] = np.full(population.size, values)
        for variable, (distribution, dimension) in neuron.beginnings().items():
            place = f"{population.name}.{variable}"
            rng = stream(seed, f"initial/{neuron.numbers_of(trial)}/{place}")
            state[place] = distribution.draw(rng, population.size, dimension, f"initial value of {place}")
    return state


def _beginning(network: Network, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """The state with which a network begins, and which synapses of its sparse pathways exist."""
    masks = {
        p.name: _mask(p, stream(seed, f"mask/{p.name}").random(network.shape(p)))
        for p in network.owners()
        if p.sparse and not p.zero_is_absent
    } | {
        p.name: p.weights.draw(stream(seed, f"weights/{p.name}"), network.shape(p)) != 0
        for p in network.owners()
        if p.zero_is_absent
    }
    state = {
        f"{p.name}.w": _constrained(
            network, p, p.weights.draw(stream(seed, f"weights/{p.name}"), network.shape(p)), masks.get(p.name)
        )
        for p in network.owners()
        if not p.weights.one_to_one and not p.weights.redrawn
    }
    for pathway in (p for p in network.plastic() if not p.listed):
        state |= _gathering(network, pathway, state[f"{pathway.name}.w"])
    return state | _first_state(network, seed, 0), masks


def _first_weights(network: Network, pathway: Pathway, synapses: Synapses) -> dict[str, Array]:
    """The weights with which listed synapses begin to learn, and what they keep beside them."""
    weights = np.array(np.broadcast_to(synapses.weights, len(synapses.post)))
    return {f"{pathway.name}.w": weights} | _gathering(network, pathway, weights, synapses)


def _first_traces(network: Network, synapses: Mapping[str, Synapses]) -> dict[str, Array]:
    """The traces at synapses before anything has reached them."""
    return {
        f"{pathway.name}.{variable}": np.full(
            len(synapses[pathway.name].post) if pathway.listed else network.shape(pathway), value
        )
        for pathway in network.plastic()
        for variable, value in pathway.traces().items()
    }


def identical(first: Experiment, second: Experiment, seed: int) -> bool:
    """Whether two experiments are the same network by construction: they differ in the names of pathways,
    and of the scheme, alone.

    Then all their trajectories from a seed are equal, bit for bit: the populations, and, port by port in their order,
    the pathways that arrive there with their drawn weights, rules and rates; the task and the protocol.
    """
    mine, theirs = first.network, second.network
    if first.task != second.task or first.protocol != second.protocol or mine.wiring() != theirs.wiring():
        return False
    names = dict(zip((p.name for p in mine.by_port()), (p.name for p in theirs.by_port()), strict=True))
    # whose weights, synapses or delays come from the stream of the name
    drawn = (*mine.redrawn(), *mine.listed(), *(pathway for pathway in mine.pathways if not pathway.delay.alike))
    if any(names[pathway.name] != pathway.name for pathway in drawn):
        return False
    return all(
        _equal({_renamed(name, names): array for name, array in ours.items()}, given)
        for ours, given in zip(_beginning(mine, seed), _beginning(theirs, seed), strict=True)
    )


def _renamed(name: str, names: Mapping[str, str]) -> str:
    """The name of an array of a pathway, `pathway` or `pathway.variable`,
    with the name that the pathway has elsewhere."""
    pathway, dot, variable = name.partition(".")
    return f"{names.get(pathway, pathway)}{dot}{variable}"


def _equal(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Whether two sets of arrays have the same names and numbers."""
    return first.keys() == second.keys() and all(np.array_equal(array, second[name]) for name, array in first.items())


def _mask(pathway: Pathway, chances: Array) -> Array:
    """Which synapses exist: each by its chance, or the `fan_in` of each row with the smallest ones."""
    return (
        chances < pathway.density
        if pathway.fan_in is None
        else chances.argsort(axis=1).argsort(axis=1) < pathway.fan_in
    )


def _broken(
    network: Network, pathway: Pathway, weights: Array, mask: Array | None, synapses: Synapses | None = None
) -> list[tuple[Array, str]]:
    """Which weights, `(n_post, n_pre)` or of listed synapses, break each promise of a pathway, and the promise."""
    low, high = pathway.learning.bounds()
    rounding = 1e-6  # float32 holds a bound to 6e-8 of itself
    found = [(
        (weights < low - rounding * abs(low)) | (weights > high + rounding * abs(high)),
        f"learning.low = {low:g} and learning.high = {high:g}",
    )]
    if mask is not None:
        found.append(((weights != 0) & ~mask, f"that {np.count_nonzero(~mask)} synapses are absent"))
    if pathway.sign in ("excitatory", "inhibitory"):
        found.append((weights < 0 if pathway.sign == "excitatory" else weights > 0, f"sign = '{pathway.sign}'"))
    cells = network.signs(pathway)
    if cells is not None:
        cells = cells if synapses is None else cells[synapses.pre]
        found.append((weights * cells < 0, f"Dale's law of '{pathway.source}'"))
    return found


def _gathering(
    network: Network, pathway: Pathway, weights: Array, synapses: Synapses | None = None
) -> dict[str, Array]:
    """What a pathway keeps beside its weights: the changes that wait, of the weights' shape, and the norms to hold,
    `(n_post,)`, of neurons that listed `synapses` do not reach 0.

    Raises:
        ModelError: if weights that are to keep their norm have none.
    """
    kept: dict[str, Array] = {}
    if pathway.learning.gathers:
        kept[f"{pathway.name}.gathered"] = np.zeros_like(weights)
    if pathway.learning.normalised:
        if synapses is None:
            norms = reached = np.linalg.norm(weights, axis=1)
        else:
            n_post, _ = network.shape(pathway)
            norms = np.sqrt(np.bincount(synapses.post, weights**2, minlength=n_post))
            reached = np.where(np.bincount(synapses.post, minlength=n_post) > 0, norms, 1.0)
        kept[f"{pathway.name}.norm"] = norms
        if not reached.all():
            raise Contradiction(
                f"pathway '{pathway.name}': learning.normalised keeps the norm of the weights that enter a neuron, but"
                f" neuron {int(reached.argmin())} begins with none. Draw other weights, or leave normalised out."
            )
    return kept


def _constrained(
    network: Network, pathway: Pathway, weights: Array, mask: Array | None, synapses: Synapses | None = None
) -> Array:
    """Drawn weights with the pathway's sign or those of Dale's law, within its bounds,
    and 0 where there is no synapse."""
    cells = network.signs(pathway)
    if cells is not None:
        fewer = (cells > 0).sum() / max((cells < 0).sum(), 1)  # in balance: sum of excitation = sum of inhibition
        scales = np.where(cells > 0, 1.0, -fewer if fewer > 0 else -1.0)
        weights = np.abs(weights) * (scales if synapses is None else scales[synapses.pre])
    if pathway.sign in ("excitatory", "inhibitory"):
        weights = np.abs(weights) * (1.0 if pathway.sign == "excitatory" else -1.0)
    weights = np.clip(weights, *pathway.learning.bounds())
    return np.ascontiguousarray(weights if mask is None else np.where(mask, weights, 0.0))
