"""Networks written in plain Brian2 become descriptions of bioFA, and not one spike differs where nothing is random.

Each function below is one network as people write them. Weights are multiples of a power of two, so that no sum of them
rounds, whatever its order.
"""

import brian2 as b
import numpy as np
import pytest

import bioFA
from bioFA.errors import ModelError
from bioFA.units import steps_of

pytestmark = pytest.mark.usefixtures("plain_brian2")
DT, STEPS = 1e-4, 2010
MV, PA, NS, ONE = 2.0**-14 * b.volt, 2.0**-36 * b.amp, 2.0**-31 * b.siemens, 2.0**-7
"""Weights are multiples of these: about 0.06 mV, 15 pA, 0.5 nS, and 0.008."""
NETWORKS = {}


def network(make):
    """Enter a network into the table under its name."""
    NETWORKS[make.__name__] = make
    return make


def drawn(rng, source, target, name, weights, unit, model, on_pre, p=0.2, delays=(0, 40), **options):
    """Synapses between random pairs, with random multiples of a unit and delays of whole steps."""
    pre, post = np.nonzero(rng.random((len(source), len(target))) < p)
    synapses = b.Synapses(source, target, model, on_pre=on_pre, name=name, **options)
    synapses.connect(i=pre, j=post)
    synapses.w = rng.integers(weights[0], weights[1] + 1, len(pre)) * unit
    synapses.delay = rng.integers(*delays, len(pre)) * DT * b.second
    return synapses


@network
def leaky_neurons_jump_and_a_reset_overwrites(rng):
    """Jumps of the potential itself, which are lost where they meet a reset."""
    model = "dv/dt = (drive - v)/tau : 1\ntau : second\ndrive : 1 (constant)"
    cells = b.NeuronGroup(40, model, threshold="v > theta", reset="v = 0", method="exact", name="leaky",
                          namespace={"theta": 1.0})  # fmt: skip
    cells.tau, cells.drive = rng.uniform(8, 20, 40) * b.ms, rng.uniform(0.9, 1.3, 40)
    return [cells, drawn(rng, cells, cells, "leaky_jumps", (-8, 8), ONE, "w : 1", "v_post += w")]


@network
def brunel_in_one_group_with_two_subgroups(rng):
    """Brunel (2000), scaled: refractory neurons take no jumps; both kinds are parts of one group."""
    cells = b.NeuronGroup(
        50, "dv/dt = (drive - v)/(20*ms) : volt (unless refractory)\ndrive : volt", threshold="v > 20*mV",
        reset="v = 10*mV", refractory=2 * b.ms, method="euler", name="Brunel", namespace={},
    )  # fmt: skip
    cells.drive = rng.uniform(19, 26, 50) * b.mV
    exc, inh = cells[:40], cells[40:]
    jump = drawn(rng, exc, cells, "brunel_exc", (1, 8), MV, "w : volt", "v += w", delays=(5, 25))
    back = b.Synapses(
        inh, cells, on_pre="v_post -= g*J", name="brunel_inh", delay=1.5 * b.ms, namespace={"g": 5, "J": 3 * MV}
    )
    back.connect(i=rng.integers(0, 10, 120), j=rng.integers(0, 50, 120))  # some pairs several times
    return [cells, jump, back]


@network
def conductances_of_two_kinds(rng):
    """Vogels and Abbott (2005): exponential conductances, linear in the potential."""
    names = {"E_l": -60 * b.mV, "E_e": 0 * b.mV, "E_i": -80 * b.mV, "g_l": 10 * b.nS, "C": 200 * b.pF}
    model = """dv/dt = (g_l*(E_l - v) + g_e*(E_e - v) + g_i*(E_i - v) + I)/C : volt (unless refractory)
               dg_e/dt = -g_e/(5*ms) : siemens
               dg_i/dt = -g_i/(10*ms) : siemens
               I : amp"""
    cells = b.NeuronGroup(50, model, threshold="v > -50*mV", reset="v = E_l", refractory=5 * b.ms,
                          method="exponential_euler", name="coba", namespace=names)  # fmt: skip
    cells.v, cells.I = rng.uniform(-60, -50, 50) * b.mV, rng.uniform(80, 200, 50) * b.pA
    return [
        cells,
        drawn(rng, cells[:40], cells, "coba_exc", (1, 6), NS, "w : siemens", "g_e += w"),
        drawn(rng, cells[40:], cells, "coba_inh", (2, 20), NS, "w : siemens", "g_i += w"),
    ]


@network
def adaptive_exponential_neurons(rng):
    """Brette and Gerstner (2005): a reset that adds to a variable, currents as synapses, Euler."""
    names = {"C": 281 * b.pF, "g": 30 * b.nS, "E": -70.6 * b.mV, "T": -50.4 * b.mV, "D": 2 * b.mV}
    names |= {"a": 4 * b.nS, "b": 80.5 * b.pA, "tau_w": 40 * b.ms, "tau_s": 5 * b.ms}
    model = """dv/dt = (g*(E - v) + g*D*exp(clip((v - T)/D, -100, 20)) - u + I + I_s)/C : volt
               du/dt = (a*(v - E) - u)/tau_w : amp
               dI_s/dt = -I_s/tau_s : amp
               I : amp (constant)"""
    cells = b.NeuronGroup(30, model, threshold="v > -40*mV", reset="v = E; u += b", method="euler", name="adex",
                          namespace=names)  # fmt: skip
    cells.v, cells.I = "E", rng.uniform(700, 1100, 30) * b.pA
    return [cells, drawn(rng, cells, cells, "adex_currents", (-6, 10), PA, "w : amp", "I_s_post += w")]


@network
def izhikevich_neurons_with_parameters_of_their_own(rng):
    """Izhikevich (2003): jumps without refractoriness, parameters a neuron: regular ones, since some that burst are
    chaotic on the grid and grow a last bit to a spike in 0.15 s."""
    model = """dv/dt = (0.04*v**2 + 5*v + 140 - u + I)/ms : 1
               du/dt = a*(b*v - u)/ms : 1
               I : 1
               a : 1
               b : 1
               c : 1
               d : 1"""
    cells = b.NeuronGroup(30, model, threshold="v >= 30", reset="v = c; u += d", method="euler", name="izhikevich",
                          namespace={})  # fmt: skip
    cells.a, cells.b, cells.c, cells.d = rng.uniform(0.02, 0.05, 30), 0.2, rng.uniform(-65, -60, 30), 6
    cells.v, cells.u, cells.I = -65, -13, rng.uniform(6, 14, 30)
    return [cells, drawn(rng, cells, cells, "izhikevich_jumps", (-100, 250), ONE, "w : 1", "v_post += w", p=0.04)]


@network
def hodgkin_huxley_without_reset(rng):
    """Traub and Miles (1991), reduced: no reset, a long refractory period, conductances."""
    names = {"C": 200 * b.pF, "g_l": 10 * b.nS, "E_l": -65 * b.mV, "E_K": -90 * b.mV, "E_Na": 50 * b.mV,
             "g_na": 20 * b.usiemens, "g_kd": 6 * b.usiemens, "VT": -63 * b.mV}  # fmt: skip
    model = """dv/dt = (g_l*(E_l - v) + g_e*(0*mV - v) - g_na*m**3*h*(v - E_Na) - g_kd*n**4*(v - E_K) + I)/C : volt
               dm/dt = alpha_m*(1 - m) - beta_m*m : 1
               dn/dt = alpha_n*(1 - n) - beta_n*n : 1
               dh/dt = alpha_h*(1 - h) - beta_h*h : 1
               dg_e/dt = -g_e/(5*ms) : siemens
               alpha_m = 0.32*4/exprel((13*mV - v + VT)/(4*mV))/ms : Hz
               beta_m = 0.28*5/exprel((v - VT - 40*mV)/(5*mV))/ms : Hz
               alpha_h = 0.128*exp((17*mV - v + VT)/(18*mV))/ms : Hz
               beta_h = 4/(1 + exp((40*mV - v + VT)/(5*mV)))/ms : Hz
               alpha_n = 0.032*5/exprel((15*mV - v + VT)/(5*mV))/ms : Hz
               beta_n = 0.5*exp((10*mV - v + VT)/(40*mV))/ms : Hz
               I : amp"""
    cells = b.NeuronGroup(20, model, threshold="v > -20*mV", refractory=3 * b.ms, method="exponential_euler",
                          name="hh", namespace=names)  # fmt: skip
    cells.v, cells.h, cells.I = -65 * b.mV, 0.8, rng.uniform(200, 900, 20) * b.pA
    return [cells, drawn(rng, cells, cells, "hh_exc", (1, 12), NS, "w : siemens", "g_e_post += w", delays=(3, 40))]


@network
def given_spikes_that_repeat_and_multapses(rng):
    """A generator with a period, all pairs twice, one delay for all, a text as weight."""
    neurons, steps = np.nonzero(rng.random((20, 290)) < 0.06)
    source = b.SpikeGeneratorGroup(20, neurons, steps * DT * b.second, period=30 * b.ms, name="volley")
    cells = b.NeuronGroup(10, "dv/dt = -v/(10*ms) : volt", threshold="v > 12*mV", reset="v = 0*mV", refractory=1 * b.ms,
                          method="exact", name="chain", namespace={})  # fmt: skip
    model = "w : 1\nscale : volt (shared)\nstrength = w*scale : volt"
    synapses = b.Synapses(source, cells, model, on_pre="v_post += 2*strength", delay=0.7 * b.ms, name="volley_to_chain")
    synapses.connect(n=2)
    synapses.w, synapses.scale = rng.integers(0, 8, len(synapses)), MV
    return [source, cells, synapses]


@network
def a_current_in_time(rng):
    """A TimedArray that drives all neurons of two groups, times a parameter; the threshold moves."""
    stimulus = b.TimedArray(np.repeat([0.5, 1.2, 0.9, 1.6], 2) * b.nA, dt=25 * b.ms)
    names = {"stimulus": stimulus, "R": 20 * b.Mohm, "tau": 15 * b.ms}
    model = """dv/dt = (R*share*stimulus(t) - v)/tau : volt
               dvt/dt = (15*mV - vt)/(50*ms) : volt
               share : 1"""
    made = []
    for name in ("first", "second"):
        cells = b.NeuronGroup(20, model, threshold="v > vt", reset="v = 0*mV; vt += 2*mV", method="euler", name=name,
                              namespace=names)  # fmt: skip
        cells.vt, cells.share = 15 * b.mV, rng.uniform(0.6, 1.4, 20)
        made.append(cells)
    return [*made, drawn(rng, *made, "first_to_second", (0, 12), MV, "w : volt", "v_post += w")]


@network
def jumps_towards_a_reversal_potential(rng):
    """What a spike adds hangs on the neuron that it reaches; no two arrive together."""
    when = np.sort(rng.choice(STEPS - 40, 300, replace=False))
    source = b.SpikeGeneratorGroup(5, rng.integers(0, 5, 300), when * DT * b.second, name="sender")
    cells = b.NeuronGroup(8, "dv/dt = (E - v)/(20*ms) : volt", threshold="v > -50*mV", reset="v = E", method="euler",
                          name="receiver", namespace={"E": -70 * b.mV})  # fmt: skip
    cells.v = -70 * b.mV
    synapses = b.Synapses(source, cells, "w : 1", on_pre="v_post += w*(E_rev - v_post)", name="towards",
                          namespace={"E_rev": 0 * b.mV})  # fmt: skip
    synapses.connect()
    synapses.w = rng.integers(4, 30, len(synapses)) * ONE
    return [source, cells, synapses]


@network
def spikes_of_the_target_reach_the_source_and_events(rng):
    """`on_post`, two statements a spike, an event of one's own, and names that bioFA keeps for itself."""
    model = "dv/dt = (drive - v)/(12*ms) : 1\ndleft/dt = -left/(30*ms) : 1\ndrive : 1"
    one, two = (cells(name, 15, model, events={"near": "v > 0.97"}, method="exact") for name in ("One", "two_"))
    one.run_on_event("near", "left += 0.25")
    one.drive, two.drive = rng.uniform(1.0, 1.4, 15), rng.uniform(0.9, 1.2, 15)
    there = drawn(rng, one, two, "there", (1, 9), ONE, "w : 1\nfed : 1 (constant)", "v_post += w; left_post += fed",
                  on_post="v_pre -= 2*w", p=0.3)  # fmt: skip
    there.fed = rng.integers(0, 5, len(there)) * ONE
    early = b.Synapses(one, two, on_pre="v_post += 0.0078125", on_event={"pre": "near"}, name="early")
    early.connect(j="i")
    return [one, two, there, early]


def spikes_of(monitors):
    """Step and neuron of every spike but those of the last step, which bioFA publishes after the run; by group."""
    found = {}
    for monitor in monitors:
        steps = np.rint(monitor.t / b.second / DT).astype(int)
        pairs = zip(steps.tolist(), monitor.i[:].tolist(), strict=True)
        found[monitor.source.name] = {pair for pair in pairs if pair[0] < STEPS - 1}
    return found


def both(makes, backends, **options):
    """Spikes in Brian2 and in bioFA, of networks that share a run."""
    rng = np.random.default_rng(11)
    parts = [part for make in makes for part in make(rng)]
    monitors = [b.SpikeMonitor(part) for part in parts if isinstance(part, b.NeuronGroup)]
    net = b.Network(*parts, *monitors)
    taken = bioFA.from_brian2(net, STEPS * DT * b.second, namespace={}, **options)
    net.run(STEPS * DT * b.second, namespace={})
    theirs, ours = spikes_of(monitors), {}
    for backend in backends:
        result = bioFA.simulate(taken.experiment, seed=1, backend=backend)
        ours[backend] = {}
        for name in theirs:
            neurons, times = result.spikes(taken.names[name])
            steps = np.rint(times / DT).astype(int) - 1
            ours[backend][name] = set(zip(steps.tolist(), neurons.tolist(), strict=True))
    return taken, theirs, ours


@pytest.mark.slow
def test_networks_that_share_a_run_spike_as_in_brian2():
    makes = [
        leaky_neurons_jump_and_a_reset_overwrites,
        brunel_in_one_group_with_two_subgroups,
        given_spikes_that_repeat_and_multapses,
        a_current_in_time,
        spikes_of_the_target_reach_the_source_and_events,
    ]
    taken, theirs, ours = both(makes, ("cpp",))
    assert ours["cpp"] == theirs
    assert all(len(spikes) > 40 for spikes in theirs.values())
    assert bioFA.loads(bioFA.dumps(taken.experiment)) == taken.experiment


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_written_by_hand_spikes_as_in_brian2(name, tmp_path):
    _, theirs, ours = both([NETWORKS[name]], ("numpy", "cpp"), folder=tmp_path / "lists")
    assert ours == {"numpy": theirs, "cpp": theirs}
    assert all(len(spikes) > 40 for spikes in theirs.values())


def test_there_are_ten_networks():
    assert len(NETWORKS) == 10


def cells(name="cells", size=4, model="dv/dt = -v/(10*ms) : 1", **options):
    """A group as an example begins with."""
    fields = {"threshold": "v > 1", "reset": "v = 0", "method": "euler", "name": name, "namespace": {}}
    return b.NeuronGroup(size, model, **{**fields, **options})


def joined(group, on_pre="v_post += w", model="w : 1", **options):
    """Synapses between all neurons of a group."""
    synapses = b.Synapses(group, group, model, on_pre=on_pre, name="joined", namespace={}, **options)
    synapses.connect()
    return synapses


def regular():
    group = cells()
    group.run_regularly("v = 0", dt=10 * b.ms)
    return [group]


def plastic():
    group = cells()
    return [group, joined(group, "v_post += w; w = clip(w + 0.1, 0, 1)")]


def of_the_other_side():
    group = cells()
    return [group, joined(group, "v_post += w*v_pre")]


def depressed():
    group = cells()
    model = "w : 1\ndx/dt = (1 - x)/(100*ms) : 1 (event-driven)"
    return [group, joined(group, "v_post += w*x", model)]


def graded():
    group = cells(model="dv/dt = (total - v)/(10*ms) : 1\ntotal : 1")
    synapses = b.Synapses(group, group, "w : 1\ntotal_post = w*v_pre : 1 (summed)", name="joined", namespace={})
    synapses.connect()
    return [group, synapses]


def late():
    group = cells()
    synapses = joined(group)
    synapses.pre.when = "end"
    return [group, synapses]


def operated():
    @b.network_operation(name="watcher")
    def watch():
        pass

    return [cells(), watch]


@b.check_units(x=1, result=1)
def squared(x):
    """A function of Python."""
    return x * x


REFUSED = {
    "code that runs now and then": (regular, "NeuronGroup 'cells': 'cells_run_regularly' runs code"),
    "plasticity": (plastic, r"Synapses 'joined', pre: 'w = clip\(w \+ 0.1, 0, 1\)' changes the synapse"),
    "what the other neuron is": (of_the_other_side, "'v_pre' is of the other neuron"),
    "dynamics of synapses": (depressed, "'x' of the synapse moves by itself. bioFA has short-term plasticity"),
    "graded transmission": (graded, r"Synapses 'joined': \(summed\) variables"),
    "another slot": (late, "'joined_pre' runs in 'end'; bioFA has it in 'synapses' only"),
    "Python in the run": (operated, "NetworkOperation 'watcher': bioFA has nothing of this kind"),
    "a setting arrival": (lambda: [g := cells(), joined(g, "v_post = w")], "does not add"),
    "a random transmission": (lambda: [g := cells(), joined(g, "v_post += w*int(rand() < 0.5)")], "draws a number"),
    "a method": (lambda: [cells(method="rk2")], "NeuronGroup 'cells': bioFA has no method 'rk2'"),
    "a condition as refractory period": (lambda: [cells(refractory="v > 0.5")], "refractory = 'v > 0.5' is a text"),
    "a boolean": (lambda: [cells(model="dv/dt = -v/ms : 1\nopen : boolean")], "'open' is boolean"),
    "a function of Python": (
        lambda: [cells(model="dv/dt = -squared(v)/ms : 1", namespace={"squared": squared})],
        r"NeuronGroup 'cells', dv/dt: bioFA has no function 'squared'",
    ),
    "an unknown name": (lambda: [cells(model="dv/dt = -v/tau_m : 1")], "'tau_m' is neither a variable nor found"),
    "the time of the last spike": (
        lambda: [cells(model="dv/dt = -v/ms*int(t - lastspike > 2*ms) : 1", refractory=1 * b.ms)],
        "do not know 'lastspike'",
    ),
    "two clocks": (lambda: [cells(), cells("others", dt=1 * b.ms)], "several clocks"),
    "a value a neuron in time": (
        lambda: [cells(model="dv/dt = (drive(t, i) - v)/ms : 1",
                       namespace={"drive": b.TimedArray(np.ones((3, 4)), dt=1 * b.ms)})],
        "bioFA knows arrays of the time t alone",
    ),
    "rates as text": (lambda: [b.PoissonGroup(2, "(1 + i)*Hz", name="source")], "PoissonGroup 'source': rates = "),
    "synapses of a group that is not there": (
        lambda: [joined(cells())], "the network has no groups|its source 'cells' is not among"
    ),
    "nothing": (lambda: [], "no groups of neurons"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_bioFA_has_no_words_for_is_refused_by_name(what):
    make, message = REFUSED[what]
    with pytest.raises(ModelError, match=message):
        bioFA.from_brian2(b.Network(*make()), namespace={})


def test_a_network_that_has_run_or_has_a_schedule_of_its_own_is_refused():
    net = b.Network(cells())
    net.run(1 * b.ms, namespace={})
    with pytest.raises(ModelError, match=r"the network has run for 0\.001 s"):
        bioFA.from_brian2(net)
    net = b.Network(cells())
    net.schedule = ["start", "synapses", "groups", "thresholds", "resets", "end"]
    with pytest.raises(ModelError, match="the network's schedule is"):
        bioFA.from_brian2(net)


def test_plasticity_and_objects_are_left_out_where_asked_for_and_named():
    taken = bioFA.from_brian2(plastic(), frozen=True)
    assert [pathway.name for pathway in taken.experiment.network.pathways] == ["joined"]
    assert any("plasticity; weights stay as they are now" in sentence for sentence in taken.lost)
    taken = bioFA.from_brian2(operated(), leave_out=["watcher"])
    assert "watcher: left out." in taken.lost
    with pytest.raises(ModelError, match=r"leave_out: the network has no object 'wacher'\. It has: cells, watcher"):
        bioFA.from_brian2(operated(), leave_out=["wacher"])


def test_names_are_looked_up_where_it_is_called():
    tau_m = 12 * b.ms
    taken = bioFA.from_brian2([cells(model="dv/dt = -v/tau_m : 1", namespace=None)], duration=10 * b.ms)
    neuron = taken.experiment.network.population("cells").neuron
    assert float(tau_m) == 0.012
    assert neuron.given["tau_m"].value == "0.012 second"
    assert taken.experiment.protocol.duration == 0.01


def test_what_monitors_record_is_recorded_and_their_slot_is_told():
    group = cells(size=6, model="dv/dt = (drive - v)/(10*ms) : 1\ndrive : 1")
    group.drive = 1.5
    parts = [group, b.SpikeMonitor(group[2:4]), b.StateMonitor(group, ["v", "drive"], record=[1, 5], dt=1 * b.ms)]
    taken = bioFA.from_brian2([*parts, b.PopulationRateMonitor(group)], duration="20 ms")
    record = taken.experiment.record
    assert record.spikes == ("cells[2:4]",)
    assert (record.traces[0].variables, record.traces[0].neurons, record.traces[0].every) == (("v",), (1, 5), 1e-3)
    assert record.rate_bins.bin == DT
    assert any("'drive' is not recorded" in sentence for sentence in taken.lost)
    assert any("when='after_thresholds' of the step before" in sentence for sentence in taken.lost)


def test_random_sources_agree_in_rate_and_that_is_said():
    rng = np.random.default_rng(2)
    b.defaultclock.dt = 1 * b.ms
    group = cells("summing", 30, "dv/dt = 0/second : 1\nfrom_source : 1", threshold=None, reset=None)
    rates = b.TimedArray([0, 200] * b.Hz, dt=100 * b.ms)
    source = b.PoissonGroup(40, "course(t)", name="source", namespace={"course": rates})
    steady = b.PoissonGroup(20, rng.uniform(10, 60, 20) * b.Hz, name="steady")
    to = b.Synapses(source, group, on_pre="v_post += 0.5", name="to", namespace={})
    to.connect(j="i % 30")
    given = b.PoissonInput(group[:10], "from_source", 25, 40 * b.Hz, 2.0)
    parts = [group, source, steady, to, given, b.StateMonitor(group, ["v", "from_source"], record=True)]
    taken = bioFA.from_brian2(parts, duration="1 s")
    b.defaultclock.dt = DT * b.second
    for name in ("source", "steady", given.name):
        assert any(f"'{name}': its spikes are drawn by bioFA" in sentence for sentence in taken.lost)
    result = bioFA.simulate(taken.experiment, seed=1, backend="numpy")
    neurons, times = result.spikes("source")
    assert times.min() > 0.1  # the first rate is 0
    assert len(neurons) == pytest.approx(40 * 200 * 0.9, abs=4 * np.sqrt(40 * 180))
    ratio = np.bincount(result.spikes("steady")[0], minlength=20) / np.asarray(steady.rates)
    assert ratio.mean() == pytest.approx(1, abs=0.2)
    last = {variable: result.traces[0][variable][-1] for variable in ("v", "from_source")}
    assert last["v"].sum() == pytest.approx(0.5 * len(neurons), abs=20)
    assert last["from_source"][:10].mean() == pytest.approx(2 * 25 * 40, rel=0.05)
    assert not last["from_source"][10:].any()


def test_lists_of_synapses_are_files_where_a_folder_is_given(tmp_path):
    group = cells()
    group.v = [0.0, 0.5, 0.9, 1.1]
    synapses = joined(group)
    synapses.w, synapses.delay = np.arange(16) / 16, np.arange(16) * 0.1 * b.ms
    inside = bioFA.from_brian2([group, synapses]).experiment
    outside = bioFA.from_brian2([group, synapses], folder=tmp_path / "lists").experiment
    assert sorted(path.name for path in (tmp_path / "lists").iterdir()) == [
        "joined_delays.npy", "joined_pairs.npy", "joined_weights.npy",
    ]  # fmt: skip
    drawn_ones = [bioFA.draw(experiment, 1).synapses["joined"] for experiment in (inside, outside)]
    for field in ("first", "post", "weights", "delays"):
        np.testing.assert_array_equal(*(getattr(part, field) for part in drawn_ones), err_msg=field)
    with pytest.raises(bioFA.FileError, match="is there already and holds something"):
        bioFA.from_brian2([group, synapses], folder=tmp_path / "lists")


def test_times_that_are_no_whole_steps_are_counted_as_brian2_does_and_said():
    group = cells(refractory=0.29 * b.ms)
    synapses = joined(group)
    synapses.delay = 0.16 * b.ms
    taken = bioFA.from_brian2([group, synapses])
    network = taken.experiment.network
    assert network.population("cells").neuron.pause == pytest.approx(2e-4)
    assert steps_of(network.pathways[0].delay.total, DT) == 2
    assert any("refractory is 0.00029 s, which Brian2 counts as 2 steps" in sentence for sentence in taken.lost)
    assert any("16 of 16 delays are no whole steps" in sentence for sentence in taken.lost)


def layered_spikes():
    """A source and two layers that spike, all to all, in steps of 1 ms."""
    rng = np.random.default_rng(5)
    b.defaultclock.dt = 1 * b.ms
    image = b.PoissonGroup(12, 50 * b.Hz, name="image")
    model = "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1"
    hidden, output = cells("hidden", 20, model, method="exact"), cells("output", 2, model, method="exact")
    joins = []
    for source, target in ((image, hidden), (hidden, output)):
        name = f"{source.name}_to_{target.name}"
        synapses = b.Synapses(source, target, "w : 1", on_pre="I_post += w", name=name, namespace={})
        synapses.connect()
        synapses.w = rng.normal(0.4, 0.4, len(synapses))
        joins.append(synapses)
    taken = bioFA.from_brian2(b.Network(image, hidden, output, *joins))
    b.defaultclock.dt = DT * b.second
    return taken


LAYERS = ("image", "hidden", "output")


def test_a_network_taken_over_learns_by_feedback_alignment(tmp_path):
    taken = layered_spikes()
    network = taken.teachable(LAYERS)
    for name in ("image_to_hidden", "hidden_to_output"):
        synapses = bioFA.draw(taken.experiment, 1).synapses[name]
        matrix = np.array(network.pathway(name).weights.values)
        np.testing.assert_array_equal(matrix.T.ravel(), synapses.weights)  # by source, then target
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    patterns = (rng.random((2, 12)) > 0.5)[labels] * 1.0
    inputs = np.clip(patterns + rng.normal(0, 0.1, patterns.shape), 0, 1)
    np.savez(tmp_path / "d.npz", inputs=inputs, labels=labels)
    rule, readout = ({"name": name, "learning_rate": 0.3} for name in ("local_error", "delta_rule"))
    schemes = {"fa": {"rule": rule, "readout_rule": readout}}
    network = bioFA.TaughtNetwork.of(network, LAYERS, scheme="fa", schemes=schemes)
    experiment = taken.experiment.replace(
        circuit=network,
        task={"name": "arrays", "path": str(tmp_path / "d.npz"), "encoding": "one_hot"},
        protocol={"dt": "1 ms", "presentation": "100 ms", "learning_onset": "40 ms", "reset": True, "order": "brian2"},
    )
    result = bioFA.simulate(experiment, seed=1)
    first, last = (float(np.mean(part)) for part in np.array_split(result.learning_curve, 4)[::3])
    assert last < 0.5 * first
    assert "mismatch_to_hidden" in result.feedback_angles
    assert bioFA.verify(experiment, presentations=4).agrees


def test_neurons_as_text_are_no_script_for_brian2(tmp_path):
    network = bioFA.TaughtNetwork.of(layered_spikes().teachable(LAYERS), LAYERS)
    experiment = bioFA.Experiment(
        name="learner",
        circuit=network,
        task={"name": "tanh_teacher", "sizes_of_teacher": [12, 3, 2]},
        protocol={"dt": "1 ms", "presentation": "20 ms", "order": "brian2"},
    )
    with pytest.raises(ModelError, match="population 'hidden': the script for Brian2 writes neurons whose step"):
        bioFA.to_brian2(bioFA.draw(experiment, 1))


def test_a_layer_that_cannot_learn_is_refused_by_name():
    taken = layered_spikes()
    with pytest.raises(ModelError, match=r"layers\[1\]: no population is called 'hiden'. Did you mean 'hidden'"):
        taken.teachable(("image", "hiden", "output"))
    with pytest.raises(ModelError, match="'hidden' is the first one, which shows the examples, but neurons"):
        taken.teachable(("hidden", "output"))
    with pytest.raises(ModelError, match="layers names 'image' twice"):
        taken.teachable(("image", "image"))
    silent = cells(threshold=None, reset=None)
    source = b.PoissonGroup(2, 5 * b.Hz, name="source")
    with pytest.raises(ModelError, match="'cells' does not spike, so say what it sends"):
        bioFA.from_brian2([silent, source]).teachable(("source", "cells"))
    two = bioFA.from_brian2([source, b.PoissonGroup(2, 5 * b.Hz, name="more")])
    with pytest.raises(ModelError, match="'more' is poisson, but a layer that learns is a neuron as equations"):
        two.teachable(("source", "more"))
    group, synapses = (source, b.Synapses(source, target := cells("others"), "w : 1", on_pre="v += w", name="late"))
    synapses.connect()
    synapses.delay = np.arange(len(synapses)) * b.ms
    with pytest.raises(ModelError, match="pathway 'late': its synapses have different delays"):
        bioFA.from_brian2([group, target, synapses], namespace={}).teachable(("source", "others"))
