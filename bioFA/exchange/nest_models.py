"""Which neuron of NEST is one of ours, with its parameters in NEST's units (ms, mV, pF, nS, pA).

    lif_exp           iaf_psc_exp       every spike in its step
    lif_alpha         iaf_psc_alpha     every spike in its step
    izhikevich        izhikevich        every spike in its step
    lif_cond          iaf_cond_exp      every spike in its step with method = "rkf45", else nearer the smaller dt is
    adex              aeif_cond_exp     the same
    equations         iaf_psc_delta     dv/dt = (e_l - v)/tau : volt (unless refractory), or -v/tau; arrival v += port
    equations         iaf_psc_exp       dv/dt = (e_l - v)/tau_m + (i_e + i_syn)/c_m : volt (unless refractory),
                                        di_syn/dt = -i_syn/tau_syn : amp; arrival i_syn += port
    equations         iaf_cond_exp      dv/dt = (g_l*(e_l - v) + g_e*(e_e - v) + g_i*(e_i - v))/c_m : volt (unless
                                        refractory), and the conductances; as lif_cond without rkf45

Texts may have any names, threshold `v >= name` (`v > name` with conductances), reset `v = name`, and the method `exact`
(any with conductances). A weight at `inh` is negative there.

A spike of the stamp t acts after a delay d in the step that begins at t + d, in NEST as here; where it moves the
potential itself (`iaf_psc_delta`, `izhikevich`) NEST adds it as the step before ends, so that delays are a step longer
there (`late`), and to a potential that has decayed in that step, so that the weight of `iaf_psc_delta` is w
exp(-dt/tau). NEST's shortest delay is one step.

Held by `tests/test_nest_neurons.py` and `tests/test_nest_free.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bioFA.errors import NoCounterpart
from bioFA.instance import Instance
from bioFA.network import Population
from bioFA.neurons.adex import Adex
from bioFA.neurons.equations import Equations, TextNeuron
from bioFA.neurons.izhikevich import Izhikevich
from bioFA.neurons.lif_alpha import LifAlpha
from bioFA.neurons.lif_cond import LifCond
from bioFA.neurons.lif_exp import LifExp
from bioFA.units import steps_of

Array = np.ndarray
MILLI, PICO, NANO = 1e3, 1e12, 1e9
DIGITS = 15
"""Numbers in NEST's units have so many significant ones: 2e-10 A is 200 pA."""


class Model(NamedTuple):
    """A neuron of NEST: what its parameters and states are called here, each with what it is multiplied by, and what a
    weight at each port is."""

    name: str
    parameters: Mapping[str, tuple[str, float]]
    states: Mapping[str, tuple[str, float]]
    ports: Mapping[str, float]
    exact: tuple[str, ...]
    """Methods with which every spike is in its step."""
    signed: bool = False
    """Whether a weight of either sign is the same synapse."""
    late: int = 0
    refractory: bool = True
    fixed: Mapping[str, float] = {}
    """What NEST's own numbers are replaced by."""


class Counterpart(NamedTuple):
    """The neurons of a population in NEST: `parameters` and first values in NEST's units, `(size,)` or `(1,)`;
    `factors` by port, what a weight in SI is multiplied by, `(size,)` or `(1,)`; whether a port takes weights of either
    `signed`; by how many steps delays are `late`; and whether every spike is in its step."""

    model: str
    parameters: Mapping[str, Array]
    factors: Mapping[str, Array]
    signed: bool
    late: int
    exact: bool


_LEAKY = {"C_m": ("c_m", PICO), "E_L": ("e_l", MILLI), "V_reset": ("v_reset", MILLI), "I_e": ("i_e", PICO)}
_TAUS = {"tau_syn_ex": ("tau_exc", MILLI), "tau_syn_in": ("tau_inh", MILLI)}
_POTENTIAL = {"V_m": ("v", MILLI)}
_CURRENT = _LEAKY | _TAUS | {"tau_m": ("tau_m", MILLI), "V_th": ("v_th", MILLI)}
_CONDUCTANCE = _LEAKY | _TAUS | {"g_L": ("g_l", NANO), "E_ex": ("e_e", MILLI), "E_in": ("e_i", MILLI)}
_CURRENTS, _CONDUCTANCES = {"exc": PICO, "inh": -PICO}, {"exc": NANO, "inh": -NANO}
BUILT_IN: Mapping[type[TextNeuron], Model] = {
    LifExp: Model("iaf_psc_exp", _CURRENT, _POTENTIAL, _CURRENTS, ("exact",)),
    LifAlpha: Model("iaf_psc_alpha", _CURRENT, _POTENTIAL, _CURRENTS, ("exact",)),
    LifCond: Model("iaf_cond_exp", _CONDUCTANCE | {"V_th": ("v_th", MILLI)}, _POTENTIAL, _CONDUCTANCES, ("rkf45",)),
    Adex: Model(
        "aeif_cond_exp",
        _CONDUCTANCE
        | {"V_th": ("v_t", MILLI), "Delta_T": ("delta_t", MILLI), "a": ("a", NANO), "tau_w": ("tau_w", MILLI)}
        | {"b": ("b", PICO), "V_peak": ("v_peak", MILLI)},
        _POTENTIAL | {"w": ("w", PICO)},
        _CONDUCTANCES,
        ("rkf45",),
    ),
    Izhikevich: Model(
        "izhikevich",
        {"a": ("a", 1e-3), "b": ("b", 1e-3), "c": ("c", MILLI), "d": ("d", 1.0), "V_th": ("v_peak", MILLI)}
        | {"I_e": ("i_e", 1.0)},
        _POTENTIAL | {"U_m": ("u", 1.0)},
        {"exc": MILLI, "inh": -MILLI},
        ("euler",),
        signed=True,
        late=1,
        refractory=False,
    ),
}


class Text(NamedTuple):
    """A neuron as text whose names in capitals may be any, what it is in NEST, by these names, and what is fixed there.

    Only the methods that give every spike its step are read, where there are any; else all.
    """

    model: str
    arrival: str
    threshold: str
    neuron: Model
    fixed: Mapping[str, float] = {}


RESET = "V = RESET"
_SPIKE = {"V_th": ("TH", MILLI), "V_reset": ("RESET", MILLI)}
_REST = {"E_L": ("REST", MILLI)}
_V = {"V_m": ("V", MILLI)}
_DELTA = Model("iaf_psc_delta", _SPIKE | {"tau_m": ("TAU", MILLI)}, _V, {"PORT": MILLI}, ("exact",), True, 1)
_ONE_CURRENT = Model(
    "iaf_psc_exp",
    {**_SPIKE, **_REST, "tau_m": ("TAU", MILLI), "C_m": ("C", PICO), "I_e": ("TONIC", PICO)}
    | {"tau_syn_ex": ("DECAY", MILLI), "tau_syn_in": ("DECAY", MILLI)},
    _V,
    {"PORT": PICO},
    ("exact",),
    True,
)
_CONDUCTING = Model(
    "iaf_cond_exp",
    {**_SPIKE, **_REST, "g_L": ("GL", NANO), "C_m": ("C", PICO), "E_ex": ("EE", MILLI), "E_in": ("EI", MILLI)}
    | {"tau_syn_ex": ("TE", MILLI), "tau_syn_in": ("TI", MILLI)},
    _V | {"g_ex": ("GE", NANO), "g_in": ("GI", NANO)},
    {"EXC": NANO, "INH": -NANO},
    (),
)
TEXTS = (
    Text("dV/dt = -V/TAU : volt (unless refractory)", "V += PORT", "V >= TH", _DELTA, {"E_L": 0.0, "I_e": 0.0}),
    Text(
        "dV/dt = (REST - V)/TAU : volt (unless refractory)",
        "V += PORT",
        "V >= TH",
        _DELTA._replace(parameters={**_DELTA.parameters, **_REST}),
        {"I_e": 0.0},
    ),
    Text(
        "dV/dt = (REST - V)/TAU + (TONIC + SYN)/C : volt (unless refractory); dSYN/dt = -SYN/DECAY : amp",
        "SYN += PORT",
        "V >= TH",
        _ONE_CURRENT,
    ),
    Text(
        "dV/dt = (GL*(REST - V) + GE*(EE - V) + GI*(EI - V))/C : volt (unless refractory);"
        " dGE/dt = -GE/TE : siemens; dGI/dt = -GI/TI : siemens",
        "GE += EXC; GI += INH",
        "V > TH",
        _CONDUCTING,
        {"I_e": 0.0},
    ),
)


def counterpart(instance: Instance, population: Population) -> Counterpart:
    """The neurons of a population as NEST has them.

    Raises:
        NoCounterpart: if NEST has no such neuron, or these begin as it cannot.
    """
    neuron, name, dt = population.neuron, population.name, instance.experiment.protocol.step
    model, factors = _model(instance, population)
    assert isinstance(neuron, TextNeuron)
    place = f"population '{name}'"
    if neuron.happens:
        raise NoCounterpart(f"{place} has events of its own, which {model.name} of NEST has not. Leave them out.")
    parameters = {
        theirs: in_units(instance.constants[f"{name}.{ours}"], unit)
        for theirs, (ours, unit) in model.parameters.items()
    }
    parameters |= {theirs: np.array([value]) for theirs, value in model.fixed.items()}
    first = {variable: instance.state[f"{name}.{variable}"] for variable in neuron.text.state}
    for theirs, (variable, unit) in model.states.items():
        parameters[theirs] = in_units(first.pop(variable), unit)
    if moved := [variable for variable, values in first.items() if np.any(values)]:
        raise NoCounterpart(
            f"{place} begins with {', '.join(moved)} that are not 0, which {model.name} of NEST cannot. Leave them out"
            " of initial."
        )
    pause = steps_of(neuron.pause, dt)
    if model.refractory:
        parameters["t_ref"] = in_units(np.array([pause * dt]), MILLI)
    elif pause:
        raise NoCounterpart(f"{place} has a refractory period, which {model.name} of NEST has not. Leave it out.")
    return Counterpart(model.name, parameters, factors, model.signed, model.late, neuron.method in model.exact)


def _model(instance: Instance, population: Population) -> tuple[Model, dict[str, Array]]:
    """The neuron of NEST, with the names that its parameters have here, and what a weight is multiplied by."""
    neuron, name = population.neuron, population.name
    if type(neuron) in BUILT_IN:
        model = BUILT_IN[type(neuron)]  # type: ignore[index]
        taus = [instance.constants.get(f"{name}.{tau}", np.ones(1)) for tau in ("tau_exc", "tau_inh")]
        alike = model.ports == _CURRENTS and bool(np.all(taus[0] == taus[1]))
        return model._replace(signed=model.signed or alike), _factors(instance, population, model)
    for text in TEXTS:
        found = _as_text(neuron, text) if isinstance(neuron, Equations) else None
        if found is not None:
            return found, _factors(instance, population, found)
    raise NoCounterpart(
        f"population '{name}': NEST has no neuron like {neuron.family_name or type(neuron).__name__} as it is"
        f" described here. It has: {', '.join(sorted(kind.family_name for kind in BUILT_IN))}, and texts of"
        " three kinds (leaky, with jumps of the potential, one exponential current, or two exponential conductances)."
    )


def _as_text(neuron: Equations, text: Text) -> Model | None:
    """The neuron of NEST that a text is, by the names that the text has; None where it is another."""
    written = (neuron.model, neuron.on_arrival, neuron.threshold or "", neuron.reset)
    named = _match(written, (text.model, text.arrival, text.threshold, RESET))
    model = text.neuron
    if named is None or (model.exact and neuron.method not in model.exact):
        return None
    ports = {named[port]: factor for port, factor in model.ports.items()}
    parameters, states = (
        {theirs: (named[ours], unit) for theirs, (ours, unit) in part.items()}
        for part in (model.parameters, model.states)
    )
    if ports.keys() != neuron.ports.keys() or not {ours for ours, _ in parameters.values()} <= neuron.given.keys():
        return None
    return model._replace(parameters=parameters, states=states, ports=ports, fixed=text.fixed)


def _factors(instance: Instance, population: Population, model: Model) -> dict[str, Array]:
    """What a weight at each port is multiplied by, `(size,)` or `(1,)`."""
    factors = {port: np.array([factor]) for port, factor in model.ports.items()}
    if model.late and "tau_m" in model.parameters:  # NEST adds jumps to a potential that has decayed in the step
        tau = instance.constants[f"{population.name}.{model.parameters['tau_m'][0]}"]
        factors = {port: factor * np.exp(-instance.experiment.protocol.step / tau) for port, factor in factors.items()}
    return factors


def in_units(values: Array, factor: float) -> Array:
    """Numbers in units of NEST, to `DIGITS` significant ones; `(1,)` where all are alike."""
    scaled = np.atleast_1d(np.asarray(values, dtype=float)) * factor
    with np.errstate(divide="ignore"):
        place = np.where(scaled == 0, 1.0, 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(scaled)))))
    rounded = np.where(np.isfinite(place) & (place < 1e22), np.round(scaled * place) / place, scaled)
    return rounded[:1] if len(rounded) and np.all(rounded == rounded[0]) else rounded


def _tokens(text: str) -> list[str]:
    """The words and signs of a text, lines ended by ';' and comments left out."""
    lines = [" ".join(line.partition("#")[0].split()) for line in re.split(r"[;\n]", text)]
    joined = " ; ".join(line for line in lines if line)
    return re.findall(r"\d+\.?\d*(?:e[+-]?\d+)?|\w+|\*\*|\S", re.sub(r"\bd(\w+)/dt\b", r"D( \1 )", joined))


def _match(written: tuple[str, ...], pattern: tuple[str, ...]) -> dict[str, str] | None:
    """What the names in capitals of a pattern are in a text; None where the text is another."""
    found: dict[str, str] = {}
    for text, wanted in zip(map(_tokens, written), map(_tokens, pattern), strict=True):
        if len(text) != len(wanted):
            return None
        for word, place in zip(text, wanted, strict=True):
            free = place.isupper() and place != "D"
            if (found.setdefault(place, word) if free else place) != word:
                return None
    return found
