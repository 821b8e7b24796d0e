"""What an exported model must answer when other programs run it, by the NumPy reference: a few inputs, the answers,
and how it is run.

    <file>.README.md       beside a file: the programs with their versions, the script that runs it, and the tolerance;
                           README.md in a folder
    <file>.expected.npz    inputs, and what comes out, each (n, steps, size), or as the README says;
                           expected.npz in a folder

The reference runs what the format holds, not what bioFA would run: only the part that answers (`base.forward`), every
presentation from rest, with each neuron as the format has it (`held`), and,
where spikes take another number of steps there, through relays that hold them back (`late`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bioFA.consumers.reference import Reference
from bioFA.errors import BioFAError, NoCounterpart, PlaceTaken
from bioFA.exchange.base import Forward, forward, matrix
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import Instance, draw
from bioFA.network import Network, Node, Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.rate_source import RateSource
from bioFA.runs.trained import Trained
from bioFA.system.atomic import written_whole
from bioFA.weights import Constant, Identity

Array = np.ndarray
EXPECTED, README = "expected.npz", "README.md"
PRESENTATIONS = 3
"""So many examples are shown."""
LEARNED = 2
"""So many training presentations follow, where the format learns."""
NEAR = 1e-9
"""Rates that other programs compute in float64 differ by less, relative to the largest."""
RELAY, TARGETS, COMPARED = "late", "targets_of_the_task", "comparison"
"""Names of what the reference needs beside the part that answers."""


class Recipe(NamedTuple):
    """How an exported model is run, and what must come out.

    `programs` are requirements of pip; `commands` shell lines that come first; `script` a Python
    program that runs the model on the inputs, or reads what the commands wrote,
    and ends with an error where it differs by more than `tolerance` says.
    """

    programs: tuple[str, ...]
    commands: str
    script: str
    tolerance: str
    arrays: Mapping[str, Array]


def split_of(instance: Instance) -> str:
    """The split whose first examples are shown: test data where there are some."""
    return next(name for name in ("test", "validation", "train") if name in instance.data.splits())


def answers(
    trained: Trained,
    drawn: Instance,
    watched: Sequence[Node],
    held: Callable[[NeuronModel], NeuronModel] | None = None,
    late: Mapping[str, int] | None = None,
    split: str | None = None,
    first: int = 0,
    count: int = PRESENTATIONS,
) -> dict[str, Array]:
    """What a network does with a few examples, each from rest, in every step, as float64.

    Args:
        trained: the network.
        drawn: its instance.
        watched: what to keep.
        held: a neuron as the format holds it, of the part that answers, which alone is run then; the whole network is,
            as it is, where None.
        late: by pathway, by how many steps what it carries arrives later than here.
        split: whose examples; `split_of` where None.
        first: the first example.
        count: how many examples, or as many as there are.

    Returns:
        By `population.variable`, `(n, steps, size)`.
    """
    if held is None:
        instance = replace(
            drawn,
            state={name: trained.state[name] if name.endswith(".w") else array for name, array in drawn.state.items()},
        )
    else:
        instance = _answering_part(trained, drawn, held, late or {})
    feed = instance.evaluation(split or split_of(drawn))
    kept: dict[str, list[Array]] = {str(node): [] for node in watched}
    for number in range(first, min(first + count, feed.presentations)):
        one = replace(
            feed,
            presentations=1,
            rows={name: rows[number : number + 1] for name, rows in feed.rows.items()},
            start=number,
        )
        segment = Reference(instance).segment(
            instance.state, one, learning=False, every=1, only=(), watched=watched, whole=True
        )
        for name, course in segment.courses.items():
            kept[name].append(course[0])
    return {name: np.array(rows) for name, rows in kept.items()}


def _answering_part(
    trained: Trained, drawn: Instance, held: Callable[[NeuronModel], NeuronModel], late: Mapping[str, int]
) -> Instance:
    """The part that answers, as an experiment of its own, at rest."""
    whole, protocol = trained.experiment.network, trained.experiment.protocol
    part = forward(whole)
    populations = [p.replace(neuron=held(p.neuron), inhibitory=None) for p in part.populations]
    pathways, state = [], {}
    for pathway in part.pathways:
        state[f"{pathway.name}.w"] = matrix(trained, pathway)
        bare = Pathway(
            name=pathway.name, source=pathway.source, target=pathway.target, carries=pathway.carries, weights=Constant()
        )
        relays, steps = relayed(bare, whole.population(pathway.source).size, late.get(pathway.name, 0), protocol.step)
        populations += relays
        pathways += steps
    state |= {
        f"{p.name}.{variable}": np.full(p.size, value)
        for p in populations
        for variable, value in p.neuron.state.items()
    }
    readout = whole.readout
    size, wanted = whole.population(readout.population).size, drawn.data.train.targets.shape[-1]
    populations += [
        Population(name=TARGETS, size=wanted, neuron=RateSource(of="targets")),
        Population(name=COMPARED, size=size, neuron=ErrorUnit()),
    ]
    pathways += [
        Pathway(name=f"{TARGETS}_to_{COMPARED}", source=TARGETS, target=COMPARED, port="target", weights=Constant()),
        Pathway(
            name=f"{readout.population}_to_{COMPARED}",
            source=readout.population,
            target=COMPARED,
            port="prediction",
            carries=readout.variable,
            weights=Identity(),
        ),
    ]
    state[f"{TARGETS}_to_{COMPARED}.w"] = np.zeros((size, wanted))
    times = (
        {}
        if protocol.dt is None
        else {"dt": protocol.dt, "presentation": protocol.presentation, "blank": protocol.blank}
    )
    network = Network(populations=tuple(populations), pathways=tuple(pathways))
    experiment = Experiment(
        name=trained.experiment.name, circuit=network, task=trained.experiment.task, protocol=Protocol(**times)
    )
    return Instance(experiment, drawn.seed, drawn.data, state)


def relayed(pathway: Pathway, size: int, steps: int, dt: float) -> tuple[list[Population], list[Pathway]]:
    """A pathway behind as many relays as what it carries is to be late: leaky units with tau = dt,
    which hand on in a step what they got in the one before."""
    relays, pathways = [], []
    source, carries = pathway.source, pathway.carries
    for number in range(steps):
        relays.append(
            Population(name=f"{pathway.name}_{RELAY}{number}", size=size, neuron=LeakyRate(tau=dt, decay="euler"))
        )
        pathways.append(
            Pathway(
                name=f"{source}_to_{relays[-1].name}",
                source=source,
                target=relays[-1].name,
                carries=carries,
                weights=Identity(),
            )
        )
        source, carries = relays[-1].name, "r"
    return relays, [*pathways, pathway.replace(source=source, carries=carries)]


def passing(part: Forward) -> tuple[dict[str, int], dict[str, int]]:
    """How the timing differs in a program that passes spikes through all layers within a step,
    where each takes one here.

    Returns:
        By how many steps each population is later here; and, by pathway,
        by how many steps what it brings is later there, beside what passes through more layers.
    """
    lag: dict[str, int] = {}
    late: dict[str, int] = {}
    for population in part.populations:
        before = {p.name: lag[p.source] for p in part.pathways if p.target == population.name and p.source in lag}
        last = max(before.values(), default=0)
        late |= {name: last - steps for name, steps in before.items()}
        lag[population.name] = last + bool(population.neuron.state) * (population.neuron.shows is None)
    return lag, late


def sends(population: Population) -> Node:
    """What a population sends in other programs: its spikes, 1 for each, or its rate."""
    return Node(population.name, "s" if "s" in population.neuron.publishes else "r")


def attempt(trained: Trained, recipe: Callable[[Instance], Recipe]) -> tuple[Recipe | None, list[str]]:
    """A recipe, or what is to be said where the examples cannot be shown,
    such as of data that are not on this machine."""
    try:
        drawn = draw(trained.experiment, trained.seed)
    except BioFAError as error:
        return None, [f"how it is run and what must come out: the examples cannot be shown ({error})"]
    try:
        return recipe(drawn), []
    except NoCounterpart as error:
        return None, [f"how it is run and what must come out: {error}"]


def beside(path: Path) -> tuple[Path, Path]:
    """The README of a file, and what it must answer."""
    return path.with_name(f"{path.name}.{README}"), path.with_name(f"{path.name}.{EXPECTED}")


@contextmanager
def written_beside(path: Path, title: str, recipe: Recipe | None) -> Iterator[tuple[Path, ...]]:
    """Write the two files beside a file; they appear, whole, when the body has written that.

    Raises:
        FileError: if one of them is there already.
    """
    if recipe is None:
        yield ()
        return
    places = beside(path)
    for place in places:
        if place.exists():
            raise PlaceTaken(f"'{place}' is there already. Give another place for the export, or remove it first.")
    with ExitStack() as files:
        readme, expected = (files.enter_context(written_whole(place)) for place in places)
        readme.write_text(f"# {title}\n\n{section(recipe, places[1].name)}", encoding="utf-8")
        save(expected, recipe)
        yield places


def save(path: Path, recipe: Recipe) -> None:
    """Write inputs and answers."""
    with open(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **recipe.arrays)


def section(recipe: Recipe, expected: str = EXPECTED) -> str:
    """The part of a README that says how to run the model and what must come out."""
    requirements = " ".join(recipe.programs)
    commands = f"```sh\n{recipe.commands.strip()}\n```\n\nand then, to compare:\n\n" if recipe.commands else ""
    shapes = "".join(f"\n| `{name}` | {array.shape} |" for name, array in recipe.arrays.items())
    return f"""## Run it, and compare what comes out

Run with {", ".join(recipe.programs).replace("==", " ")} (`pip install {requirements}`), in this folder:

{commands}```python
{recipe.script.strip()}
```

`{expected}` holds inputs and what must come out, computed by bioFA's NumPy reference for what this format holds. Tolerance: {recipe.tolerance}.

| array of `{expected}` | shape |
|---|---|{shapes}
"""  # noqa: E501
