"""A network in which time passes as a script for plain Brian2: `NeuronGroup`s, `Synapses`, and given spikes.

    network.py     the network; runs with Brian2 and NumPy alone
    data.npz       parameters and first values of all neurons; neurons, weights and delays of all synapses; the spikes
                   that sources show in the first trial
    state.h5       the same for bioFA, which `biofa import --from brian2` reads back
    expected.npz   every spike of the first steps, by the NumPy reference
    README.md      how to run it, and how to compare

A step is bioFA's own (`consumers/reference.py`), by Brian2's slots in another order: spikes that the test of the step
before found are sent, and arrive after their delays (`synapses`); `arrival` runs (`before_groups`); equations move
(`groups`); thresholds and resets follow. With `protocol.order = "brian2"` the resets come before the equations.
Brian2 counts a refractory period from the step of the spike, so it gets one step more in bioFA's own order.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bioFA import draws
from bioFA.equations.dimensions import describe
from bioFA.errors import NoCounterpart
from bioFA.exchange import expected, free_parts
from bioFA.exchange.base import Exported
from bioFA.instance import Instance, draw
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.equations import TextNeuron
from bioFA.runs.trained import STATE, Trained
from bioFA.units import steps_of

Array = np.ndarray
SCRIPT, DATA = "network.py", "data.npz"


def export(trained: Trained, path: Path) -> Exported:
    """Write the folder.

    Raises:
        NoCounterpart: naming what the script has no words for.
    """
    if trained.experiment.protocol.phases:
        raise _refused("protocol.phases divide the trial", "one phase")
    instance = draw(trained.experiment, trained.seed)
    free_parts.check_sources(instance.network, _refused)
    for population in free_parts.cells(instance.network):
        _check_population(population)
    for pathway in instance.network.pathways:
        _check_pathway(pathway)
    arrays: dict[str, Array] = {}
    parts = [_cells(instance, p, arrays) for p in free_parts.cells(instance.network)]
    parts[:0] = [_source(p) for p in free_parts.sources(instance.network)]
    arrays |= _shown(instance)
    parts += [_synapses(instance, pathway, arrays) for pathway in instance.network.pathways]
    parts += _background(instance, arrays)
    path.mkdir()
    (path / SCRIPT).write_text(_text(trained, instance.network, parts), encoding="utf-8")
    np.savez_compressed(path / DATA, allow_pickle=False, **arrays)
    trained.save(path / STATE)
    recipe = _recipe(instance)
    expected.save(path / expected.EXPECTED, recipe)
    (path / expected.README).write_text(_readme(trained, recipe), encoding="utf-8")
    lost = ["traces, rates and measures: the script keeps every spike"]
    if trained.experiment.protocol.trials > 1:
        lost.append("trials after the first: the script runs that one")
    names = (SCRIPT, DATA, STATE, expected.EXPECTED, expected.README)
    return Exported(tuple(path / name for name in names), tuple(lost))


def _check_population(population: Population) -> None:
    """Refuse neurons that the script has no words for."""
    neuron, place = population.neuron, f"population '{population.name}'"
    assert isinstance(neuron, TextNeuron)
    if neuron.happens:
        raise _refused(f"{place}: it has events of its own", "spikes alone")
    if neuron.draws:
        raise _refused(f"{place}: its text draws random numbers", "neurons without noise")
    if neuron.method == "rkf45":
        raise _refused(f"{place}: Brian2 has no method rkf45", "euler, exponential_euler, exact or rk4")
    named = {name for text in neuron._texts() for name in text.names}
    for word in ("since", "learning"):
        if word in named:
            raise _refused(f"{place}: its text names '{word}'", "a text without it")


def _check_pathway(pathway: Pathway) -> None:
    """Refuse synapses that the script has no words for."""
    place = f"pathway '{pathway.name}'"
    if pathway.plasticity is not None:
        raise _refused(f"{place} learns", "fixed weights")
    if pathway.dynamics is not None:
        raise _refused(f"{place} has short-term dynamics", "synapses without")
    free_parts.check_synapses(pathway, _refused)


def _refused(what: str, use: str) -> NoCounterpart:
    return NoCounterpart(f"{what}, for which the script for Brian2 has no words. It has: {use}.")


def _name(kind: str, name: str) -> str:
    """The Python name of a part."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"


def _cells(instance: Instance, population: Population, arrays: dict[str, Array]) -> str:
    """A group of neurons, with what it begins with."""
    neuron, name, protocol = population.neuron, population.name, instance.experiment.protocol
    assert isinstance(neuron, TextNeuron)
    python, delivered_first = _name("group", name), protocol.order == "deliver_first"
    model = [_plain(line) for line in neuron.model.splitlines() if _plain(line)]
    model += [f"{one} : {describe(dimension)} (constant)" for one, dimension in neuron.parameter_dimensions.items()]
    model += [f"{port} : {neuron.ports[port].unit}" for port in neuron.ports]
    options = [f'method="{neuron.method}"'] if any("/dt" in line for line in model) else []
    lines = []
    if neuron.threshold is None:
        model = [line.replace("(unless refractory)", "") for line in model]
    else:
        steps = steps_of(neuron.pause, protocol.step) + delivered_first
        options += [f'threshold="{_plain(neuron.threshold)}"', f"refractory={steps}*defaultclock.dt"]
        if neuron.reset:
            options.append(f'reset="""{_statements(neuron.reset)}"""')
        if delivered_first:  # Brian2 looks only as the equations move
            held = f"not_refractory = timestep(t - lastspike, dt) >= {steps}"
            lines.append(f'{python}.run_regularly("{held}", when="start")')
    if neuron.ports:
        zero = "\n".join(f"{one} = 0*{port.unit}" for one, port in neuron.ports.items())
        lines.append(f'{python}.run_regularly("""{zero}""", when="start", order=1)')
    if neuron.on_arrival:
        when = "before_groups" if delivered_first else "before_resets"
        lines.append(f'{python}.run_regularly("""{_statements(neuron.on_arrival)}""", when="{when}")')
    first = instance.trial_begins(0)
    arrays |= {f"{name}.{one}": first[f"{name}.{one}"] for one in neuron.text.state}
    for one in neuron.parameter_dimensions:
        arrays[f"{name}.{one}"] = np.array(np.broadcast_to(instance.constants[f"{name}.{one}"], population.size))
    lines += [
        f'{python}.{one}_ = data["{name}.{one}"]' for one in (*neuron.parameter_dimensions, *neuron.text.state)
    ]
    body = "\n".join(f"    {line}" for line in model)
    given = "".join(f", {option}" for option in options)
    monitor = f'spikes["{name}"] = SpikeMonitor({python})' if neuron.threshold is not None else ""
    group = f'{python} = NeuronGroup({population.size}, """\n{body}\n"""{given}, namespace={{}})'
    return "\n".join((group, *lines, *([monitor] if monitor else [])))


def _plain(text: str) -> str:
    """A text that was read, without comments, as it may stand in a string of the script."""
    found = " ".join(text.partition("#")[0].split())
    if not set('"\\').isdisjoint(found):
        raise _refused(f"a text with {found!r}", "text without quotes")
    return found


def _statements(text: str) -> str:
    """Statements, one a line."""
    return "\n".join(_plain(part) for part in re.split(r"[;\n]", text) if _plain(part))


def _source(population: Population) -> str:
    """Spikes that are given, in the step that shows them."""
    name = population.name
    return (
        f'{_name("group", name)} = SpikeGeneratorGroup({population.size}, data["{name}.neurons"],'
        f' data["{name}.steps"]*defaultclock.dt, when="start")'
    )


def _shown(instance: Instance) -> dict[str, Array]:
    """The spikes of every source in the first trial, by name."""
    found: dict[str, Array] = {}
    for name, (neurons, steps) in free_parts.shown(instance, _refused).items():
        found |= {f"{name}.neurons": neurons, f"{name}.steps": steps}
    return found


def _synapses(instance: Instance, pathway: Pathway, arrays: dict[str, Array]) -> str:
    """The synapses of a pathway, one by one, with weights and delays."""
    name, python = pathway.name, _name("synapses", pathway.name)
    pre, post, weights, delays = free_parts.synapses(instance, pathway)
    unit = describe(instance.network.weight_dimension(pathway))
    ends = ", ".join(_name("group", end) for end in (pathway.source, pathway.target))
    one_delay = f", delay={int(delays[0])}*defaultclock.dt" if len(delays) == 1 else ""
    lines = [
        f'{python} = Synapses({ends}, "w : {unit} (constant)", on_pre="{pathway.port}_post += w"{one_delay},'
        " namespace={})",
        f'{python}.connect(i=data["{name}.pre"], j=data["{name}.post"])',
        f'{python}.w_ = data["{name}.w"]',
    ]
    arrays |= {f"{name}.pre": pre.astype(np.int32), f"{name}.post": post.astype(np.int32)}
    arrays[f"{name}.w"] = np.array(np.broadcast_to(weights, len(pre)))
    if len(delays) > 1:
        arrays[f"{name}.delays"] = delays.astype(np.int32)
        lines.append(f'{python}.delay = data["{name}.delays"]*defaultclock.dt')
    return "\n".join(lines) if len(pre) else f"# {name} has no synapses"


def _background(instance: Instance, arrays: dict[str, Array]) -> Iterator[str]:
    """Poisson numbers of the background of each population, by the same hash."""
    statements = []
    for population in instance.network.populations:
        for background in free_parts.outside(instance, population):
            place = background.place
            arrays |= {f"{place}.mean": background.mean, f"{place}.weight": background.weight}
            group = f"{_name('group', population.name)}.{background.port}_"
            numbers = f"number({background.key}, 0, step, np.arange({population.size}))"
            statements.append(f'    {group} += data["{place}.weight"]*poisson({numbers}, data["{place}.mean"])')
    if not statements:
        return
    functions = [inspect.getsource(part).strip() for part in (draws.mix, draws.number, draws.poisson)]
    yield "\n\n\n".join(functions).replace(": Array", "").replace(" -> Array", "")
    yield "\n".join((
        '@network_operation(when="after_synapses")',
        "def background(t):",
        '    """Poisson spikes from outside, as many as each neuron gets in this step."""',
        "    step = int(round(float(t/defaultclock.dt)))",
        *statements,
    ))


def _recipe(instance: Instance) -> expected.Recipe:
    """Every spike of the first steps."""
    steps, arrays = free_parts.answers(instance)
    return expected.Recipe(
        tuple(f"{name}=={version(name)}" for name in ("brian2", "numpy")),
        f"python {SCRIPT} --steps {steps} --out answers",
        _COMPARE,
        "every spike in its step",
        arrays,
    )


_COMPARE = """import numpy as np

found = np.load("answers/spikes.npz")
for name, array in np.load("expected.npz").items():
    assert np.array_equal(found[name], array), name
    print(f"{name}: {len(array)}, all equal")
"""


def _text(trained: Trained, network: Network, parts: list[str]) -> str:
    """The whole program."""
    protocol = trained.experiment.protocol
    slots = ["start", "synapses", "groups", "thresholds", "resets", "end"]
    if protocol.order == "brian2":
        slots = ["start", "synapses", "resets", "groups", "thresholds", "end"]
    objects = [_name("group", population.name) for population in network.populations]
    objects += [
        _name("synapses", pathway.name)
        for pathway, part in zip(network.pathways, parts[len(objects) :], strict=False)
        if not part.startswith("#")
    ]
    objects += ["background"] * any(population.background for population in network.populations)
    values: dict[str, Any] = {
        "NAME": _harmless(trained.experiment.name),
        "DESCRIPTION": _harmless(trained.experiment.description) or "A network.",
        "SEED": trained.seed,
        "STEPS": protocol.shown_steps,
        "DT": repr(protocol.step),
        "SLOTS": repr(slots).replace("'", '"'),
        "BODY": "\n\n".join(parts),
        "OBJECTS": ", ".join(objects),
    }
    return re.sub("@([A-Z]+)@", lambda place: str(values[place[1]]), _TEMPLATE)


def _harmless(text: str) -> str:
    """Text of a model file as it may stand in a string of the script."""
    return "".join(c if c.isprintable() else " " for c in text).replace("\\", "\\\\").replace('"', "'").strip()


def _readme(trained: Trained, recipe: expected.Recipe) -> str:
    return f"""# {trained.experiment.name} for plain Brian2

{trained.experiment.description}

Seed {trained.seed}. Written by bioFA; running it needs only Brian2 and NumPy.

    python {SCRIPT}                    the whole trial; every spike goes to spikes.npz, as `population.steps` and `population.neurons`
    python {SCRIPT} --target cython    compiled

`{DATA}` holds parameters, first values, synapses, and the spikes that sources show. A spike of step n was found by the threshold test of the step before; its time is n dt.
`{STATE}` is for bioFA: `biofa import FOLDER --from brian2 --out DIR` gives the model file back.

{expected.section(recipe)}
"""  # noqa: E501


_TEMPLATE = '''"""@NAME@: @DESCRIPTION@

Written by bioFA from seed @SEED@. Needs Brian2 and NumPy only.

    python network.py                      run the whole trial: spikes.npz
    python network.py --steps 1000 --target cython
"""

import argparse
from pathlib import Path

import numpy as np
from brian2 import *

parser = argparse.ArgumentParser(description="""Run the network @NAME@ in plain Brian2.""")
parser.add_argument("--steps", type=int, default=@STEPS@, help="steps to run, of @STEPS@")
parser.add_argument("--target", choices=["numpy", "cython"], default="numpy", help="code generation")
parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where spikes.npz goes")
args = parser.parse_args()

prefs.codegen.target = args.target
defaultclock.dt = @DT@*second
data = dict(np.load(Path(__file__).resolve().parent / "data.npz"))
spikes = {}

@BODY@

# Spikes of the test of the step before are sent first; arrivals and equations follow, then the test.
network = Network(@OBJECTS@, *spikes.values())
network.schedule = @SLOTS@
network.run(args.steps*defaultclock.dt, namespace={}, report="stderr")

found = {}
for name, monitor in spikes.items():
    steps = np.rint(np.asarray(monitor.t/defaultclock.dt)).astype(int) + 1  # published in the step after the test
    kept = steps < args.steps
    found[f"{name}.steps"], found[f"{name}.neurons"] = steps[kept], np.asarray(monitor.i)[kept]
    print(f"{name}: {kept.sum()} spikes")
args.out.mkdir(parents=True, exist_ok=True)
np.savez(args.out / "spikes.npz", **found)
'''
