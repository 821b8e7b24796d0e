"""What the source paper proves or shows, held against the reference.
Notation: y = W A x, E = T - W A, fed back by B."""

import numpy as np
import pytest
from tiers import first_of

import bioFA
from bioFA.analysis.learning import nse
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import draw
from bioFA.measures.record import Record
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.local_error import LocalError
from bioFA.schemes import Layered
from bioFA.schemes.backpropagation import Backpropagation
from bioFA.schemes.feedback_alignment import FeedbackAlignment
from bioFA.schemes.shallow import Shallow
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Constant, Identity, LowRank, Orthogonal, Uniform, Values

SCHEMES = {"fa": FeedbackAlignment, "bp": Backpropagation}


def linear(sizes, task, presentations, learning_rate, scheme="fa", hidden_learning_rate=None, snapshots=1, **circuit):
    """A linear layered network without biases that sees the examples of a task in turn."""
    rates = {
        "rule": LocalError(learning_rate=hidden_learning_rate or learning_rate),
        "readout_rule": DeltaRule(learning_rate=learning_rate),
    }
    settings = Shallow(readout_rule=rates["readout_rule"]) if scheme == "shallow" else SCHEMES[scheme](**rates)
    protocol = Protocol(
        epochs=-(-presentations // task.examples), presentations=presentations, shuffle=False, snapshots=snapshots
    )
    return Experiment(
        name="theory",
        circuit=Layered(sizes=sizes, scheme=scheme, schemes={scheme: settings}, **circuit),
        task=task,
        protocol=protocol,
    )


def white(n_in, n_out):
    """Inputs sqrt(n) e_1, ..., sqrt(n) e_n in turn: over one round the mean of x x' is exactly the identity."""
    return LinearTeacher(
        n_in=n_in, n_out=n_out, examples=n_in, test_examples=n_in, inputs=Identity(scale=np.sqrt(n_in))
    )


def run(experiment, seed=1, backend="numpy"):
    return bioFA.simulate(experiment, seed=seed, backend=backend)


def matrices(state):
    """A, W, B of a result's or an instance's state."""
    return state["input_to_hidden.w"], state["hidden_to_output.w"], state["mismatch_to_hidden.w"]


@pytest.mark.parametrize("seed", first_of(1, 2, 3))
def test_feedback_alignment_from_zero_weights_drives_the_error_to_zero(seed):
    result = run(linear((12, 8, 4), white(12, 4), 3000, 0.01, weights=(Constant(value=0.0),)), seed)
    _, forward, feedback = matrices(result.state)
    assert result.metrics["test_nse"] < 1e-8
    helps = forward @ feedback  # e' W B e > 0 for every e: what is fed back always helps
    assert np.linalg.eigvalsh(helps + helps.T).min() > 0


def test_backpropagation_from_zero_weights_never_leaves_zero():
    result = run(linear((12, 8, 4), white(12, 4), 500, 0.01, scheme="bp", weights=(Constant(value=0.0),)))
    assert not result.state["input_to_hidden.w"].any()
    assert not result.state["hidden_to_output.w"].any()


@pytest.mark.slow
def test_what_feedback_alignment_conserves_drifts_in_proportion_to_the_step():
    def conserved(state):
        hidden, forward, feedback = matrices(state)
        return feedback @ forward + forward.T @ feedback.T - hidden @ hidden.T

    def drift(learning_rate, presentations):
        experiment = linear(
            (8, 6, 3), white(8, 3), presentations, learning_rate, weights=(Uniform(low=-0.3, high=0.3),)
        )
        result = run(experiment)
        assert result.metrics["test_nse"] < 1e-3  # the flow went all the way, so there was something to conserve
        return (
            np.abs(conserved(result.state) - conserved(draw(experiment, 1).state)).max(),
            np.abs(conserved(result.state)).max(),
        )

    (coarse, size), (fine, _), (finest, _) = drift(4e-3, 2000), drift(2e-3, 4000), drift(1e-3, 8000)
    assert finest < 0.05 * size
    assert coarse / fine == pytest.approx(2.0, rel=0.1)
    assert fine / finest == pytest.approx(2.0, rel=0.1)


def test_one_pattern_from_zero_weights_makes_feedback_alignment_follow_the_pseudo_inverse():
    task = LinearTeacher(n_in=10, n_out=4, examples=1, test_examples=1)
    shown = draw(linear((10, 7, 4), task, 1, 1.0), 1).data.train
    x, target = shown.inputs[0], shown.targets[0]
    rate, presentations = 0.01, 200
    result = run(
        linear(
            (10, 7, 4),
            task,
            presentations,
            rate,
            hidden_learning_rate=rate / (x @ x),
            snapshots=presentations,
            weights=(Constant(value=0.0),),
        )
    )
    fed_back = result.state["mismatch_to_hidden.w"] @ target  # B y*
    s_h = s_w = 0.0
    for k in range(presentations + 1):
        hidden, forward = result.snapshots["input_to_hidden.w"][k], result.snapshots["hidden_to_output.w"][k]
        np.testing.assert_allclose(hidden @ x, s_h * fed_back, rtol=0, atol=1e-13)
        np.testing.assert_allclose(forward, s_w * np.outer(target, fed_back), rtol=0, atol=1e-13)
        if k >= 2:  # the first change of W comes with the second presentation, since h was zero in the first
            error = target - forward @ hidden @ x
            gauss_newton = np.linalg.pinv(forward, rcond=1e-9) @ error
            update = result.state["mismatch_to_hidden.w"] @ error
            assert angle(update, gauss_newton) < 1e-6
        s_y = s_w * s_h * (fed_back @ fed_back)
        s_h, s_w = s_h + rate * (1 - s_y), s_w + rate * (1 - s_y) * s_h
    assert 0.5 < s_y < 1.0


def angle(a, b):
    """Degrees, precise near 0 and independent of the package's own measure."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))


def flow_of_two_weights(hidden, forward, learning_rate=5e-3, presentations=4000):
    """The 1-1-1 network with T = B = x = 1 from given weights; both weights over time."""
    task = LinearTeacher(
        n_in=1, n_out=1, examples=1, test_examples=1, teacher=Constant(value=1.0), inputs=Constant(value=1.0)
    )
    start = (Values(values=((hidden,),)), Values(values=((forward,),)))
    result = run(
        linear(
            (1, 1, 1), task, presentations, learning_rate, snapshots=40, weights=start, feedback=(Constant(value=1.0),)
        )
    )
    return result.snapshots["input_to_hidden.w"][:, 0, 0], result.snapshots["hidden_to_output.w"][:, 0, 0]


@pytest.mark.parametrize("start", first_of((0.0, 0.0), (1.5, -1.0), (-1.0, 1.5), (-2.0, -1.0)))
def test_two_weights_move_along_parabolas(start):
    for learning_rate, presentations, allowed in ((1e-2, 500, 0.1), (1e-3, 5000, 0.01)):
        hidden, forward = flow_of_two_weights(*start, learning_rate, presentations)
        parabola = 2 * forward - hidden**2
        assert np.abs(hidden - hidden[0]).max() > 0.2
        assert np.abs(parabola - parabola[0]).max() < allowed


@pytest.mark.parametrize("start", first_of((0.0, 0.0), (0.5, -0.5), (1.5, -1.0), (-1.0, 1.5)))
def test_two_weights_reach_the_good_branch(start):
    hidden, forward = flow_of_two_weights(*start)
    assert hidden[-1] * forward[-1] == pytest.approx(1.0, abs=1e-6)
    assert forward[-1] > 0


@pytest.mark.parametrize("start", first_of((-2.0, -1.0), (-1.5, -1.5), (-2.0, -0.2)))
def test_two_weights_from_the_lower_left_end_on_the_bad_branch(start):
    hidden, forward = flow_of_two_weights(*start)
    assert hidden[-1] * forward[-1] == pytest.approx(1.0, abs=1e-6)
    assert forward[-1] < 0


def test_the_minimal_model_shows_both_branches():
    ends = {seed: run(bioFA.load("minimal"), seed).state for seed in (1, 12)}
    assert ends[1]["hidden_to_output.w"] > 0 > ends[12]["hidden_to_output.w"]
    for state in ends.values():
        assert state["input_to_hidden.w"] * state["hidden_to_output.w"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("seed", first_of(1, 2))
def test_shallow_learning_is_left_with_the_third_that_its_hidden_layer_cannot_see(seed):
    experiment = linear(
        (30, 20, 10), white(30, 10), 6000, 1e-3, scheme="shallow", weights=(Orthogonal(), Uniform(low=-0.01, high=0.01))
    )
    result, instance = run(experiment, seed), draw(experiment, seed)
    seen = instance.state["input_to_hidden.w"]
    targets = instance.data.train.targets
    # inputs are a multiple of the identity, the rows of `seen` orthonormal
    floor = nse(targets, seen.T @ seen @ targets)
    assert floor < result.metrics["test_nse"] < 1.05 * floor
    assert result.metrics["test_nse"] == pytest.approx(1 / 3, abs=0.1)
    np.testing.assert_array_equal(result.state["input_to_hidden.w"], seen)


@pytest.mark.parametrize("seed", first_of(1, 2, 3))
def test_feedback_may_be_all_positive_but_not_of_rank_one(seed):
    def final(feedback):
        task = LinearTeacher(n_in=30, n_out=10, examples=2000)
        return run(linear((30, 20, 10), task, 2000, 5e-3, feedback=(feedback,)), seed).metrics["test_nse"]

    assert final(Uniform(low=-0.5, high=0.5)) < 1e-6
    assert final(Uniform(low=0.0, high=0.5)) < 1e-3
    assert final(LowRank(rank=1, scale=0.29)) > 0.5


@pytest.mark.slow
@pytest.mark.compiled
def test_the_linear_model_learns_and_aligns_as_in_figure_1():
    runs = {
        scheme: [run(bioFA.load("linear").with_scheme(scheme), seed, "cpp") for seed in range(1, 9)]
        for scheme in ("fa", "bp", "shallow", "np")
    }
    error = {scheme: np.array([result.metrics["nse"] for result in results]) for scheme, results in runs.items()}
    angles = {
        scheme: np.array([result.alignment["mismatch_to_hidden"] for result in runs[scheme]]) for scheme in ("fa", "bp")
    }
    assert np.median(error["fa"]) < 1e-8
    assert error["bp"].max() < 1e-9
    assert 0.25 < error["shallow"].min() < error["shallow"].max() < 0.6
    assert error["np"].max() < 1e-2
    assert 25 < np.median(angles["fa"]) < 35
    assert 85 < angles["bp"].min() < angles["bp"].max() < 95


@pytest.mark.slow
@pytest.mark.compiled
def test_a_second_hidden_layer_pays_under_feedback_alignment():
    model = bioFA.load("nonlinear").replace(record=Record(every=100))
    three_layers = model.with_scheme("bp")
    three_layers = three_layers.replace(circuit=three_layers.circuit.replace(sizes=(30, 20, 10)))
    seeds = (21, 22, 23)  # the model's numbers were chosen on seeds 1 to 6
    deep, flat = ([bioFA.simulate(e, seed).metrics["test_nse"] for seed in seeds] for e in (model, three_layers))
    assert np.mean(deep) < np.mean(flat)
