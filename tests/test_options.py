"""Options of feedback and of learning, and Dale's law: each on its own by hand,
and in both consumers with every scheme."""

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, Layered, ModelError, Pathway, Population, Protocol
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.network import Learning
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.schemes import family
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Binary, Identity, LowRank, Normal, Orthogonal, SharedWith, Uniform

BACKENDS = ["numpy", pytest.param("cpp", marks=[pytest.mark.compiled, pytest.mark.slow])]
RATES = {"readout_rule": {"name": "delta_rule", "learning_rate": 0.05}}


def experiment(scheme="fa", presentations=60, **circuit):
    """A small rectified network; every scheme learns at a moderate rate."""
    made = family.get(scheme)()
    rule = made.rule.replace(learning_rate=0.03, **({"decay": 1e-3} if scheme == "kp" else {}))
    readout = {"name": "delta_rule", "learning_rate": 0.05, "decay": 1e-3 if scheme == "kp" else 0.0}
    settings = {"ridge": 0.1} if scheme == "pbp" else {}
    circuit = Layered(**{
        "sizes": (5, 8, 6, 3),
        "hidden": StaticRate(activation="rectified"),
        "weights": (Normal(scale=0.5),),
        "biases": True,
        "scheme": scheme,
        "schemes": {scheme: family.get(scheme)(rule=rule, readout_rule=readout, **settings)},
        **circuit,
    })
    task = LinearTeacher(n_in=5, n_out=3, examples=30, test_examples=1)
    return Experiment(
        name="options",
        circuit=circuit,
        task=task,
        protocol=Protocol(epochs=-(-presentations // 30), presentations=presentations),
    )


def run(given, seed=1, backend="numpy"):
    instance = draw(given, seed)
    from bioFA.runs.simulation import consumer

    return (
        instance,
        consumer(instance, backend)
        .segment(instance.state, instance.training(0, instance.presentations()), learning=True)
        .state,
    )


FEEDBACK = {
    "binary": {"feedback": Binary(scale=0.5)},
    "low rank": {"feedback": LowRank(rank=1)},
    "orthogonal": {"feedback": Orthogonal()},
    "uniform": {"feedback": Uniform(low=-2.0, high=2.0)},
    "positive": {"feedback_sign": "excitatory"},
    "negative": {"feedback_sign": "inhibitory"},
    "sparse": {"feedback_density": 0.5},
    "one error per neuron": {"feedback_fan_in": 1},
    "centred": {"centred_error": True},
}
SIGNED = ("usf", "frsf", "brsf")


def feedback_matrices(instance, state):
    """The random weights that carry errors, whoever owns them."""
    return [
        state[f"{p.name}.w"]
        for p in instance.network.owners()
        if f"{p.name}.w" in state and p.port in ("error", "probe") and not p.name.startswith("reward")
    ]


@pytest.mark.parametrize("option", FEEDBACK)
@pytest.mark.parametrize("scheme", family.names())
def test_every_option_of_feedback_goes_with_every_scheme(scheme, option):
    if "sign" in next(iter(FEEDBACK[option])) and scheme in SIGNED:
        with pytest.raises(ModelError, match=r"the scheme decides the sign .* Leave feedback_sign out"):
            experiment(scheme, **FEEDBACK[option])
        return
    instance, state = run(experiment(scheme, presentations=20, **FEEDBACK[option]))
    assert all(np.isfinite(array).all() for array in state.values())
    for before, after in zip(
        feedback_matrices(instance, instance.state), feedback_matrices(instance, state), strict=True
    ):
        for w in (before, after):
            if option == "positive":
                assert (w >= 0).all()
            if option == "negative":
                assert (w <= 0).all()
            if option == "sparse" and scheme != "usf":
                assert 0 < (w == 0).mean() < 1
            if option == "one error per neuron":
                assert ((w != 0).sum(axis=1) == 1).all() or scheme in ("kp", "arbp", "wm")
                assert ((w != 0).sum(axis=1) <= 1).all()
        if scheme in ("bp", "fa", "lfa", "dfa"):
            if option == "binary":
                assert set(np.unique(before)) == {-0.5, 0.5}
            if option == "low rank":
                assert np.linalg.matrix_rank(before) == 1


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize("scheme", ["fa", "dfa", "frsf", "brsf", "kp", "wm"])
def test_cpp_and_numpy_agree_with_sparse_centred_feedback(scheme):
    outcome = bioFA.verify(experiment(scheme, feedback_fan_in=2, centred_error=True), presentations=60)
    assert outcome.agrees, str(outcome)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_centred_error_has_no_mean_over_the_outputs(backend):
    given = experiment(centred_error=True).replace(
        record=bioFA.Record(variables=("mismatch.r", "centred.r", "output.error"))
    )
    recorded = bioFA.simulate(given, seed=1, backend=backend).recording.arrays
    np.testing.assert_allclose(
        recorded["centred.r"], recorded["mismatch.r"] - recorded["mismatch.r"].mean(axis=1, keepdims=True), atol=1e-14
    )
    np.testing.assert_array_equal(recorded["output.error"], recorded["mismatch.r"])
    assert np.abs(recorded["mismatch.r"].mean(axis=1)).max() > 0.1


def test_a_fan_in_chooses_each_time_other_neurons():
    masks = [draw(experiment(feedback_fan_in=2), seed).masks["hidden2_to_hidden1"] for seed in (1, 2)]
    for mask in masks:
        assert mask.shape == (8, 6)
        assert (mask.sum(axis=1) == 2).all()
        assert len({row.tobytes() for row in mask}) > 3
    assert not np.array_equal(*masks)


@pytest.mark.parametrize(
    ("pathway", "words"),
    [
        ({"fan_in": 4}, "fan_in must be at most 3, the size of 'image'"),
        ({"fan_in": 2, "density": 0.5}, "excludes density"),
        ({"fan_in": 2, "weights": SharedWith(pathway="other")}, "density, fan_in and sign belong"),
        ({"fan_in": 1, "weights": Identity()}, "density, fan_in and sign belong"),
        ({"sign": "inhibitory", "source": "lawful"}, "contradicts Dale's law of 'lawful'"),
    ],
)
def test_a_sparsity_or_sign_that_cannot_be_is_refused(pathway, words):
    populations = (
        Population("image", size=3, neuron=RateSource()), Population("hidden", size=3, neuron=StaticRate()),
        Population("lawful", size=3, neuron=StaticRate(), inhibitory=0.3),
    )
    other = Pathway("other", source="image", target="hidden", weights=Normal())
    with pytest.raises(ModelError, match=words):
        bioFA.Network(
            populations=populations,
            pathways=(
                other,
                Pathway(**{"name": "tested", "source": "image", "target": "hidden", "weights": Normal()} | pathway),
            ),
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_density_takes_synapses_from_the_forward_pathways_it_names_and_they_never_come_back(backend):
    instance, state = run(experiment("fa", density=(1.0, 0.5, 0.5), feedback_density=0.5), backend=backend)
    assert instance.state["input_to_hidden1.w"].all()
    for name in ("hidden1_to_hidden2", "hidden2_to_output", "hidden2_to_hidden1", "mismatch_to_hidden2"):
        mask = instance.masks[name]
        assert 0 < mask.mean() < 1
        np.testing.assert_array_equal(state[f"{name}.w"] != 0, mask)
    forward, back = instance.masks["hidden2_to_output"], instance.masks["mismatch_to_hidden2"]
    assert (forward != back.T).any()  # removed independently, so that few synapses have a partner the other way


def test_densities_are_one_for_all_or_one_a_pathway():
    assert [p.density for p in Layered(sizes=(3, 4, 2), density=0.5).network().pathways[:2]] == [0.5, 0.5]
    with pytest.raises(ModelError, match=r"Layered.density must have 1 entry for all pathways, or 2, one a pathway"):
        Layered(sizes=(3, 4, 2), density=(0.5, 0.5, 0.5))
    with pytest.raises(ModelError, match="density"):
        Layered(sizes=(3, 4, 2), density=0.0)


# Dale's law


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scheme", ["fa", "kp"])
def test_no_outgoing_sign_ever_flips_under_dales_law(scheme, backend):
    instance, state = run(
        experiment(
            scheme, presentations=200, inhibitory=0.4, weights=(Normal(scale=0.2),), feedback=(Normal(scale=0.3),)
        ),
        backend=backend,
    )
    stopped = moved = 0
    for name, size in (("input_to_hidden1", 5), ("hidden1_to_hidden2", 8), ("hidden2_to_output", 6)):
        cells = np.where(np.arange(size) < size - round(0.4 * size), 1.0, -1.0)
        assert (cells < 0).any()
        for w in (instance.state[f"{name}.w"], state[f"{name}.w"]):
            assert (w * cells >= 0).all()
        stopped += (state[f"{name}.w"] == 0).sum()
        moved += (state[f"{name}.w"] != instance.state[f"{name}.w"]).sum()
    assert stopped > 0, "no weight met zero, so the law was not tested"
    assert moved > 50
    cells = np.where(np.arange(6) < 4, 1.0, -1.0)  # feedback from a lawful layer is lawful too
    assert (state["hidden2_to_hidden1.w"] * cells >= 0).all()
    assert (np.sign(state["mismatch_to_hidden2.w"]).min(axis=0) < 0).any()


def test_lawful_weights_are_drawn_in_balance():
    given = experiment(inhibitory=0.2)
    task = LinearTeacher(n_in=200, n_out=3, examples=30, test_examples=1)
    given = given.replace(task=task, circuit=given.circuit.replace(sizes=(200, 50, 40, 3)))
    w = draw(given, 1).state["input_to_hidden1.w"]
    excitation, inhibition = w[:, :160].sum(axis=1), -w[:, 160:].sum(axis=1)
    assert (excitation > 0).all()
    assert excitation.mean() == pytest.approx(inhibition.mean(), rel=0.05)
    assert np.abs(w.sum(axis=1)).mean() < 0.2 * excitation.mean()


def test_a_population_may_be_all_excitatory_or_all_inhibitory():
    for fraction, sign in ((0.0, 1), (1.0, -1)):
        w = draw(experiment(inhibitory=fraction), 1).state["input_to_hidden1.w"]
        assert (w * sign > 0).all()


def test_noise_on_weights_obeys_no_law():
    noise = draw(experiment("wp", inhibitory=0.4), 1).training(0, 20).tables["noise_input_to_hidden1"]
    assert np.abs(noise.mean(axis=0)).max() < 0.01
    assert (noise.min(axis=0) < 0).all()
    assert (noise.max(axis=0) > 0).all()


# Options of learning


def changed(**learning):
    return experiment(presentations=12, learning=learning, biases=False)


def plain_updates(given, count):
    """The change that each of the first presentations asks for, from weights that stay as they are drawn."""
    instance = draw(given.replace(circuit=given.circuit.replace(learning={})), 1)
    updates = []
    for k in range(count):
        after = Reference(instance).segment(instance.state, instance.training(k, k + 1), learning=True).state
        updates.append({name: after[name] - instance.state[name] for name in after})
    return instance.state, updates


@pytest.mark.parametrize("backend", ["numpy", pytest.param("cpp", marks=pytest.mark.compiled)])
def test_a_batch_sums_the_changes_of_its_presentations(backend):
    given = changed(batch=4).replace(protocol=Protocol(presentations=4))
    _, state = run(given, backend=backend)
    before, updates = plain_updates(given, 4)
    for name in ("input_to_hidden1.w", "hidden1_to_hidden2.w", "hidden2_to_output.w"):
        np.testing.assert_allclose(
            state[name], before[name] + sum(update[name] for update in updates), rtol=0, atol=1e-13
        )
        assert not state[name.replace(".w", ".gathered")].any()
    _, waiting = run(given.replace(protocol=Protocol(presentations=3)), backend=backend)
    for name in ("input_to_hidden1", "hidden2_to_output"):
        np.testing.assert_array_equal(waiting[f"{name}.w"], before[f"{name}.w"])
        np.testing.assert_allclose(
            waiting[f"{name}.gathered"], sum(update[f"{name}.w"] for update in updates[:3]), rtol=0, atol=1e-13
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_sign_only_updates_move_every_weight_by_one_step(backend):
    given = changed(batch=3, step=0.01).replace(protocol=Protocol(presentations=3))
    _, state = run(given, backend=backend)
    before, updates = plain_updates(given, 3)
    seen: set[float] = set()
    for name in ("input_to_hidden1.w", "hidden2_to_output.w"):
        direction = np.sign(sum(update[name] for update in updates))
        seen |= set(np.unique(direction))
        np.testing.assert_allclose(state[name], before[name] + 0.01 * direction, rtol=0, atol=1e-13)
    assert {-1.0, 1.0} <= seen


@pytest.mark.parametrize("backend", BACKENDS)
def test_normalised_weights_keep_the_norm_that_each_neuron_began_with(backend):
    instance, state = run(changed(normalised=True), backend=backend)
    for name in ("input_to_hidden1.w", "hidden1_to_hidden2.w", "hidden2_to_output.w"):
        assert np.abs(state[name] - instance.state[name]).max() > 0.01
        np.testing.assert_allclose(
            np.linalg.norm(state[name], axis=1), np.linalg.norm(instance.state[name], axis=1), rtol=1e-12
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_bounds_are_met_and_kept(backend):
    _, state = run(experiment(presentations=300, learning={"low": -0.4, "high": 0.6}), backend=backend)
    for name in ("input_to_hidden1.w", "hidden1_to_hidden2.w", "hidden2_to_output.w"):
        assert -0.4 <= state[name].min() < state[name].max() <= 0.6
    assert any(np.isin(state[f"{name}.w"], (-0.4, 0.6)).any() for name in ("hidden1_to_hidden2", "hidden2_to_output"))
    _, half = run(experiment(presentations=300, learning={"high": 0.6}), backend=backend)
    assert half["input_to_hidden1.w"].min() < -0.5
    assert half["input_to_hidden1.w"].max() <= 0.6


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize(
    "learning",
    [
        {"batch": 7},
        {"step": 1e-3},
        {"batch": 5, "step": 1e-3, "low": -0.5, "high": 0.5},
        {"normalised": True, "batch": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("scheme", ["fa", "kp", "wp"])
def test_cpp_and_numpy_agree_on_every_way_to_learn(scheme, learning):
    """Rewards that are 0 but for rounding have a sign of their own in each consumer, so no unit here is silent."""
    given = experiment(
        scheme,
        learning=learning,
        feedback_density=0.7,
        hidden=StaticRate(activation="tanh"),
        weights=(Normal(scale=0.2),),
        feedback=(Normal(scale=0.3),),
        **({} if "normalised" in learning else {"inhibitory": 0.4}),
    )
    outcome = bioFA.verify(given, presentations=60)
    assert outcome.agrees, str(outcome)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_goes_on_over_the_end_of_a_segment(backend):
    from bioFA.runs.simulation import consumer

    instance = draw(changed(batch=5, step=0.01), 1)
    runner = consumer(instance, backend)
    whole = runner.segment(instance.state, instance.training(0, 12), learning=True).state
    first = runner.segment(instance.state, instance.training(0, 3), learning=True).state
    second = runner.segment(first, instance.training(3, 12), learning=True).state
    for name in whole:
        np.testing.assert_array_equal(whole[name], second[name])


@pytest.mark.compiled
def test_a_held_presentation_counts_once():
    given = changed(batch=2, step=0.01)
    held = given.replace(protocol=Protocol(dt=1e-3, presentation=4e-3, learning_onset=1e-3))
    once, long = (
        bioFA.simulate(
            e.replace(protocol=e.protocol.replace(presentations=6, shuffle=False)), seed=1, backend="numpy"
        ).state
        for e in (given, held)
    )
    for name in once:
        np.testing.assert_allclose(long[name], once[name], rtol=0, atol=1e-12)
    assert bioFA.verify(held, presentations=20).agrees


def test_the_numbers_of_learning_are_not_compiled():
    from bioFA.consumers.brian.compose import make_program

    for one, other in (
        ({"batch": 3}, {"batch": 9}),
        ({"step": 0.1, "batch": 5}, {"step": 0.2, "batch": 2}),
        ({"low": -1.0}, {"low": -2.0, "high": 1.0}),
    ):
        assert make_program(changed(**one)).digest() == make_program(changed(**other)).digest()
    assert make_program(changed(batch=2)).digest() != make_program(changed()).digest()


@pytest.mark.parametrize(
    ("learning", "words"),
    [
        ({"low": 1.0, "high": 0.5}, "low must be < high"),
        ({"normalised": True, "high": 1.0}, "within bounds"),
        ({"batch": 0}, "batch must be >= 1"),
    ],
)
def test_contradictory_learning_is_refused(learning, words):
    with pytest.raises(ModelError, match=words):
        Learning(**learning)


def test_a_norm_of_nothing_is_refused():
    with pytest.raises(ModelError, match="begins with none"):
        draw(experiment(weights=(Uniform(low=0.0, high=0.0),), learning={"normalised": True}), 1)


def test_options_survive_a_file():
    given = experiment(feedback_fan_in=2, centred_error=True, inhibitory=0.25, learning={"batch": 4, "step": 0.01})
    from bioFA.modelfiles.toml import dumps, loads

    assert loads(dumps(given)) == given
