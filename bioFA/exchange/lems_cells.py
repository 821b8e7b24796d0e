"""Neurons as text as LEMS component types: equations, threshold, reset, refractory period, and what arrives.

One step of jNeuroML, in the order of the conditions below: Euler's step of the equations; the threshold test, with the
reset, where `not_refractory` is 1; what has arrived by now, for the next step. `left` counts down the steps that a
neuron stays refractory. What arrives at a port is the sum over its attachments, `arrives__<port>` of each:

    a synapse                 a spike adds weight, or weight times what short-term plasticity releases
    a course in time          weight times what it says
    spikes from outside       weight times a Poisson number, which jNeuroML draws in every step
    a value of one neuron     a parameter or first value that differs between neurons
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np

from bioFA.equations.dimensions import TIME, UNITS, Dimension
from bioFA.equations.model import Statement
from bioFA.errors import NoCounterpart
from bioFA.exchange.lems_text import Dimensions, Writer, called, number
from bioFA.neurons.equations import TextNeuron

Array = np.ndarray
Element = ElementTree.Element
CURRENT = UNITS["amp"][1]
ALWAYS = "t .geq. zero__time"
TAIL = 1e-12
"""The chance of Poisson numbers that are left out."""
MOST = 50.0
"""The largest mean number of background spikes in a step."""


def _element(parent: Element, tag: str, **attributes: str) -> Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _assign(parent: Element, variable: str, value: str) -> None:
    _element(parent, "StateAssignment", variable=variable, value=value)


def _constants(kind: Element, writer: Writer, dynamics: Element) -> None:
    """Put the constants that expressions used before the dynamics."""
    writer.constants["zero__time"] = (0.0, TIME)
    place = list(kind).index(dynamics)
    for name, (value, dimension) in writer.constants.items():
        attributes = {"name": name, "dimension": writer.dimensions.name(dimension)}
        attributes["value"] = writer.dimensions.quantity(value, dimension)
        kind.insert(place, Element("Constant", attributes))
        place += 1


def cell_type(
    name: str, neuron: TextNeuron, given: Sequence[str], first: Sequence[str], dimensions: Dimensions
) -> Element:
    """The component type of a population's neurons.

    Args:
        name: of the population.
        neuron: its neurons.
        given: parameters that differ between neurons.
        first: variables whose first values do.
        dimensions: of the document.

    Raises:
        NoCounterpart: quoting what LEMS has no words for.
    """
    text, place = neuron.text, f"population '{name}'"
    kind = Element("ComponentType", {"name": f"{name}_neuron", "extends": "baseSpikingCell"})
    kind.set("description", f"Neurons of {name}: {neuron.family_name}, written from their text.")
    ports = {port: f"port__{port}" for port in neuron.ports}
    before = Writer(text.known, dimensions, place, names={**ports, "t": "(t - step__dt)", "dt": "step__dt"})
    after = Writer(text.known, dimensions, place, before.constants, {**ports, "dt": "step__dt"})
    for parameter, dimension in neuron.parameter_dimensions.items():
        if parameter not in given:
            _element(kind, "Parameter", name=called(parameter), dimension=dimensions.name(dimension))
    for variable in text.state:
        if variable not in first:
            _element(kind, "Parameter", name=f"first__{variable}", dimension=dimensions.name(text.known[variable]))
    _element(kind, "Parameter", name="step__dt", dimension="time")
    _element(kind, "Parameter", name="pause__steps", dimension="none")
    for variable in (*text.state, *text.subexpressions):
        _element(kind, "Exposure", name=called(variable), dimension=dimensions.name(text.known[variable]))
    _element(kind, "Attachments", name="synapses", type=f"{name}_attachment")
    dynamics = _element(kind, "Dynamics")
    for variable in text.state:
        _element(
            dynamics,
            "StateVariable",
            name=called(variable),
            dimension=dimensions.name(text.known[variable]),
            exposure=called(variable),
        )
    for port, variable in ports.items():
        _element(dynamics, "StateVariable", name=variable, dimension=dimensions.name(text.known[port]))
    for variable in ("left", "not_refractory"):
        _element(dynamics, "StateVariable", name=variable, dimension="none")
    sums = {f"arrives__{port}": f"sum__{port}" for port in ports}
    sums |= {f"given__{parameter}": called(parameter) for parameter in given}
    sums |= {f"first__{variable}": f"first__{variable}" for variable in first}
    for shown, total in sums.items():
        said = dimensions.name(text.known[shown.partition("__")[2]])
        _element(dynamics, "DerivedVariable", name=total, dimension=said, select=f"synapses[*]/{shown}", reduce="add")
    for variable, formula in text.subexpressions.items():
        _element(
            dynamics,
            "DerivedVariable",
            name=called(variable),
            exposure=called(variable),
            dimension=dimensions.name(text.known[variable]),
            value=before.text(formula),
        )
    held = text.held if neuron.threshold is not None else ()
    for variable, line in text.lines.items():
        if line.kind == "differential" and line.formula is not None:
            slope = before.text(line.formula)
            value = f"not_refractory * {slope}" if variable in held else slope
            _element(dynamics, "TimeDerivative", variable=called(variable), value=value)
    _conditions(dynamics, neuron, before, after, ports)
    _constants(kind, before, dynamics)
    return kind


def _conditions(dynamics: Element, neuron: TextNeuron, before: Writer, after: Writer, ports: dict[str, str]) -> None:
    """The first values, and what follows Euler's step."""
    text, (arrival, reset) = neuron.text, neuron.statements
    start = _element(dynamics, "OnStart")
    for variable in text.state:
        _assign(start, called(variable), f"first__{variable}")
    _assign(start, "left", "0")
    _assign(start, "not_refractory", "1")
    if neuron.threshold is not None:
        counted = _element(dynamics, "OnCondition", test="left .gt. 0.5")
        _assign(counted, "left", "left - 1")
        condition = before.test(neuron.condition.with_parts(text.written_out))
        spiked = _element(dynamics, "OnCondition", test=f"(not_refractory .gt. 0.5) .and. ({condition})")
        _statements(spiked, reset, neuron, before, ())
        _assign(spiked, "left", "pause__steps")
        _element(spiked, "EventOut", port="spike")
    else:  # a port that is never used, which projections and inputs ask for
        never = _element(dynamics, "OnCondition", test="not_refractory .gt. 2")
        _element(never, "EventOut", port="spike")
    every = _element(dynamics, "OnCondition", test=ALWAYS)
    _assign(every, "not_refractory", "1 - ceil(H(left - 0.5))")
    held = text.held if neuron.threshold is not None else ()
    for part in (start, every):
        for port, variable in ports.items():
            _assign(part, variable, f"sum__{port}")
        _statements(part, arrival, neuron, after, held)


def _statements(
    parent: Element, statements: Sequence[Statement], neuron: TextNeuron, writer: Writer, held: Sequence[str]
) -> None:
    for statement in statements:
        variable = called(statement.name)
        value = writer.text(statement.value.with_parts(neuron.text.written_out))
        if statement.name in held:
            value = f"(not_refractory * {value}) + ((1 - not_refractory) * {variable})"
        _assign(parent, variable, value)


class Attachments:
    """What is attached to the neurons of a population: the component types of its synapses and inputs.

    NeuroML's connections find one list of attachments in a neuron, so that all of them show a value for each port, each
    parameter and each first value that differs between neurons: their own, and 0 for the others.
    """

    def __init__(self, population: str, shown: Mapping[str, Dimension], dimensions: Dimensions):
        """Name them.

        Args:
            population: its name.
            shown: what they show, with its dimension: `arrives__<port>`, `given__<parameter>`, `first__<variable>`.
            dimensions: of the document.
        """
        self.name, self.shown, self.dimensions = population, shown, dimensions

    def base(self) -> Element:
        """What they have in common."""
        kind = self._kind("attachment", "Whatever is attached to a neuron", "baseSynapse")
        for shown, dimension in self.shown.items():
            _element(kind, "Exposure", name=shown, dimension=self.dimensions.name(dimension))
        return kind

    def _kind(self, suffix: str, description: str, extends: str = "") -> Element:
        kind = Element("ComponentType", {"name": f"{self.name}_{suffix}"})
        kind.set("extends", extends or f"{self.name}_attachment")
        kind.set("description", f"{description} of {self.name}.")
        return kind

    def _begun(self, suffix: str, description: str, own: str) -> tuple[Element, Element, Writer, str]:
        """A type, its dynamics, the writer of its expressions, and one unit of what it shows."""
        kind = self._kind(suffix, description)
        _element(kind, "Property", name="weight", dimension="none", defaultValue="1")
        dynamics = _element(kind, "Dynamics")
        writer = Writer({}, self.dimensions, self.name)
        writer.constants["zero__current"] = (0.0, CURRENT)
        _element(dynamics, "DerivedVariable", name="i", exposure="i", dimension="current", value="zero__current")
        for shown, dimension in self.shown.items():
            if shown != own:
                said = self.dimensions.name(dimension)
                _element(dynamics, "StateVariable", name=shown, dimension=said, exposure=shown)
        return kind, dynamics, writer, writer.one(self.shown[own])

    def given(self, own: str) -> Element:
        """A value of one neuron: the weight."""
        kind, dynamics, writer, unit = self._begun(own, "A value of one neuron", own)
        self._derived(dynamics, own, f"weight * {unit}")
        _constants(kind, writer, dynamics)
        return kind

    def _derived(self, dynamics: Element, own: str, value: str) -> None:
        said = self.dimensions.name(self.shown[own])
        _element(dynamics, "DerivedVariable", name=own, exposure=own, dimension=said, value=value)

    def synapse(self, suffix: str, port: str, release: Sequence[tuple[str, str]] = ()) -> Element:
        """A synapse: spikes of a step are summed, and arrive together.

        Args:
            suffix: of its name.
            port: where it arrives.
            release: statements that run at a spike, of which `released` is what it releases, as `release_of` gives
                them.
        """
        own = f"arrives__{port}"
        kind, dynamics, writer, unit = self._begun(suffix, "A synapse", own)
        for place, (parameter, said) in enumerate(RELEASE_PARAMETERS.items() if release else ()):
            kind.insert(1 + place, Element("Parameter", {"name": parameter, "dimension": said}))
        said = self.dimensions.name(self.shown[own])
        _element(dynamics, "StateVariable", name="pending", dimension=said)
        _element(dynamics, "StateVariable", name=own, dimension=said, exposure=own)
        for variable in ("x", "y", "z", "u", "decay", "recovery", "released") if release else ():
            _element(dynamics, "StateVariable", name=variable, dimension="none")
        if release:
            _element(dynamics, "StateVariable", name="last", dimension="time")
            _assign(_element(dynamics, "OnStart"), "x", "1")
        event = _element(dynamics, "OnEvent", port="in")
        for variable, value in release:
            _assign(event, variable, value)
        _assign(event, "pending", f"pending + (weight * {unit}{' * released' if release else ''})")
        every = _element(dynamics, "OnCondition", test=ALWAYS)
        _assign(every, own, "pending")
        _assign(every, "pending", f"0 * {unit}")
        _constants(kind, writer, dynamics)
        return kind

    def course(self, suffix: str, port: str, pieces: Sequence[tuple[int, int, float]], dt: float) -> Element:
        """A course in time: from a step to before another a value in SI, times the weight; 0 elsewhere."""
        own = f"arrives__{port}"
        kind, dynamics, writer, unit = self._begun(suffix, "A course in time", own)
        second = writer.one(TIME)
        parts = []
        for first, last, value in pieces:
            begun, ended = (f"H((t / {second}) - {_minus((step - 0.5) * dt)})" for step in (first, last))
            parts.append(f"({_minus(value)} * ({begun} - {ended}))")
        self._derived(dynamics, own, f"weight * {unit} * ({' + '.join(parts) or '0'})")
        _constants(kind, writer, dynamics)
        return kind

    def outside(self, suffix: str, port: str, mean: float) -> Element:
        """Weight times a Poisson number of this mean, drawn anew in every step: as many as there are sums of its
        distribution that a uniform number reaches."""
        own = f"arrives__{port}"
        kind, dynamics, writer, unit = self._begun(suffix, f"Poisson spikes from outside, {mean:g} a step", own)
        said = self.dimensions.name(self.shown[own])
        _element(dynamics, "StateVariable", name=own, dimension=said, exposure=own)
        _element(dynamics, "StateVariable", name="drawn", dimension="none")
        count = " + ".join(f"ceil(H(drawn - {number(total)}))" for total in _reached(mean)) or "0"
        start, every = _element(dynamics, "OnStart"), _element(dynamics, "OnCondition", test=ALWAYS)
        for part in (start, every):
            _assign(part, "drawn", "random(1)")
            _assign(part, own, f"weight * {unit} * ({count})")
        _constants(kind, writer, dynamics)
        return kind


def _minus(value: float) -> str:
    """A number that may be negative."""
    return number(value) if value >= 0 else f"(-1 * {number(-value)})"


RELEASE_PARAMETERS = {"U": "none", "tau_rec": "time", "tau_facil": "time", "tau_psc": "time"}
"""The parameters of short-term plasticity."""


def release_of(resources: str, facilitates: bool) -> list[tuple[str, str]]:
    """What happens at a spike, `last` being when the one before was (`synapses/tsodyks_markram.py`)."""
    kept = "exp((last - t) / tau_facil)" if facilitates else "0"
    recovery = ("recovery", "exp((last - t) / tau_rec)")
    if resources == "two":
        return [
            recovery,
            ("x", "1 + ((x - (x * u) - 1) * recovery)"),
            ("u", f"U + (u * (1 - U) * {kept})"),
            ("released", "u * x"),
            ("last", "t"),
        ]
    return [
        recovery,
        ("decay", "exp((last - t) / tau_psc)"),
        ("z", "1 - x - y"),
        ("x", "x + ((1 - recovery) * z) + (y * (1 - decay - (tau_rec / (tau_psc - tau_rec) * (decay - recovery))))"),
        ("y", "y * decay"),
        ("u", f"(u * {kept}) + (U * (1 - (u * {kept})))"),
        ("released", "u * x"),
        ("x", "x - released"),
        ("y", "y + released"),
        ("last", "t"),
    ]


def _reached(mean: float) -> list[float]:
    """The chances of at most 0, 1, 2, ... spikes, up to where hardly any is left."""
    if mean > MOST:
        raise NoCounterpart(
            f"a background brings {mean:g} spikes a step, and Poisson numbers are written up to {MOST:g}. Give a"
            " shorter dt, or fewer and larger spikes."
        )
    chance, total, found = float(np.exp(-mean)), 0.0, []
    for k in range(1, 1000):
        total += chance
        if 1.0 - total < TAIL:
            break
        found.append(total)
        chance *= mean / k
    return found
