"""Which node of NIR a neuron as text is, found from its equations, whatever its names are.

    LIF       dv/dt = (v_inf - v)/tau + c p     or arrival v += c p         p: what a port gets
    CubaLIF   dv/dt = (v_inf - v)/tau + c I,    dI/dt = -I/tau_syn,         arrival I += p
    IF        dv/dt = c p                       or arrival v += c p
    LI, CubaLI, I                               the same without threshold

with threshold `v > theta` or `v >= theta`, reset `v = v_reset`, and no refractory period. Several currents are one
where those that pathways reach have one time constant, as `exc` and `inh` of `lif_exp` may. In a node v is measured
from where it begins, `zero`, in units of what lies between that and the threshold, `one`: it begins at 0 and spikes
above 1.

A graph's tools make Euler steps of dt, in which a spike is 1: I moves first, and v with the new I. What a weight w
becomes (`factors`) gives v what w gives it in an Euler step of the text, after arrival:

    LIF, LI, I, IF    arrival: c (tau/dt - 1) w, which is c w before IF and I; in the equation: c tau w, c dt w
    CubaLIF, CubaLI   c dt w, with r = tau/dt and w_in = tau_syn/dt, the form that all tools read alike
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bioFA.equations.formula import Formula
from bioFA.equations.integrate import affine
from bioFA.errors import NoCounterpart
from bioFA.instance import Instance
from bioFA.network import Population
from bioFA.neurons.equations import TextNeuron
from bioFA.units import steps_of

Array = np.ndarray
KNOWN = "LIF, CubaLIF and IF, and LI, CubaLI and I, which do not spike"
INSTEAD = "brian2, sonata or neuroml"
"""Formats that hold more."""


class Cell(NamedTuple):
    """A population in NIR: its node, by port what a weight in SI is multiplied by, `(size,)`, the variable that is v,
    with `zero` and `one`, `(size,)` in SI, and what is not as in the text."""

    node: dict[str, Any]
    factors: Mapping[str, Array]
    variable: str
    zero: Array
    one: Array
    lost: tuple[str, ...]

    @property
    def spikes(self) -> bool:
        """Whether it has a threshold."""
        return "v_threshold" in self.node


def refused(what: str, has: str) -> NoCounterpart:
    """The error of what NIR has no words for, and what it has."""
    return NoCounterpart(f"{what}, for which NIR has no words. It has: {has}. Export to {INSTEAD}.")


def counterpart(instance: Instance, population: Population) -> Cell:
    """The node of a population.

    Raises:
        NoCounterpart: naming what of its text no node is.
    """
    return _Read(instance, population).cell()


class _Read:
    """The text of a population as slopes, one number a neuron each."""

    def __init__(self, instance: Instance, population: Population):
        assert isinstance(population.neuron, TextNeuron)
        self.neuron, self.size, self.name = population.neuron, population.size, population.name
        self.dt, self.place = instance.experiment.protocol.step, f"population '{population.name}'"
        text = self.neuron.text
        if pause := steps_of(self.neuron.pause, self.dt):
            raise refused(
                f"{self.place} has a refractory period of {pause} steps", "neurons that may spike again at once"
            )
        if self.neuron.happens:
            raise refused(f"{self.place} has events of its own", "spikes alone")
        if self.neuron.draws:
            raise refused(f"{self.place}: its text draws random numbers", "neurons without noise")
        if population.background:
            raise refused(f"{self.place} has a background", "what pathways bring from inputs, such as a poisson source")
        self.values = {one: instance.constants[f"{self.name}.{one}"] for one in self.neuron.parameter_dimensions}
        begins = instance.trial_begins(0)
        self.first = {one: self._each(begins[f"{self.name}.{one}"]) for one in text.state}
        self.used = {pathway.port for pathway in instance.network.pathways if pathway.target == self.name}
        if still := [one for one in text.state if one not in text.moved]:
            raise refused(f"{self.place}: {', '.join(still)} moves by statements alone", KNOWN)
        self.slopes: dict[str, dict[str, Array]] = {}
        self.rest: dict[str, Array] = {}
        for one, formula in text.moved.items():
            self.slopes[one], self.rest[one] = self._affine(formula.tree, f"d{one}/dt = {formula.source}")
        self.jumps: dict[str, dict[str, Array]] = {one: {} for one in text.state}
        for statement in self.neuron.statements[0]:
            tree = statement.value.with_parts(text.written_out).tree
            what = f"arrival, which sets {statement.name}"
            slopes, rest = self._affine(tree, what)
            if not _alike(slopes.pop(statement.name, None), 1.0) or rest.any() or slopes.keys() - self.neuron.ports:
                raise refused(f"{self.place}: {what}", "jumps by what arrives")
            for port, slope in slopes.items():
                self.jumps[statement.name][port] = self.jumps[statement.name].get(port, 0.0) + slope

    def _each(self, values: Any) -> Array:
        return np.array(np.broadcast_to(np.asarray(values, dtype=float), self.size))

    def _number(self, tree: ast.expr, what: str) -> Array:
        """The value of an expression that stands still, `(size,)`."""
        formula = Formula("", tree)
        if moving := [name for name in formula.names if name not in self.values]:
            raise refused(
                f"{self.place}: {what} names {', '.join(moving)}", f"numbers that stand still there, in {KNOWN}"
            )
        return self._each(formula.evaluate(self.values))

    def _affine(self, tree: ast.expr, what: str) -> tuple[dict[str, Array], Array]:
        """The slopes of an expression in variables and ports, without those that are 0, and the rest."""
        found = affine(tree, {*self.neuron.text.state, *self.neuron.ports})
        if found is None:
            raise refused(f"{self.place}: {what} is not linear", KNOWN)
        slopes = {name: self._number(part, what) for name, part in found[0].items()}
        return {name: slope for name, slope in slopes.items() if slope.any()}, self._number(found[1], what)

    def _threshold(self) -> tuple[str, Array] | None:
        """The variable that is tested, and the threshold."""
        if self.neuron.threshold is None:
            return None
        match self.neuron.condition.tree:
            case ast.Compare(left=ast.Name(id=v), ops=[ast.Gt() | ast.GtE()], comparators=[theta]) if v in self.slopes:
                return v, self._number(theta, "threshold")
        raise refused(f"{self.place}: the threshold {self.neuron.threshold}", "v > theta")

    def _potential(self) -> str:
        """The variable that others lead to, of neurons without threshold."""
        last = [v for v in self.slopes if not any(v in row for other, row in self.slopes.items() if other != v)]
        if len(last) != 1:
            raise refused(f"{self.place} has several variables that lead to no other ({', '.join(last)})", KNOWN)
        return last[0]

    def _reset(self, v: str) -> Array:
        """What the potential is set to."""
        match self.neuron.statements[1]:
            case (statement,) if statement.name == v and not statement.sign:
                return self._number(statement.formula.tree, "reset")
        raise refused(f"{self.place}: the reset {self.neuron.reset or '(none)'}", "v = v_reset")

    def _currents(self, v: str) -> tuple[list[str], Array | None]:
        """The variables that what arrives passes through, and their time constant."""
        found: list[str] = []
        taus: list[Array] = []
        for one in self.slopes:
            if one == v:
                continue
            if one not in self.slopes[v]:
                raise refused(f"{self.place}: {one} does nothing to {v}", KNOWN)
            slope = dict(self.slopes[one]).pop(one, np.zeros(self.size))
            if self.slopes[one].keys() != {one} or (slope >= 0).any() or self.rest[one].any():
                raise refused(f"{self.place}: {one} is no current that decays exponentially", KNOWN)
            if self.first[one].any():
                raise refused(f"{self.place} begins with {one} that is not 0", "currents that begin at 0")
            if self.used & self.jumps[one].keys():
                found.append(one)
                taus.append(-1 / slope)
        if any(not _alike(tau, taus[0]) for tau in taus):
            raise refused(f"{self.place}: {', '.join(found)} have different time constants", "one current of a neuron")
        return found, taus[0] if taus else None

    def cell(self) -> Cell:
        """The node, and what of the text it is not."""
        tested = self._threshold()
        v, theta = tested or (self._potential(), None)
        currents, tau_syn = self._currents(v)
        row = self.slopes[v]
        straight = self.used & (self.jumps[v].keys() | row.keys())
        if currents and straight:
            raise refused(
                f"{self.place}: what arrives at {', '.join(sorted(straight))} acts on {v}, and what arrives elsewhere"
                f" on {', '.join(currents)}",
                "one of the two in a neuron",
            )
        leak = -row.get(v, np.zeros(self.size))
        if (leak < 0).any() or (leak.any() and not leak.all()):
            raise refused(f"{self.place}: {v} has no leak, or one that drives it away", KNOWN)
        leaky = bool(leak.all())
        if not leaky and (currents or self.rest[v].any()):
            raise refused(
                f"{self.place}: {v} has no leak, but a {'current that decays' if currents else 'constant drive'}", KNOWN
            )
        zero = self.first[v]
        one = self._each(1.0) if theta is None else theta - zero
        if (one <= 0).any():
            raise refused(f"{self.place} begins with {v} at or above its threshold", "neurons that begin below it")
        tau = 1 / leak if leaky else self._each(np.inf)
        for name, time in (("its membrane", tau), ("its current", tau_syn)):
            if time is not None and (time < self.dt).any():
                raise refused(
                    f"{self.place}: a time constant of {name} is shorter than dt", "time constants from dt on"
                )
        ones = self._each(1.0)
        node: dict[str, Any] = {"type": ("Cuba" if currents else "") + ("LI" if leaky else "I")}
        if not leaky:
            node |= {"r": ones / self.dt}
        elif tau_syn is None:
            node |= {"tau": tau, "r": ones, "v_leak": (self.rest[v] * tau - zero) / one}
        else:
            node |= {"tau_mem": tau, "tau_syn": tau_syn, "r": tau / self.dt, "w_in": tau_syn / self.dt}
            node |= {"v_leak": (self.rest[v] * tau - zero) / one}
        if theta is not None:
            node["type"] += "F"
            node |= {"v_threshold": ones, "v_reset": (self._reset(v) - zero) / one}
        factors = {}
        for port in self.used:
            jump, slope = self.jumps[v].get(port, 0.0), row.get(port, 0.0)
            if currents:
                at_once = sum(self.jumps[x].get(port, 0.0) * row[x] for x in currents) * self.dt
            else:
                at_once = jump * (tau / self.dt - 1) + slope * tau if leaky else jump + slope * self.dt
            factors[port] = self._each(at_once / one)
        return Cell(node, factors, v, zero, one, tuple(self._lost(v, node)))

    def _lost(self, v: str, node: Mapping[str, Any]) -> list[str]:
        """What tools do otherwise than the text says."""
        lost = []
        if self.neuron.method != "euler":
            lost.append(f"the method {self.neuron.method} of {self.name}: tools that run NIR make Euler steps")
        if ">=" in (self.neuron.threshold or ""):
            lost.append(f"the threshold test of {self.name}: NIR has v > 1, not v >= 1")
        if np.any(node.get("v_leak", 0.0)):
            lost.append(
                f"where {v} of {self.name} begins: NIR does not say. At v = 0 of the graph, and its v_leak is another;"
                " norse begins at v_leak, and adds that of a CubaLIF twice; snnTorch and SpikingJelly refuse it"
            )
        if np.any(node.get("v_reset", 0.0)):
            lost.append(f"v_reset of {self.name}: it stands in the node, but norse and snnTorch reset to 0")
        return lost


def _alike(values: Any, wanted: Any) -> bool:
    return values is not None and np.allclose(values, wanted, rtol=1e-12, atol=0.0)
