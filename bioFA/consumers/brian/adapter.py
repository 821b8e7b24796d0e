"""Everything in Brian2 that its documentation does not promise, in one place, with a self-test.

bioFA's own code objects use Brian2's templates with a few of ours in front (`templates/`):
Brian2 checks and translates all equations, only the loops around them are ours. What this
touches: `Templater.derive`, `CodeRunner`, `StateUpdater`, auxiliary variables as indices, array names in the
generated C++, the objects and clock of the generated network, and the file names of results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import brian2
import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator, c_data_type
from brian2.codegen.targets import codegen_targets
from brian2.core.variables import DynamicArrayVariable, Variables
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import get_device
from brian2.groups.group import CodeRunner, Group
from brian2.groups.neurongroup import StateUpdater

from bioFA.consumers.brian.compile import FEWEST, MOST
from bioFA.consumers.brian.factors import Factors, rests
from bioFA.consumers.brian.program import SHARED_FROM, PathwaySpec


class BioFACodeObject(CPPStandaloneCodeObject):
    """Brian2's standalone code object, which finds bioFA's templates before Brian2's own."""

    templater = CPPStandaloneCodeObject.templater.derive("bioFA.consumers.brian")
    class_name = "biofa_cpp"


codegen_targets.add(BioFACodeObject)


def check_version() -> None:
    """Fail early where this Brian2 is not one that the adapter knows.

    Raises:
        RuntimeError: naming the version and the supported range.
    """
    version = tuple(int(part) for part in brian2.__version__.split(".")[:2])
    if not FEWEST <= version < MOST:
        low, high = (".".join(map(str, edge)) for edge in (FEWEST, MOST))
        raise RuntimeError(
            f"bioFA knows Brian2 >= {low}, < {high}; this is {brian2.__version__}. Install 'brian2>={low},<{high}'."
        )
    missing = [
        name
        for name in (
            "common_group",
            "transmit",
            "learn",
            "transmit_block",
            "learn_block",
            "learn_rows",
            "show",
            "draw",
            "foresee",
            "clock",
            "course",
            "spike",
            "restart",
            "record",
            "invert",
            "apply",
            "look",
            "forget",
            "gather",
            "depart",
            "observe",
            "arrive",
            "see",
            "note",
            "outside",
            "monitor",
            "trace",
            "neurons",
            "adaptive",
            "chunk",
            "show_batch",
            "draw_batch",
            "record_batch",
            "transmit_batch",
            "learn_batch",
            "apply_batch",
        )
        if _template(name) is None
    ]
    if missing:
        raise RuntimeError(
            f"Brian2 {brian2.__version__} does not find the templates {', '.join(missing)}; its template lookup has"
            " changed."
        )


def _template(name: str) -> Any:
    try:
        return getattr(BioFACodeObject.templater, name)
    except (AttributeError, KeyError):
        return None


def array_name(group: Any, variable: str) -> str:
    """The C++ pointer to the values of a group's variable."""
    if isinstance(group.variables[variable], DynamicArrayVariable):
        return f"{get_device().get_array_name(group.variables[variable], access_data=False)}.data()"
    return get_device().get_array_name(group.variables[variable], access_data=True)


def array_file(group: Any, variable: str) -> str:
    """The name of the file that the finished program writes a variable to."""
    return get_device().get_array_filename(group.variables[variable])


STEP = "biofa::now()"
"""The C++ expression of the number of the current step, of the thread that asks."""


def step_length(clock: Any) -> str:
    """The C++ pointer to the length of a step in seconds."""
    return get_device().get_array_name(clock.variables["dt"], access_data=True)


def number_type(group: Any, variable: str) -> str:
    """The C++ type of a group's variable."""
    return str(c_data_type(group.variables[variable].dtype))


def functions(statements: str) -> dict[str, Any]:
    """The functions of ours that statements call (biofa_numbers.h), by name, as Brian2 knows them."""
    found: dict[str, Any] = {}
    counts = {"choose": 3, "floored": 2, "modulo": 2, "power_of_e": 1, "relative_growth": 1, "libm_growth": 1}
    for name in sorted(set(re.findall(rf"\b({'|'.join(counts)}|exact_\d+)\(", statements))):
        count, condition = counts.get(name, 0), name == "choose"
        if name.startswith("exact_"):
            n = int(name.removeprefix("exact_"))
            count = 2 + n * n + 2 * n
        function = brian2.Function(
            lambda *arguments: arguments[-1],  # Brian2 checks units with it, and never calls it
            arg_names=[f"a{number}" for number in range(count)],
            arg_units=[None if condition and number == 0 else 1 for number in range(count)],
            arg_types=["boolean" if condition and number == 0 else "float" for number in range(count)],
            return_unit=1,
            return_type="float",
        )
        ours = f"exact<{n}>" if name.startswith("exact_") else name
        code = f"template <class... Real> inline double biofa_{name}(Real... x) {{ return biofa::{ours}(x...); }}"
        function.implementations.add_implementation(CPPCodeGenerator, code=code, name=f"biofa_{name}")
        found[name] = function
    return found


def in_single() -> bool:
    """Whether numbers are of single precision; Brian2 writes 1.0, a double, which would make its neighbours doubles."""
    return bool(brian2.prefs["core.default_float_dtype"] == np.float32)


def own_loop(network: Any) -> str:
    """The C++ call that runs all steps in a loop of ours, and leaves Brian2's loop nothing to do (biofa_runtime.h)."""
    runners = [one for group in network.objects for one in group.contained_objects if isinstance(one, Runner | Advance)]
    shared = ", ".join(f"{{_run_{one.name}_codeobject, biofa::{one.shared}}}" for one in runners if one.shared)
    run = f"biofa::run(brian::{network.name}, {{{shared}}}, _put_state);"
    return f"bool _put_state(std::FILE*);\n{run}"


def sized(pathways: Iterable[DensePathway]) -> str:
    """The C++ statements that give the arrays of listed synapses their size, which the plan says."""
    device = get_device()
    return "\n".join(
        f'brian::{device.get_array_name(variable, access_data=False)}.resize(biofa::joined("{pathway.name}").count);'
        for pathway in pathways
        for variable in pathway.variables.values()
        if isinstance(variable, DynamicArrayVariable) and variable.owner.name == pathway.name
    )


class Runner(CodeRunner):
    """One code object of ours in the step: a template, statements, and a place in the order; and how threads share it
    (biofa_team.h), if they do."""

    def __init__(
        self,
        group: Any,
        template: str,
        order: int,
        code: str = "",
        when: str = "start",
        shared: Literal["", "WATCHES", "OWN", "GATHERS", "SENDS", "READS"] = "",
        **keywords: Any,
    ) -> None:
        self.shared = shared
        how = {"single": in_single(), "shared": shared, **keywords}
        super().__init__(
            group,
            template,
            code=code,
            when=when,
            order=order,
            name=f"{group.name}_{template}_{order}",
            clock=group.clock,
            template_kwds={f"_{key}": value for key, value in how.items()},
            codeobj_class=BioFACodeObject,
            # Brian2 collects names after it has cancelled dt*(x/dt)
            needed_variables=["dt"] if re.search(r"\bdt\b", code) else None,
        )


class Advance(StateUpdater):
    """Brian2's integration of a population, with what comes before and after it in a step, in one loop; `shared` as
    `Runner`."""

    abstract_code: str

    def __init__(self, group: Any, method: str, before: str, after: str, shared: Literal["", "OWN"] = "") -> None:
        super().__init__(group, method)
        self.shared = shared
        self.template, self.codeobj_class = "neurons", BioFACodeObject
        self.template_kwds = {"_single": in_single(), "_shared": shared}
        self.before, self.after = before, after
        self.needed_variables = ["dt"]
        group.contained_objects.remove(group.state_updater)
        group.state_updater = self
        group.contained_objects.append(self)

    def update_abstract_code(self, run_namespace: Any) -> None:
        """As Brian2 does, between the statements that are given."""
        super().update_abstract_code(run_namespace)
        self.abstract_code = "\n".join((self.before, self.abstract_code, self.after))


class DensePathway(Group):
    """All-to-all synapses as one row-major matrix, without index arrays; or synapses that are `listed` by source, whose
    number is said at run time.

    A group whose members are the synapses; `w` has `n_post * n_pre` values, row by row (one row a
    postsynaptic neuron; with `by_pre`, a presynaptic one), or is another pathway's array. With `event`, only
    presynaptic neurons that spike are visited. Presynaptic variables go by `<name>_pre`, postsynaptic ones by
    `<name>_post`. The strings are Brian2's; the loops are in `templates/`. Source and target have `lanes` values for
    every neuron (`Program.lanes`).
    """

    add_to_magic_network = True

    def __init__(
        self,
        spec: PathwaySpec,
        source: Any,
        target: Any,
        parameters: Mapping[str, Any],
        shared: DensePathway | None,
        number: int,
        clock: Any,
        lanes: int = 1,
    ) -> None:
        super().__init__(clock=clock, name=spec.name, when="start", order=0)
        self.codeobj_class = BioFACodeObject
        self.source, self.target = source, target
        self.n_pre, self.n_post = len(source) // lanes, len(target) // lanes
        self.start, self.stop = 0, self.n_pre * self.n_post
        self.variables = Variables(self)
        self.spec, self.number = spec, number
        self.variables.add_constant("N", 0 if spec.listed else self.n_pre * self.n_post)
        for index in ("_pre_idx", "_post_idx", "_turned_idx"):
            self.variables.add_auxiliary_variable(index, dtype=np.int32)
        if shared is None:
            self._add_at_synapses("w")
        else:
            self.variables.add_reference("w", shared, "w")
        if spec.gathers:
            self._add_at_synapses("gathered")
        if spec.normalised:
            self.variables.add_array("norm", size=self.n_post)
        if spec.masked:
            self.variables.add_array("exists", size=self.n_pre * self.n_post, dtype=bool)
        for trace in (*spec.traces, *(["w_before"] if spec.follows_weight else [])):
            self._add_at_synapses(trace)
        for side, kind, late in (("pre", spec.axonal, spec.late_pre), ("post", spec.dendritic, spec.late_post)):
            for variable in late:
                if kind == "each":
                    self._add_at_synapses(self._seen(side, variable))
                else:
                    self.variables.add_array(self._seen(side, variable), size=getattr(self, f"n_{side}"))
        for parameter, unit in parameters.items():
            self.variables.add_array(parameter, size=1, dimensions=unit.dim, scalar=True, constant=True)
        self.add_dependency(source)
        self.add_dependency(target)
        real = c_data_type(self.variables["w"].dtype)
        self.sizes = {"n_pre": self.n_pre, "n_post": self.n_post, "lanes": lanes, "real": real}
        self._enable_group_attributes()

    def _add_at_synapses(self, name: str) -> None:
        """Add a variable that every synapse has."""
        if self.spec.listed:
            self.variables.add_dynamic_array(name, size=0)
        else:
            self.variables.add_array(name, size=self.n_pre * self.n_post)

    @property
    def group(self) -> DensePathway:
        """The Brian2 group of the synapses."""
        return self

    def see(self, side: str, variable: str) -> str:
        """Make a variable of the source (`pre`) or target (`post`) readable, and return its name here.

        With a delay it is what synapses see after it.
        """
        name = f"{variable}_{side}"
        if self._is_late(side, variable):
            index = "_idx" if self._kind(side) == "each" else f"_{side}_idx"
            self.variables.add_reference(name, self, self._seen(side, variable), index=index)
            return name
        group, called = self._at(side, variable)
        self.variables.add_reference(name, group, called, index=f"_{side}_idx")
        return name

    def _at(self, side: str, variable: str) -> tuple[Any, str]:
        """The group that has a variable of the source or target, and its name there."""
        called = self.spec.called_pre if side == "pre" else self.spec.called_post
        return self.source if side == "pre" else self.target, called.get(variable, variable)

    def _kind(self, side: str) -> str:
        return self.spec.axonal if side == "pre" else self.spec.dendritic

    def _is_late(self, side: str, variable: str) -> bool:
        return variable in (self.spec.late_pre if side == "pre" else self.spec.late_post)

    @staticmethod
    def _seen(side: str, variable: str) -> str:
        """The name of what synapses see late of a variable."""
        return f"seen_{side}_{variable}"

    def _sent(self, variable: str) -> str:
        """The C++ pointer to a presynaptic variable as it is seen here, by neuron; empty where synapses differ."""
        if not self._is_late("pre", variable):
            return array_name(*self._at("pre", variable))
        return "" if self.spec.axonal == "each" else array_name(self, self._seen("pre", variable))

    def _history(self, side: str, variable: str) -> dict[str, Any]:
        """What the templates need to know of what is to be seen late."""
        carried = side == "pre" and variable == self.spec.carries
        return {
            "name": self.name if carried else f"{self.name}.{variable}_{side}",
            "values": array_name(*self._at(side, variable)),
            "size": getattr(self, f"n_{side}"),
            "step": STEP,
        }

    def take(self, side: str, variable: str, order: int) -> None:
        """Take what synapses see in this step of what was sent some steps ago."""
        each = self._kind(side) == "each"
        self._add(
            "see",
            order,
            "",
            seen=array_name(self, self._seen(side, variable)),
            delays=f"{self.name}.{'axonal' if side == 'pre' else 'dendritic'}" if each else "",
            side=side,
            shared="OWN" if self.spec.listed and not each else "",
            **self._history(side, variable),
        )

    def note(self, side: str, variable: str, order: int) -> None:
        """Keep what a variable is in this step, to be seen later."""
        shared = "OWN" if self.spec.listed else ""
        self._add("note", order, "", shared=shared, **self._history(side, variable))

    def show(self, order: int) -> None:
        """Load the weights of this presentation."""
        self._add(
            "show",
            order,
            "",
            size=self.n_pre * self.n_post,
            step=STEP,
            rates=array_name(self, "w"),
            name=self.name,
        )

    def invert(self, owner: DensePathway, order: int) -> None:
        """Compute the weights as the pseudo-inverse of another pathway's."""
        names = {"w": array_name(self, "w"), "owner": array_name(owner, "w"), "ridge": array_name(self, "ridge")}
        self._add("invert", order, "", rows=owner.n_post, columns=owner.n_pre, **names)

    def transmit(self, accumulate: bool, order: int, only: str, foreseen: bool = False, decays: bool = False) -> None:
        """Sum `w * <carries>_pre` into a port of the target, at a place in the step; where the pathway follows
        another, w takes the signs of `w_followed`; where the spikes of the source are foreseen, several steps at once;
        where what it sends may decay, only what does not is summed anew.
        """
        spec = self.spec
        weight = "abs(w)*sign(w_followed)" if spec.follows else "w"
        sent = self._sent(spec.carries)
        sums = bool(sent) and spec.rows_of_pre and not (spec.listed or spec.dendritic or spec.follows)
        self._add(
            "transmit",
            order,
            f"_transmitted = {weight}*{self.see('pre', spec.carries)}",
            port=array_name(self.target, spec.port),
            accumulate=accumulate,
            dendritic=spec.dendritic,
            follows=bool(spec.follows),
            sent=sent,
            event=spec.event,
            sums=sums,
            ahead=self.source.name if foreseen and sums and spec.event and spec.owner == spec.name and not only else "",
            decays=decays and sums and not spec.event and 1 < self.n_pre < self.n_post // 2,
            number=self.number,
            w=array_name(self, "w"),
            only=only,
            step=STEP,
            large=self._is_large(),
            shared="READS" if self._is_large() or self.spec.listed else "",
        )

    def _is_large(self) -> bool:
        """Whether threads share the rows of a matrix that is stored by target: below this, waiting costs more."""
        spec = self.spec
        rows = not (spec.listed or spec.rows_of_pre or spec.by_pre or spec.dendritic)
        return rows and self.n_pre * self.n_post >= SHARED_FROM

    def learn(self, order: int) -> None:
        """Integrate the rule's `dw/dt` by one Euler step, where learning is on and a synapse exists;
        or gather the change."""
        change = f"dt*({self.spec.rate})" + ("*int(exists)" if self.spec.masked else "")
        learned = self.spec.constrained(f"w + {change}")
        code = f"gathered = gathered + {change}" if self.spec.gathers else f"w = {learned}"
        rests = (self.spec.by_pre or self.spec.listed) and not self.spec.bounded
        silent = self._silent(self.spec.rate) if rests else []
        self._learn(order, code, "learns", silent)

    def _learn(self, order: int, code: str, on: str, silent: Sequence[tuple[str, str]] = ()) -> None:
        """Run a statement for every synapse where a pathway learns, or its traces move."""
        self._add(
            "learn",
            order,
            code,
            on=on,
            step=STEP,
            number=self.number,
            silent=list(silent),
            large=self._is_large(),
            shared="READS" if self._is_large() or self.spec.listed else "",
        )

    def _silent(self, expression: str) -> list[tuple[str, str]]:
        """What must be 0 for a presynaptic neuron's synapses not to change: a variable of its own,
        then parameters (C++ pointers and indices)."""
        for variable in self.spec.reads_pre:
            rest = rests(expression, f"{variable}_pre", set(self.spec.parameters))
            sent = self._sent(variable)
            if rest is not None and sent:
                return [
                    (sent, "_pre_idx"),
                    *((array_name(self, name), "0") for name in rest),
                ]
        return []

    def trace(self, order: int) -> None:
        """Let every trace move towards its drive, as it was when the step began, by its share of the distance,
        where the synapse exists."""
        exists = "*int(exists)" if self.spec.masked else ""
        moves = [
            f"_{name} = {name} + (1 - exp(-dt/{tau}))*(({drive}) - {name}){exists}"
            for name, (drive, tau) in self.spec.traces.items()
        ]
        self._learn(order, "\n".join([*moves, *(f"{name} = _{name}" for name in self.spec.traces)]), "remembers")

    def keep_weight(self, order: int) -> None:
        """Keep the weights as they are before they learn, for traces that are driven by them."""
        self._learn(order, "w_before = w", "remembers")

    def restart(self, values: Mapping[str, float], order: int) -> None:
        """Put what synapses keep back to its beginning as a presentation begins."""
        arrays = [(array_name(self, variable), value) for variable, value in values.items()]
        size = f'(int)biofa::joined("{self.name}").count' if self.spec.listed else self.n_pre * self.n_post
        self._add("restart", order, "", values=arrays, size=size, step=STEP)

    def apply(self, order: int) -> None:
        """Make the changes that were gathered where their batch ends, and rescale the weights that keep their norm."""
        change = "sign_step*sign(gathered)" if self.spec.steps else "gathered"
        norm = array_name(self, "norm") if self.spec.normalised else ""
        self._add(
            "apply",
            order,
            f"w = {self.spec.constrained(f'w + {change}')}\ngathered = 0",
            step=STEP,
            number=self.number,
            batch=array_name(self, "batch"),
            norm=norm,
            w=array_name(self, "w"),
        )

    def transmit_block(self, block: str, port: str, accumulate: bool, order: int) -> None:
        """As `transmit`, for a source that shows the stimulus, several presentations at a time."""
        self._add(
            "transmit_block",
            order,
            "",
            block=block,
            source=self.source.name,
            port=array_name(self.target, port),
            accumulate=accumulate,
            w=array_name(self, "w"),
            step=STEP,
            number=self.number,
            plastic=bool(self.spec.equations),
        )

    def learn_block(self, block: str, factors: Factors, order: int) -> None:
        """As `learn`, with `dw/dt = factors.post * r_pre - factors.decay * w`;
        the weights follow when the block ends."""
        code = f"_forgotten = dt*({factors.decay})\n_factor = dt*({factors.post})"
        self._add(
            "learn_block",
            order,
            code,
            block=block,
            w=array_name(self, "w"),
            step=STEP,
            number=self.number,
        )

    def learn_rows(self, factors: Factors, variable: str, order: int, accumulate: bool | None = None) -> None:
        """As `learn`, with `dw/dt = factors.post * <variable>_pre - factors.decay * w`, row by row; where `accumulate`
        is given, `transmit` in the same loop."""
        transmits = accumulate is not None
        self._add(
            "learn_rows",
            order,
            f"_forgotten = dt*({factors.decay})\n_factor = dt*({factors.post})",
            port=array_name(self.target, self.spec.port) if transmits else "",
            accumulate=accumulate,
            sent=self._sent(variable),
            w=array_name(self, "w"),
            step=STEP,
            number=self.number,
            large=self._is_large(),
            shared="READS" if self._is_large() else "",
        )

    def _add(self, template: str, order: int, code: str, **keywords: Any) -> None:
        how: dict[str, Any] = {name: getattr(self.spec, name) for name in ("listed", "by_pre", "rows_of_pre")}
        how |= {"pathway": self.name, **self.sizes}
        self.contained_objects.append(Runner(self, template, order, code, **how, **keywords))


def read_weights(pathway: Any, name: str, other: Any, index: str) -> None:
    """Let a dense pathway read the weights of another: `_idx` synapse by synapse,
    `_turned_idx` those of its transpose."""
    pathway.variables.add_reference(name, other, "w", index=index)


def refer(group: Any, name: str, other: Any, variable: str) -> None:
    """Let a group read a variable of an equally large group, neuron by neuron, under a name of its own."""
    group.variables.add_reference(name, other, variable)
