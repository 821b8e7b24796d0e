"""A network as the text of a stock Brian2 program: `NeuronGroup`, `Synapses` and equations, arranged for reading.
Nothing here imports Brian2.

A step of bioFA (`bioFA.consumers.reference`) is laid out in Brian2's own schedule:

    start           `sweep`: sources show, sums of pathways, published variables, each after those that it depends on
    after_start     spikes of this step become events; monitors see the values of this step
    before_groups   `learning`: plasticity, then `arrival`, what arriving spikes do at once
    groups          the differential equations of neurons
    thresholds      threshold test and reset, whose spikes are sent in the next step

Published variables are subexpressions: computed once a step (`constant over dt`) where a population's first
drive has been summed, and wherever they are read where they hang on what arrives later (`delta = error*gain`).
The text is printed as a script (`bioFA.exchange.brian2`), or executed (`bioFA.exchange.brian2_live`).
"""

from __future__ import annotations

import inspect
import keyword
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bioFA import draws, units
from bioFA.components import first_paragraph, headline
from bioFA.consumers.brian import __file__ as runtime
from bioFA.consumers.brian.compose import learning_parameters, make_program
from bioFA.consumers.brian.program import GroupSpec, PathwaySpec, Program
from bioFA.errors import NoCounterpart
from bioFA.experiment import Experiment
from bioFA.instance import Instance
from bioFA.network import Network, Node, Pathway, Population
from bioFA.neurons.base import published_apart
from bioFA.tasks import ByteTable

Array = np.ndarray
SUFFIX = "_syn"
"""What a rule's name gets where a population at its ends has the same."""
_TAKEN = {
    "e",
    "i",
    "np",
    "data",
    "state",
    "rows",
    "during",
    "split",
    "training",
    "first",
    "shown",
    "uniform",
    "pace",
    "sweep",
    "learning",
    "arrival",
    "order",
    "updater",
    "network",
    "populations",
    "pathways",
    "step",
    "presentation",
    "ms",
    "second",
    "mix",
    "name",
    "number",
    "table",
    "keys",
    "kept",
    "monitors",
    "spikes",
    "args",
    "parser",
    "after",
    "numbers",
    "exists",
    "synapses",
    "run",
    "prefs",
    "defaultclock",
    "implementation",
    "open",
    "print",
    "range",
    "len",
    "zip",
    "enumerate",
    "str",
    "int",
    "float",
    "abs",
    "dict",
    "list",
    "max",
    "min",
    "sum",
    "project",
}


def stripped(experiment: Experiment) -> Experiment:
    """The experiment without electrodes: the pathways that end in a port `probe`, and the variables recorded there."""
    network = experiment.network
    if not any(p.port == "probe" for p in network.pathways):
        return experiment
    return experiment.replace(
        circuit=Network(
            populations=network.populations, pathways=tuple(p for p in network.pathways if p.port != "probe")
        ),
        record=experiment.record.replace(
            variables=tuple(v for v in experiment.record.variables if not v.endswith(".probe"))
        ),
    )


@dataclass(frozen=True)
class Script:
    """The text of a network; `populations` and `pathways` give the Python name of each,
    `tables` what its sources show."""

    experiment: Experiment
    seed: int
    splits: tuple[str, ...]

    def __post_init__(self) -> None:
        for population in self.network.populations:
            if population.neuron.whole_step():
                raise NoCounterpart(
                    f"population '{population.name}': the script for Brian2 writes neurons whose step is told in parts,"
                    f" and that of {population.neuron.family_name} is one text. Run it here, or write its group in"
                    " Brian2; bioFA.from_brian2 takes it from there."
                )
        for pathway in self.network.pathways:
            self._check(pathway)

    @cached_property
    def network(self) -> Network:
        """The network."""
        return self.experiment.network

    @cached_property
    def groups(self) -> dict[str, GroupSpec]:
        """The populations that compute or show something, by name."""
        return {group.name: group for group in self._program.groups if group.variables or group.dynamics}

    @cached_property
    def synapses(self) -> dict[str, Pathway]:
        """The pathways that are built, each after the one that it refers to."""
        built = [
            p
            for p in self.network.pathways
            if p.name in self._specs or (p.weights.one_to_one and Node(p.target, p.port) in self._needed)
        ]
        return {p.name: p for p in sorted(built, key=lambda p: len(p.refers_to()))}

    @cached_property
    def populations(self) -> dict[str, str]:
        """The Python name of each population."""
        return self._names(self.groups)

    @cached_property
    def pathways(self) -> dict[str, str]:
        """The Python name of each pathway."""
        return self._names(self.synapses)

    @cached_property
    def drawing(self) -> list[Population]:
        """The populations that draw random numbers."""
        return [p for p in self.network.populations if p.neuron.draws and p.name in self.groups]

    @cached_property
    def spiking(self) -> list[str]:
        """The populations whose spikes are events."""
        return [name for name, group in self.groups.items() if "s" in group.variables]

    @cached_property
    def recorded(self) -> list[Node]:
        """What is recorded at the end of a presentation: the answer, the target where it arrives changed,
        the error where the unit measures it."""
        return list(dict.fromkeys(self.network.judged))

    @cached_property
    def noise(self) -> list[str]:
        """The populations and pathways that are shown something of their own in each presentation: noise,
        or weights."""
        return [p.name for p in self.network.populations if p.neuron.shows == "noise" and p.name in self.groups] + [
            p.name for p in self.network.redrawn() if p.name in self.synapses
        ]

    def kept(self) -> dict[str, list[str]]:
        """What a group keeps from step to step, by name: the state of neurons,
        and the weights and traces of plastic pathways."""
        kept = {
            name: list(self.network.population(name).neuron.state)
            for name in self.groups
            if self.network.population(name).neuron.state
        }
        for name, spec in self._specs.items():
            if spec.equations:
                kept[name] = _kept(spec)
        return kept

    def _check(self, pathway: Pathway) -> None:
        """Refuse what stock Brian2 has no equations for."""
        why = ""
        if pathway.weights.inverts:
            why = "transmits with the pseudo-inverse of other weights, which no equation of a synapse can say"
        elif pathway.learning.normalised:
            why = "keeps the norm of the weights that enter a neuron, which no equation of a single synapse can say"
        elif pathway.partner and (pathway.sparse or self.network.pathway(pathway.partner).sparse):
            why = "reads the weights of a partner synapse by synapse, and some of the synapses do not exist"
        if why:
            raise NoCounterpart(
                f"pathway '{pathway.name}' {why}. The model cannot be written as a stock Brian2 program; choose another"
                " scheme, or another format."
            )

    @cached_property
    def _program(self) -> Program:
        with published_apart():
            return make_program(self.experiment, blocked=False)

    @cached_property
    def _specs(self) -> dict[str, PathwaySpec]:
        return {spec.name: _renamed(spec, self._clashes(spec)) for spec in self._program.pathways}

    def _clashes(self, spec: PathwaySpec) -> list[str]:
        """Names of a rule that one of its populations has too: Brian2 wants different ones at a synapse."""
        at_ends: set[str] = set()
        for end in (spec.source, spec.target):
            if end in self.groups:
                at_ends |= {
                    *self.groups[end].variables,
                    *self.groups[end].parameters,
                    *self.network.population(end).neuron.state,
                }
        return [name for name in (*spec.parameters, *spec.traces) if name in at_ends]

    @cached_property
    def _needed(self) -> set[Node]:
        return {Node(group.name, variable) for group in self._program.groups for variable in group.variables}

    def _names(self, names: Iterable[str]) -> dict[str, str]:
        return {name: f"{name}_" if name in _TAKEN or keyword.iskeyword(name) else name for name in names}

    def _slot(self, pathway: Pathway) -> str:
        """The variable of the target that a pathway sums into: the port itself where it arrives alone."""
        arriving = self.network.arriving(pathway.target, pathway.port)
        if len(arriving) == 1:
            return pathway.port
        twice = [p.source for p in arriving].count(pathway.source) > 1
        return f"{pathway.port}_from_{pathway.name if twice else pathway.source}"

    def _kinds(self, name: str) -> tuple[list[str], list[str], list[str]]:
        """The published variables of a population: computed at once when its first drive is there; later,
        from state too; wherever read."""
        neuron = self.network.population(name).neuron
        nodes = [node.variable for node in self.network.order if node.population == name and node in self._needed]
        published = [variable for variable in nodes if variable in neuron.publishes and not self._is_one(name)]
        ports = {*nodes[: nodes.index(published[0])], *neuron.unread_ports()} if published else set()
        once: list[str] = []
        for variable in published:
            if all(need in (*neuron.known(), *ports, *once) for need in neuron.needs(variable)):
                once.append(variable)
        later: list[str] = []
        anywhere: list[str] = []
        for variable in published:
            if variable not in once:
                stirred = any(need in (*neuron.state, *neuron.draws, *later) for need in neuron.needs(variable))
                (later if stirred else anywhere).append(variable)
        return once, later, anywhere

    def _is_one(self, name: str) -> bool:
        return self.network.population(name).neuron.shows == "one"

    def _expression(self, name: str, variable: str) -> str:
        """A published variable as an expression, or what a source shows."""
        neuron = self.network.population(name).neuron
        if neuron.shows in ("task", "noise") and variable == neuron.shown:
            return f"{self._shown(name)}(t, i)"
        return neuron.expressions()[variable]

    def _shown(self, name: str) -> str:
        """The name of the stimulus that a source shows."""
        neuron = self.network.population(name).neuron
        return str(getattr(neuron, "of", f"shown_{name}"))

    def imports(self) -> list[str]:
        """The names of Brian2 that the text of the network uses."""
        text = self.network_text()
        names = [name for scales in units.READABLE.values() for name, _ in scales] + list(units.BRIAN2.values())
        return [
            "NeuronGroup",
            "Synapses",
            "TimedArray",
            *(["check_units", "implementation"] if self.drawing else []),
            *(name for name in dict.fromkeys(names) if f"*{name}" in text),
        ]

    def stimuli(self) -> str:
        """What sources show: arrays over time."""
        protocol = self.experiment.protocol
        task = {
            self._shown(name): self.network.population(name)
            for name in self.groups
            if self.network.population(name).neuron.shows == "task"
        }
        lines = []
        bins = self.experiment.the_task.bins()
        for of in task:
            per_bin = protocol.shown_steps // bins.get(of, 1)
            blank = protocol.steps - protocol.shown_steps
            row = math.gcd(per_bin, blank) if blank else per_bin
            extra = f", repeat={per_bin // row}, blank={blank // row}" if blank else ""
            lines.append(f'{of} = TimedArray(shown("{of}"{extra}), dt={quantity(row * protocol.step, "s")})')
        for name in self.noise:
            extra = ""
            length = protocol.steps
            if name in self.groups and protocol.steps > protocol.shown_steps:
                length = math.gcd(protocol.shown_steps, protocol.steps)
                extra = (
                    f", repeat={protocol.shown_steps // length},"
                    f" blank={(protocol.steps - protocol.shown_steps) // length}"
                )
            lines.append(
                f'shown_{name} = TimedArray(shown("{name}"{extra}), dt={quantity(length * protocol.step, "s")})  #'
                ' drawn by bioFA for each presentation'
            )
        if self._phased():
            lines.append(
                "pace = TimedArray(data[\"pace\"][during] if training else np.ones(len(rows)),"
                f" dt={quantity(protocol.steps * protocol.step, 's')})  # of every learning rate"
            )
        for name in self._frozen():
            lines.append(
                f"learns_{name} = TimedArray(data[\"learns.{name}\"][during] if training else np.ones(len(rows)),"
                f" dt={quantity(protocol.steps * protocol.step, 's')})"
            )
        if self.drawing:
            lines.append(self._uniform())
        return "\n".join(lines)

    def _phased(self) -> bool:
        return any(phase.rate != 1.0 for phase in self.experiment.protocol.phases)

    def _frozen(self) -> list[str]:
        """The plastic pathways that do not learn in some phase."""
        return [
            p.name
            for p in self.network.plastic()
            if any(phase.learns is not None and p.name not in phase.learns for phase in self.experiment.protocol.phases)
        ]

    def _uniform(self) -> str:
        keys = {split: [draws.key(self.seed, f"draws/{split}/{p.name}") for p in self.drawing] for split in self.splits}
        rows = "\n".join(
            f'    "{split}": [{", ".join(f"0x{key:016x}" for key in row)}],' for split, row in keys.items()
        )
        numbers = ", ".join(f"{number}: {p.name}" for number, p in enumerate(self.drawing))
        return f"keys = {{  # of the random numbers of {numbers}\n{rows}\n}}[split]\n{_uniform()}"

    def _population(self, name: str) -> str:
        population, group, python = self.network.population(name), self.groups[name], self.populations[name]
        neuron = population.neuron
        once, later, anywhere = self._kinds(name)
        ports = [
            variable
            for variable in group.variables
            if variable in neuron.ports and variable not in neuron.unread_ports()
        ]
        lines = []
        sums = {port: [self._slot(p) for p in self.network.arriving(name, port)] for port in ports}
        for port, slots in sums.items():
            if len(slots) == 1 or not slots:
                lines.append(f"{port} : 1" if slots else f"{port} : 1  # nothing arrives")
            else:
                lines.append(f"{port} = {' + '.join(slots)} : 1")
                lines += [f"{slot} : 1" for slot in slots]
        lines += [line.strip() for line in group.dynamics.strip().splitlines()]
        lines += [f"{variable} : 1" for variable in group.kept]
        if self._is_one(name) and "r" in group.variables:
            lines.append("r : 1 (constant)")
        steps = self.experiment.protocol.steps
        if group.timed or neuron.draws:
            lines.append(
                f"step = t_in_timesteps % {steps} : integer (shared)" if steps > 1 else "step = 0 : integer (shared)"
            )
        if group.timed:
            lines.append("time = step*dt : second (shared)")
        if neuron.draws:
            lines.append(f"presentation = first + t_in_timesteps // {steps} : integer (shared)")
            number = [p.name for p in self.drawing].index(name)
            lines += [
                f"{variable} = uniform({number}, presentation, step, i) : 1 (constant over dt)"
                for variable in neuron.draws
            ]
        lines += [f"{variable} = {self._expression(name, variable)} : 1 (constant over dt)" for variable in once]
        lines += [f"{variable} : 1" for variable in later]
        lines += [f"{variable} = {self._expression(name, variable)} : 1" for variable in anywhere]
        lines += [
            f"{variable} : {units.BRIAN2[unit]} (shared, constant)"
            for variable, unit in group.parameters.items()
            if not variable.startswith("scale_")
        ]
        lines += ["cell : 1 (constant)"] if group.dale else []
        equations = "\n    ".join(lines)
        extras = ', threshold="s > 0", reset=""' if name in self.spiking else ""
        extras += f', method="{group.method}"' if group.dynamics else ""
        namespace = ", ".join(f'"{word}": {word}' for word in self._functions(once, later, name))
        text = [f"# {_headline(neuron)}"]
        text.append(
            f'{python} = NeuronGroup({population.size}, """\n    {equations}\n    """{extras}, name="{name}",'
            f' namespace={{{namespace}}})'
        )
        if name in self.spiking:
            text.append(f'{python}.set_event_schedule("spike", when="after_start")')
        if neuron.spiking():
            text.append(
                f'{python}.run_regularly("""\n    '
                + "\n    ".join(neuron.spiking().splitlines())
                + '\n    """, when="thresholds")  # threshold test and reset'
            )
        values = neuron.parameters()
        text += [
            f"{python}.{p} = {quantity(values[p], unit)}"
            for p, unit in group.parameters.items()
            if not p.startswith("scale_")
        ]
        if self._is_one(name) and "r" in group.variables:
            text.append(f"{python}.r = 1")
        cells = population.cells()
        if cells is not None:
            excitatory = int((cells > 0).sum())
            text.append(
                f'{python}.cell = "1 - 2*int(i >= {excitatory})"  # Dale\'s law: the first {excitatory} cells are'
                ' excitatory'
            )
        text += [f'{python}.{variable} = state["{name}.{variable}"]' for variable in neuron.state]
        return "\n".join(text)

    def _functions(self, once: list[str], later: list[str], name: str) -> list[str]:
        neuron = self.network.population(name).neuron
        found = ["uniform", "first"] if neuron.draws else []
        if neuron.shows in ("task", "noise") and neuron.shown in (*once, *later):
            found.append(self._shown(name))
        return found

    def _pathway(self, name: str) -> str:
        pathway, python = self.synapses[name], self.pathways[name]
        slot = f"{self._slot(pathway)}_post"
        arrives = Node(pathway.target, pathway.port) in self._needed
        carried = f"{pathway.carries}_pre"
        ends = f'{python} = Synapses({self.populations[pathway.source]}, {self.populations[pathway.target]}, """'
        if pathway.weights.one_to_one:
            scale = pathway.weights.parameters()["scale"]
            expression = carried if scale == 1 else f"{scale!r}*{carried}"
            return (
                f'{ends}\n    {slot} = {expression} : 1 (summed)\n    """, name="{name}",'
                f' namespace={{}})\n{python}.connect(j="i")'
            )
        spec = self._specs[name]
        equations, comments, namespace = self._rule(spec)
        weight = "abs(w)*sign(w_followed)" if spec.follows else "w"
        lines = [*(["w : 1"] if spec.owner == name and not any(line.startswith("dw/dt") for line in equations) else [])]
        lines += [f"{slot} = {weight}*{carried} : 1 (summed)"] if arrives else []
        lines += equations
        if spec.owner != name or spec.follows:
            lines.append("place : integer (constant)")
        text = [f"# {comments}"] if comments else []
        method = ', method="euler"' if any(line.startswith("dw/dt") for line in equations) else ""
        text.append(
            f"{ends}\n    "
            + "\n    ".join(lines)
            + f'\n    """{method}, name="{name}", namespace={{{", ".join(namespace)}}})'
        )
        text += self._connected(spec)
        if spec.partner:
            text.append(
                f'{python}.variables.add_reference("w_partner", {self.pathways[spec.partner]}, "w", index="_idx")  #'
                f' the same synapse of {spec.partner}'
            )
        values = {**self._values(spec), **({"T": self.experiment.protocol.learning_time} if spec.equations else {})}
        for parameter, unit in self._parameters(spec).items():
            base = parameter.removeprefix("base_").removesuffix(SUFFIX)
            text.append(f"{python}.{parameter} = {quantity(values[base], unit)}")
        return "\n".join(text)

    def _connected(self, spec: PathwaySpec) -> list[str]:
        """Which synapses there are, and what they hold."""
        python, pathway = self.pathways[spec.name], self.synapses[spec.name]
        shape = self.network.shape(pathway)
        other = spec.follows or (spec.owner if spec.owner != spec.name else "")
        masked = spec.masked or bool(other and self._specs[other].masked)
        kept = _kept(spec) if spec.owner == spec.name and not spec.redrawn else []
        text = []
        if masked:
            sides = ([f'state["{spec.name}.exists"].T'] if spec.masked else []) + (
                [f'state["{other}.exists"]' + ("" if spec.transposed or spec.follows else ".T")]
                if other and self._specs[other].masked
                else []
            )
            text.append(f"exists = {' & '.join(sides)}  # one row a presynaptic neuron")
            text.append(f"{python}.connect(i=np.nonzero(exists)[0], j=np.nonzero(exists)[1])")
            text += [
                f'{python}.{variable} = state["{spec.name}.{variable.removesuffix(SUFFIX)}"].T[exists]'
                for variable in kept
            ]
        else:
            text.append(f"{python}.connect()")
            text += [
                f'{python}.{variable} = state["{spec.name}.{variable.removesuffix(SUFFIX)}"].T.ravel()'
                for variable in kept
            ]
        if other:
            turned = spec.transposed or bool(spec.follows)
            if self._specs[other].masked:
                numbers = (
                    f'(np.cumsum(state["{other}.exists"].T) -'
                    f' 1).reshape({", ".join(map(str, shape if turned else shape[::-1]))})'
                )
                text.append(
                    f"{python}.place = {numbers}{'.T' if turned else ''}[exists]  # the number of the same synapse in"
                    f" {other}"
                )
            else:
                formula = "j*N_pre + i" if turned else "i*N_post + j"
                text.append(
                    f'{python}.place = "{formula}"  # the number of the same synapse in'
                    f' {other}{", which runs the other way" if turned else ""}'
                )
            reads = "w_followed" if spec.follows else "w"
            text.append(
                f'{python}.variables.add_reference("{reads}", {self.pathways[other]}, "w", index="place")  # its'
                ' weights, at every moment'
            )
        return text

    def _values(self, spec: PathwaySpec, rate: float = 1.0) -> dict[str, float]:
        pathway = self.synapses[spec.name].at_rate(rate)
        given = learning_parameters(spec, pathway.learning)
        rule = pathway.plasticity
        return {name.split(".")[-1]: value for name, value in given.items()} | (rule.parameters() if rule else {})

    def _parameters(self, spec: PathwaySpec) -> dict[str, str]:
        """The parameters of a pathway's rule, with units."""
        if not spec.equations:
            return {}
        paced = self._paced(spec)
        found = {f"base_{name}" if name in paced else name: unit for name, unit in self._given(spec).items()}
        return found | ({"T": "s"} if re.search(r"\bT\b", spec.equations) else {})

    def _given(self, spec: PathwaySpec) -> dict[str, str]:
        return spec.parameters | dict.fromkeys(spec.learning_parameters(), "1")

    def _paced(self, spec: PathwaySpec) -> list[str]:
        """The parameters of a pathway that change with the rate of a phase, where phases have different ones."""
        slow, fast = self._values(spec), self._values(spec, rate=2.0)
        changing = {name for name in slow if slow[name] != fast[name]} if self._phased() else set()
        return [name for name in self._given(spec) if name.removesuffix(SUFFIX) in changing]

    def _rule(self, spec: PathwaySpec) -> tuple[list[str], str, list[str]]:
        """The lines of a pathway's rule in its equations, a comment, and the functions that they name."""
        if not spec.equations:
            return [], "", [f'"shown_{spec.name}": shown_{spec.name}'] if spec.redrawn else []
        rule = self.synapses[spec.name].plasticity
        lines: list[str] = []
        namespace: list[str] = []
        gate = self._gate(spec)
        if self._by_equation(spec):
            lines.append(
                f"dw/dt = {'learns*' if gate else ''}({spec.rate}) : 1 (clock-driven)"
                if gate
                else f"dw/dt = {spec.rate} : 1 (clock-driven)"
            )
        lines += [f"{variable} : 1" for variable in (*spec.traces, *(["gathered"] if spec.gathers else []))]
        if gate:
            lines.append(f"learns = {gate} : 1 (shared)")
        if spec.gathers:
            namespace.append('"first": first')
        for name in self._paced(spec):
            lines.append(f"{name} = base_{name}*pace(t) : {units.BRIAN2[self._given(spec)[name]]} (shared)")
        namespace += ['"pace": pace'] if self._paced(spec) else []
        lines += [f"{name} : {units.BRIAN2[unit]} (shared, constant)" for name, unit in self._parameters(spec).items()]
        if spec.name in self._frozen():
            namespace.append(f'"learns_{spec.name}": learns_{spec.name}')
        return lines, _headline(rule), namespace

    def _gate(self, spec: PathwaySpec) -> str:
        """When the pathway learns, as an expression; nothing where always."""
        protocol = self.experiment.protocol
        step = f"t_in_timesteps % {protocol.steps}"
        parts = [f"int({step} >= {protocol.onset_steps})"] if protocol.onset_steps else []
        parts += [f"int({step} < {protocol.shown_steps})"] if protocol.steps > protocol.shown_steps else []
        parts += [f"learns_{spec.name}(t)"] if spec.name in self._frozen() else []
        return "*".join(["1.0", *parts]) if parts else ""

    def _by_equation(self, spec: PathwaySpec) -> bool:
        """Whether the rule is one differential equation of w, without traces and without changes that wait."""
        return not spec.traces and not spec.gathers

    def _statements(self, spec: PathwaySpec) -> list[str]:
        """What a pathway does in a step where its rule is more than one differential equation."""
        gate = "learns*" if self._gate(spec) else ""
        change = f"{gate}dt*({spec.rate})"
        if not spec.gathers:
            lines = [f"w = {spec.constrained(f'w + {change}')}"]
        else:
            protocol, made = self.experiment.protocol, "sign_step*sign(gathered)" if spec.steps else "gathered"
            ends = f"int((first + t_in_timesteps // {protocol.steps} + 1) % batch < 0.5)"
            ends += (
                f"*int(t_in_timesteps % {protocol.steps} == {protocol.shown_steps - 1})" if protocol.steps > 1 else ""
            )
            ends += f"*learns_{spec.name}(t)" if spec.name in self._frozen() else ""
            lines = [
                f"gathered = gathered + {change}",
                f"ends = 1.0*{ends}",
                f"w = {spec.constrained(f'w + ends*{made}')}",
                "gathered = gathered*(1 - ends)",
            ]
        remembers = f"learns_{spec.name}(t)*" if spec.name in self._frozen() else ""
        moved = [
            f"new_{name} = {name} + {remembers}(1 - exp(-dt/{tau}))*(({drive.replace('w_before', 'w')}) - {name})"
            for name, (drive, tau) in spec.traces.items()
        ]  # before the weights, since a trace may follow them
        return [*moved, *lines, *(f"{name} = new_{name}" for name in spec.traces)]

    def order(self) -> str:
        """The order of a step: three lists of what Brian2 does, one after the other."""
        sweep = self._restarts() + self._sweep()
        learning, arrival = [], []
        for pathway in self.network.plastic():
            spec, python = self._specs[pathway.name], self.pathways[pathway.name]
            if self._by_equation(spec):
                learning.append(f"{python}.state_updater,")
                if spec.constrained("w") != "w":
                    learning.append(f'{python}.run_regularly("w = {spec.constrained("w")}"),')
            else:
                equations = [line.strip() for line in self.synapses[pathway.name].plasticity.equations.strip().splitlines()]  # type: ignore[union-attr]  # noqa: E501
                learning += [
                    f"# {_with_suffix(line.replace('carried_pre', f'{pathway.carries}_pre'), self._clashes(spec))}"
                    for line in equations
                ]
                learning.append(
                    f'{python}.run_regularly("""\n        ' + "\n        ".join(self._statements(spec)) + '\n    """),'
                )
        for name in self.groups:
            text = self.network.population(name).neuron.arrival()
            if text:
                arrival.append(
                    f'{self.populations[name]}.run_regularly("""\n        '
                    + "\n        ".join(text.splitlines())
                    + '\n    """),'
                )
        parts = [_listed("sweep", sweep), _listed("learning", learning), _listed("arrival", arrival)]
        parts.append('for order, updater in enumerate(sweep):\n    updater.when, updater.order = "start", order')
        parts.append(
            'for order, updater in enumerate(learning + arrival):\n    updater.when, updater.order = "before_groups",'
            ' order'
        )
        parts.append("for updater in learning:\n    updater.active = training")
        return "\n".join(parts)

    def _restarts(self) -> list[str]:
        if not self.experiment.protocol.reset:
            return []
        found = []
        for name in self.groups:
            kept = self.network.population(name).neuron.state
            if kept:
                statements = [
                    f"{variable} = {_restarted(variable, value, self.experiment.protocol.steps)}"
                    for variable, value in kept.items()
                ]
                found.append(
                    f'{self.populations[name]}.run_regularly("""\n        '
                    + "\n        ".join(statements)
                    + '\n    """),  # begin a presentation at rest'
                )
        for pathway in self.network.plastic():
            if pathway.traces():
                values = zip(self._specs[pathway.name].traces, pathway.traces().values(), strict=True)
                statements = [
                    f"{variable} = {_restarted(variable, value, self.experiment.protocol.steps)}"
                    for variable, value in values
                ]
                found.append(
                    f'{self.pathways[pathway.name]}.run_regularly("""\n        '
                    + "\n        ".join(statements)
                    + '\n    """),  # and its traces'
                )
        return found

    def _sweep(self) -> list[str]:
        found = [
            f'{self.pathways[p.name]}.run_regularly("w = shown_{p.name}(t, j*N_pre + i)"),  # the weights of this'
            ' presentation'
            for p in self.network.redrawn()
            if p.name in self.synapses
        ]
        placed: set[str] = set()
        for node in (node for node in self.network.order if node in self._needed):
            neuron, python = self.network.population(node.population).neuron, self.populations[node.population]
            if node.variable in neuron.ports:
                found += [
                    f'{self.pathways[p.name]}.summed_updaters["{self._slot(p)}_post"],'
                    for p in self.network.arriving(*node)
                ]
                continue
            once, later, _ = self._kinds(node.population)
            if node.variable in once and node.population not in placed:
                placed.add(node.population)
                found.append(f"{python}.subexpression_updater,  # {', '.join(once)}")
            elif node.variable in later:
                found.append(f'{python}.run_regularly("{node.variable} = {self._expression(*node)}"),')
        return found

    def network_text(self) -> str:
        """Populations, pathways and the order of a step; needs `state`, `training`, `first` and the stimuli."""
        return "\n\n".join((
            _heading("What sources show"),
            self.stimuli(),
            _heading("Populations"),
            *(self._population(name) for name in self.groups),
            _heading("Pathways: weights are stored by presynaptic neuron, hence the transpose of (n_post, n_pre)"),
            *(self._pathway(name) for name in self.synapses),
            _heading(
                "The order of a step: what is computed from what; then plasticity, from these values; then neurons"
                " advance"
            ),
            self.order(),
        ))


def stimulus_data(script: Script, instance: Instance, start: int, further: int) -> dict[str, Array]:
    """What sources show, by `split.name`: the examples of each split, `order`,
    those of the next training presentations, and what is drawn for each."""
    arrays: dict[str, Array] = {"order": instance.order(start, start + further)}
    for name, split in instance.data.splits().items():
        for of in ("inputs", "targets"):
            table = getattr(split, of)
            if isinstance(table, ByteTable):
                arrays |= {f"{name}.{of}": table.bytes, f"{name}.{of}.levels": table.levels}
            else:
                arrays[f"{name}.{of}"] = np.asarray(table)
        if split.labels is not None:
            arrays[f"{name}.labels"] = np.asarray(split.labels)
        if script.noise:
            feed = instance.evaluation(name) if name != "train" else instance.presented(start, start + further)
            arrays |= {f"{name}.{noisy}": np.asarray(feed.tables[noisy][feed.rows[noisy]]) for noisy in script.noise}
    return arrays | _phases(instance, start, further)


def _phases(instance: Instance, start: int, further: int) -> dict[str, Array]:
    """The factor of every learning rate and which pathways learn, in each further presentation;
    the last phase goes on where they end."""
    phases = instance.experiment.protocol.phases
    if not phases:
        return {}
    at = np.minimum(
        np.searchsorted(instance.phase_ends(), np.arange(start, start + further), side="right"), len(phases) - 1
    )
    arrays = {"pace": np.array([phase.rate for phase in phases])[at]}
    for pathway in instance.network.plastic():
        arrays[f"learns.{pathway.name}"] = np.array(
            [float(phase.learns is None or pathway.name in phase.learns) for phase in phases]
        )[at]
    return arrays


def _headline(part: object) -> str:
    """What a part says of itself first; of somebody's own part, its class alone is asked."""
    ours = type(part).__module__.startswith("bioFA.")
    return (headline(type(part)) if ours else first_paragraph(type(part).__doc__ or "")) or type(part).__name__


def _heading(title: str) -> str:
    return f"# {title} {'-' * max(110 - len(title), 3)}"


def _listed(name: str, lines: list[str]) -> str:
    return f"{name} = [\n    " + "\n    ".join(lines) + "\n]" if lines else f"{name} = []"


def _restarted(variable: str, value: float, steps: int) -> str:
    kept = f"{variable}*int(t_in_timesteps % {steps} > 0)"
    return kept if value == 0 else f"{kept} + {value!r}*int(t_in_timesteps % {steps} == 0)"


def _kept(spec: PathwaySpec) -> list[str]:
    """What a synapse keeps."""
    return ["w", *spec.traces, *(["gathered"] if spec.gathers else [])]


def _with_suffix(text: str, names: Iterable[str]) -> str:
    for name in names:
        text = re.sub(rf"\b{name}\b", name + SUFFIX, text)
    return text


def _renamed(spec: PathwaySpec, names: list[str]) -> PathwaySpec:
    """The pathway with a suffix at some names of its rule."""
    if not names:
        return spec
    traces = {
        _with_suffix(name, names): (_with_suffix(drive, names), _with_suffix(tau, names))
        for name, (drive, tau) in spec.traces.items()
    }
    parameters = {_with_suffix(name, names): unit for name, unit in spec.parameters.items()}
    return spec._replace(equations=_with_suffix(spec.equations, names), traces=traces, parameters=parameters)


def quantity(value: float, unit: str) -> str:
    """A number in SI as Brian2 text, in the unit in which it is read best, and to the last bit."""
    for name, scale in units.READABLE.get(unit, ()):
        for digits in (4, 15):
            scaled = round(value / scale, digits)
            if scaled * scale == value:
                return f"{int(scaled) if scaled == int(scaled) else scaled!r}*{name}"
    return repr(value) if unit == "1" else f"{value!r}*{units.BRIAN2[unit]}"


SHOWN = '''
def shown(name, repeat=1, blank=0):
    """What a source shows in this run, one row in time after the other: each row of an example `repeat` times, then `blank` rows of silence."""
    table = data[f"{split}.{name}"]
    table = table[rows] if name in ("inputs", "targets") else table[during]
    if f"{split}.{name}.levels" in data:  # bytes that stand for numbers
        table = data[f"{split}.{name}.levels"][table]
    table = np.repeat(table.reshape(len(rows), -1, table.shape[-1]), repeat, axis=1)
    table = np.concatenate([table, np.zeros((len(rows), blank, table.shape[2]))], axis=1)
    return table.reshape(-1, table.shape[2])
'''.strip()  # noqa: E501
"""The function by which sources get what they show."""


def _uniform() -> str:
    """The function by which neurons get their random numbers: bioFA's own C++ and NumPy, and what Brian2 calls."""
    header = Path(runtime).with_name("biofa_draws.h").read_text(encoding="utf-8")
    cpp = header.partition("namespace biofa {\n")[2].partition("\n}  // namespace biofa")[0].strip()
    numpy = "\n\n\n".join(inspect.getsource(part).strip() for part in (draws.mix, draws.number))
    return _UNIFORM.replace("CPP_TEXT", cpp).replace("NUMPY_TEXT", numpy)


_UNIFORM = '''
CPP = """
CPP_TEXT

double uniform(int64_t source, int64_t presentation, int64_t step, int64_t neuron) {
    static const uint64_t keys[] = {KEYS};
    const uint64_t place = counted(counted(keys[source], presentation), step);
    return (double)(counted(place, neuron) >> 11) * (1.0 / 9007199254740992.0);
}
""".replace("KEYS", ", ".join(f"{key}ull" for key in keys))


NUMPY_TEXT


@implementation("cpp", CPP)
@check_units(source=1, presentation=1, step=1, neuron=1, result=1)
def uniform(source, presentation, step, neuron):
    """The random numbers of a population."""
    return number(keys[int(np.ravel(source)[0])], presentation, step, neuron)
'''
