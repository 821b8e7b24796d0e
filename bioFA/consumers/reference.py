"""The NumPy reference: it defines what one step of a network is. Brian2 is held to it.

Time runs in steps of dt; presentation k covers the steps k K ... k K + K - 1. One step:

  0. Where `Protocol.reset` is on and the step is the first of a presentation, all neurons, and the traces at
     synapses, return to the state that they began with. Weights stay.
  1. Sources show their row of presentation k, or zero in the blank after it; where a task has a time axis,
     the row of this bin, bins being of equal length within the time that is shown. Stateful neurons
     publish functions of the state that they had when the step began: among these is `s`, the
     spikes that the threshold test of the step before found. Neurons that spike by chance
     compare their rate with a number of this step (`bioFA.draws`).
  2. Ports and published variables are computed, each after the ones it depends on
     (`Network.order`): a port is the sum over arriving pathways of W s, where s `(n_pre,)` is
     what the pathway carries and W `(n_post, n_pre)` its weights as they were when the step
     began (`Network.effective`): its own; those drawn for this presentation; the owner's, their
     transpose or pseudo-inverse; or its own magnitudes with another pathway's signs. In a static
     network this is the forward sweep, the error units, and the feedback sweep. With a delay, every synapse
     meets, in this step, what its source sent an axonal delay ago, with the weight that it has now; that reaches the
     port a dendritic delay later.
  3. In the last step of a presentation, before the blank, the recorded variables are taken, so that a
     prediction is recorded before its own example has changed any weight.
  4. Where learning is on (from `learning_onset` into the presentation to its end, not in the blank; where time passes
     without a task, from the end of `warm_up`), every plastic pathway that learns in this phase makes one step of its
     rule, at its learning rate times the phase's, all from the values of 2. Where a pathway gathers changes
     (`Learning`), they wait and are made together in the last step of the last presentation of their batch. Weights of
     a signed pathway, or of a cell under Dale's law, stop at 0, others at their bounds; synapses that a sparse pathway
     lacks do not change; then weights that keep their norm are rescaled. What a rule keeps at each synapse
     (`PlasticityRule.state`, traces) moves after the weight: a weight changes by its traces as they were when the step
     began, which hold everything up to the step before. With a delay, a rule sees at each synapse everything
     presynaptic as it was an axonal delay ago, and everything postsynaptic (its rate and gain, and the error that
     reached it) as it was a dendritic delay ago; before the run, and after a reset, that is 0. Traces of pathways that
     learn in this phase move in every step, also before learning is on and in the blank; without learning they stand
     still.
  5. Stateful neurons advance by one step, from the values of 2. A spiking neuron does it in this
     order: arriving spikes are delivered; the state decays for dt; the threshold is tested; the
     neurons that passed it are reset. So spikes are delivered before the threshold test, a spike
     reaches the next layer one step after its threshold test, and a source's spike in its own step.

     With `Protocol.order = "brian2"` a step is that of Brian2's default schedule (state update, thresholds, synapses,
     resets), cut before the synapses: arriving spikes are delivered, to the state that the test of the step before has
     left; the neurons that passed that test are reset; the state decays for dt; the threshold is tested. Spikes travel
     as long as in the usual order. What differs: a reset also overwrites what arrives in the step in which its spike
     is published; a neuron whose spike is published is refractory to what arrives in that step; the refractory period
     counts the step of the spike itself (`neurons/equations.py`); and what is published, recorded, or read by a rule as
     the step begins is the state before that reset. Only neurons given as equations can be reset in this order.

Nothing here is derived from the Brian2 strings, and nothing here draws a random number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from bioFA import draws
from bioFA.consumers.base import Recording, Segment, one_by_one
from bioFA.instance import Feed, Instance
from bioFA.measures.record import SynapseTrace
from bioFA.network import Network, Node, Pathway, Population
from bioFA.neurons.base import Moment
from bioFA.synapses.dynamics import Dynamics

Array = np.ndarray


class Reference:
    """The NumPy consumer of an instance."""

    name = "numpy"

    def __init__(self, instance: Instance):
        self.network = instance.network
        self.masks = instance.masks
        self.synapses = instance.synapses
        self.delays = instance.delays
        self.single = {p.name: _Single(instance, p) for p in instance.network.pathways if _one_by_one(p)}
        self.first = instance.trial_begins(0)
        self.order = [_Place(instance.network, node) for node in instance.network.order]
        self.stateful = [
            (
                p,
                {variable: f"{p.name}.{variable}" for variable in p.neuron.state},
                {variable: Node(p.name, variable) for variable in (*p.neuron.ports, *p.neuron.publishes)},
            )
            for p in instance.network.populations
            if p.neuron.state
        ]
        self.constants = {
            p.name: {n.partition(".")[2]: a for n, a in instance.constants.items() if n.partition(".")[0] == p.name}
            for p in instance.network.populations
        }
        self.traces, self.chosen = instance.experiment.traced, instance.chosen
        self.kept = instance.experiment.record.synapses if instance.experiment.free else ()
        self.protocol = instance.experiment.protocol
        self.recorded = instance.experiment.recorded
        self.every = instance.experiment.record.every
        self.timing: dict[str, float] = {}
        self.engine: dict[str, object] = {"precision": "float64"}

    def segment(
        self,
        state: Mapping[str, Array],
        feed: Feed,
        learning: bool,
        every: int | None = None,
        only: tuple[str, ...] | None = None,
        rasters: bool = False,
        watched: Sequence[Node] = (),
        extremes: bool = False,
        whole: bool = False,
        recorded: Sequence[Node] | None = None,
    ) -> Segment:
        """Run a segment of presentations.

        Args:
            state: `pathway.w` and `population.<state variable>` at the beginning.
            feed: what the sources show.
            learning: whether plastic pathways learn.
            every: record every so many presentations; the experiment's choice where None.
            only: which of the experiment's recorded variables to keep; all where None.
            rasters: whether to keep every spike of every spiking population.
            watched: ports, published variables and states to keep in every step, a state as the step begins.
            extremes: whether to keep the smallest and largest value, over all steps, of every state and recorded
                variable.
            whole: whether to keep what is watched as float64, not float32.
            recorded: what to record in place of the experiment's variables.

        Returns:
            The state at the end and what was recorded.
        """
        with np.errstate(all="ignore"):  # a run that diverges is refused by `Segment.check_finite`
            known = self.recorded if recorded is None else recorded
            nodes = [node for node in known if only is None or str(node) in only]
            return self._run(state, feed, learning, every or self.every, nodes, rasters, watched, extremes, whole)

    def segments(
        self, state: Mapping[str, Array], points: Sequence[int], feed: Callable[[int, int], Feed]
    ) -> Iterator[Segment]:
        """Run segment after segment, as `Consumer.segments` says."""
        return one_by_one(self, state, points, feed)

    def _run(
        self,
        state: Mapping[str, Array],
        feed: Feed,
        learning: bool,
        every: int,
        nodes: list[Node],
        rasters: bool,
        watched: Sequence[Node],
        extremes: bool,
        whole: bool,
    ) -> Segment:
        state = {name: array.copy() for name, array in state.items()}
        recorded: dict[str, list[Array]] = {str(node): [] for node in nodes}
        spikes: dict[str, list[Array]] = {p.name: [] for p in self.network.spiking()} if rasters else {}
        courses: dict[Node, list[Array]] = {node: [] for node in watched}
        reached: dict[str, tuple[float, float]] = {}
        if extremes:
            _reach(reached, state)
        monitor = _Monitor(self, feed.span)
        plastic = [p.at_rate(feed.rate) for p in self.network.plastic() if feed.learns(p.name)]
        for k in range(feed.presentations):
            shown = {
                f"{p.name}.w": feed.tables[p.name][feed.rows[p.name][k]].reshape(self.network.shape(p))
                for p in self.network.redrawn()
            }
            for step in range(*(feed.span or (0, self.protocol.steps))):
                if step == 0 and self.protocol.reset:
                    state |= self._beginning()
                monitor.begin(state, step)
                moments = {p.name: self._moment(p, feed, k, step) for p in self.network.populations}
                values = self._sweep(state | shown, feed, k, step, moments)
                monitor.look(state, values, step)
                for population, rows in spikes.items():
                    rows.append(values[Node(population, "s")].astype(np.uint8))
                for (population, variable), rows in courses.items():
                    rows.append(
                        self.read(state, values, population, variable).astype(np.float64 if whole else np.float32)
                    )
                due = step == self.protocol.shown_steps - 1
                if due and (feed.start + k) % every == 0:
                    for node in nodes:
                        recorded[str(node)].append(values[node].copy())
                changes: dict[str, Array] = {}
                if learning:
                    on = self.protocol.onset_steps <= step < self.protocol.shown_steps
                    ended = feed.start + k + 1 if due else None
                    changes |= self._learn(state | shown, values, plastic, on, ended)
                self._send(state, shown, values)
                changes |= self._advance(state, values, moments)
                state |= changes
                if extremes:
                    _reach(reached, changes)
                    _reach(reached, {str(node): values[node] for node in nodes})
        sizes = {str(node): self.network.population(node.population).size for node in nodes}
        arrays = {name: np.array(rows).reshape(-1, sizes[name]) for name, rows in recorded.items()}
        raster = {
            name: np.array(rows).reshape(feed.presentations, self.protocol.steps, -1) for name, rows in spikes.items()
        }
        first, last = feed.span or (0, self.protocol.steps)
        course = {
            str(node): np.array(rows).reshape(feed.presentations, last - first, -1)
            for node, rows in courses.items()
        }
        at = feed.recorded(every)
        kept = (monitor.spikes(), monitor.traced(), monitor.synapses())
        return Segment(state, Recording(at, arrays), raster, course, reached, *kept)

    def _beginning(self) -> dict[str, Array]:
        """The state of all neurons, and the traces at synapses, before the first presentation, with nothing under
        way."""
        return {name: array.copy() for name, array in self.first.items()}

    def _moment(self, population: Population, feed: Feed, k: int, step: int) -> Moment:
        """What a population may know of a step beside its state."""
        neuron, size = population.neuron, population.size
        numbers = {}
        for name in neuron.draws if neuron.named_draws else ():
            kind = draws.normal if name in neuron.normal_draws() else draws.uniform
            trial = neuron.numbers_of(feed.start + k)
            numbers[name] = kind(feed.keys[f"{population.name}.{name}"], trial, step, size)
        for number in range(len(population.background)):
            name = f"background_{number}"
            numbers[name] = draws.uniform(feed.keys[f"{population.name}.{name}"], feed.start + k, step, size)
        dt, first = self.protocol.step, feed.span[0] if feed.span is not None else 0
        shown: Array | float = 1.0
        if population.name in feed.courses:
            shown = feed.courses[population.name][step - first]
        elif population.name in feed.trains:
            places, which = feed.trains[population.name]
            shown = np.bincount(which[places[step - first] : places[step - first + 1]], minlength=size).astype(float)
        own, order = self.constants[population.name], self.protocol.order
        return Moment(size, dt, step * dt, own, numbers, shown=shown, order=order)

    def _from_outside(self, population: Population, port: str, moment: Moment) -> Array:
        """What a population's background brings to a port in a step."""
        total = np.zeros(population.size)
        for number, background in enumerate(population.background):
            if background.port == port:
                name = f"background_{number}"
                mean = moment.constants[f"{name}_rate"] * background.count * moment.dt
                total = total + moment.constants[f"{name}_weight"] * draws.poisson(moment.numbers[name], mean)
        return total

    def _put(self, pathway: Pathway, state: Mapping[str, Array], carried: Array) -> None:
        """Put on its way what a step sends over listed synapses.

        Sums run by the step in which something was sent, then by source, then by synapse.
        """
        synapses = self.synapses[pathway.name]
        senders = np.flatnonzero(carried)
        if not len(senders):
            return
        counts = synapses.first[senders + 1] - synapses.first[senders]
        which = np.repeat(synapses.first[senders] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        weights = synapses.weights[which] if len(synapses.weights) > 1 else synapses.weights
        delays = synapses.delays[which] if len(synapses.delays) > 1 else synapses.delays
        if pathway.dynamics is not None:
            weights = weights * self._release(pathway, state, senders, counts, which)
        under_way = state[f"{pathway.name}.under_way"]
        place = delays.astype(np.int64) * under_way.shape[1] + synapses.post[which]
        np.add.at(under_way.reshape(-1), place, weights * np.repeat(carried[senders], counts))

    def _release(
        self, pathway: Pathway, state: Mapping[str, Array], senders: Array, counts: Array, which: Array
    ) -> Array:
        """What the synapses of neurons that spike release, and what they keep after it."""
        dynamics, drawn = pathway.dynamics, self.synapses[pathway.name].parameters
        assert dynamics is not None
        since = state[f"{pathway.name}.since"]
        kept = {variable: state[f"{pathway.name}.{variable}"][which] for variable in dynamics.keeps}
        p = {name: values[which] if len(values) > 1 else values for name, values in drawn.items()}
        released, kept = dynamics.release(kept, p, np.repeat(since[senders], counts) * self.protocol.step)
        for variable, values in kept.items():
            state[f"{pathway.name}.{variable}"][which] = values
        since[senders] = 0.0
        return released

    def present(self, dynamics: Dynamics, pathway: str, state: Mapping[str, Array], which: Array) -> dict[str, Array]:
        """What a spike of this step would find at some synapses with dynamics, by variable."""
        synapses = self.synapses[pathway]
        kept = {variable: state[f"{pathway}.{variable}"][which] for variable in dynamics.keeps}
        p = {name: values[which] if len(values) > 1 else values for name, values in synapses.parameters.items()}
        return dynamics.present(kept, p, state[f"{pathway}.since"][synapses.pre[which]] * self.protocol.step)

    def _send(self, state: dict[str, Array], shown: dict[str, Array], values: Mapping[Node, Array]) -> None:
        """Put on its way what the step sent over pathways of which nothing arrives at once, and let all that is under
        way come nearer by a step; `shown` are the weights drawn for this presentation."""
        for pathway in self.network.pathways:
            if pathway.delayed and pathway.fixed_list:
                self._put(pathway, state, values[Node(pathway.source, pathway.carries)])
            if pathway.sent_last:
                self._to_dendrite(pathway, state | shown, values)
            for key, (side, variable) in pathway.seen_late.items():
                end = pathway.source if side == "pre" else pathway.target
                state[key][0] = self.read(state, values, end, variable)
            for key in {f"{pathway.name}.under_way", f"{pathway.name}.dendrite", *pathway.seen_late}:
                if key in state:
                    state[key] = np.roll(state[key], -1, axis=0)
            if pathway.dynamics is not None:
                state[f"{pathway.name}.since"] += 1.0

    def _transmit(self, pathway: Pathway, state: Mapping[str, Array], values: Mapping[Node, Array]) -> Array:
        """W s of one pathway, s being what it carries, or carried before its delay."""
        if pathway.fixed_list:
            under_way = state[f"{pathway.name}.under_way"]
            if not pathway.delayed:
                self._put(pathway, state, values[Node(pathway.source, pathway.carries)])
            arrived = under_way[0].copy()
            under_way[0] = 0.0
            return arrived
        if pathway.weights.one_to_one and not pathway.listed:
            return pathway.weights.pass_on(values[Node(pathway.source, pathway.carries)])
        if not pathway.late("post"):
            return self._sum(pathway, state, values)
        if not pathway.sent_last:
            self._to_dendrite(pathway, state, values)
        dendrite = state[f"{pathway.name}.dendrite"]
        arrived = dendrite[0].copy()
        dendrite[0] = 0.0
        return arrived

    def _sum(self, pathway: Pathway, state: Mapping[str, Array], values: Mapping[Node, Array]) -> Array:
        """W s of one pathway as its synapses meet s in this step, `(n_post,)`."""
        carried, weights = self._seen(pathway, "pre", pathway.carries, state, values), self._weights(pathway, state)
        if pathway.name not in self.single:
            summed: Array = weights @ carried
            return summed
        single = self.single[pathway.name]
        brought = weights.ravel() * single.at_synapses("pre", carried)
        if not pathway.listed:
            by_row: Array = brought.reshape(weights.shape).sum(axis=1)
            return by_row
        total = np.zeros(single.sizes["post"])
        np.add.at(total, single.post, brought)
        return total

    def _to_dendrite(self, pathway: Pathway, state: Mapping[str, Array], values: Mapping[Node, Array]) -> None:
        """Put on its way along the dendrites what synapses meet in this step."""
        dendrite, after = state[f"{pathway.name}.dendrite"], self.delays[pathway.name]["dendritic"]
        if len(after) == 1 and pathway.late("post") == "one":
            dendrite[after[0]] += self._sum(pathway, state, values)
            return
        single = self.single[pathway.name]
        carried = single.at_synapses("pre", self._seen(pathway, "pre", pathway.carries, state, values))
        np.add.at(dendrite, (after.ravel(), single.post), self._weights(pathway, state).ravel() * carried)

    def _weights(self, pathway: Pathway, state: Mapping[str, Array]) -> Array:
        """The weights with which a pathway transmits, `(n_post, n_pre)` or `(n_synapses,)`."""
        weights: Array = state[f"{pathway.name}.w"] if pathway.listed else self.network.effective(pathway, state)
        return weights

    def _seen(
        self,
        pathway: Pathway,
        side: str,
        variable: str,
        state: Mapping[str, Array],
        values: Mapping[Node, Array],
    ) -> Array:
        """A variable of the source (`pre`) or target (`post`) as synapses see it, after that side's delay.

        `(n_pre,)` or `(n_post,)`, or, where they have delays of their own, `(n_synapses,)`, those of a matrix row by
        row.
        """
        end = pathway.source if side == "pre" else pathway.target
        late = pathway.late(side)
        if not late:
            return self.read(state, values, end, variable)
        key = next(key for key, seen in pathway.seen_late.items() if seen == (side, variable))
        past: Array = state[key]
        if late == "one":
            return past[0]
        part = "axonal" if side == "pre" else "dendritic"
        steps, single = self.delays[pathway.name][part].ravel(), self.single[pathway.name]
        neurons = single.pre if side == "pre" else single.post
        if pathway.delay.least[part] > 0:  # nothing is seen at once, and may not be known yet
            return past[len(past) - steps, neurons]
        known = np.vstack([past, self.read(state, values, end, variable)])
        return known[len(past) - steps, neurons]

    def _sweep(
        self, state: Mapping[str, Array], feed: Feed, k: int, step: int, moments: Mapping[str, Moment]
    ) -> dict[Node, Array]:
        """All ports and published variables of one step."""
        values: dict[Node, Array] = {}
        for place in self.order:
            node, population = place.node, place.population
            neuron = population.neuron
            if place.is_port:
                total = np.zeros(population.size)
                for pathway in place.arriving:
                    total = total + self._transmit(pathway, state, values)
                if population.background:
                    total = total + self._from_outside(population, node.variable, moments[population.name])
                values[node] = total
            elif node.variable == neuron.shown and population.name in feed.tables:
                values[node] = self._shown(feed, population, k, step)
            elif neuron.shows == "one":
                values[node] = np.ones(population.size)
            else:
                needs: dict[str, Array | float] = {}
                for need, key, before in place.needs:
                    if key is not None:
                        needs[need] = state[key]
                    elif before is not None:
                        needs[need] = values[before]
                    else:
                        needs[need] = self._other(population, need, feed, k, step)
                values[node] = neuron.published(node.variable, needs, moments[population.name])
        return values

    def _shown(self, feed: Feed, population: Population, k: int, step: int) -> Array:
        """What a source shows in a step of presentation k: its row, or that of this bin, or zero in the blank."""
        if step >= self.protocol.shown_steps:
            return np.zeros(population.size)
        table, row = feed.tables[population.name], feed.rows[population.name][k]
        return table[row] if len(table.shape) == 2 else table[row, step * table.shape[1] // self.protocol.shown_steps]

    def _other(self, population: Population, need: str, feed: Feed, k: int, step: int) -> Array | float:
        """What a published variable needs beside states and what was computed before it: dt, the time, or a random
        number."""
        if need == "dt":
            return self.protocol.step
        if need == "time":
            return step * self.protocol.step
        return draws.uniform(feed.keys[population.name], feed.start + k, step, population.size)

    def _learn(
        self,
        state: Mapping[str, Array],
        values: Mapping[Node, Array],
        plastic: Sequence[Pathway],
        on: bool,
        ended: int | None,
    ) -> dict[str, Array]:
        """Weights and traces after one step of plasticity.

        `plastic`: the pathways that learn in this phase, at its rate. `on`: whether weights change in this step.
        `ended`: how many presentations end with it, or None where none does.
        """
        changed: dict[str, Array] = {}
        for pathway in (p for p in plastic if on or p.traces()):
            rule = pathway.plasticity
            assert rule is not None
            pre = {
                v: self._seen(pathway, "pre", at, state, values)
                for v, at in zip(rule.reads_pre, pathway.reads_pre(), strict=True)
            }
            post = {v: self._seen(pathway, "post", v, state, values) for v in rule.reads_post}
            synapses = {variable: state[f"{pathway.name}.{variable}"] for variable in ("w", *rule.state)}
            if rule.needs_partner:
                synapses["w_partner"] = state[f"{pathway.partner}.w"]
            new = self._change(pathway, synapses, pre, post)
            exists = self.masks.get(pathway.name, True)
            changed |= {
                f"{pathway.name}.{variable}": np.where(exists, new.pop(variable), synapses[variable])
                for variable in rule.state
            }
            if not on:
                continue
            if pathway.learning.gathers:
                gathered = state[f"{pathway.name}.gathered"] + new["w"] - synapses["w"]
                new = self._gather(pathway, synapses["w"], gathered, ended)
            new["w"] = self._constrain(pathway, state[f"{pathway.name}.w"], new["w"])
            if pathway.learning.normalised and not np.array_equal(new["w"], synapses["w"]):
                new["w"] = self._rescaled(pathway, new["w"], state[f"{pathway.name}.norm"])
            changed |= {f"{pathway.name}.{variable}": array for variable, array in new.items()}
        return changed

    def _change(
        self, pathway: Pathway, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array]
    ) -> dict[str, Array]:
        """What a rule makes of the synapses of a pathway in a step.

        A rule's own step is of a tissue in which all meet all. Where synapses are listed, or see their neurons after
        delays of their own, those that see the same of one postsynaptic neuron are a tissue of that one neuron.
        """
        rule, dt, T = pathway.plasticity, self.protocol.step, self.protocol.learning_time
        assert rule is not None
        if pathway.name not in self.single:
            return rule.step(synapses, pre, post, dt, T)
        single = self.single[pathway.name]
        pre = {name: single.at_synapses("pre", values) for name, values in pre.items()}
        post = {name: single.at_synapses("post", values) for name, values in post.items()}
        flat = {name: values.ravel() for name, values in synapses.items()}
        new = {name: np.empty_like(flat[name]) for name in ("w", *rule.state)}
        for which in single.tissues:
            found = rule.step(
                {name: values[np.newaxis, which] for name, values in flat.items()},
                {name: values[which] for name, values in pre.items()},
                {name: values[which[:1]] for name, values in post.items()},
                dt,
                T,
            )
            for name, values in found.items():
                new[name][which] = values[0]
        return {name: values.reshape(synapses["w"].shape) for name, values in new.items()}

    def _rescaled(self, pathway: Pathway, weights: Array, norm: Array) -> Array:
        """Weights of which those that enter a neuron have a norm, `(n_post,)`."""
        if not pathway.listed:
            length = np.linalg.norm(weights, axis=1)
            scale = np.divide(norm, length, out=np.ones_like(length), where=length > 0)
            return scale[:, np.newaxis] * weights
        post = self.single[pathway.name].post
        length = np.sqrt(np.bincount(post, weights**2, minlength=len(norm)))
        return weights * np.divide(norm, length, out=np.ones_like(length), where=length > 0)[post]

    def _gather(self, pathway: Pathway, before: Array, gathered: Array, ended: int | None) -> dict[str, Array]:
        """Let changes wait, or make them at the end of their batch: their sum, or a step in its direction."""
        exists = self.masks.get(pathway.name, True)
        gathered = np.where(exists, gathered, 0.0)
        learning = pathway.learning
        if ended is None or ended % learning.batch != 0:
            return {"w": before, "gathered": gathered}
        change = gathered if learning.step is None else learning.step * np.sign(gathered)
        return {"w": before + change, "gathered": np.zeros_like(gathered)}

    def _constrain(self, pathway: Pathway, before: Array, after: Array) -> Array:
        """Weights that may not change sign stop at 0, bounded ones at their bounds;
        synapses that do not exist stay as they are."""
        cells = self.network.signs(pathway)
        if cells is not None and pathway.listed:
            cells = cells[self.single[pathway.name].pre]
        if cells is not None:
            after = cells * np.maximum(cells * after, 0.0)
        if pathway.learning.bounded:
            after = np.clip(after, *pathway.learning.bounds())
        if pathway.sign == "excitatory":
            after = np.maximum(after, 0.0)
        elif pathway.sign == "inhibitory":
            after = np.minimum(after, 0.0)
        return np.where(self.masks[pathway.name], after, before) if pathway.name in self.masks else after

    def _advance(
        self, state: Mapping[str, Array], values: Mapping[Node, Array], moments: Mapping[str, Moment]
    ) -> dict[str, Array]:
        """The state of the neurons one step later."""
        changed: dict[str, Array] = {}
        for population, keys, nodes in self.stateful:
            now = {variable: state[key] for variable, key in keys.items()}
            seen = {variable: values[node] for variable, node in nodes.items()}
            new = population.neuron.step(now, seen, moments[population.name])
            changed |= {f"{population.name}.{variable}": array for variable, array in new.items()}
        return changed

    def read(self, state: Mapping[str, Array], values: Mapping[Node, Array], population: str, variable: str) -> Array:
        """A variable of a population, published, arriving or kept."""
        kept = self.network.population(population).neuron.state
        return state[f"{population}.{variable}"] if variable in kept else values[Node(population, variable)]


def _one_by_one(pathway: Pathway) -> bool:
    """Whether its synapses are looked at one by one: they are listed and learn, or have delays of their own."""
    return not pathway.fixed_list and (pathway.listed or "each" in (pathway.late("pre"), pathway.late("post")))


class _Place:
    """A node of a step: its population, the pathways that arrive where it is a port, and what it needs where not."""

    def __init__(self, network: Network, node: Node):
        self.node, self.population = node, network.population(node.population)
        self.is_port = node.variable in self.population.neuron.ports
        self.arriving = network.arriving(*node) if self.is_port else ()

    @cached_property
    def needs(self) -> tuple[tuple[str, str | None, Node | None], ...]:
        """Each need by name, with its key where it is a state, or its node where it is computed before this one."""
        neuron, name = self.population.neuron, self.population.name
        return tuple(
            (need, f"{name}.{need}", None)
            if need in neuron.state and need not in ("dt", "time")
            else (need, None, None if need in ("dt", "time", *neuron.draws) else Node(name, need))
            for need in neuron.needs(self.node.variable)
        )


class _Single:
    """The synapses of a pathway one by one: where each comes from and arrives, `(n_synapses,)` each, those of a matrix
    row by row; `tissues` are those that see the same of one postsynaptic neuron."""

    def __init__(self, instance: Instance, pathway: Pathway):
        n_post, n_pre = instance.network.shape(pathway)
        self.sizes = {"pre": n_pre, "post": n_post}
        if pathway.listed:
            synapses = instance.synapses[pathway.name]
            self.pre, self.post = synapses.pre, synapses.post
        else:
            self.post, self.pre = (axis.ravel() for axis in np.indices((n_post, n_pre)))
        keys = self.post.astype(np.int64)
        if pathway.late("post") == "each":
            after = instance.delays[pathway.name]["dendritic"].ravel()
            keys = keys * (int(after.max(initial=0)) + 1) + after
        order = np.argsort(keys, kind="stable")
        self.tissues = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1) if len(order) else []
        self.each = {side: pathway.late(side) == "each" for side in ("pre", "post")}

    def at_synapses(self, side: str, values: Array) -> Array:
        """A variable at every synapse, `(n_synapses,)`, from what `_seen` finds."""
        return values if self.each[side] else values[self.pre if side == "pre" else self.post]


class _Monitor:
    """What is kept of a segment in which time passes without a task: every spike, and the traces asked for."""

    def __init__(self, reference: Reference, span: tuple[int, int] | None):
        self.reference = reference
        self.spiking = [population.name for population in reference.network.spiking()] if span is not None else []
        self.found: dict[str, list[tuple[Array, int]]] = {name: [] for name in self.spiking}
        dt, length = reference.protocol.step, reference.protocol.shown_steps
        self.asked = [(trace, trace.steps(dt, length)) for trace in reference.traces] if span is not None else []
        self.kept: list[dict[str, list[Array]]] = [{v: [] for v in trace.variables} for trace, _ in self.asked]
        self.weighed: list[tuple[SynapseTrace, range, Array, dict[str, list[Array]]]] = [
            (one, one.steps(dt, length), chosen.places, {variable: [] for variable in one.variables})
            for one, chosen in zip(reference.kept, reference.chosen, strict=True)
            if span is not None
        ]

    def begin(self, state: Mapping[str, Array], step: int) -> None:
        """Keep what is due in a step of synapses with dynamics, before any of them is used."""
        for one, steps, places, found in self.weighed:
            dynamics = self.reference.network.pathway(one.pathway).dynamics
            if step in steps and dynamics is not None:
                present = self.reference.present(dynamics, one.pathway, state, places)
                for variable, rows in found.items():
                    rows.append(np.broadcast_to(present[variable], places.shape))

    def look(self, state: Mapping[str, Array], values: Mapping[Node, Array], step: int) -> None:
        """Keep what is due in a step."""
        for name in self.spiking:
            self.found[name].append((np.flatnonzero(values[Node(name, "s")]), step))
        for (trace, steps), kept in zip(self.asked, self.kept, strict=True):
            if step in steps:
                for variable, rows in kept.items():
                    whole = self.reference.read(state, values, trace.population, variable)
                    rows.append(whole[list(trace.neurons)])
        for one, steps, places, found in self.weighed:
            if step in steps and self.reference.network.pathway(one.pathway).dynamics is None:
                for variable, rows in found.items():
                    rows.append(state[f"{one.pathway}.{variable}"].ravel()[places])

    def spikes(self) -> dict[str, tuple[Array, Array]]:
        """Neuron and step of every spike, by population."""
        return {
            name: (
                np.concatenate([neurons for neurons, _ in found] or [np.empty(0)]).astype(np.int32),
                np.concatenate([np.full(len(n), step) for n, step in found] or [np.empty(0)]).astype(np.int64),
            )
            for name, found in self.found.items()
        }

    def traced(self) -> tuple[dict[str, Array], ...]:
        """Every trace by variable, `(samples, neurons)`."""
        return tuple(
            {variable: np.array(rows).reshape(-1, len(trace.neurons)) for variable, rows in kept.items()}
            for (trace, _), kept in zip(self.asked, self.kept, strict=True)
        )

    def synapses(self) -> tuple[dict[str, Array], ...]:
        """What synapses keep by variable, `(samples, synapses)`."""
        return tuple(
            {variable: np.array(rows).reshape(-1, len(places)) for variable, rows in found.items()}
            for _, _, places, found in self.weighed
        )


def _reach(reached: dict[str, tuple[float, float]], arrays: Mapping[str, Array]) -> None:
    """Widen the smallest and largest value of each variable by what it is now, where that is finite."""
    for name, array in arrays.items():
        low, high = float(array.min(initial=np.inf)), float(array.max(initial=-np.inf))
        if np.isfinite(low) and np.isfinite(high):
            least, most = reached.get(name, (low, high))
            reached[name] = min(low, least), max(high, most)
