"""`biofa audit`: what each circuit asks of a brain is what its mathematics says,
for every built-in model and scheme."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import ModelError, audit, cli, neurons, weights
from bioFA.schemes import family
from bioFA.verification.biology import KINDS

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMMON = {"one_to_one", "error_unit", "teacher", "signals_of_both_signs", "synapses_of_both_signs", "negative_rates"}
"""What the layered tanh circuit asks under every scheme: the output's error units,
and cells whose weights and rates have both signs."""
FED_BACK = COMMON | {"known_gain", "second_signal"}
"""And under every scheme that sends deltas down through hidden layers."""
OF_SCHEMES = {
    "shallow": COMMON,
    "fa": FED_BACK, "lfa": FED_BACK, "dfa": FED_BACK - {"second_signal"}, "ifa": FED_BACK | {"weight_sharing"},
    "bp": FED_BACK | {"weight_transport"}, "pbp": FED_BACK | {"weight_transport"},
    **dict.fromkeys(("usf", "frsf", "brsf"), FED_BACK | {"transport_of_signs"}),
    **dict.fromkeys(("kp", "arbp"), FED_BACK | {"plastic_feedback"}),
    "wm": FED_BACK | {"plastic_feedback", "weight_sharing"},
    "np": COMMON | {"weight_sharing", "second_signal", "global_signal"},
    "wp": COMMON | {"weight_sharing", "second_signal", "global_signal", "other_synapses"},
}
"""Of the mathematics in each scheme's file; the second signal of np and wp is the loss beside the error."""
OF_MODELS = {
    "linear": FED_BACK - {"second_signal"},
    "nonlinear": FED_BACK,
    "depth": FED_BACK,
    "minimal": FED_BACK - {"second_signal", "one_to_one"},
    "mnist": FED_BACK - {"second_signal", "negative_rates"} | {"times_from_outside"},
    "digits_spiking": FED_BACK - {"second_signal", "negative_rates"} | {"times_from_outside", "graded_signals"},
    "evidence": FED_BACK - {"second_signal", "negative_rates"} | {"times_from_outside", "graded_signals"},
    "digits_dale": {"one_to_one", "teacher", "known_gain", "times_from_outside"},
    "digits_spiking_errors": (
        FED_BACK - {"second_signal", "negative_rates", "signals_of_both_signs"}
        | {"times_from_outside", "weight_sharing"}
    ),
    "digits_plateaus": {"one_to_one", "teacher", "synapses_of_both_signs", "known_gain", "times_from_outside"},
}
"""One hidden layer sends no delta; 1-1-1 has no pairs to join; plateaus need no error unit, but phases and a taught
output; under Dale's law throughout, rectified cells and interneurons subtract."""


def of(demands, kind):
    """Places at which a kind of demand is made."""
    return {demand.place for demand in demands.demands if demand.kind == kind}


@pytest.mark.parametrize("scheme", family.names())
def test_every_scheme_asks_what_its_mathematics_says(scheme):
    assert set(audit(bioFA.load("nonlinear").with_scheme(scheme)).kinds()) == OF_SCHEMES[scheme]


@pytest.mark.parametrize("model", OF_MODELS)
def test_a_built_in_model_asks_what_its_circuit_says(model):
    assert set(audit(bioFA.load(model)).kinds()) == OF_MODELS[model]


@pytest.mark.parametrize("model", bioFA.builtin_models())
def test_every_model_is_audited_under_every_scheme_or_the_scheme_is_refused(model):
    experiment, laid, refused = bioFA.load(model), 0, []
    for scheme in family.names():
        try:
            found = audit(experiment.with_scheme(scheme))
        except ModelError as error:
            refused.append(str(error))
            continue
        laid += 1
        assert found.scheme == scheme
        assert "weight_transport" in found.kinds() or scheme not in ("bp", "pbp")
        assert {demand.kind for demand in found.demands} <= set(KINDS)
        network = experiment.with_scheme(scheme).network
        names = {part.name for part in (*network.populations, *network.pathways)}
        assert all(demand.place in names or demand.place.startswith("protocol.") for demand in found.demands)
        assert all(demand.found.endswith(".") and demand.change for demand in found.demands)
    assert laid or experiment.scheme == "explicit"
    # what is wrong, and what to do
    assert all(text.count(". ") >= 1 and text.endswith(".") for text in refused), refused
    assert experiment.free or audit(experiment).demands  # where nothing learns, little is asked


def test_transport_is_named_where_it_is_and_probes_ask_nothing():
    transported = audit(bioFA.load("nonlinear").with_scheme("bp"))
    assert of(transported, "weight_transport") == {"hidden2_to_hidden1", "mismatch_to_hidden2"}
    aligned = audit(bioFA.load("nonlinear"))
    assert not of(aligned, "weight_transport")
    assert "hidden2_to_hidden1_probe" in aligned.looked_at


def test_the_weight_mirror_shares_weights_with_twins_and_its_feedback_with_what_they_learned():
    assert of(audit(bioFA.load("nonlinear").with_scheme("wm")), "weight_sharing") == {
        "hidden1_mirror_to_hidden2_echo", "hidden2_mirror_to_output_echo", "hidden2_to_hidden1", "mismatch_to_hidden2",
    }


def test_deltas_leave_every_hidden_layer_but_the_first():
    assert of(audit(bioFA.load("nonlinear")), "second_signal") == {"hidden2"}
    assert of(audit(bioFA.load("nonlinear").with_scheme("ifa")), "second_signal") == {"hidden1"}


def test_dales_law_is_credited_to_the_cells_that_obey_it():
    def both(**changes):
        return of(
            audit(bioFA.load("digits", {f"circuit.{name}": value for name, value in changes.items()})),
            "synapses_of_both_signs",
        )

    assert both() == {"input", "hidden", "mismatch"}
    assert both(inhibitory=0.2) == {"mismatch"}
    assert both(inhibitory=0.2, feedback_sign="excitatory") == set()
    deep = {"circuit.inhibitory": 0.2}
    assert of(audit(bioFA.load("nonlinear", deep)), "synapses_of_both_signs") == {"mismatch"}
    assert of(audit(bioFA.load("nonlinear", deep)), "signals_of_both_signs") == {
        "mismatch_to_output",
        "mismatch_to_hidden2",
        "hidden2_to_hidden1",
    }
    assert of(audit(bioFA.load("nonlinear", deep).with_scheme("bp")), "synapses_of_both_signs") == {
        "hidden2",
        "mismatch",
    }


def test_weights_that_learn_have_both_signs_unless_they_are_bounded():
    bounded = {"circuit.learning": {"low": 0.0}, "circuit.weights": {"name": "uniform", "low": 0.0, "high": 0.1}}
    assert of(audit(bioFA.load("digits", bounded)), "synapses_of_both_signs") == {"mismatch"}
    positive = {"circuit.weights": {"name": "uniform", "low": 0.0, "high": 0.1}}
    assert of(audit(bioFA.load("digits", positive)), "synapses_of_both_signs") == {"input", "hidden", "mismatch"}


def test_spikes_that_carry_the_error_are_no_graded_signal():
    def changed(error):
        return audit(bioFA.load("digits_spiking", {"circuit.error": {"name": error}}))

    graded = audit(bioFA.load("digits_spiking"))
    assert of(graded, "graded_signals") == {"mismatch_to_hidden", "mismatch_to_output"}
    pair = changed("spiking_error_unit")
    assert not of(pair, "graded_signals") | of(pair, "signals_of_both_signs")
    assert of(pair, "weight_sharing") == {"mismatch_off_to_hidden"}
    tonic = changed("tonic_error_unit")
    assert not of(tonic, "graded_signals")
    assert of(tonic, "signals_of_both_signs") == {"mismatch_to_hidden", "mismatch_to_output"}
    assert "about a tonic baseline" in str(tonic)


def test_a_spiking_hidden_layer_sends_no_delta_but_graded():
    deep = bioFA.load(
        "digits_spiking", {"circuit.sizes": [64, 20, 20, 10], "circuit.error": {"name": "spiking_error_unit"}}
    )
    assert of(audit(deep), "graded_signals") == {"hidden2_to_hidden1"}
    assert not of(audit(deep.with_scheme("dfa")), "graded_signals")


def test_times_that_are_set_from_outside_are_each_named():
    assert of(audit(bioFA.load("evidence")), "times_from_outside") == {
        "protocol.learning_onset",
        "protocol.reset",
        "protocol.phases",
    }
    assert of(audit(bioFA.load("digits_plateaus")), "times_from_outside") == {
        "protocol.learning_onset",
        "protocol.reset",
        "protocol.phases",
        "hidden",
        "output",
    }
    free = {"protocol.learning_onset": "0 s", "protocol.reset": False, "protocol.phases": []}
    assert not of(audit(bioFA.load("evidence", free)), "times_from_outside")
    # nothing is kept that could begin anew
    assert not of(audit(bioFA.load("linear", {"protocol.reset": True})), "times_from_outside")
    batched = {
        "circuit.learning": {"batch": 5},
        "protocol.phases": [{"epochs": 1, "learns": ["hidden_to_output"]}, {"epochs": 1}],
    }
    assert of(audit(bioFA.load("linear", batched)), "times_from_outside") == {
        "protocol.phases",
        "input_to_hidden",
        "hidden_to_output",
    }


def test_a_network_in_which_time_passes_is_not_told_of_presentations():
    assert not audit(bioFA.load("coba")).demands
    assert of(audit(bioFA.load("coba", {"protocol.trials": 2})), "times_from_outside") == {"protocol.trials"}
    learns = {"name": "equation", "equation": "dw/dt = -learning_rate*w"}
    changes = {"circuit.pathways.0.plasticity": learns, "protocol.warm_up": 0.01}
    plastic = bioFA.load("coba", changes)
    waiting = next(demand for demand in audit(plastic).demands if demand.kind == "times_from_outside")
    assert (waiting.place, waiting.change) == ("protocol.warm_up", "warm_up = '0 s'")
    assert waiting.found == "learning waits for 0.01 s of every trial."


def test_one_weight_for_all_feedback_is_a_global_signal_and_norms_know_other_synapses():
    assert of(
        audit(bioFA.load("digits", {"circuit.feedback": {"name": "constant", "value": 1.0}})), "global_signal"
    ) == {"mismatch_to_hidden"}
    assert not of(audit(bioFA.load("digits").with_scheme("usf")), "global_signal")
    normed = bioFA.load("linear", {"circuit.learning": {"normalised": True}})
    assert of(audit(normed), "other_synapses") == {"input_to_hidden", "hidden_to_output"}
    assert of(audit(bioFA.load("linear").with_scheme("wp")), "other_synapses") == {"input_to_hidden"}


def test_rates_below_zero_are_those_of_the_activation():
    def negative(**hidden):
        return "hidden" in of(audit(bioFA.load("linear", {"circuit.hidden": hidden})), "negative_rates")

    assert {
        name: negative(name="static_rate", activation=name) for name in ("linear", "tanh", "logistic", "rectified")
    } == {
        "linear": True,
        "tanh": True,
        "logistic": False,
        "rectified": False,
    }
    assert negative(name="equation", rate="u / (1 + abs(u))", slope="(1 - abs(r))**2")
    assert not negative(name="equation", rate="u**2 / (1 + u**2)", slope="1.0")


@pytest.mark.parametrize("name", [name for name in neurons.family.names() if not neurons.family.get(name).named_draws])
def test_a_published_rate_that_goes_below_zero_is_said_to(name):
    """Of every neuron model that computes what it publishes: NumPy's values, for ports and states of both signs,
    against what the model states."""
    neuron = neurons.family.get(name)()
    if neuron.shows is not None:
        assert not neuron.signed("r") or neuron.shows == "noise"
        return
    rng, low = np.random.default_rng(1), {}
    anything = {need: rng.uniform(-3.0, 3.0, 1000) for need in (*neuron.ports, *neuron.state)}
    counts = {need: np.abs(anything[need]) for need in ("fired", "left") if need in anything}
    values = {**anything, **counts, "chance": rng.uniform(0.0, 1.0, 1000), "dt": 1e-3, "time": 0.1}
    for variable in neuron.publishes:
        values[variable] = getattr(neuron, variable)(**{need: values[need] for need in neuron.needs(variable)})
        low[variable] = bool((values[variable] < 0).any())
    if "filtered" in neuron.needs("r"):
        low["r"] = low.get("train", low.get("mismatch", False))  # a low-passed train has its signs
    signs = {
        variable: neuron.signed(variable)
        for variable in ("r", "train", "delta", "mismatch", "change")
        if variable in low
    }
    assert {variable: low[variable] for variable in signs} == signs


@pytest.mark.parametrize(
    ("given", "signs"),
    [
        ({"name": "uniform", "low": 0.0, "high": 1.0}, {1}),
        ({"name": "uniform", "low": -1.0, "high": -0.5}, {-1}),
        ({"name": "uniform"}, {-1, 1}),
        ({"name": "normal"}, {-1, 1}),
        ({"name": "constant", "value": 0.0}, set()),
        ({"name": "constant", "value": -2.0}, {-1}),
        ({"name": "identity"}, {1}),
        ({"name": "values", "values": [[1.0, 0.0], [2.0, 3.0]]}, {1}),
        ({"name": "redrawn", "weights": {"name": "constant", "value": 1.0}}, {1}),
        ({"name": "binary"}, {-1, 1}),
    ],
)
def test_weights_state_the_signs_that_they_draw(given, signs):
    kind = weights.family.read(given)
    assert kind.signs() == signs
    drawn = np.concatenate([kind.draw(np.random.default_rng(seed), (2, 2)).ravel() for seed in range(20)])
    assert set(np.sign(drawn[drawn != 0]).astype(int).tolist()) == signs


def test_the_command_prints_a_line_an_item_and_the_same_as_json():
    text = CliRunner().invoke(cli.main, ["audit", "digits", "--scheme", "bp"])
    assert text.exit_code == 0
    assert (
        "\n  mismatch_to_hidden: has, at every moment, the transpose of the weights of 'hidden_to_output'.\n"
        in text.output
    )
    assert "A description does not show" in text.output
    told = json.loads(CliRunner().invoke(cli.main, ["audit", "digits", "--scheme", "bp", "--json"]).output)
    assert (told["model"], told["scheme"]) == ("digits", "bp")
    assert {demand["kind"] for demand in told["demands"]} | set(told["absent"]) == set(KINDS)
    assert all(set(demand) == {"kind", "place", "found", "change"} for demand in told["demands"])
    refused = CliRunner().invoke(cli.main, ["audit", "digits_plateaus", "--scheme", "bp"])
    assert refused.exit_code == 2


def test_the_tables_of_the_page_are_what_the_audit_finds():
    spec = importlib.util.spec_from_file_location("biology_page", DOCS / "_ext" / "biology_page.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    text = made.PAGE.read_text()
    assert made.page(text) == text, "write it anew with: python docs/_ext/biology_page.py"
    assert all(f"`{name}`" in text for name in (*family.names(), *bioFA.builtin_models()))


def test_the_report_of_a_run_holds_the_audit(tmp_path):
    from bioFA.show import report

    result = bioFA.simulate(bioFA.load("linear", {"protocol.presentations": 50}), backend="numpy")
    page = report.of_run(result, tmp_path).read_text()
    assert "What it asks of a brain" in page
    assert "neurons are joined in pairs" in page
