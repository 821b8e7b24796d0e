"""The program of a network: everything that gets compiled, as plain data, and nothing else.

A `Program` lists the groups, the pathways and the steps of one time step in their order. It
holds structure only: sizes, equations, who reads whom. Weights, parameters, data and lengths
come in at run time, so two experiments that differ only in those have equal programs and
share one binary. `compose.py` makes it from an experiment, `build.py` has Brian2 write its C++.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal, NamedTuple

SHARED_FROM = 65536
"""From so many synapses on, threads share a matrix."""


class GroupSpec(NamedTuple):
    """A population: its variables (dimensionless, one a neuron), parameters with units, dynamics,
    and whether cells are excitatory or inhibitory.

    `kept` are the state variables that no differential equation describes; `constants` numbers that stand still in a
    run and differ between neurons; `timed` says that it knows the time since the presentation began, `seconds` that
    it knows this as a plain number; `course` that a course is handed to it; `trains` which background reaches it, by
    number, and for each whether mean and weight differ between neurons; `before` and `after` are the statements that
    come before and after the integration of `dynamics`, in one loop with it.
    """

    name: str
    size: int
    variables: tuple[str, ...]
    kept: tuple[str, ...]
    parameters: dict[str, str]
    dynamics: str
    method: str
    dale: bool = False
    timed: bool = False
    constants: tuple[str, ...] = ()
    seconds: bool = False
    course: bool = False
    trains: tuple[tuple[bool, bool], ...] = ()
    before: str = ""
    after: str = ""


class PathwaySpec(NamedTuple):
    """A matrix of synapses: where it reads and writes, whose weights it uses, and how it learns.

    `owner` is the pathway that stores the weights, itself unless they are shared; `inverse_of` the one whose
    pseudo-inverse is stored here, `follows` the one whose signs are taken, transposed, `partner` the one whose
    weights the rule reads; `redrawn` says that the weights are shown like a stimulus; `bounded`, `gathers`,
    `steps` (by the sign of what is gathered) and `normalised` how changes reach the weights. `masked`
    says that some synapses do not exist, `sign` which sign weights keep; `may_block`
    that it is large enough, that its source is a stimulus, shown anew in every step, that nobody else uses
    its weights, and that nothing constrains them: then it may work in blocks of presentations, if its weights are fixed
    or their rule has the form for it. `traces` are the drive and the time constant of each variable that its rule keeps
    at every synapse; `w_before` in a drive is the weight as the step began.
    `event` says that only neurons that spike have anything to transmit, `by_pre` that the owner's matrix is stored with
    one row a presynaptic neuron, because the owner transmits events, or since this is faster. `listed` says that
    synapses are listed by source: how many there are, and where each arrives, is said at run time. `late_pre` and
    `late_post` are what synapses see late of the source and the target, `axonal` and `dendritic` whether that is after
    `one` delay or after one of `each` synapse: of how many steps is said at run time. `carries`, `reads_pre`,
    `reads_post` are names of the description,
    `called_pre` and `called_post` those of the program.
    """

    name: str
    source: str
    target: str
    carries: str
    port: str
    owner: str
    transposed: bool
    parameters: dict[str, str]
    equations: str
    reads_pre: tuple[str, ...]
    reads_post: tuple[str, ...]
    masked: bool
    sign: str
    may_block: bool
    event: bool
    by_pre: bool
    redrawn: bool = False
    inverse_of: str = ""
    follows: str = ""
    partner: str = ""
    bounded: bool = False
    gathers: bool = False
    steps: bool = False
    normalised: bool = False
    traces: dict[str, tuple[str, str]] = {}
    listed: bool = False
    axonal: Literal["", "one", "each"] = ""
    dendritic: Literal["", "one", "each"] = ""
    late_pre: tuple[str, ...] = ()
    late_post: tuple[str, ...] = ()
    called_pre: dict[str, str] = {}
    called_post: dict[str, str] = {}

    @property
    def histories(self) -> dict[str, str]:
        """What is to be seen late, or is on its way, by the name that the state has for it, and its name in a plan."""
        found = {f"{self.name}.{v}_pre": f"{self.name}.{v}_pre" for v in self.late_pre if v != self.carries}
        found |= {f"{self.name}.{v}_post": f"{self.name}.{v}_post" for v in self.late_post}
        found |= {f"{self.name}.under_way": self.name} if self.carries in self.late_pre else {}
        return found | ({f"{self.name}.dendrite": f"{self.name}.dendrite"} if self.dendritic else {})

    @property
    def rows_of_pre(self) -> bool:
        """Whether synapses follow each other by presynaptic neuron."""
        return self.listed or self.transposed != self.by_pre

    @property
    def follows_weight(self) -> bool:
        """Whether a trace is driven by the weight, so that this must be kept until the traces have moved."""
        return any(re.search(r"\bw_before\b", drive) for drive, _ in self.traces.values())

    @property
    def rate(self) -> str:
        """The right-hand side of the rule's `dw/dt = ...`."""
        return self.equations.partition("=")[2].rpartition(":")[0].strip()

    def constrained(self, weight: str) -> str:
        """A weight with the sign that it must have, within its bounds, as an expression."""
        dale = "cell_pre*clip(cell_pre*({}), 0, inf)"
        signed = {"any": "{}", "excitatory": "clip({}, 0, inf)", "inhibitory": "clip({}, -inf, 0)", "dale": dale}
        weight = signed[self.sign].format(weight)
        return f"clip({weight}, low, high)" if self.bounded else weight

    def learning_parameters(self) -> list[str]:
        """The parameters by which changes reach the weights."""
        return [
            *(("low", "high") if self.bounded else ()),
            *(("batch",) if self.gathers else ()),
            *(("sign_step",) if self.steps else ()),
        ]


class ListedSpec(NamedTuple):
    """Synapses that are listed one by one: where they read and write. How many there are, their weights and their
    delays come in at run time. `carries` and `port` are variables of the program; `dynamics` what they do from spike
    to spike, by the name that it has in `biofa_dynamics.h`.
    """

    name: str
    source: str
    target: str
    carries: str
    port: str
    dynamics: str = ""


class StepSpec(NamedTuple):
    """One thing that is done in every time step.

    restart   put the state of a population, or the traces of a pathway (`values`), back to their beginning as a
              presentation begins; of a population also what begins otherwise in each neuron (`reads`)
    forget    drop what is under way on a pathway as a presentation begins
    draw      fill a population's random numbers (`nodes`) for this step: the same in all, or, where they are `named`,
              of their own, and then of `normal` kind or uniform
    clock     tell a population the time since this presentation began, in `nodes`
    course    tell a source what its course says of this step, in `nodes`
    spike     count the spikes of this step that are handed to a source, in `nodes`
    foresee   draw the spikes of a source for as long as it shows the same, and set those of this step (`nodes`); the
              statement says the chance of one
    show      load the row of this presentation, or of its bin, into a source's variable (`nodes`), or into the weights
              of a pathway
    invert    compute a pathway's weights as the pseudo-inverse of another's
    evaluate  run statements for every neuron of a population, which may read one-to-one
              partners in other populations (`reads`: local name -> population and variable)
    test      run statements after the integration of the step: threshold test and reset
    transmit  sum a pathway's synapses into a port, in place of what was there or on top
    depart    put on its way what listed synapses that do not learn send in this step
    arrive    add to its port what arrives in this step over listed synapses, or along the dendrites of others
    see       take what synapses see in this step, late, of a variable of their source or target (`nodes`: `pre` or
              `post`, and which)
    note      keep what such a variable is in this step, for later ones
    gather    list the neurons of a population in which a variable (`nodes`) is not 0
    outside   add what the background of a population, by number (`trains`), brings to a port (`nodes`)
    record    keep variables (`nodes`) at the end of a presentation, and spikes (`rasters`) in every step
    monitor   where time passes: keep spikes (`rasters`, gathered as `nodes`), and what traces of neurons and
              synapses ask for (`reads`)
    learn     one step of a pathway's plasticity rule: its weights, then its traces; before it, where it `transmits`,
              transmit
    apply     make the changes that were gathered, where a batch ends

    `only` names the steps in which what evaluate or transmit compute is read: `looks`, those in which plasticity or a
    record looks, `recorded`, those in which a record does; all of them where it is empty.
    """

    kind: Literal[
        "restart", "forget", "draw", "foresee", "clock", "course", "spike", "show", "invert", "evaluate", "test",
        "transmit", "depart", "arrive", "see", "note", "gather", "outside", "record", "monitor", "learn", "apply",
    ]
    of: str = ""
    statements: tuple[str, ...] = ()
    reads: dict[str, tuple[str, str]] = {}
    accumulate: bool = False
    only: Literal["", "looks", "recorded"] = ""
    nodes: tuple[str, ...] = ()
    rasters: tuple[str, ...] = ()
    values: dict[str, float] = {}
    named: bool = False
    normal: tuple[str, ...] = ()
    trains: tuple[int, ...] = ()
    transmits: bool = False


class Program(NamedTuple):
    """What is compiled.

    `strict`: every operation is rounded as it stands, in the order of the text, so that a network whose spikes hang on
    the last bit spikes as in the reference. `lanes`: so many presentations are computed side by side, where it is more
    than one and every rule has the form for it (`batch.py`); each neuron has as many values.
    """

    dt: float
    precision: str
    groups: tuple[GroupSpec, ...]
    pathways: tuple[PathwaySpec, ...]
    steps: tuple[StepSpec, ...]
    listed: tuple[ListedSpec, ...] = ()
    strict: bool = False
    lanes: int = 1

    def numbers(self) -> dict[str, int]:
        """The number of each pathway, by which a plan speaks of it."""
        return {pathway.name: number for number, pathway in enumerate(self.pathways)}

    def text(self) -> str:
        """All of it, as `read` takes it; equal programs have equal texts."""
        return json.dumps(self, sort_keys=True)

    def digest(self) -> str:
        """A hash of the program: equal programs can share a binary."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def read(text: str) -> Program:
    """The program of a text."""
    dt, precision, groups, pathways, steps, listed, *how = _frozen(json.loads(text))
    return Program(
        dt,
        precision,
        tuple(GroupSpec(*one) for one in groups),
        tuple(PathwaySpec(*one) for one in pathways),
        tuple(StepSpec(*one) for one in steps),
        tuple(ListedSpec(*one) for one in listed),
        *how,
    )


def _frozen(value: Any) -> Any:
    """What was read from JSON, with tuples for its lists."""
    if isinstance(value, dict):
        return {key: _frozen(part) for key, part in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
