"""An experiment with its draws, and what each of its presentations shows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bioFA import draws
from bioFA.errors import Contradiction, NothingToLearn, UnknownName, WrongData, WrongShape, under
from bioFA.experiment import Experiment
from bioFA.instance.feed import Array, Chosen, Feed, Synapses, stream
from bioFA.instance.first import first_state, first_traces, under_way
from bioFA.instance.promises import broken_promises, constrained, gathering
from bioFA.measures.record import SynapseTrace
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.base import TaskSource
from bioFA.neurons.noise_source import NoiseSource
from bioFA.tasks import ByteTable, Data, Table

NOISE_BLOCK = 256
"""Noise is drawn in blocks of this many presentations, so that any segment can be drawn alone."""


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
            first_state(self.network, self.seed, trial)
            | under_way(self.network, self.synapses, self.delays)
            | first_traces(self.network, self.synapses)
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
                constrained(self.network, pathway, pathway.weights.draw(rng, shape), mask).ravel()
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
                state |= gathering(self.network, pathway, state[f"{pathway.name}.w"], synapses)
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
            mask = self.masks.get(pathway.name)
            for broken, promise in broken_promises(self.network, pathway, given, mask, synapses):
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


def _between(steps: Array, neurons: Array, start: int, stop: int) -> tuple[Array, Array]:
    """The spikes from a step to before another, by step: where those of each step begin, and their neurons."""
    first = np.searchsorted(steps, np.arange(start, stop + 1)).astype(np.int64)
    return first - first[0], neurons[first[0] : first[-1]]


def _drawn(population: Population) -> list[str]:
    """For what a population needs random numbers: by its name where they are of one kind, else by name and number."""
    found = [population.name] if population.neuron.draws and not population.neuron.named_draws else []
    found += [f"{population.name}.{name}" for name in population.neuron.draws if population.neuron.named_draws]
    return [*found, *(f"{population.name}.background_{n}" for n in range(len(population.background)))]
