"""Every learning scheme does what its paper says: each update by hand, in NumPy, apart from any circuit;
and both consumers agree on it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import Experiment, Layered, ModelError, Network, Pathway, Population, Protocol
from bioFA.cli import main
from bioFA.consumers.brian.compose import make_program
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.hebbian import Hebbian
from bioFA.rules.weight_perturbation import WeightPerturbation
from bioFA.schemes import family
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Identity, Normal, PseudoInverseOf, Redrawn, SharedWith, Uniform

RATE, DECAY = 0.3, 0.02
SIZES = (4, 6, 5, 3)


def experiment(scheme, sizes=SIZES, presentations=1, examples=1, decay=DECAY, **settings):
    """Two hidden tanh layers with biases, one rate and decay everywhere."""
    rule = family.get(scheme)().rule
    rule = rule.replace(learning_rate=RATE, **({"decay": decay} if "decay" in rule.parameters() else {}))
    readout = {"name": "delta_rule", "learning_rate": RATE, "decay": decay}
    circuit = Layered(
        sizes=sizes,
        hidden=StaticRate(activation="tanh"),
        biases=True,
        weights=(Normal(scale=0.5),),
        bias_weights=Normal(scale=0.3),
        feedback=(Normal(),),
        scheme=scheme,
        schemes={scheme: family.get(scheme)(rule=rule, readout_rule=readout, **settings)},
    )
    return Experiment(
        name=f"small_{scheme}",
        circuit=circuit,
        task=LinearTeacher(n_in=sizes[0], n_out=sizes[-1], examples=examples, test_examples=1),
        protocol=Protocol(epochs=-(-presentations // examples), presentations=presentations, shuffle=False),
    )


class Stack:
    """The same network by hand: three weight matrices `w[1..3]` and biases `b[1..3]`, one example."""

    def __init__(self, instance):
        state, names = instance.state, ("input", "hidden1", "hidden2", "output")
        self.state, self.feed = state, instance.training(0, 1)
        self.w = {n + 1: state[f"{names[n]}_to_{names[n + 1]}.w"] for n in range(3)}
        self.b = {n: state[f"bias_to_{names[n]}.w"][:, 0] for n in (1, 2, 3)}
        self.x, self.target = instance.data.train.inputs[0], instance.data.train.targets[0]
        self.h1, self.h2, self.y = self.forwards(self.w, self.b)
        self.e = self.target - self.y
        self.gain1, self.gain2 = 1 - self.h1**2, 1 - self.h2**2

    def forwards(self, w, b, xi1=0.0, xi2=0.0):
        h1 = np.tanh(w[1] @ self.x + b[1] + xi1)
        h2 = np.tanh(w[2] @ h1 + b[2] + xi2)
        return h1, h2, w[3] @ h2 + b[3]

    def loss(self, *arguments):
        return 0.5 * np.sum((self.target - self.forwards(*arguments)[2]) ** 2)

    def feedback(self, name):
        return self.state[f"{name}.w"]

    def drawn(self, pathway, shape):
        """A row of a feed's table as a matrix or vector."""
        return self.feed.tables[pathway][self.feed.rows[pathway][0]].reshape(shape)

    def chain(self, b2, b1):
        """Errors that go down through b2 `(n2, n_out)`, then b1 `(n1, n2)`, each with its gain."""
        delta2 = (b2 @ self.e) * self.gain2
        return (b1 @ delta2) * self.gain1, delta2


def through(b2, b1):
    return lambda s: s.chain(b2(s), b1(s))


B2, B1 = (lambda s: s.feedback("mismatch_to_hidden2")), (lambda s: s.feedback("hidden2_to_hidden1"))


def lfa(s):
    e2 = B2(s) @ s.e
    return (B1(s) @ e2) * s.gain1, e2 * s.gain2


def ifa(s):
    delta1 = (s.feedback("mismatch_to_hidden1") @ s.e) * s.gain1
    return delta1, (s.w[2] @ delta1) * s.gain2


def node_perturbation(s):
    xi1, xi2 = s.drawn("noise_hidden1", 6), s.drawn("noise_hidden2", 5)
    reward = s.loss(s.w, s.b) - s.loss(s.w, s.b, xi1, xi2)
    return reward * xi1 / 0.01**2, reward * xi2 / 0.01**2


def weight_mirror(s):
    return s.chain(s.feedback("output_echo_to_hidden2_mirror"), s.feedback("hidden2_echo_to_hidden1_mirror"))


DELTAS = {
    "bp": through(lambda s: s.w[3].T, lambda s: s.w[2].T),
    "fa": through(B2, B1),
    "kp": through(B2, B1),
    "arbp": through(B2, B1),
    "wm": weight_mirror,
    "lfa": lfa,
    "dfa": lambda s: (
        (s.feedback("mismatch_to_hidden1") @ s.e) * s.gain1,
        s.chain(s.feedback("mismatch_to_hidden2"), np.zeros((6, 5)))[1],
    ),
    "ifa": ifa,
    "usf": through(lambda s: 0.3 * np.sign(s.w[3].T), lambda s: 0.3 * np.sign(s.w[2].T)),
    "frsf": through(lambda s: np.abs(B2(s)) * np.sign(s.w[3].T), lambda s: np.abs(B1(s)) * np.sign(s.w[2].T)),
    "brsf": through(
        lambda s: np.abs(s.drawn("mismatch_to_hidden2", (5, 3))) * np.sign(s.w[3].T),
        lambda s: np.abs(s.drawn("hidden2_to_hidden1", (6, 5))) * np.sign(s.w[2].T),
    ),
    "pbp": through(lambda s: np.linalg.pinv(s.w[3]), lambda s: np.linalg.pinv(s.w[2])),
    "np": node_perturbation,
    "shallow": lambda s: (np.zeros(6), np.zeros(5)),
}
"""By scheme, the errors of the two hidden layers, `(6,)` and `(5,)`, from the formulas of its paper."""


def test_every_scheme_is_tested_and_listed():
    listed = json.loads(CliRunner().invoke(main, ["list", "--json"]).stdout)["schemes"]
    assert [scheme["name"] for scheme in listed] == family.names() == sorted({*DELTAS, "wp"})
    assert len(family.names()) == 15


@pytest.mark.parametrize("scheme", family.names())
def test_every_scheme_says_what_it_does_and_who_says_so(scheme):
    text = __import__(family.get(scheme).__module__, fromlist=["_"]).__doc__
    assert "Source:" in text
    assert "delta" in text or "dW" in text or scheme == "shallow"


@pytest.mark.parametrize("scheme", DELTAS)
def test_one_presentation_changes_every_weight_as_the_paper_says(scheme):
    instance = draw(experiment(scheme), 3)
    s = Stack(instance)
    after = Reference(instance).segment(instance.state, instance.training(0, 1), learning=True).state
    delta1, delta2 = DELTAS[scheme](s)
    if scheme != "shallow":
        assert min(np.abs(delta1).max(), np.abs(delta2).max()) > 1e-3
    decays = "decay" in family.get(scheme)().rule.parameters() and scheme != "shallow"
    for name, old, mod, pre, decay in (
        ("input_to_hidden1", s.w[1], delta1, s.x, decays),
        ("hidden1_to_hidden2", s.w[2], delta2, s.h1, decays),
        ("hidden2_to_output", s.w[3], s.e, s.h2, True),
        ("bias_to_hidden1", s.b[1][:, None], delta1, [1.0], decays),
        ("bias_to_hidden2", s.b[2][:, None], delta2, [1.0], decays),
        ("bias_to_output", s.b[3][:, None], s.e, [1.0], True),
    ):
        expected = old + RATE * np.outer(mod, pre) - decay * DECAY * old
        np.testing.assert_allclose(
            after[f"{name}.w"], expected, rtol=0, atol=1e-6 if scheme == "pbp" else 1e-11, err_msg=name
        )


def test_weight_perturbation_changes_each_hidden_weight_by_the_reward_times_its_own_noise():
    instance = draw(experiment("wp"), 3)
    s = Stack(instance)
    after = Reference(instance).segment(instance.state, instance.training(0, 1), learning=True).state
    names = {1: ("input_to_hidden1", "bias_to_hidden1"), 2: ("hidden1_to_hidden2", "bias_to_hidden2")}
    xi = {n: s.drawn(f"noise_{names[n][0]}", s.w[n].shape) for n in names}
    zeta = {n: s.drawn(f"noise_{names[n][1]}", s.b[n].shape) for n in names}
    reward = s.loss(s.w, s.b) - s.loss(
        s.w | {n: s.w[n] + xi[n] for n in names}, s.b | {n: s.b[n] + zeta[n] for n in names}
    )
    for n, (weights, biases) in names.items():
        np.testing.assert_allclose(after[f"{weights}.w"], s.w[n] + RATE * reward / 0.01**2 * xi[n], rtol=0, atol=1e-9)
        np.testing.assert_allclose(
            after[f"{biases}.w"][:, 0], s.b[n] + RATE * reward / 0.01**2 * zeta[n], rtol=0, atol=1e-9
        )
    np.testing.assert_allclose(
        after["hidden2_to_output.w"], s.w[3] + RATE * np.outer(s.e, s.h2) - DECAY * s.w[3], rtol=0, atol=1e-12
    )


def gradient(s, names):
    """Minus the gradient of the loss in the weights `w[n]`, by central differences."""
    found = {}
    for n in names:
        found[n] = np.zeros_like(s.w[n])
        for at in np.ndindex(s.w[n].shape):
            moved = [
                s.w | {
                    n: (
                        s.w[n]
                        + shift
                        * (np.arange(s.w[n].size).reshape(s.w[n].shape) == np.ravel_multi_index(at, s.w[n].shape))
                    )
                }
                for shift in (1e-5, -1e-5)
            ]
            found[n][at] = (s.loss(moved[1], s.b) - s.loss(moved[0], s.b)) / 2e-5
    return found


@pytest.mark.slow
def test_weight_perturbation_follows_the_gradient_on_average():
    presentations = 4000
    tiny = {
        "rule": WeightPerturbation(learning_rate=1e-9),
        "readout_rule": {"name": "delta_rule", "learning_rate": 1e-9},
    }
    given = experiment("wp", presentations=presentations)
    given = given.replace(circuit=given.circuit.replace(schemes={"wp": family.get("wp")(**tiny, sigma=1e-3)}))
    instance = draw(given, 3)
    after = Reference(instance).segment(instance.state, instance.training(0, presentations), learning=True).state
    expected = gradient(Stack(instance), (1, 2))
    found = {
        1: after["input_to_hidden1.w"] - instance.state["input_to_hidden1.w"],
        2: after["hidden1_to_hidden2.w"] - instance.state["hidden1_to_hidden2.w"],
    }
    a, b = (np.concatenate([part[n].ravel() for n in (1, 2)]) for part in (found, expected))
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.98
    assert np.linalg.norm(a) / presentations / 1e-9 == pytest.approx(np.linalg.norm(b), rel=0.1)


QUICK = ("fa", "wm")
"""A fixed and a moving feedback, each with its rule; the others, each a program of its own, in the slow tier."""


@pytest.mark.compiled
@pytest.mark.parametrize(
    "scheme", [pytest.param(scheme, marks=[pytest.mark.slow] * (scheme not in QUICK)) for scheme in family.names()]
)
def test_cpp_and_numpy_agree_on_every_scheme(scheme):
    settings = {"ridge": 1e-2} if scheme == "pbp" else {}
    small = experiment(scheme, presentations=60, examples=40, decay=1e-3, **settings)
    slow = small.circuit.schemes[scheme]
    slow = slow.replace(
        rule=slow.rule.replace(learning_rate=0.01), readout_rule=slow.readout_rule.replace(learning_rate=0.01)
    )
    outcome = bioFA.verify(
        small.replace(circuit=small.circuit.replace(schemes={scheme: slow})), seed=2, presentations=60
    )
    assert outcome.agrees, str(outcome)
    assert max(outcome.recorded.values()) <= 1e-10


BUILT_IN = [(model, scheme) for model in ("linear", "nonlinear", "digits") for scheme in family.names()]


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(("model", "scheme"), BUILT_IN)
def test_cpp_and_numpy_agree_on_the_built_in_models_with_every_scheme(model, scheme):
    outcome = bioFA.verify(bioFA.load(model).with_scheme(scheme), seed=3, presentations=500)
    assert outcome.agrees, str(outcome)


@pytest.mark.parametrize("backend", ["numpy", pytest.param("cpp", marks=[pytest.mark.compiled, pytest.mark.slow])])
def test_forward_and_feedback_weights_come_together_under_kolen_pollack(backend):
    given = experiment("kp", presentations=100, examples=100, decay=0.03)
    scheme = given.circuit.schemes["kp"]
    given = given.replace(circuit=given.circuit.replace(schemes={"kp": scheme.replace(
        rule=scheme.rule.replace(learning_rate=0.01), readout_rule=scheme.readout_rule.replace(learning_rate=0.02))}))
    result = bioFA.simulate(given, seed=4, backend=backend)
    for forward, feedback in (
        ("hidden2_to_output", "mismatch_to_hidden2"),
        ("hidden1_to_hidden2", "hidden2_to_hidden1"),
    ):
        w, b = (result.snapshots[f"{name}.w"] for name in (forward, feedback))
        assert np.abs(w[-1] - w[0]).max() > 0.05  # there was something to learn
        for index, t in enumerate(result.snapshots_at):
            np.testing.assert_allclose(w[index] - b[index].T, (1 - 0.03) ** t * (w[0] - b[0].T), rtol=0, atol=1e-13)


def test_without_decay_adaptive_feedback_keeps_the_difference_it_began_with():
    result = bioFA.simulate(
        experiment("arbp", presentations=20, examples=20, decay=0.0, feedback_rate=RATE, sizes=(4, 6, 3)),
        seed=4,
        backend="numpy",
    )
    w, b = result.snapshots["hidden_to_output.w"], result.snapshots["mismatch_to_hidden.w"]
    assert np.abs(w[-1] - w[0]).max() > 0.05
    np.testing.assert_allclose(w[-1] - b[-1].T, w[0] - b[0].T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", pytest.param("cpp", marks=[pytest.mark.compiled, pytest.mark.slow])])
def test_in_a_mirror_phase_feedback_turns_to_the_forward_weights_and_nothing_else_moves(backend):
    mirror = ["output_echo_to_hidden_mirror"]
    given = experiment("wm", sizes=(4, 6, 3), presentations=3000, examples=50, mirror_rate=3e-3, mirror_decay=3e-3)
    given = given.replace(
        protocol=Protocol(
            phases=[
                {"presentations": 2500, "learns": mirror},
                {"presentations": 50, "learns": ["input_to_hidden"], "rate": 0.01},
                {"presentations": 100, "learns": mirror},
            ]
        )
    )
    result = bioFA.simulate(given, seed=1, backend=backend)
    at = list(result.snapshots_at).index
    mirrored, forward = result.snapshots[f"{mirror[0]}.w"], result.snapshots["hidden_to_output.w"]
    course = result.alignment_course["mismatch_to_hidden"]["alignment"]
    assert course[0] > 60
    assert course[at(2500)] < 15
    # eta sigma^2 / lambda = 1, linear readout
    np.testing.assert_allclose(mirrored[at(2500)], forward[0].T, atol=0.3 * np.abs(forward[0]).max())
    np.testing.assert_array_equal(forward[0], forward[-1])
    assert not np.array_equal(mirrored[at(2500)], mirrored[-1])
    np.testing.assert_array_equal(mirrored[at(2500)], mirrored[at(2550)])
    first = result.snapshots["input_to_hidden.w"]
    np.testing.assert_array_equal(first[0], first[at(2500)])
    assert not np.array_equal(first[at(2500)], first[at(2550)])


@pytest.mark.parametrize("scheme", ["usf", "frsf", "brsf"])
def test_the_signs_of_concordant_feedback_follow_the_forward_weights(scheme):
    """Output weights that cross zero during learning take the feedback with them."""
    result = bioFA.simulate(
        bioFA.load("linear", {"protocol.presentations": 600}).with_scheme(scheme), seed=1, backend="numpy"
    )
    shots = result.snapshots
    network = result.experiment.network
    pathway = network.pathway("mismatch_to_hidden")
    first, last = shots["hidden_to_output.w"][0], shots["hidden_to_output.w"][-1]
    assert (np.sign(first) != np.sign(last)).any()
    weights = {name: shot[-1] for name, shot in shots.items()} | (
        {"mismatch_to_hidden.w": np.ones((20, 10))} if scheme == "brsf" else {}
    )
    assert (np.sign(network.effective(pathway, weights)) == np.sign(last.T)).all()
    assert result.alignment["mismatch_to_hidden"] < 60


def test_redrawn_weights_are_other_ones_in_every_presentation_and_the_same_however_it_is_cut():
    instance = draw(bioFA.load("linear").with_scheme("brsf"), 1)
    whole = instance.training(0, 300).tables["mismatch_to_hidden"]
    assert whole.shape == (300, 200)
    assert len({row.tobytes() for row in whole}) == 300
    np.testing.assert_array_equal(instance.training(200, 270).tables["mismatch_to_hidden"], whole[200:270])
    assert "mismatch_to_hidden.w" not in instance.state
    assert not np.array_equal(instance.evaluation("test").tables["mismatch_to_hidden"][:10], whole[:10])


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_a_small_ridge_makes_the_pseudo_inverse(shape):
    w = np.random.default_rng(1).normal(size=shape)
    weights = PseudoInverseOf(pathway="other", ridge=1e-12)
    np.testing.assert_allclose(weights.of(w), np.linalg.pinv(w), rtol=1e-8)
    damped = weights.replace(ridge=0.5).of(w)
    np.testing.assert_allclose(damped, w.T @ np.linalg.inv(w @ w.T + 0.5 * np.eye(shape[0])), rtol=1e-10)
    np.testing.assert_array_equal(weights.of(np.zeros(shape)), np.zeros(shape[::-1]))


def test_no_setting_of_a_scheme_is_compiled():
    for scheme, first, second in (
        ("usf", {"scale": 0.1}, {"scale": 0.2}),
        ("pbp", {"ridge": 1e-3}, {"ridge": 1e-2}),
        ("arbp", {"feedback_rate": 0.1}, {"feedback_rate": 0.2}),
        ("wm", {"mirror_rate": 0.1, "sigma": 1.0}, {"mirror_decay": 0.2, "sigma": 2.0}),
        ("wp", {"sigma": 0.1}, {"sigma": 0.2}),
    ):
        digests = {make_program(experiment(scheme, **settings)).digest() for settings in (first, second)}
        assert len(digests) == 1, scheme


def test_with_one_hidden_layer_the_ways_to_send_an_error_are_one():
    """Layered, direct and indirect feedback alignment differ in deep networks only."""
    states = [
        bioFA.simulate(experiment(s, sizes=(4, 6, 3), presentations=10), seed=1, backend="numpy").state
        for s in ("fa", "lfa", "dfa", "ifa")
    ]
    for state in states[1:]:
        for name in states[0]:
            np.testing.assert_array_equal(state[name], states[0][name])


def populations():
    return (
        Population("image", size=3, neuron=RateSource()),
        Population("hidden", size=4, neuron=StaticRate()),
        Population("answer", size=2, neuron=StaticRate()),
        Population("wanted", size=2, neuron=RateSource(of="targets")),
        Population("mismatch", size=2, neuron=ErrorUnit()),
    )


FORWARD = (
    Pathway("image_to_hidden", source="image", target="hidden", weights=Normal()),
    Pathway("hidden_to_answer", source="hidden", target="answer", weights=Normal()),
    Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
    Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
)
BACK = {"name": "back", "source": "mismatch", "target": "hidden", "port": "error"}


@pytest.mark.parametrize(
    ("back", "words"),
    [
        ({"weights": Normal(), "sign": "concordant"}, "Give stands_for"),
        (
            {"weights": Normal(), "sign": "concordant", "stands_for": "image_to_hidden"},
            r"'image_to_hidden' transposed has \(3, 4\)",
        ),
        (
            {"weights": Normal(), "sign": "concordant", "stands_for": "hidden_to_answer", "plasticity": Hebbian()},
            "cannot learn",
        ),
        ({"weights": Redrawn(weights=Normal()), "plasticity": Hebbian()}, "Redrawn weights last for one presentation"),
        ({"weights": PseudoInverseOf(pathway="hidden_to_answr")}, "Did you mean 'hidden_to_answer'"),
        (
            {"weights": PseudoInverseOf(pathway="hidden_to_answer"), "plasticity": Hebbian()},
            "cannot learn, since its weights belong to",
        ),
        ({"weights": PseudoInverseOf(pathway="image_to_hidden")}, r"'image_to_hidden' transposed has \(3, 4\)"),
        ({"weights": Normal(), "plasticity": WeightPerturbation()}, "Give partner"),
        (
            {"weights": Normal(), "plasticity": WeightPerturbation(), "partner": "hidden_to_answer"},
            r"must have the shape \(n_post, n_pre\) = \(4, 2\)",
        ),
        ({"weights": Normal(), "partner": "hidden_to_answr"}, "Did you mean 'hidden_to_answer'"),
        (
            {
                "weights": SharedWith(pathway="hidden_to_answer", transposed=True),
                "sign": "concordant",
                "stands_for": "hidden_to_answer",
            },
            "draws its own weights",
        ),
        ({"weights": Uniform(), "carries": "probe"}, "cannot carry 'probe'"),
    ],
)
def test_a_feedback_pathway_that_makes_no_sense_is_refused(back, words):
    with pytest.raises(ModelError, match=words):
        Network(populations=populations(), pathways=(*FORWARD, Pathway(**BACK | back)))


def test_kolen_pollack_needs_rules_with_a_decay():
    with pytest.raises(ModelError, match="has no decay, which feedback and forward weights share"):
        Layered(
            sizes=(3, 4, 2), scheme="kp", schemes={"kp": {"rule": "local_error", "readout_rule": "node_perturbation"}}
        ).network()


@pytest.mark.parametrize("scheme", family.names())
def test_a_delay_of_the_feedback_is_on_the_pathways_that_bring_errors_down_and_on_no_other(scheme):
    plain = Layered(sizes=SIZES, scheme=scheme, biases=True)
    delayed = plain.replace(feedback_delay="5 ms").network()
    above = {"hidden1": ("hidden2", "mismatch"), "hidden2": ("mismatch",)}
    for pathway, before in zip(delayed.pathways, plain.network().pathways, strict=True):
        if pathway.port in ("error", "probe") and pathway.source in above.get(pathway.target, ()):
            assert pathway.delay.total == pytest.approx(5e-3), pathway.name
            assert pathway.replace(delay=before.delay) == before
        else:
            assert pathway == before, pathway.name
    assert scheme in ("np", "wp", "shallow") or any(p.delay.total > 0 for p in delayed.pathways)
