"""Networks as people write them in plain Brian2, and the same in bioFA: no spike differs in 2,000 steps.

Each function below describes one network in bioFA and writes it by hand in Brian2: stock `NeuronGroup`, `Synapses` and
`SpikeMonitor`, with units. Both get the same arrays of pairs, weights and delays. Weights are small multiples of a
power of two, so that no sum of them rounds.

Times: a spike that the test of step n finds acts in step n + 1 + delay/dt in both. What differs is said here once.
Brian2 counts a refractory period from the step of the spike, bioFA, as NEST, from its end: Brian2 gets one step more
(`held`). Brian2 resets after synapses have acted, so that a spike which arrives in the step of a reset is lost where it
moves what is reset: such synapses act at the start of the next step (`late`). `SpikeGeneratorGroup` is a neuron, whose
spikes act in the next step, and a source of bioFA acts in the step that it shows: its delays are a step longer.
"""

import itertools

import brian2 as b
import numpy as np
import pytest

import bioFA
from bioFA import Experiment, Network, Pathway, Population

pytestmark = pytest.mark.usefixtures("plain_brian2")
DT, STEPS = 1e-4, 2010
MV, PA, NS, ONE = 2.0**-14, 2.0**-36, 2.0**-31, 2.0**-7
"""Weights are multiples of these: about 0.06 mV, 15 pA, 0.5 nS, and 0.008."""
NETWORKS = {}


def network(make):
    """Enter a network into the table under its name."""
    NETWORKS[make.__name__] = make
    return make


class Both:
    """A network in both languages: what Brian2 has, and what bioFA is told."""

    def __init__(self, folder, seed=1):
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.populations, self.pathways, self.parts, self.monitors = [], [], [], {}

    def cells(self, name, size, neuron, model, initial=None, **options):
        """A population, and the group that is written by hand."""
        group = b.NeuronGroup(size, model, name=name, namespace=options.pop("namespace", {}), **options)
        for variable, values in (initial or {}).items():
            setattr(group, variable, values)
        self.populations.append(Population(name, size=size, neuron=neuron))
        return self._watched(name, group)

    def given(self, name, size, spikes):
        """Given spikes: neuron and step of each."""
        neurons, steps = (np.array(column) for column in zip(*spikes, strict=True))
        group = b.SpikeGeneratorGroup(size, neurons, steps * DT * b.second, name=name)
        listed = [[int(neuron), float(step * DT)] for neuron, step in spikes]
        self.populations.append(Population(name, size=size, neuron={"name": "spikes_from", "spikes": listed}))
        self.parts.append(group)
        return group

    def _watched(self, name, group):
        if group.thresholder:
            self.monitors[name] = b.SpikeMonitor(group)
            self.parts.append(self.monitors[name])
        self.parts.append(group)
        return group

    def join(
        self, source, target, port, unit, on_pre, weights, p=0.2, delays=(0, 40), late=False, among=None, **options
    ):
        """Synapses between random pairs, with random multiples of a power of two and delays of whole steps.

        `among`, a range, are the presynaptic neurons that have any.
        """
        n_pre, n_post = len(source), len(target)
        pre, post = np.nonzero(self.rng.random((n_pre, n_post)) < p)
        if source is target:
            pre, post = pre[pre != post], post[pre != post]
        if among is not None:
            pre, post = pre[np.isin(pre, among)], post[np.isin(pre, among)]
        low, high, size = weights
        values = self.rng.integers(low, high + 1, len(pre)) * size
        steps = self.rng.integers(*delays, len(pre))
        name = f"{source.name}_to_{target.name}_{port}{'' if among is None else among.start}"
        synapses = b.Synapses(
            source, target, options.pop("model", f"w : {unit}"), on_pre=on_pre, name=f"s_{name}", **options
        )
        synapses.connect(i=pre, j=post)
        synapses.w = values * (1 if unit == "1" else b.Quantity(1, dim=getattr(b, unit).dim))
        if on_pre is not None:
            synapses.delay = steps * DT * b.second
        if late:
            synapses.pre.when = "start"
        self.parts.append(synapses)
        extra = isinstance(source, b.SpikeGeneratorGroup)
        self._describe(name, source, target, port, np.stack([pre, post], axis=1), values, (steps + extra) * DT)
        return synapses

    def _describe(self, name, source, target, port, pairs, weights, delays, **fields):
        paths = {what: str(self.folder / f"{name}_{what}.npy") for what in ("pairs", "weights", "delays")}
        for what, array in zip(paths, (pairs, weights.astype(float), delays), strict=True):
            np.save(paths[what], array)
        self.pathways.append(
            Pathway(
                name,
                source=source.name,
                target=target.name,
                port=port,
                connect={"name": "pairs", "path": paths["pairs"]},
                weights={"name": "from_file", "path": paths["weights"]},
                delay={"name": "from_file", "path": paths["delays"], "low": 0},
                **fields,
            )
        )

    def experiment(self):
        """The description."""
        circuit = Network(populations=tuple(self.populations), pathways=tuple(self.pathways))
        return Experiment(name="by_hand", circuit=circuit, protocol={"duration": STEPS * DT, "dt": DT}, record={})

    def in_brian2(self):
        """Neuron and step of every spike, by population."""
        b.Network(*self.parts).run(STEPS * DT * b.second, namespace={})
        return {
            name: set(zip(monitor.i[:].tolist(), np.round(monitor.t / b.second / DT).astype(int).tolist(), strict=True))
            for name, monitor in self.monitors.items()
        }

    def in_biofa(self, backend):
        """The same: its times are the ends of the steps whose tests found the spikes."""
        result = bioFA.simulate(self.experiment(), seed=1, backend=backend)
        found = {}
        for name in self.monitors:
            neurons, times = result.spikes(name)
            found[name] = set(zip(neurons.tolist(), (np.round(times / DT).astype(int) - 1).tolist(), strict=True))
        return found


def held(time):
    """A refractory period in Brian2: one step more."""
    return time + DT * b.second


def values(array):
    """One value a neuron, in SI."""
    return {"name": "values", "values": array.tolist()}


def in_units(array, unit):
    """One value a neuron, with its unit."""
    return {"name": "values", "values": [f"{float(value)!r} {unit}" for value in array]}


def text(**fields):
    """A neuron as text."""
    return {"name": "equations", **fields}


@network
def leaky_neurons_of_different_time_constants_with_delta_synapses(net):
    """Gerstner et al. (2014), Neuronal dynamics, section 1.3; the reset subtracts, so that no arrival is lost."""
    tau, drive = net.rng.uniform(8e-3, 20e-3, 40), net.rng.uniform(0.9, 1.3, 40)
    neuron = text(
        model="dv/dt = (drive - v)/tau : 1",
        ports={"syn": "1"},
        arrival="v += syn",
        threshold="v > 1",
        reset="v -= 1",
        method="exact",
        parameters={"tau": in_units(tau * 1e3, "ms"), "drive": values(drive)},
    )
    model = "dv/dt = (drive - v)/tau : 1\ntau : second (constant)\ndrive : 1 (constant)"
    cells = net.cells(
        "cells", 40, neuron, model, {"tau": tau*b.second, "drive": drive}, threshold="v > 1", reset="v -= 1",
        method="exact",
    )  # fmt: skip
    net.join(cells, cells, "syn", "1", "v_post += w", (-8, 8, ONE))


@network
def brunel_excites_and_inhibits_by_jumps_and_holds_its_reset(net):
    """Brunel (2000), scaled: a jump that arrives in the refractory period is lost."""
    fields = {"threshold": "v > 20*mV", "reset": "v = 10*mV"}
    drive = net.rng.uniform(19e-3, 26e-3, 50)
    neuron = text(
        model="dv/dt = (drive - v)/(20*ms) : volt",
        ports={"jump": "volt"},
        arrival="v += jump*int(not_refractory)",
        refractory="2 ms",
        method="euler",
        **fields,
    )
    model = "dv/dt = (drive - v)/(20*ms) : volt\ndrive : volt (constant)"
    for name, size, part in (("exc", 40, slice(0, 40)), ("inh", 10, slice(40, 50))):
        own = {**neuron, "parameters": {"drive": in_units(1e3 * drive[part], "mV")}}
        net.cells(
            name, size, own, model, {"drive": drive[part] * b.volt}, method="euler", refractory=held(2 * b.ms), **fields
        )
    exc, inh = (part for part in net.parts if isinstance(part, b.NeuronGroup))
    # at the start of a step `not_refractory` is still that of the last one
    open_ = "int(timestep(t - lastspike_post, dt) > 20)"
    for source, target in itertools.product((exc, inh), repeat=2):
        weights = (1, 8, MV) if source is exc else (-40, -5, MV)
        net.join(source, target, "jump", "volt", f"v_post += w*{open_}", weights, late=True, delays=(5, 25))


def excite_and_inhibit(net, neuron, model, ports, unit, on_pre, weights, initial, drive, one=False, **options):
    """40 neurons that excite and 10 that inhibit, to all of them with chance 0.2; in two populations or in one."""
    groups = []
    for name, size in (("cells", 50),) if one else (("exc", 40), ("inh", 10)):
        currents = net.rng.uniform(*drive, size)
        own = {**neuron, "i_e": values(currents * 1e-12)}
        groups.append(net.cells(name, size, own, model, {**(initial or {}), "i_e": currents * b.pA}, **options))
    for source, target in itertools.product(groups, repeat=2):
        for which, among in enumerate((range(40), range(40, 50))):
            if one:
                net.join(source, target, ports[which], unit, on_pre[which], weights[which], among=among)
            elif source is groups[which]:
                net.join(source, target, ports[which], unit, on_pre[which], weights[which])


@network
def lif_exp_has_currents_that_decay(net):
    """The neuron of Tsodyks et al. (2000) and Potjans and Diesmann (2014)."""
    model = """
        dv/dt = (-65*mV - v)/(10*ms) + (I_exc - I_inh + i_e)/(250*pF) : volt (unless refractory)
        dI_exc/dt = -I_exc/(2*ms) : amp
        dI_inh/dt = -I_inh/(5*ms) : amp
        i_e : amp (constant)
    """
    excite_and_inhibit(
        net, {"name": "lif_exp", "tau_exc": "2 ms", "tau_inh": "5 ms"}, model, ("exc", "inh"), "amp",
        ("I_exc_post += w", "I_inh_post += w"), ((1, 15, PA), (10, 40, PA)), {"v": -65*b.mV},
        (300, 500),
        one=True, threshold="v >= -50*mV", reset="v = -65*mV", refractory=held(2*b.ms),
        method="exact",
    )  # fmt: skip


@network
def lif_alpha_has_currents_that_rise_and_decay(net):
    """Rotter and Diesmann (1999), all synapses with one time constant."""
    model = """
        dv/dt = -v/(10*ms) + (I_exc + i_e)/(250*pF) : volt (unless refractory)
        dI_exc/dt = y_exc - I_exc/(1*ms) : amp
        dy_exc/dt = -y_exc/(1*ms) : amp/second
        i_e : amp (constant)
    """
    jump = "y_exc_post += w*exp(1)/(1*ms)"
    excite_and_inhibit(
        net, {"name": "lif_alpha", "tau_exc": "1 ms"}, model, ("exc", "exc"), "amp", (jump, jump),
        ((1, 15, PA), (-40, -10, PA)), None, (450, 650), one=True, threshold="v >= 20*mV", reset="v = 0*mV",
        refractory=held(0.5*b.ms), method="exact",
    )  # fmt: skip


@network
def coba_has_conductances(net):
    """Vogels and Abbott (2005), benchmark 1 of Brette et al. (2007), scaled and driven by a current."""
    model = """
        u = clip(v, -1*volt, -50*mV) : volt
        dv/dt = (10*nS*(-60*mV - u) + g_e*(0*mV - u) + g_i*(-80*mV - u) + i_e)/(200*pF) : volt (unless refractory)
        dg_e/dt = -g_e/(5*ms) : siemens
        dg_i/dt = -g_i/(10*ms) : siemens
        i_e : amp (constant)
    """
    excite_and_inhibit(
        net, {"name": "lif_cond"}, model, ("exc", "inh"), "siemens", ("g_e_post += w", "g_i_post += w"),
        ((1, 12, NS), (10, 30, NS)), {"v": -60*b.mV}, (120, 250), threshold="v >= -50*mV",
        reset="v = -60*mV", refractory=held(5*b.ms), method="rk4",
    )  # fmt: skip


@network
def adex_adapts_its_current(net):
    """Brette and Gerstner (2005), with the script of Brian2's documentation."""
    model = """
        u = clip(v, -1*volt, 20*mV) : volt
        dv/dt = (30*nS*(-70.6*mV - u) + 30*nS*2*mV*exp((u + 50.4*mV)/(2*mV)) - w_a
                 + g_e*(0*mV - u) + g_i*(-75*mV - u) + i_e)/(281*pF) : volt
        dw_a/dt = (4*nS*(u + 70.6*mV) - w_a)/(144*ms) : amp
        dg_e/dt = -g_e/(2.728*ms) : siemens
        dg_i/dt = -g_i/(10.49*ms) : siemens
        i_e : amp (constant)
    """
    excite_and_inhibit(
        net, {"name": "adex"}, model, ("exc", "inh"), "siemens", ("g_e_post += w", "g_i_post += w"),
        ((1, 12, NS), (5, 20, NS)), {"v": -70.6*b.mV}, (700, 1200), one=True, threshold="v >= 20*mV",
        reset="v = -70.6*mV; w_a += 80.5*pA", method="rk4",
    )  # fmt: skip


@network
def hodgkin_huxley_cells_with_conductances(net):
    """Benchmark 3 of Brette et al. (2007), Brian2's example COBAHH, scaled."""
    model = """
        dv/dt = (10*nS*(-60*mV - v) + 20*uS*m**3*h*(50*mV - v) + 6*uS*n**4*(-90*mV - v)
                 + g_e*(0*mV - v) + g_i*(-80*mV - v) + i_e)/(200*pF) : volt
        dm/dt = alpha_m*(1 - m) - beta_m*m : 1
        dn/dt = alpha_n*(1 - n) - beta_n*n : 1
        dh/dt = alpha_h*(1 - h) - beta_h*h : 1
        dg_e/dt = -g_e/(5*ms) : siemens
        dg_i/dt = -g_i/(10*ms) : siemens
        alpha_m = 0.32/mV*4*mV/exprel((13*mV - v - 63*mV)/(4*mV))/ms : Hz
        beta_m = 0.28/mV*5*mV/exprel((v + 63*mV - 40*mV)/(5*mV))/ms : Hz
        alpha_h = 0.128*exp((17*mV - v - 63*mV)/(18*mV))/ms : Hz
        beta_h = 4/(1 + exp((40*mV - v - 63*mV)/(5*mV)))/ms : Hz
        alpha_n = 0.032/mV*5*mV/exprel((15*mV - v - 63*mV)/(5*mV))/ms : Hz
        beta_n = 0.5*exp((10*mV - v - 63*mV)/(40*mV))/ms : Hz
        i_e : amp (constant)
    """
    gates = {"m": 0.05, "n": 0.3, "h": 0.6}
    excite_and_inhibit(
        net, {"name": "hodgkin_huxley", "initial": gates}, model, ("exc", "inh"), "siemens",
        ("g_e_post += w", "g_i_post += w"), ((1, 12, NS), (10, 40, NS)), {"v": -60*b.mV, **gates},
        (100, 500), one=True, threshold="v > -20*mV", refractory=held(3*b.ms), method="exponential_euler",
    )  # fmt: skip


@network
def izhikevich_cells_of_different_kinds(net):
    """Izhikevich (2003): regular spiking and fast spiking cells, each with its own noise-free current."""
    share = net.rng.random(50)
    kinds = {
        "a": 0.02 + 0.08*(share > 0.8), "b": np.where(share > 0.8, 0.25 - 0.05*share, 0.2),
        "c": -65 + 15*share**2, "d": np.where(share > 0.8, 2.0, 8 - 6*share**2), "I": 4 + 10*net.rng.random(50),
    }  # fmt: skip
    equations = """
        dv/dt = (0.04*v**2 + 5*v + 140 - u + I{})/ms : 1
        du/dt = a*(b*v - u)/ms : 1
    """
    fields = {"threshold": "v >= 30", "reset": "v = c; u += d", "method": "euler"}
    neuron = text(
        model=equations.format(""), ports={"syn": "1"}, arrival="v += syn", initial={"v": -65.0, "u": -13.0},
        parameters={name: values(array) for name, array in kinds.items()}, **fields,
    )  # fmt: skip
    model = equations.format("") + "\n".join(f"{name} : 1 (constant)" for name in kinds)
    cells = net.cells("cells", 50, neuron, model, {"v": -65, "u": -13, **kinds}, **fields)
    net.join(cells, cells, "syn", "1", "v_post += w", (-16, 32, 2.0**-4), late=True)


@network
def thresholds_adapt_and_given_spikes_drive_the_network(net):
    """Trains of `SpikeGeneratorGroup`; every spike raises the threshold, which falls back (Liu and Wang 2001)."""
    model = """
        dv/dt = -v/(10*ms) : volt
        dtheta/dt = (15*mV - theta)/(50*ms) : volt
    """
    fields = {"threshold": "v > theta", "reset": "v = 0*mV; theta += 3*mV", "method": "exact"}
    neuron = text(model=model, ports={"syn": "volt"}, arrival="v += syn", initial={"theta": "15 mV"}, **fields)
    cells = net.cells("cells", 40, neuron, model, {"theta": 15 * b.mV}, **fields)
    trains = [(n, s) for n in range(30) for s in np.flatnonzero(net.rng.random(STEPS) < 0.008).tolist()]
    source = net.given("source", 30, trains)
    net.join(source, cells, "syn", "volt", "v_post += w", (10, 60, MV), p=0.5, late=True)
    net.join(cells, cells, "syn", "volt", "v_post += w", (-20, 10, MV), p=0.3, late=True)


@network
def a_current_in_time_is_a_timed_array(net):
    """Steps and pauses of a current, which each neuron hears with a gain of its own."""
    table = [0, 400, 0, 700, 200, 0, 900, 300]
    currents = [[f"{25*n} ms", f"{pa} pA"] for n, pa in enumerate(table)]
    gains = net.rng.integers(64, 128, 30) * 2.0**-6
    timed = b.TimedArray(np.array(table) * b.pA, dt=25 * b.ms)
    model = """
        dv/dt = (-65*mV - v)/(10*ms) + (I_syn + gain*timed(t))/(250*pF) : volt (unless refractory)
        dI_syn/dt = -I_syn/(3*ms) : amp
        gain : 1 (constant)
    """
    neuron = {"name": "lif_exp", "tau_exc": "3 ms"}
    cells = net.cells(
        "cells", 30, neuron, model, {"v": -65*b.mV, "gain": gains}, threshold="v >= -50*mV", reset="v = -65*mV",
        refractory=held(2*b.ms), method="euler", namespace={"timed": timed},
    )  # fmt: skip
    net.populations[-1] = Population(
        "cells",
        size=30,
        neuron=text(
            model="dv/dt = (-65*mV - v)/(10*ms) + (I_syn + I)/(250*pF) : volt (unless refractory)\n"
            "dI_syn/dt = -I_syn/(3*ms) : amp",
            ports={"exc": "amp", "I": "amp"}, arrival="I_syn += exc", threshold="v >= -50*mV", reset="v = -65*mV",
            refractory="2 ms", method="euler", initial={"v": "-65 mV"},
        ),
    )  # fmt: skip
    net.populations.append(Population("drive", size=1, neuron={"name": "current", "values": currents}))
    net.pathways.append(
        Pathway("drive_to_cells", source="drive", target="cells", port="I", connect="all", weights=values(gains))
    )
    net.join(cells, cells, "exc", "amp", "I_syn_post += w", (-15, 20, PA))


@network
def synapses_that_tire_keep_their_resources(net):
    """Tsodyks, Uziel and Markram (2000): event-driven resources at each synapse there, at the neuron here."""
    recovers = net.rng.uniform(50e-3, 200e-3, 40)
    neuron = text(
        model="""
            dv/dt = (16*mV + I_syn - v)/(30*ms) : volt (unless refractory)
            dI_syn/dt = -I_syn/(3*ms) : volt
            dx/dt = (1 - x)/tau_rec : 1
            sent : 1
        """,
        ports={"syn": "volt"}, arrival="I_syn += syn; sent = 0", threshold="v > 15*mV",
        reset="v = 10*mV; sent = 0.5*x; x -= sent", refractory="3 ms", method="exact",
        parameters={"tau_rec": in_units(recovers*1e3, "ms")},
        initial={"x": 1.0, "v": {"name": "linear", "low": "0 mV", "high": "14 mV"}},
    )  # fmt: skip
    model = "dv/dt = (16*mV + I_syn - v)/(30*ms) : volt (unless refractory)\ndI_syn/dt = -I_syn/(3*ms) : volt"
    cells = net.cells(
        "cells", 40, neuron, model, {"v": np.linspace(0, 14, 40)*b.mV}, threshold="v > 15*mV", reset="v = 10*mV",
        refractory=held(3*b.ms), method="exact",
    )  # fmt: skip
    synapses = net.join(
        cells, cells, "syn", "volt", "I_syn_post += w*0.5*x; x -= 0.5*x", (-40, 60, MV),
        model="w : volt\ndx/dt = (1 - x)/tau_rec : 1 (event-driven)\ntau_rec : second (constant)",
    )  # fmt: skip
    synapses.x = 1
    synapses.tau_rec = recovers[synapses.i[:]] * b.second
    net.pathways[-1] = net.pathways[-1].replace(carries="sent")


@network
def gap_junctions_join_neurons_in_pairs(net):
    """Brian2's example of electrical synapses: a summed current, beside chemical synapses with delays."""
    common = "dv/dt = (1.05 + spread - v + gap + I_syn)/(10*ms) : 1\ndI_syn/dt = -I_syn/(5*ms) : 1\n"
    spread = net.rng.uniform(0, 0.3, 20)
    fields = {"threshold": "v > 1", "reset": "v = 0", "method": "euler"}
    neuron = text(
        model="one = 1 : 1\n" + common.replace("gap", "from_others - joined*v"),
        ports={"from_others": "1", "joined": "1", "syn": "1"}, arrival="I_syn += syn",
        parameters={"spread": values(spread)}, **fields,
    )  # fmt: skip
    cells = net.cells(
        "cells", 20, neuron, common + "gap : 1\nspread : 1 (constant)", {"spread": spread},
        **fields,
    )  # fmt: skip
    ring = np.arange(20)
    pre, post = np.concatenate([ring, (ring + 1) % 20]), np.concatenate([(ring + 1) % 20, ring])
    junctions = b.Synapses(cells, cells, "w : 1\ngap_post = w*(v_pre - v_post) : 1 (summed)", name="junctions")
    junctions.connect(i=pre, j=post)
    junctions.w = 2.0**-4
    net.parts.append(junctions)
    pairs, weights = np.stack([pre, post], axis=1), np.full(40, 2.0**-4)
    for port, carries in (("from_others", "v"), ("joined", "one")):
        net._describe(f"junctions_{port}", cells, cells, port, pairs, weights, np.zeros(40), carries=carries)
    net.join(cells, cells, "syn", "1", "I_syn_post += w", (-16, 16, ONE))


def compare(name, folder, backend):
    net = Both(folder)
    NETWORKS[name](net)
    theirs, ours = net.in_brian2(), net.in_biofa(backend)
    for population, spikes in theirs.items():
        assert len(spikes) > 40, f"{population}: {len(spikes)} spikes say little"
        assert len({neuron for neuron, _ in spikes}) > 5
        spikes = {spike for spike in spikes if spike[1] < STEPS - 1}  # what the last test finds is published after it
        assert ours[population] == spikes, f"{population}: {sorted(ours[population] ^ spikes, key=lambda s: s[1])[:5]}"


def test_there_are_at_least_ten_networks():
    assert len(NETWORKS) >= 10


SLOW = {
    *("hodgkin_huxley_cells_with_conductances", "lif_alpha_has_currents_that_rise_and_decay"),
    *("lif_exp_has_currents_that_decay", "coba_has_conductances"),
}
"""Brian2 solves their equations, or compiles them, for seconds; the others are here at once."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NETWORKS])
def test_no_spike_differs_from_plain_brian2(name, tmp_path):
    compare(name, tmp_path, "numpy")


@pytest.mark.compiled
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("coba_has_conductances", marks=pytest.mark.slow),
        "izhikevich_cells_of_different_kinds",
    ],
)
def test_no_spike_of_the_compiled_program_differs_from_plain_brian2(name, tmp_path):
    compare(name, tmp_path, "cpp")
