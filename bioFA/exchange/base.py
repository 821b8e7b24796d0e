"""What all formats share: what comes out of an export and an import, which part of a network others can run,
and what bioFA notes down.

No other format has a word for an error pathway or a plasticity rule. bioFA writes them, with whatever else the
format lacks, where the format keeps annotations, under the name `bioFA` (`annotation`),
and reads them back (`annotated`):

    format          1
    experiment      the model file, TOML
    seed            the seed of the draws
    presentations   how many there were
    state           all arrays, by name, that the format does not hold itself
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bioFA.errors import OF_OWN_PARTS, CannotWrite, DamagedFile, ModelError, NoCounterpart, PlaceTaken
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import draw
from bioFA.ledger import Ledger as Ledger
from bioFA.modelfiles import toml
from bioFA.network import Network, Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.rate_source import RateSource
from bioFA.runs.provenance import refuse_format
from bioFA.runs.trained import STATE, Trained
from bioFA.schemes.taught import TaughtNetwork
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import FromFile, Identity, Values

Array = np.ndarray
ANNOTATION = "bioFA"
"""The name under which other formats carry what only bioFA understands."""
ANNOTATION_FORMAT = 1
MODEL, WEIGHTS = "model.toml", "weights"


@dataclass(frozen=True)
class Exported:
    """What an export wrote, what the format could not hold, one sentence each, and where it says how to run it."""

    paths: tuple[Path, ...]
    lost: tuple[str, ...] = ()
    run: str = ""

    def __str__(self) -> str:
        run = [f"  run: {self.run}"] if self.run else []
        return "\n".join(
            [f"Written: {', '.join(map(str, self.paths))}", *run, *(f"  lost: {sentence}" for sentence in self.lost)]
        )


@dataclass(frozen=True)
class Imported:
    """A network that was read: as learning left it, and what bioFA could not take over, one sentence each."""

    trained: Trained
    lost: tuple[str, ...] = ()

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `model.toml` and `state.h5` into a folder,
        and weights that the model gives as numbers as files in `weights`.

        Raises:
            FileError: if they are there, or the folder cannot be written.
        """
        folder = Path(folder).absolute()
        model, state = folder / MODEL, folder / STATE
        for path in (model, state, folder / WEIGHTS):
            if path.exists():
                raise PlaceTaken(f"'{path}' is there already. Give another folder, or remove it first.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trained = replace(self.trained, experiment=_with_files(self.trained.experiment, folder))
            model.write_text(toml.kept(trained.experiment, beside=folder), encoding="utf-8")
        except OSError as error:
            raise CannotWrite(f"'{folder}' could not be written: {error}. Give a folder of your own.") from None
        trained.save(state)
        return model, state


def _with_files(experiment: Experiment, folder: Path) -> Experiment:
    """The experiment with weights that are given as numbers in files of their own, which are written."""
    circuit = experiment.circuit
    if not isinstance(circuit, (Network, TaughtNetwork)):
        return experiment
    pathways = []
    for pathway in circuit.pathways:
        if isinstance(pathway.weights, Values):
            path = folder / WEIGHTS / f"{pathway.name}.npy"
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.array(pathway.weights.values))
            pathway = pathway.replace(weights=FromFile(path=str(path)))
        pathways.append(pathway)
    return experiment.replace(circuit=circuit.replace(pathways=tuple(pathways)))


class Forward(NamedTuple):
    """The part of a network that answers: from its sources to the readout, without what carries errors.

    `populations` in an order in which each comes after those that drive it, recurrence apart; `pathways` those between
    them, all of them arriving at `drive`; `rest` every other population and pathway, by name.
    """

    populations: tuple[Population, ...]
    pathways: tuple[Pathway, ...]
    rest: tuple[str, ...]


def forward(network: Network) -> Forward:
    """The part of a network that answers, as `Forward`."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name in found or name in waiting:
            return
        waiting.append(name)
        for pathway in network.arriving(name, "drive"):
            visit(pathway.source)
        waiting.remove(name)
        found.append(name)

    waiting: list[str] = []
    visit(network.readout.population)
    pathways = tuple(p for p in network.pathways if p.port == "drive" and p.source in found and p.target in found)
    rest = [p.name for p in network.populations if p.name not in found] + [
        p.name for p in network.pathways if p not in pathways
    ]
    return Forward(tuple(network.population(name) for name in found), pathways, tuple(rest))


def matrix(trained: Trained, pathway: Pathway) -> Array:
    """The weights with which a pathway transmits, `(n_post, n_pre)`.

    Raises:
        ModelError: if they change from presentation to presentation.
    """
    network = trained.experiment.network
    if pathway.weights.redrawn:
        raise NoCounterpart(
            f"pathway '{pathway.name}' draws its weights anew for every presentation, so there are none to write."
        )
    if pathway.weights.one_to_one:
        return pathway.weights.draw(np.random.default_rng(), network.shape(pathway))
    return np.asarray(network.effective(pathway, trained.state))


def gain(network: Network, pathway: Pathway, dt: float) -> float:
    """The drive that a weight of 1 brings, for what the source sends in one step: 1 for a spike, or its rate.

    Raises:
        ModelError: if the pathway carries anything else.
    """
    source = network.population(pathway.source)
    if "s" in source.neuron.publishes:
        known = {"s": np.ones(1), "dt": dt}
        if pathway.carries == "s":
            return 1.0
        if pathway.carries == "train" and set(source.neuron.needs("train")) <= set(known):
            return float(source.neuron.train(**{need: known[need] for need in source.neuron.needs("train")})[0])  # type: ignore[attr-defined]
    elif pathway.carries == "r":
        return 1.0
    raise NoCounterpart(
        f"pathway '{pathway.name}' carries '{pathway.carries}' of '{source.name}' ({type(source.neuron).__name__}), but"
        " in other formats a neuron sends its spikes or its rate only. Let it carry "
        + ("'train'." if "s" in source.neuron.publishes else "'r'.")
    )


def stepped(neuron: NeuronModel, **conventions: Any) -> NeuronModel:
    """A neuron with the conventions of another simulator, as far as its kind has them; sources stay as they are.

    Args:
        neuron: the neuron model.
        conventions: numbers and choices of `counterparts`, such as `decay="euler"`.

    Raises:
        ModelError: if the model cannot be stepped like that.
    """
    kind = neuron.counterpart()
    known = {name: value for name, value in conventions.items() if hasattr(kind, name)}
    fields = type(neuron).model_fields
    made: NeuronModel = neuron.replace(**{name: value for name, value in known.items() if name in fields})
    now = made.counterpart()
    if fixed := [name for name, value in known.items() if getattr(now, name) != value]:
        raise NoCounterpart(
            f"{neuron.family_name} has no {', '.join(fixed)} to choose, so bioFA cannot step it as others do."
        )
    return made


def learning_lost(network: Network, where: str) -> list[str]:
    """What a format that runs the forward part only does not run: rules and error pathways, kept as an annotation.

    Args:
        network: the network.
        where: in the format, where the annotation is, such as "the metadata".
    """
    rules = [f"{p.plasticity.family_name} at {p.name}" for p in network.plastic() if p.plasticity is not None]
    errors = [p.name for p in network.pathways if p.port == "error"]
    kept = f"kept as an annotation in {where}, which only bioFA reads"
    lost = []
    if rules:
        lost.append(f"plasticity ({', '.join(rules)}): the format has no rules; {kept}")
    if errors:
        lost.append(
            f"feedback pathways ({', '.join(errors)}) and the error units they leave: the format has no errors; {kept}"
        )
    return lost


def annotation(trained: Trained, held: Iterable[str] = ()) -> dict[str, Any]:
    """What only bioFA understands, with all state but that which the format holds itself.

    Args:
        trained: the network.
        held: names of arrays, such as `input_to_hidden.w`, that stand elsewhere in the file.
    """
    held = set(held)
    return {
        "format": ANNOTATION_FORMAT,
        "experiment": toml.kept(trained.experiment),
        "seed": trained.seed,
        "presentations": trained.presentations,
        "state": {name: array for name, array in trained.state.items() if name not in held},
    }


def annotated(noted: Mapping[str, Any], held: Mapping[str, Array], path: Path) -> Trained:
    """The network of an annotation, with the arrays that the format held itself.

    Raises:
        FileError: if the annotation is damaged, was written by a newer bioFA, or does not fit the arrays.
    """
    try:
        refuse_format(path, int(noted["format"]), ANNOTATION_FORMAT, "annotation")
        experiment = toml.loads(str(noted["experiment"]))
        state = {str(name): np.asarray(array, dtype=float) for name, array in noted["state"].items()} | dict(held)
        trained = Trained(experiment, int(noted["seed"]), int(noted["presentations"]), state)
    except OF_OWN_PARTS as error:
        raise error.prefixed(f"the annotation '{ANNOTATION}' of '{path}': ") from None
    except (KeyError, TypeError, ValueError, AttributeError, ModelError) as error:
        raise DamagedFile(
            f"the annotation '{ANNOTATION}' of '{path}' is damaged ({error}). Export the network again, or take the"
            " annotation out."
        ) from None
    for pathway in experiment.network.owners():
        name, shape = f"{pathway.name}.w", experiment.network.shape(pathway)
        if name in state and state[name].shape != shape:
            raise DamagedFile(
                f"'{path}': '{pathway.name}' must have weights of shape {shape}; got {state[name].shape}. It was"
                " changed after bioFA wrote it."
            )
    return trained


def described(
    name: str,
    populations: Sequence[Population],
    pathways: Sequence[Pathway],
    readout: str,
    protocol: Protocol,
    origin: str,
) -> Trained:
    """A network of another program as an experiment, with the error unit that it lacks: it runs at once,
    and its pathways can be made plastic.

    The task is a placeholder, a linear teacher of the network's sizes.

    Args:
        name: the experiment's name.
        populations: the network's, the first of them its input.
        pathways: between them, with `Values` as weights.
        readout: the population whose `r` is the answer.
        protocol: with times, where neurons have time constants.
        origin: what it was read from, such as "an NIR graph".
    """
    sizes = {population.name: population.size for population in populations}
    inputs, outputs = populations[0].size, sizes[readout]
    network = Network(
        populations=(
            *populations,
            Population(name="target", size=outputs, neuron=RateSource(of="targets")),
            Population(name="mismatch", size=outputs, neuron=ErrorUnit()),
        ),
        pathways=(
            *pathways,
            Pathway(name="target_to_mismatch", source="target", target="mismatch", port="target", weights=Identity()),
            Pathway(
                name=f"{readout}_to_mismatch", source=readout, target="mismatch", port="prediction", weights=Identity()
            ),
        ),
    )
    experiment = Experiment(
        name=_printable(name),
        circuit=network,
        task=LinearTeacher(n_in=inputs, n_out=outputs),
        protocol=protocol,
        description=(
            f"Read from {_printable(origin)}. The task is a placeholder: put your own in its place, and give pathways"
            " plasticity."
        ),
    )
    return Trained(experiment, 1, 0, dict(draw(experiment, 1).state))


def _printable(text: str) -> str:
    """A text, such as the name of a file, with `_` for what cannot be printed."""
    return "".join(sign if sign.isprintable() else "_" for sign in text) or "_"
