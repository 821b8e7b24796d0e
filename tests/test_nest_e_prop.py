"""NEST's own e-prop, with random broadcast feedback, changes weights as our rule does on the same spikes,
gains and learning signals.

A recurrent layer of `eprop_iaf_bsshslm_2020` neurons learns through `eprop_synapse_bsshslm_2020` from two readouts,
whose errors come back through fixed random weights (`eprop_learning_signal_connection_bsshslm_2020`). What NEST
records, spikes, pseudo-derivatives and learning signals, is given to `EProp.step`, step by step. The changes are equal
to rounding. What differs is around the rule, not in it:

- NEST's learning signal is prediction minus target, ours target minus prediction; so its descent is our ascent;
- delays of one step from neuron to readout, within the readout, and back let the learning signal of a step arrive three
  steps later; NEST looks back by as many when it makes the update, so the signals are given to ours as many steps
  earlier (two: our traces take one themselves);
- NEST adds the products of the whole interval and makes one change at the first presynaptic spike after it; our rule
  changes weights in every step, which is the same here since the spikes are given. Its rate eta multiplies a sum over
  steps: ours is eta T / dt;
- NEST's neuron is another one than `AdaptiveLif`: delta synapses, reset by subtraction.
  Only what it recorded enters here.

Source: Bellec et al. (2020), Nat. Commun. 11:3625; the NEST models are named by its authors' initials.
"""

import numpy as np
import pytest

from bioFA.rules.e_prop import EProp

nest = pytest.importorskip("nest", reason="NEST is not installed: pip install '.[nest]'")

STEPS, INPUTS, HIDDEN, OUTPUTS, ETA = 200, 12, 8, 2, 1e-3
TAU, TAU_READOUT = 20.0, 15.0
LATE = 3
"""Steps by which a learning signal arrives after the spikes that it is about."""


@pytest.fixture(scope="module")
def theirs():
    """One interval of learning in NEST: spikes, gains, signals `(steps, size)`, and the changes of all weights."""
    rng = np.random.default_rng(3)
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(
        resolution=1.0,
        eprop_update_interval=float(STEPS),
        eprop_learning_window=float(STEPS),
        eprop_reset_neurons_on_update=True,
        total_num_virtual_procs=1,
    )
    image = rng.uniform(size=(STEPS, INPUTS)) < 0.06
    image[-5:] = False
    generators = nest.Create(
        "spike_generator", INPUTS, [{"spike_times": (np.flatnonzero(column) + 1.0).tolist()} for column in image.T]
    )
    source = nest.Create("parrot_neuron", INPUTS)
    hidden = nest.Create(
        "eprop_iaf_bsshslm_2020",
        HIDDEN,
        {
            "C_m": 1.0,
            "E_L": 0.0,
            "V_m": 0.0,
            "V_th": 0.6,
            "tau_m": TAU,
            "t_ref": 0.0,
            "c_reg": 0.0,
            "surrogate_gradient_function": "piecewise_linear",
            "surrogate_gradient_height": 0.3,
            "surrogate_gradient_width": 1.0,
            "regular_spike_arrival": False,
        },
    )
    readout = nest.Create(
        "eprop_readout_bsshslm_2020",
        OUTPUTS,
        {
            "C_m": 1.0,
            "E_L": 0.0,
            "V_m": 0.0,
            "tau_m": TAU_READOUT,
            "loss": "mean_squared_error",
            "regular_spike_arrival": False,
        },
    )
    targets = nest.Create(
        "step_rate_generator",
        OUTPUTS,
        [{"amplitude_times": [1.0, 100.0], "amplitude_values": rng.normal(size=2).tolist()} for _ in range(OUTPUTS)],
    )
    nest.SetDefaults(
        "eprop_synapse_bsshslm_2020",
        {"optimizer": {"type": "gradient_descent", "batch_size": 1, "eta": ETA}, "average_gradient": False},
    )

    def join(pre, post, weights, model="eprop_synapse_bsshslm_2020", **more):
        nest.Connect(
            pre,
            post,
            "all_to_all" if np.ndim(weights) else "one_to_one",
            {"synapse_model": model, "weight": weights, "delay": 1.0, **more},
        )

    join(generators, source, 1.0, "static_synapse")
    pathways = {"source": (source, hidden), "hidden": (hidden, hidden), "readout": (hidden, readout)}
    join(source, hidden, 4.0 * rng.normal(size=(HIDDEN, INPUTS)) + 1.0, tau_m_readout=TAU_READOUT)
    join(hidden, hidden, 2.0 * rng.normal(size=(HIDDEN, HIDDEN)), tau_m_readout=TAU_READOUT)
    join(hidden, readout, rng.normal(size=(OUTPUTS, HIDDEN)), tau_m_readout=TAU_READOUT)
    join(readout, hidden, rng.normal(size=(HIDDEN, OUTPUTS)), "eprop_learning_signal_connection_bsshslm_2020")
    join(targets, readout, 1.0, "rate_connection_delayed", receptor_type=2)
    meters = {"hidden": (hidden, ["surrogate_gradient", "learning_signal"]), "readout": (readout, ["error_signal"])}
    kept = {}
    for name, (population, variables) in meters.items():
        kept[name] = nest.Create("multimeter", {"record_from": variables, "interval": 1.0})
        nest.Connect(kept[name], population)
    recorders = {name: nest.Create("spike_recorder") for name in ("source", "hidden")}
    nest.Connect(source, recorders["source"])
    nest.Connect(hidden, recorders["hidden"])
    # every synapse sees a spike after the interval, and changes
    last = nest.Create("spike_generator", 1, {"spike_times": [STEPS + 5.0]})
    for population in (source, hidden):
        nest.Connect(
            last, population, "all_to_all", {"synapse_model": "static_synapse", "weight": 1000.0, "delay": 1.0}
        )

    def weights(pre, post):
        found = nest.GetConnections(pre, post)
        matrix = np.zeros((len(post), len(pre)))
        matrix[np.array(found.target) - post[0].global_id, np.array(found.source) - pre[0].global_id] = found.weight
        return matrix

    before = {name: weights(*ends) for name, ends in pathways.items()}
    nest.Simulate(STEPS + 20.0)
    courses = {}
    for name, (population, variables) in meters.items():
        events = kept[name].events
        for variable in variables:
            courses[variable] = np.zeros((STEPS + 20, len(population)))
            courses[variable][
                np.round(events["times"]).astype(int), np.array(events["senders"]) - population[0].global_id
            ] = events[variable]
    for name, population in (("source", source), ("hidden", hidden)):
        events = recorders[name].events
        courses[name] = np.zeros((STEPS + 21, len(population)))
        courses[name][
            np.round(events["times"]).astype(int), np.array(events["senders"]) - population[0].global_id
        ] = 1.0
    return courses, {name: weights(*ends) - before[name] for name, ends in pathways.items()}


def ours(courses, presynaptic, rule, shift=LATE - 1, steps=STEPS + 4):
    """The change by our rule over the interval, from what NEST recorded."""
    shape = (HIDDEN, courses[presynaptic].shape[1])
    synapses = {"w": np.zeros(shape), **{name: np.full(shape, value) for name, value in rule.state.items()}}
    for step in range(1, steps):
        arriving = {"carried": courses[presynaptic][step] if step < STEPS + 3 else np.zeros(shape[1])}
        post = {"gain": courses["surrogate_gradient"][step], "error": -courses["learning_signal"][step + shift]}
        synapses = rule.step(synapses, arriving, post, 1e-3, STEPS * 1e-3)
    return synapses["w"]


RULE = EProp(learning_rate=ETA * STEPS, tau_mem=TAU * 1e-3, tau_readout=TAU_READOUT * 1e-3, beta=0.0)


@pytest.mark.parametrize("pathway", ["source", "hidden"])
def test_nest_changes_the_weights_as_our_rule_does(theirs, pathway):
    courses, changes = theirs
    assert courses["hidden"][:STEPS].sum() > 50
    assert np.abs(changes[pathway]).max() > 1e-3
    np.testing.assert_allclose(ours(courses, pathway, RULE), changes[pathway], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "shift"),
    [({}, LATE), ({"tau_readout": TAU * 1e-3}, LATE - 1), ({"tau_mem": TAU_READOUT * 1e-3}, LATE - 1)],
    ids=["a step later", "readout's filter", "neuron's filter"],
)
def test_the_comparison_sees_another_rule(theirs, wrong, shift):
    courses, changes = theirs
    assert (
        np.abs(ours(courses, "source", RULE.replace(**wrong), shift) - changes["source"]).max()
        > 1e-3 * np.abs(changes["source"]).max()
    )
