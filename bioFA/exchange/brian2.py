"""A program for plain Brian2: a script that needs neither bioFA nor a file of its own kind,
and gives the same weights and spikes.

    network.py     the network as `NeuronGroup`s and `Synapses` with their equations; runs in runtime and in standalone
                   mode
    weights.npz    every array of the state, `pathway.w` (n_post, n_pre) and `population.variable`; no pickle
    data.npz       inputs, targets and labels of each split, and which example each further training presentation shows
    state.h5       the same network for bioFA: description, seed and state, which `biofa import --from brian2` reads
                   back
    expected.npz   what the script must answer, learn and spike on the first examples, by the NumPy reference (see
                   `expected.py`)
    README.md      how to run it, and how to compare

With learning off, answers and spikes are bioFA's on every example; with `--train N`, weights are those of bioFA's own
next N presentations. Random numbers of neurons are computed in the script by the same hash (`bioFA.draws`);
noise that bioFA draws by NumPy stands in data.npz.
"""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np

from bioFA.consumers.reference import Reference
from bioFA.errors import OutOfRange, WrongKind
from bioFA.exchange import brian2_free, expected
from bioFA.exchange.base import Exported, Imported
from bioFA.exchange.brian2_script import SHOWN, SUFFIX, Script, quantity, stimulus_data, stripped
from bioFA.exchange.format import Format
from bioFA.instance import Instance, draw
from bioFA.modelfiles import toml
from bioFA.runs.trained import STATE, Trained, load_trained

SCRIPT, WEIGHTS, DATA = "network.py", "weights.npz", "data.npz"
FORMAT = Format(
    "a script for plain Brian2, with weights and examples, that runs without bioFA", reads=True, mark=SCRIPT,
    holds_delays=False,
    holds_free=True,
)
NEAR = 1e-10
_COMPARE = """import numpy as np

found = {f"answers/{name}": array for name, array in np.load("answers/results.npz").items()} | {f"learned/{name}": array for name, array in np.load("learned/after.npz").items()}
for name, array in np.load("expected.npz").items():
    assert found[name].shape == array.shape, name
    difference = abs(found[name] - array).max(initial=0)
    print(f"{name}: differs by {difference:.2g}")
    assert difference <= (0 if ".spikes." in name else @NEAR@), name
"""  # noqa: E501


def export(trained: Trained, path: Path, presentations: int | None = None) -> Exported:
    """Write the folder.

    Args:
        trained: the network.
        path: the folder to make.
        presentations: for how many further training presentations data.npz holds what is shown; an epoch where None.

    Raises:
        ModelError: if the network cannot be written in equations: pseudo-inverse feedback,
            weights that keep their norm.
    """
    if trained.experiment.free:
        return brian2_free.export(trained, path)
    instance = draw(trained.experiment, trained.seed)
    splits = instance.data.splits()
    script = Script(stripped(trained.experiment), trained.seed, tuple(splits))
    further = len(instance.data.train) if presentations is None else presentations
    if further < 1:
        raise OutOfRange(f"presentations must be >= 1; got {presentations}. Leave it out for one epoch.")
    path.mkdir()
    (path / SCRIPT).write_text(text(script, trained, further), encoding="utf-8")
    masks = {f"{name}.exists": mask for name, mask in instance.masks.items()}
    np.savez(path / WEIGHTS, allow_pickle=False, **trained.state, **masks)
    np.savez_compressed(
        path / DATA, allow_pickle=False, **stimulus_data(script, instance, trained.presentations, further)
    )
    trained.save(path / STATE)
    recipe = _recipe(trained, instance, script, further)
    expected.save(path / expected.EXPECTED, recipe)
    (path / expected.README).write_text(_readme(trained, further, recipe), encoding="utf-8")
    return Exported(
        tuple(path / name for name in (SCRIPT, WEIGHTS, DATA, STATE, expected.EXPECTED, expected.README)),
        tuple(_lost(trained, script, further)),
    )


def _recipe(trained: Trained, instance: Instance, script: Script, further: int) -> expected.Recipe:
    """The first examples of a split, one after the other, and a few training presentations, from the state as it is."""
    split = "test" if "test" in instance.data.splits() else "train"
    feed = instance.evaluation(split)
    number = min(expected.PRESENTATIONS, feed.presentations)
    segment = Reference(instance).segment(
        trained.state, replace(feed, presentations=number), learning=False, every=1, rasters=True
    )
    arrays = {
        f"answers/{name}": array
        for name, array in segment.recording.arrays.items()
        if name in map(str, script.recorded)
    }
    for name, raster in segment.rasters.items():
        step, neuron = np.nonzero(raster.reshape(-1, raster.shape[-1]))
        arrays |= {f"answers/{name}.spikes.step": step, f"answers/{name}.spikes.neuron": neuron}
    ends, state, learned = instance.phase_ends(), trained.state, min(further, expected.LEARNED)
    for done in range(trained.presentations, trained.presentations + learned):
        phases = instance.experiment.protocol.phases
        phase = (
            next((phase for phase, end in zip(phases, ends, strict=True) if done < end), phases[-1]) if phases else None
        )
        state = (
            Reference(instance)
            .segment(state, replace(instance.presented(done, done + 1), phase=phase), learning=True)
            .state
        )
    arrays |= {f"learned/{p.name}.w": state[f"{p.name}.w"] for p in instance.network.plastic()}
    return expected.Recipe(
        tuple(f"{name}=={version(name)}" for name in ("brian2", "numpy")),
        f"python {SCRIPT} --split {split} --number {number} --out answers\npython {SCRIPT} --train {learned} --out"
        " learned",
        _COMPARE.replace("@NEAR@", f"{NEAR:g}"),
        f"every spike in its step; answers, and weights after {learned} further training presentations, within"
        f" {NEAR:g}",
        arrays,
    )


def load(path: Path) -> Imported:
    """Read a folder back, from its `state.h5`: Brian2 code itself is not read.

    Raises:
        FileError: if there is none, or it is damaged.
    """
    if not (path / STATE).is_file():
        raise WrongKind(
            f"'{path}' is no folder that 'biofa export --to brian2' wrote: it has no {STATE}. bioFA does not read"
            " Brian2 code."
        )
    return Imported(load_trained(path / STATE))


def text(script: Script, trained: Trained, further: int) -> str:
    """The whole program."""
    experiment, protocol = trained.experiment, trained.experiment.protocol
    dt, length = quantity(protocol.step, "s"), quantity(protocol.steps * protocol.step, "s")
    imports = [
        *script.imports(),
        "Network",
        "StateMonitor",
        "defaultclock",
        "prefs",
        "set_device",
        *(["SpikeMonitor"] if script.spiking else []),
    ]
    imports += [text.partition("*")[2] for text in (dt, length)]
    readout, wanted, measures = script.network.answer, script.network.wanted, script.network.measure
    steps, last = protocol.steps, protocol.shown_steps - 1
    values = {
        "NAME": _harmless(experiment.name),
        "DESCRIPTION": _harmless(experiment.description) or "A network.",
        "SCHEME": experiment.scheme,
        "SEED": trained.seed,
        "DONE": trained.presentations,
        "FURTHER": further,
        "IMPORTS": ", ".join(sorted(set(imports), key=str.lower)),
        "DT": dt,
        "SHOWN": SHOWN,
        "SPLITS": ", ".join(f'"{name}"' for name in script.splits),
        "DEFAULT": "test" if "test" in script.splits else "train",
        "BODY": script.network_text(),
        "STEPS": steps,
        "LENGTH": length,
        "LAST": f"[{last}::{steps}]" if steps > 1 else "",
        "READOUT": readout,
        "MONITORS": "\n".join(
            f'monitors["{node}"] = StateMonitor({script.populations[node.population]}, "{node.variable}", record=True,'
            ' when="after_start")'
            for node in script.recorded
        ),
        "SPIKES": "".join(f'spikes["{name}"] = SpikeMonitor({script.populations[name]})\n' for name in script.spiking),
        "NETWORK": ", ".join((*script.populations.values(), *script.pathways.values())),
        "KEPT": indent("\n".join(_kept(script, name, variables) for name, variables in script.kept().items()), "    "),
        "MEASURED": _measured(measures),
        "WANTED": "" if wanted is None else f'\ntargets = results["{wanted}"]',
        "LABELLED": f'if f"{{split}}.labels" in data and {wanted is None} and answers.shape[1] == targets.shape[1]:',
    }
    return re.sub("@([A-Z]+)@", lambda place: str(values[place[1]]), _TEMPLATE)


def _harmless(text: str) -> str:
    """Text of a model file as it may stand in a string of the script: it neither ends it nor escapes anything."""
    return (
        "".join(character if character.isprintable() or character == "\n" else " " for character in text)
        .replace("\\", "\\\\")
        .replace('"', "'")
        .strip()
    )


def _kept(script: Script, name: str, variables: list[str]) -> str:
    """Lines that put what a group has kept into `after`."""
    if name in script.populations:
        return "\n".join(
            f'after["{name}.{variable}"] = {script.populations[name]}.{variable}[:]' for variable in variables
        )
    python = script.pathways[name]
    return "\n".join(
        f'after["{name}.{kept}"] = matrix({python}, {python}.{variable}[:], state["{name}.{kept}"])'
        for variable, kept in ((variable, variable.removesuffix(SUFFIX)) for variable in variables)
    )


def _measured(measures: tuple[Any, ...]) -> str:
    if not measures:
        return 'nse = np.sum((targets - answers) ** 2) / np.sum(targets**2)'
    distance, power = (f'results["{node}"].sum()' for node in measures)
    return f"nse = {distance} / {power}"


def _lost(trained: Trained, script: Script, further: int) -> list[str]:
    probes = [p.name for p in trained.experiment.network.pathways if p.port == "probe"]
    lost = [
        f"training examples after the next {further} presentations: the script learns at most so many; export again"
        " from a later state for more"
    ]
    if probes:
        lost.append(
            f"electrodes ({', '.join(probes)}): pathways that only measure the feedback against the gradient are"
            " left out"
        )
    if script.noise:
        lost.append(
            f"the generators of what is drawn anew for each presentation ({', '.join(script.noise)}): data.npz holds"
            " the draws themselves"
        )
    if trained.experiment.protocol.phases and trained.presentations + further > _ends(trained):
        lost.append("the end of the last phase: presentations after it learn at its rate")
    if trained.experiment.protocol.stop is not None:
        lost.append("the stop criterion: the script learns for as long as it is told")
    return lost


def _ends(trained: Trained) -> int:
    return draw(trained.experiment, trained.seed).phase_ends()[-1]


def _readme(trained: Trained, further: int, recipe: expected.Recipe) -> str:
    experiment = trained.experiment
    return f"""# {experiment.name} for plain Brian2

{experiment.description}

Scheme {experiment.scheme}, seed {trained.seed}, after {trained.presentations} presentations. Written by bioFA; running it needs only Brian2 and NumPy.

    python {SCRIPT}                                answer every test image, without learning; answers and spikes go to results.npz
    python {SCRIPT} --train 100                    learn from the next 100 of {further} training presentations; the state goes to after.npz
    python {SCRIPT} --state after.npz              answer with what was learned, or, with --train, go on from there
    python {SCRIPT} --standalone                   any of these, compiled to C++
    python {SCRIPT} --help

`{WEIGHTS}` holds the state: weights `pathway.w` (n_post, n_pre) and neurons' `population.variable`. `{DATA}` holds the examples.
`{STATE}` is for bioFA: `biofa import FOLDER --from brian2 --out DIR` gives the model file and state back, to go on learning there.

{expected.section(recipe)}
The description that the script was made from:

```toml
{toml.dumps(experiment).strip()}
```
"""  # noqa: E501


_TEMPLATE = '''"""@NAME@: @DESCRIPTION@

Written by bioFA from a network that learned with the scheme "@SCHEME@", seed @SEED@, for @DONE@ presentations. Needs Brian2 and NumPy only.

    python network.py                          answer every example of a split, without learning: results.npz
    python network.py --split @DEFAULT@ --number 20
    python network.py --train 100              learn from the next 100 training presentations: results.npz, after.npz
    python network.py --state after.npz        answer with what was learned
    python network.py --standalone             any of these, compiled to C++

A time step, in the slots of Brian2's schedule:

    start           `sweep`, a list in this order: sources show, pathways sum what they carry, populations compute what they send
    after_start     spikes of this step become events; monitors see the values of this step
    before_groups   `learning`: every synapse changes by these values; then `arrival`: what spikes do at once where they arrive
    groups          the differential equations advance
    thresholds      threshold test and reset; the spikes are sent in the next step
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from brian2 import @IMPORTS@

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser(description="""Run the network @NAME@ in plain Brian2.""", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
parser.add_argument("--train", type=int, metavar="N", help="learn from the next N training presentations (of @FURTHER@)")
parser.add_argument("--split", choices=[@SPLITS@], default="@DEFAULT@", help="examples to answer, without learning")
parser.add_argument("--number", type=int, metavar="N", help="answer only the first N of them")
parser.add_argument("--state", default=HERE / "weights.npz", metavar="FILE", help="weights and neurons' state to begin with")
parser.add_argument("--standalone", action="store_true", help="compile to C++ and run that")
parser.add_argument("--target", choices=["numpy", "cython"], default="numpy", help="code generation without --standalone; numpy needs no compiler")
parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where results.npz and after.npz go")
args = parser.parse_args()

if args.standalone:
    project = tempfile.TemporaryDirectory(prefix="network-")  # removed when the program ends
    set_device("cpp_standalone", directory=project.name)
else:
    prefs.codegen.target = args.target
defaultclock.dt = @DT@

data = dict(np.load(HERE / "data.npz"))
state = dict(np.load(args.state))
training = args.train is not None
split = "train" if training else args.split
done = int(state.pop("presentations", @DONE@))  # training presentations so far
rows = data["order"][done - @DONE@ :][: args.train] if training else np.arange(len(data[f"{split}.inputs"]))[: args.number]
first = done if training else 0  # the number of the first presentation
during = slice(first - @DONE@, first - @DONE@ + len(rows)) if training else slice(len(rows))
if not len(rows) or (training and len(rows) < args.train):
    parser.error(f"there are examples for training presentations {done} to {@DONE@ + len(data['order'])}, and at least one must be shown")


@SHOWN@


@BODY@

# Run ------------------------------------------------------------------------------------------------------------
monitors, spikes = {}, {}
@MONITORS@
@SPIKES@network = Network(@NETWORK@)
network.add(list(monitors.values()), list(spikes.values()))
network.run(len(rows)*@LENGTH@, namespace={}, report="stderr")

# Results --------------------------------------------------------------------------------------------------------
results = {name: getattr(monitor, name.split(".")[1])[:].T@LAST@ for name, monitor in monitors.items()}  # at the end of each presentation
for name, monitor in spikes.items():
    results[f"{name}.spikes.step"] = np.rint(np.asarray(monitor.t / defaultclock.dt)).astype(int)  # @STEPS@ steps a presentation
    results[f"{name}.spikes.neuron"] = np.asarray(monitor.i)
answers, targets = results["@READOUT@"], data[f"{split}.targets"][rows]
targets = targets if targets.ndim == 2 else targets[:, -1]@WANTED@
@MEASURED@
print(f"{split}: {len(rows)} presentations, normalised squared error {nse:.6g}", end="")
@LABELLED@
    error = np.mean(answers.argmax(axis=1) != data[f"{split}.labels"][rows])
    print(f", wrong answers {100 * error:.2f} %", end="")
print()
args.out.mkdir(parents=True, exist_ok=True)
np.savez(args.out / "results.npz", **results)


def matrix(pathway, values, before):
    """What synapses hold as a matrix (n_post, n_pre); 0 as before where there is no synapse."""
    whole = np.array(before, dtype=float)
    whole[pathway.j[:], pathway.i[:]] = values
    return whole


if training:
    after = {**state, "presentations": done + len(rows)}
@KEPT@
    np.savez(args.out / "after.npz", **after)
'''  # noqa: E501
