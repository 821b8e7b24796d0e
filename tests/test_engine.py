"""The engine: blocked updates are online learning, float32 is float32, and a rule is taken apart correctly."""

import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
import systems
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tiers import first_of

import bioFA
from bioFA import Experiment, Layered
from bioFA.consumers.brian import compile as compiling
from bioFA.consumers.brian.compose import make_program
from bioFA.consumers.brian.factors import factorise, rests
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules import family
from bioFA.rules.event_driven_random_backpropagation import EventDrivenRandomBackpropagation
from bioFA.rules.local_error import LocalError
from bioFA.schemes.backpropagation import Backpropagation
from bioFA.schemes.feedback_alignment import FeedbackAlignment
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Normal

PARAMETERS = {"learning_rate", "decay", "T", "dt"}


@pytest.mark.parametrize("name", family.names())
def test_every_rule_of_ours_that_reads_the_rate_before_it_has_the_form_for_blocks(name):
    rule = family.get(name)()
    if rule.reads_pre != ("r",) or rule.state:
        pytest.skip("it learns on pathways that no stimulus feeds, or every synapse keeps traces")
    expression = rule.equations.split("=", 1)[1].rsplit(":", 1)[0]
    factors = factorise(expression, {*rule.parameters(), "T"})
    assert factors is not None
    values = dict(
        zip(
            (
                "error_post",
                "gain_post",
                "perturbation_post",
                "change_post",
                "r_pre",
                "w",
                "learning_rate",
                "decay",
                "T",
            ),
            (0.3, -0.7, 1.9, 0.8, 0.4, -1.3, 0.02, 0.01, 0.5),
            strict=True,
        )
    )
    whole = eval(expression, {}, values)
    taken = eval(factors.post, {}, values) * values["r_pre"] - eval(factors.decay, {}, values) * values["w"]
    assert taken == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        "learning_rate*error_post*r_pre**2",
        "learning_rate*error_post*(r_pre + w)*r_pre",
        "learning_rate*error_post*tanh(r_pre)",
        "learning_rate*error_post*r_pre - decay*error_post*w",
        "learning_rate*error_post",
        "learning_rate*w*r_pre",
        "learning_rate*error_post*r_pre*gain_pre",
        "learning_rate*sign(w)",
        "learning_rate*error_post*r_pre - decay*w**2",
        "learning_rate*exp(error_post*r_pre)",
        "unknown*error_post*r_pre",
    ],
)
def test_a_rule_of_another_form_stays_dense(expression):
    assert factorise(expression, PARAMETERS) is None


@pytest.mark.parametrize(
    "expression",
    ["learning_rate*r_pre*error_post/T", "r_pre*tanh(error_post)*learning_rate - w*decay/T", "(error_post - 1)*r_pre"],
)
def test_a_rule_of_the_form_is_found_however_it_is_written(expression):
    assert factorise(expression, PARAMETERS) is not None


@pytest.mark.compiled
@pytest.mark.parametrize("decay", [0.0, 0.02])
@pytest.mark.parametrize("presentations", [1, 31, 32, 33, 200])
def test_blocked_updates_are_the_plain_ones_but_for_rounding(decay, presentations):
    changes = {f"circuit.schemes.fa.{rule}.decay": decay for rule in ("rule", "readout_rule")}
    instance = draw(bioFA.load("linear", changes), 2)
    feed = instance.training(0, presentations)
    blocked, plain = Compiled(instance, blocked=True), Compiled(instance, blocked=False)
    assert blocked.engine["pathways"]["input_to_hidden"] == "blocked"
    assert "blocked" not in plain.engine["pathways"].values()
    results = [runner.segment(instance.state, feed, learning=True) for runner in (blocked, plain, Reference(instance))]
    for other in results[1:]:
        for name, array in results[0].state.items():
            np.testing.assert_allclose(array, other.state[name], rtol=0, atol=1e-13)
        for name, array in results[0].recording.arrays.items():
            np.testing.assert_allclose(array, other.recording.arrays[name], rtol=0, atol=1e-12)


@pytest.mark.compiled
def test_blocks_stop_where_a_segment_stops_and_do_nothing_with_learning_off():
    instance = draw(bioFA.load("linear"), 2)
    runner = Compiled(instance, blocked=True)
    first = runner.segment(instance.state, instance.training(0, 21), learning=True)
    second = runner.segment(first.state, instance.training(21, 60), learning=True)
    expected = Reference(instance).segment(instance.state, instance.training(0, 60), learning=True)
    np.testing.assert_allclose(
        second.state["input_to_hidden.w"], expected.state["input_to_hidden.w"], rtol=0, atol=1e-13
    )
    still = runner.segment(instance.state, instance.training(0, 50), learning=False)
    np.testing.assert_array_equal(still.state["input_to_hidden.w"], instance.state["input_to_hidden.w"])


@pytest.mark.compiled
def test_what_only_records_read_is_right_where_it_is_recorded_seldom():
    instance = draw(bioFA.load("linear"), 2)
    assert "recorded" in {step.only for step in make_program(instance.experiment).steps}
    feed = instance.training(5, 40)
    found, expected = (
        runner.segment(instance.state, feed, learning=True, every=7).recording.arrays
        for runner in (Compiled(instance, blocked=True), Reference(instance))
    )
    assert {"hidden.error", "hidden.probe"} <= found.keys()
    for name, array in expected.items():
        assert len(array) == 5
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-12)


@pytest.mark.compiled
def test_a_fixed_pathway_from_the_stimulus_works_in_blocks_too():
    instance = draw(bioFA.load("linear").with_scheme("shallow"), 2)
    feed = instance.training(0, 40)
    blocked, plain = Compiled(instance, blocked=True), Compiled(instance, blocked=False)
    ways = [runner.engine["pathways"]["input_to_hidden"] for runner in (blocked, plain)]
    assert ways == ["blocked", "rows"]
    results = [runner.segment(instance.state, feed, learning=True) for runner in (blocked, plain, Reference(instance))]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].state["input_to_hidden.w"], instance.state["input_to_hidden.w"])
        np.testing.assert_allclose(
            results[0].state["hidden_to_output.w"], other.state["hidden_to_output.w"], rtol=0, atol=1e-13
        )


@pytest.mark.compiled
def test_shared_weights_and_held_presentations_are_not_blocked():
    for instance in (draw(bioFA.load("linear").with_scheme("np"), 1), draw(systems.held("np"), 1)):
        assert "blocked" not in Compiled(instance, blocked=True).engine["pathways"].values()


@pytest.mark.parametrize(("model", "may_block"), [("linear", []), ("digits", ["input_to_hidden"])])
def test_blocks_are_for_matrices_beyond_the_first_cache(model, may_block):
    experiment = bioFA.load(model)
    assert [p.name for p in make_program(experiment).pathways if p.may_block] == may_block
    assert [p.name for p in make_program(experiment, blocked=True).pathways if p.may_block] == ["input_to_hidden"]
    assert not any(p.may_block for p in make_program(experiment, blocked=False).pathways)


@pytest.mark.compiled
@pytest.mark.parametrize("blocked", first_of(False, True))
def test_float32_agrees_with_the_reference_to_its_precision(blocked):
    instance = draw(bioFA.load("linear"), 1)
    feed = instance.training(0, 500)
    single = Compiled(instance, "float32", blocked).segment(instance.state, feed, learning=True)
    double = Reference(instance).segment(instance.state, feed, learning=True)
    for name, array in double.state.items():
        scale = np.abs(array).max()
        assert 0 < np.abs(single.state[name] - array).max() <= 1e-4 * scale


@pytest.mark.compiled
def test_float32_code_computes_no_synapse_in_double():
    folder = Compiled(draw(bioFA.load("linear"), 1), "float32", blocked=False).binary.folder
    for kind in ("learn", "transmit"):
        for source in (folder / "code_objects").glob(f"*_{kind}_*.cpp"):
            loops = source.read_text().split("_vectorisation_idx = -1;")[1].split("for (", 1)[1]
            assert "double" not in loops, f"{source.name}: {loops}"


EXPONENTIALS = """
#include <cstdio>
#include <vector>
#include "biofa_vectors.h"
int main() {
    std::vector<double> values(4096);
    for (int i = 0; i < 4096; i++) values[i] = (i - 2048) / 64.0;
    for (int i = 0; i < 4096; i++) values[i] = std::exp(values[i]);
    std::fwrite(values.data(), sizeof(double), 4096, stdout);
}
"""


@pytest.mark.compiled
@pytest.mark.skipif(
    (platform.machine(), platform.libc_ver()[0]) != ("x86_64", "glibc") or compiling.compiler() != ["g++"],
    reason="only GNU's library and compiler have functions of vectors",
)
def test_exponentials_are_taken_of_several_neurons_at_once(tmp_path):
    (tmp_path / "many.cpp").write_text(EXPONENTIALS)
    folder = Path(compiling.__file__).parent
    command = ["g++", *compiling.flags(), f"-I{folder}", "many.cpp", "-o", "many"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert b"_ZGV" in (tmp_path / "many").read_bytes()
    found = np.frombuffer(subprocess.run([tmp_path / "many"], stdout=subprocess.PIPE, check=True).stdout)
    np.testing.assert_array_max_ulp(found, np.exp(np.arange(-2048, 2048) / 64), 5)


def test_unknown_precision_is_refused_with_a_suggestion():
    with pytest.raises(bioFA.ModelError, match=r"Did you mean 'float32'"):
        bioFA.simulate(bioFA.load("minimal"), precision="float23")
    with pytest.raises(bioFA.ModelError, match=r"float64 only"):
        bioFA.simulate(bioFA.load("minimal"), precision="float32", backend="numpy")


@pytest.mark.compiled
@pytest.mark.parametrize("backend", ["numpy", "cpp"])
def test_absent_synapses_stay_absent_and_signs_are_kept(backend):
    instance = draw(systems.constrained(), 4)
    runner = Compiled(instance) if backend == "cpp" else Reference(instance)
    state = runner.segment(instance.state, instance.training(0, 120), learning=True).state
    absent = ~instance.masks["input_to_hidden"]
    assert 0 < absent.sum() < absent.size
    assert (state["input_to_hidden.w"][absent] == 0).all()
    assert (state["input_to_hidden.w"] >= 0).all()
    assert (state["hidden_to_output.w"] <= 0).all()
    present = instance.masks["input_to_hidden"] & (instance.state["input_to_hidden.w"] > 0)
    assert (state["input_to_hidden.w"][present] == 0).any(), "no weight met its bound, so the bound was not tested"
    assert (state["input_to_hidden.w"][present] != instance.state["input_to_hidden.w"][present]).any()


def largest_difference(first, second):
    return max(float(np.abs(first[name] - second[name]).max(initial=0.0)) for name in first)


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("model", ["linear", "nonlinear", "digits", "leaky", "minimal"])
def test_a_program_of_float32_gives_the_same_weights_to_its_precision(model):
    instance = draw(bioFA.load(model), 5)
    feed = instance.training(0, 150)
    dense, single = (
        Compiled(instance, **options).segment(instance.state, feed, learning=True)
        for options in ({"blocked": False}, {"precision": "float32"})
    )
    for name, array in dense.state.items():
        assert np.abs(single.state[name] - array).max() <= 1e-4 * np.abs(array).max()


@st.composite
def small_experiments(draw_):
    activation = st.sampled_from(["linear", "tanh", "logistic", "rectified"])
    depth = draw_(st.integers(1, 2))
    sizes = (3, *(draw_(st.integers(1, 9)) for _ in range(depth)), 2)
    circuit = Layered(
        sizes=sizes,
        hidden=StaticRate(activation=draw_(activation)),
        output=StaticRate(activation=draw_(activation)),
        error=ErrorUnit(carries_gain=draw_(st.booleans())),
        biases=draw_(st.booleans()),
        weights=(Normal(scale=0.5),),
        feedback=(Normal(),),
        scheme=draw_(st.sampled_from(["fa", "bp"])),
        schemes={"fa": FeedbackAlignment(**systems.RATES), "bp": Backpropagation(**systems.RATES)},
    )
    return Experiment(name="small", circuit=circuit, task=LinearTeacher(n_in=3, n_out=2, examples=50, test_examples=1))


@pytest.mark.compiled
@pytest.mark.slow
@settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)
@given(experiment=small_experiments())
def test_dense_blocked_and_numpy_agree_on_random_small_networks(experiment):
    instance = draw(experiment, 1)
    feed = instance.training(0, 50)
    expected = Reference(instance).segment(instance.state, feed, learning=True).state
    for blocked in (True, False):
        assert (
            largest_difference(
                expected, Compiled(instance, blocked=blocked).segment(instance.state, feed, learning=True).state
            )
            <= 1e-10
        )


def test_compiled_synapses_are_visited_only_where_the_presynaptic_neuron_spikes():
    rate = EventDrivenRandomBackpropagation.equations.split("=")[1].split(":")[0].replace("carried_pre", "train_pre")
    assert rests(rate, "train_pre", PARAMETERS) == ()
    assert rests(f"{rate} - w / T", "train_pre", PARAMETERS) is None


def test_compiled_synapses_with_a_decay_rest_only_while_it_is_0():
    rate = LocalError.equations.split("=")[1].split(":")[0]
    assert rests(rate, "r_pre", PARAMETERS) == ("decay",)
    assert rests(rate, "r_pre", set()) is None
    assert rests(rate, "train_pre", PARAMETERS) is None


def test_what_only_plasticity_and_records_read_is_left_out_of_the_steps_in_which_neither_looks():
    experiment = bioFA.load("digits_spiking")
    steps = make_program(experiment).steps
    only = {step.of: step.only for step in steps if step.kind == "transmit" and step.only}
    assert only == {"mismatch_to_hidden": "looks", "mismatch_to_hidden_probe": "recorded"}
    often = " ".join(
        statement for step in steps if step.kind == "evaluate" and not step.only for statement in step.statements
    )
    assert "train = " in often
    assert not any(f"{variable} = " in often for variable in ("gain", "r", "mismatch", "error"))
    traced = bioFA.load("pattern")
    assert not any(step.only for step in make_program(traced).steps if step.of == "hidden" and step.kind == "evaluate")
