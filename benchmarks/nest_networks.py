"""A free network in NEST and in bioFA, side by side: rate, CV and synchrony of both over several seeds.

    python -m benchmarks.nest_networks random_ei --seeds 5

Both get the same description: neurons, rules of connection, weights, delays, Poisson background (as numbers of spikes,
drawn for each neuron), and, bit for bit, the same first values. Synapses and background spikes are drawn by each with
numbers of its own, so the two agree as two seeds of one network do; both are measured by the same functions
(`bioFA.analysis.streamed_activity`), after the warm-up of the model. With `--same`, NEST gets bioFA's synapses and
background spikes, too, one by one, and spikes that are not in both are counted; the neurons of `coba` are then
`lif_cond` with `method = "rkf45"`, whose steps are those of NEST's cell. A measure agrees where its mean over seeds is
within 5 % of NEST's; runs whose activity dies before their end are counted, and left out of the means.

What each neuron is in NEST is said in `NEURONS`, by the name of the model. NEST is installed by the extra `nest`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np

import bioFA
from bioFA.analysis.streamed_activity import ActivityMeasures, StreamedActivity
from bioFA.equations.dimensions import FREQUENCY
from bioFA.errors import Unavailable
from bioFA.exchange import free_parts
from bioFA.experiment import Experiment
from bioFA.instance import Instance, draw
from bioFA.modelfiles.toml import parse_change
from bioFA.network import Pathway, Population
from bioFA.neurons.lif_cond import LifCond
from bioFA.units import steps_of

Array = np.ndarray
MEASURES = {"rate": "rate (Hz)", "cv": "CV of intervals", "synchrony": "synchrony"}
WITHIN = 0.05
LAST = 0.1
"""Seconds at the end of a run in which something must spike for it to count as still active."""


class Counterpart(NamedTuple):
    """What the neurons of a model are in NEST.

    `parameters` and `states` map NEST's names to the model's, `says` are the threshold and the reset that it is set
    for, `fixed` values of NEST's that the model has none for, `weight` the factor of weights from SI to NEST. `paper`
    is what was published, by population and measure, and `where`. `jumps` names the time constant of a potential on
    which spikes jump: in NEST they do as a step ends, here as the next begins and then decays, so that the same is a
    delay of one step more there, and a weight that has decayed.
    """

    model: str
    says: tuple[str, str]
    parameters: Mapping[str, str]
    states: Mapping[str, str]
    weight: float
    fixed: Mapping[str, float] = {}
    paper: Mapping[tuple[str, str], float] = {}
    where: str = ""
    jumps: str = ""


FACTORS = {"V": 1e3, "E": 1e3, "t": 1e3, "g": 1e9, "C": 1e12}
"""From SI to NEST's mV, ms, nS and pF, by the first letter of NEST's names."""
OF_LIF_COND = {"tau_e": "tau_exc", "tau_i": "tau_inh"}
"""What `lif_cond` calls the parameters of `coba` that it names otherwise."""
NEURONS = {
    "random_ei": Counterpart(
        "iaf_psc_delta",
        ("v >= theta", "v = v_reset"),
        {"tau_m": "tau", "V_th": "theta", "V_reset": "v_reset"},
        {"V_m": "v"},
        1e3,
        {"E_L": 0.0, "I_e": 0.0, "C_m": 1.0},
        {("exc", "rate"): 37.7},
        "Brunel (2000), figure 8C",
        "tau",
    ),
    "coba": Counterpart(
        "iaf_cond_exp",
        ("v > v_th", "v = v_reset"),
        {
            "V_th": "v_th",
            "V_reset": "v_reset",
            "C_m": "c_m",
            "g_L": "g_l",
            "E_L": "e_l",
            "E_ex": "e_e",
            "E_in": "e_i",
            "tau_syn_ex": "tau_e",
            "tau_syn_in": "tau_i",
        },
        {"V_m": "v", "g_ex": "g_e", "g_in": "g_i"},
        1e9,
        {"I_e": 0.0},
    ),
}


class Run(NamedTuple):
    """What one simulator did under one seed: the measures of each population, whether it was active to the end, and,
    where both have the same network, all spikes as `step * size + neuron`."""

    measures: Mapping[str, ActivityMeasures]
    active: bool
    seconds: float
    spikes: Mapping[str, Array] = {}

    def number(self, population: str, measure: str) -> float | None:
        """One measure; None where too few spikes tell it."""
        found: float | None = getattr(self.measures[population], measure)
        return found


def of_nests_steps(experiment: Experiment) -> Experiment:
    """The same network with all spikes recorded, its conductance-based neurons integrated in NEST's own steps."""
    network = experiment.network
    populations = [
        population.replace(neuron=_in_nests_steps(population.neuron)) if experiment.name == "coba" else population
        for population in network.populations
    ]
    record = experiment.record.replace(spikes=None, traces=())
    return experiment.replace(circuit=network.replace(populations=tuple(populations)), record=record)


def _in_nests_steps(neuron: Any) -> LifCond:
    """The text of `coba` as `lif_cond`, with NEST's control of its error."""
    fields = {OF_LIF_COND.get(name, name): value for name, value in neuron.given.items()}
    return LifCond(**fields, initial=neuron.initial, refractory=neuron.refractory, method="rkf45")


def ours(experiment: Experiment, seed: int, same: bool = False) -> Run:
    """The network in bioFA, compiled."""
    began = time.perf_counter()
    result = bioFA.simulate(experiment, seed=seed, backend="cpp")
    last = experiment.protocol.shown_steps * experiment.protocol.step - LAST
    late = [len(result.spikes(one.population, start=last)[0]) for one in result.measures]
    spikes = {}
    for one in result.measures if same else ():
        neurons, times = result.spikes(one.population)
        spikes[one.population] = np.rint(times / experiment.protocol.step).astype(np.int64) * one.size + neurons
    return Run({one.population: one for one in result.measures}, any(late), time.perf_counter() - began, spikes)


def theirs(experiment: Experiment, seed: int, same: bool = False) -> Run:
    """The network in NEST; with bioFA's synapses and background spikes where it is the `same`."""
    import nest

    began = time.perf_counter()
    instance, kind = draw(experiment, seed), NEURONS[experiment.name]
    dt, length = experiment.protocol.step, experiment.protocol.shown_steps
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=1e3 * dt, local_num_threads=1, rng_seed=seed)
    cells = {p.name: _cells(nest, instance, p, kind) for p in experiment.network.populations}
    # a cell on which spikes jump has no step before the first in which a background spike could come: it begins a step
    # earlier, at a potential that decays to the first one
    earlier = int(same and bool(kind.jumps))
    for population in experiment.network.populations:
        if earlier:
            cells[population.name].V_m = [v / _decayed(instance, population, kind) for v in cells[population.name].V_m]
        (_give if same else _drive)(nest, instance, population, cells[population.name], kind)
    for pathway in experiment.network.pathways:
        (_wire if same else _join)(nest, instance, pathway, cells, kind)
    recorders = {name: nest.Create("spike_recorder") for name in cells}
    for name, recorder in recorders.items():
        nest.Connect(cells[name], recorder)
    nest.Simulate(1e3 * dt * (length + 1 + earlier))
    measures, last, spikes = {}, 0, {}
    for name, recorder in recorders.items():
        steps = np.rint(np.asarray(recorder.events["times"]) / (1e3 * dt)).astype(np.int64) - earlier
        neurons = np.asarray(recorder.events["senders"]) - cells[name][0].global_id
        order = np.argsort(steps, kind="stable")[: np.count_nonzero(steps < length)]
        streamed = StreamedActivity(len(cells[name]), dt, length, experiment.protocol.warm_up_steps)
        streamed.add(neurons[order], steps[order], 0, length)
        measures[name] = streamed.measures(name)
        last = max(last, int(steps[order].max(initial=0)))
        spikes[name] = steps[order] * len(cells[name]) + neurons[order]
    return Run(measures, last >= length - steps_of(LAST, dt), time.perf_counter() - began, spikes if same else {})


def _cells(nest: Any, instance: Instance, population: Population, kind: Counterpart) -> Any:
    """The neurons of a population, each with the first values that it has in bioFA."""
    neuron: Any = population.neuron
    cond = isinstance(neuron, LifCond)
    if not cond and (neuron.threshold, neuron.reset) != kind.says:
        raise Unavailable(
            f"population '{population.name}': threshold and reset are {neuron.threshold!r} and {neuron.reset!r}, but"
            f" {kind.model} was set for {kind.says[0]!r} and {kind.says[1]!r}. Change both."
        )
    names = OF_LIF_COND if cond else {}
    fields: dict[str, Any] = {**kind.fixed, "t_ref": 1e3 * neuron.pause}
    fields |= {
        theirs: float(instance.constants[f"{population.name}.{names.get(ours, ours)}"][0]) * FACTORS[theirs[0]]
        for theirs, ours in kind.parameters.items()
    }
    cells = nest.Create(kind.model, population.size, params=fields)
    for theirs, ours in kind.states.items():
        cells.set({theirs: list(instance.state[f"{population.name}.{ours}"] * FACTORS[theirs[0]])})
    return cells


def _drive(nest: Any, instance: Instance, population: Population, cells: Any, kind: Counterpart) -> None:
    """Poisson spikes from outside, drawn for each neuron by itself."""
    dt = instance.experiment.protocol.step
    for number, background in enumerate(population.background):
        rate = background.rate.numbers(FREQUENCY, "rate")["value"] * background.count
        weight = instance.constants[f"{population.name}.background_{number}_weight"][0] * kind.weight
        source = nest.Create("poisson_generator", params={"rate": rate})
        weight *= _decayed(instance, population, kind)
        nest.Connect(source, cells, "all_to_all", {"weight": weight, "delay": 1e3 * dt})


def _give(nest: Any, instance: Instance, population: Population, cells: Any, kind: Counterpart) -> None:
    """The background spikes that bioFA draws, in numbers for every neuron and step."""
    dt, steps = instance.experiment.protocol.step, instance.experiment.protocol.shown_steps
    for background in free_parts.outside(instance, population):
        drawn = np.stack([numbers.astype(np.uint16) for numbers in background.numbers(steps)], axis=1)
        weight = background.weight[0] * kind.weight * _decayed(instance, population, kind)
        sources = nest.Create("spike_generator", population.size, {"allow_offgrid_times": True})
        for source, numbers in zip(sources, drawn, strict=True):
            at = np.flatnonzero(numbers)
            source.set({"spike_times": 1e3 * dt * (at + 1), "spike_multiplicities": numbers[at].astype(np.int64)})
        nest.Connect(sources, cells, "one_to_one", {"weight": weight, "delay": 1e3 * dt})


def _decayed(instance: Instance, population: Population, kind: Counterpart) -> float:
    """What is left of a jump of the potential after a step; 1 where spikes do not jump on it."""
    if not kind.jumps:
        return 1.0
    return float(np.exp(-instance.experiment.protocol.step / instance.constants[f"{population.name}.{kind.jumps}"][0]))


def _wire(nest: Any, instance: Instance, pathway: Pathway, cells: Mapping[str, Any], kind: Counterpart) -> None:
    """A pathway synapse by synapse, as bioFA has drawn it."""
    synapses = instance.synapses[pathway.name]
    weight, delay = _weight_and_delay(instance, pathway, kind)
    count = len(synapses.post)
    first = {name: cells[name][0].global_id for name in (pathway.source, pathway.target)}
    nest.Connect(
        first[pathway.source] + np.asarray(synapses.pre, dtype=np.int64),
        first[pathway.target] + np.asarray(synapses.post, dtype=np.int64),
        "one_to_one",
        {"weight": np.full(count, weight), "delay": np.full(count, delay), "synapse_model": "static_synapse"},
    )


def _weight_and_delay(instance: Instance, pathway: Pathway, kind: Counterpart) -> tuple[float, float]:
    """Those of all synapses of a pathway, as NEST has them; in ms the delay."""
    neuron: Any = instance.network.population(pathway.target).neuron
    synapses = instance.synapses[pathway.name]
    delay = (max(int(synapses.delays[0]), 1) + bool(kind.jumps)) * 1e3 * instance.experiment.protocol.step
    weight = float(synapses.weights[0]) * neuron.ports[pathway.port].sign * kind.weight
    return weight * _decayed(instance, instance.network.population(pathway.target), kind), delay


def _join(nest: Any, instance: Instance, pathway: Pathway, cells: Mapping[str, Any], kind: Counterpart) -> None:
    """A pathway by the same rule of connection, which NEST draws."""
    connect: Any = pathway.connect
    rule = {
        "fan_in": lambda: {"rule": "fixed_indegree", "indegree": connect.count},
        "fan_out": lambda: {"rule": "fixed_outdegree", "outdegree": connect.count},
        "total": lambda: {"rule": "fixed_total_number", "N": connect.count},
        "probability": lambda: {"rule": "pairwise_bernoulli", "p": connect.p},
        "all": lambda: {"rule": "all_to_all"},
    }[connect.family_name]()
    if connect.family_name != "total":
        rule |= {"allow_multapses": connect.multapses}
    weight, delay = _weight_and_delay(instance, pathway, kind)
    nest.Connect(
        cells[pathway.source],
        cells[pathway.target],
        rule | {"allow_autapses": connect.autapses},
        {"weight": weight, "delay": delay},
    )


def differing(mine: Array, other: Array, size: int, dt: float) -> str:
    """How many spikes of a population are not in both, and when the first of them is."""
    odd = np.setxor1d(mine, other)
    if not len(odd):
        return f"all {len(mine)} spikes are the same"
    first = odd[0] // size * dt
    return f"{len(odd)} spikes are not in both, of {len(mine)} and {len(other)}, the first at {first:.4g} s"


def _error(values: Sequence[float]) -> float:
    """The standard error of a mean; nan for fewer than two values."""
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def _known(values: Sequence[float]) -> str:
    """A mean with its standard error, as it is shown."""
    return f"{mean(values):.4g} +- {_error(values):.2g}"


def table(name: str, runs: Sequence[tuple[Run, Run]]) -> tuple[str, bool]:
    """Both side by side with standard errors, and whether each mean over the runs that stayed active is within 5 % of
    NEST's; further off by less than two standard errors, too few seeds tell."""
    kind, every = NEURONS[name], True
    lines = [
        f"| population | measure | bioFA | NEST {kind.model} | bioFA / NEST | within 5 % | paper |",
        "|---" * 7 + "|",
    ]
    for population in runs[0][0].measures:
        for measure, shown in MEASURES.items():
            sides = [
                [
                    value
                    for pair in runs
                    if pair[k].active and (value := pair[k].number(population, measure)) is not None
                ]
                for k in (0, 1)
            ]
            cells = [f"{_known(side)} ({min(side):.4g} to {max(side):.4g})" if side else "-" for side in sides]
            ratio = mean(sides[0]) / mean(sides[1]) if all(sides) else float("nan")
            error = ratio * sum((_error(side) / mean(side)) ** 2 for side in sides) ** 0.5 if all(sides) else ratio
            close = abs(ratio - 1) <= WITHIN
            every &= close
            verdict = "yes" if close else "too few seeds to tell" if abs(ratio - 1) <= WITHIN + 2 * error else "NO"
            paper = kind.paper.get((population, measure))
            says = f"{paper:g}, {kind.where}" if paper is not None else ""
            row = (population, shown, *cells, f"{ratio:.3f} +- {error:.3f}", verdict, says)
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines), every


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both over some seeds and print the table; 1 where a mean is more than 5 % from NEST's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nest_networks", description=__doc__.split("\n")[0])
    parser.add_argument("model", choices=sorted(NEURONS), help="a built-in model")
    parser.add_argument("--seeds", type=int, default=5, help="run the seeds 1 to N (default 5)")
    parser.add_argument("--file", help="a model file in place of the built-in one")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field")
    parser.add_argument("--same", action="store_true", help="give NEST bioFA's synapses and background spikes")
    options = parser.parse_args(arguments)
    changes = dict(map(parse_change, options.set))
    experiment = bioFA.load(options.file or options.model, changes)
    if options.same:
        experiment = of_nests_steps(experiment)
    runs = []
    for seed in range(1, options.seeds + 1):
        runs.append((ours(experiment, seed, options.same), theirs(experiment, seed, options.same)))
        rates = "; ".join(
            f"{simulator} "
            + ", ".join(f"{n} {m.rate:.2f} Hz" for n, m in run.measures.items())
            + f" in {run.seconds:.0f} s"
            for simulator, run in zip(("bioFA", "NEST"), runs[-1], strict=True)
        )
        print(f"seed {seed}: {rates}", flush=True)
        for name, size in ((p.name, p.size) for p in experiment.network.populations if options.same):
            mine, other = (one.spikes[name] for one in runs[-1])
            print(f"  {name}: {differing(mine, other, size, experiment.protocol.step)}")
    found, close = table(options.model, runs)
    print(f"\n{found}\n")
    for k, simulator in enumerate(("bioFA", "NEST")):
        active = sum(pair[k].active for pair in runs)
        print(f"{simulator}: active in the last {1e3 * LAST:g} ms under {active} of {len(runs)} seeds")
    return 0 if close else 1


if __name__ == "__main__":
    raise SystemExit(main())
