"""A scheme without settings of its own inherits the rules and rates of the model's own scheme,
so that only the pathway of the error differs."""

import json

import numpy as np
import pytest
import tomli_w
from click.testing import CliRunner
from jobs import jobs_here

import bioFA
from bioFA import schemes
from bioFA.cli import main
from bioFA.comparisons.messages import describe
from bioFA.comparisons.outcomes import read_outcomes, summary
from bioFA.comparisons.plan import Request, begin, plan
from bioFA.comparisons.run import run
from bioFA.comparisons.table import read
from bioFA.modelfiles import toml
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.local_error import LocalError

RULES = ("rule", "readout_rule")
PERTURBING = {"np": "node_perturbation", "wp": "weight_perturbation"}
BARE = """
name = "bare"
[circuit]
name = "layered"
sizes = [4, 5, 3]
scheme = "fa"
[circuit.schemes.fa]
rule = { name = "local_error", learning_rate = 0.02 }
readout_rule = { name = "delta_rule", learning_rate = 0.03 }
[task]
name = "linear_teacher"
n_in = 4
n_out = 3
examples = 50
[protocol]
epochs = 4
"""


@pytest.fixture
def bare(tmp_path):
    """A model file in which only its own scheme has settings."""
    path = tmp_path / "bare.toml"
    path.write_text(BARE)
    return path


def changed(path, text):
    """The same model file with more in it."""
    path.write_text(BARE.replace("[task]", f"{text}\n[task]"))
    return bioFA.load(path)


@pytest.mark.parametrize("scheme", sorted(set(schemes.family.names()) - {"kp"}))
def test_a_scheme_without_settings_has_the_rules_of_the_models_own(bare, scheme):
    settings = bioFA.load(bare).with_scheme(scheme).circuit.active()
    assert settings.readout_rule == DeltaRule(learning_rate=0.03)
    assert settings.rule.family_name == PERTURBING.get(scheme, "local_error")
    assert scheme in PERTURBING or settings.rule == LocalError(learning_rate=0.02)


def test_what_a_scheme_gives_itself_is_kept_and_the_rest_inherited(bare):
    model = changed(
        bare,
        '[circuit.schemes.bp]\nreadout_rule = { name = "delta_rule", learning_rate = 7.0'
        ' }\n[circuit.schemes.usf]\nscale = 2.0',
    )
    assert model.with_scheme("bp").circuit.active().rule == LocalError(learning_rate=0.02)
    assert model.with_scheme("bp").circuit.active().readout_rule == DeltaRule(learning_rate=7.0)
    usf = model.with_scheme("usf").circuit.active()
    assert (usf.scale, usf.rule, usf.readout_rule) == (
        2.0,
        LocalError(learning_rate=0.02),
        DeltaRule(learning_rate=0.03),
    )


def test_a_rule_without_a_name_changes_the_inherited_one(bare):
    model = bioFA.load(bare, {"circuit.schemes.dfa.rule.learning_rate": 0.5}).with_scheme("dfa")
    assert model.circuit.active().rule == LocalError(learning_rate=0.5)
    evidence = (
        bioFA.load("evidence", {"circuit.schemes.lfa.rule.learning_rate": 0.5}).with_scheme("lfa").circuit.active().rule
    )
    assert evidence == bioFA.load("evidence").circuit.active().rule.replace(learning_rate=0.5)


@pytest.mark.parametrize("scheme", ["lfa", "kp", "arbp", "np"])
def test_choosing_a_scheme_by_set_is_choosing_it_by_scheme(bare, scheme):
    assert bioFA.load(bare, {"circuit.scheme": scheme}) == bioFA.load(bare).with_scheme(scheme)


@pytest.mark.parametrize("scheme", schemes.family.names())
def test_the_choice_survives_other_choices_files_and_results(bare, scheme):
    model = bioFA.load(bare)
    chosen = model.with_scheme(scheme)
    assert bioFA.loads(bioFA.dumps(chosen)) == chosen
    assert model.with_scheme("bp").with_scheme(scheme).network == chosen.network
    assert chosen.with_scheme("fa").network == model.network
    written = bare.with_name("again.toml")
    written.write_text(bioFA.dumps(chosen))
    assert bioFA.load(written) == chosen


def test_other_rates_of_another_scheme_do_not_reach_what_inherits_from_the_models_own():
    linear = bioFA.load("linear")
    assert linear.with_scheme("bp").with_scheme("lfa").circuit.active().rule.learning_rate == 7e-3


def test_a_stored_experiment_that_gives_no_settings_means_what_it_meant_when_it_ran(bare):
    table = toml.to_table(bioFA.load(bare))
    for scheme in set(schemes.family.names()) - {"fa"}:
        table["circuit"]["scheme"] = scheme  # as version 0.1 wrote the choice of a scheme
        stored = bioFA.loads(tomli_w.dumps(table))
        decay = {"decay": 1e-3} if scheme == "kp" else {}
        if scheme not in PERTURBING:
            assert stored.circuit.active().rule == LocalError(learning_rate=1e-3, **decay)
        assert stored.circuit.active().readout_rule == DeltaRule(learning_rate=1e-3, **decay)
        assert bioFA.loads(bioFA.dumps(stored)) == stored


@pytest.mark.parametrize(("changes", "presentations"), [
    ({}, 200), ({"protocol.epochs": 7}, 350), ({"protocol.presentations": 30}, 30), ({"task.examples": 20}, 80),
    ({"protocol.phases": [{"epochs": 2}, {"presentations": 11}]}, 111),
])
def test_without_a_decay_that_of_kp_is_a_tenth_over_the_length_of_training(bare, changes, presentations):
    model = bioFA.load(bare, changes).with_scheme("kp")
    assert {p.plasticity.decay for p in model.network.plastic()} == {0.1 / presentations}
    assert f"decay {0.1 / presentations:.4g}" in model.rates_in_use()["text"]


def test_a_decay_that_is_given_is_kept_even_none(bare):
    given = (
        '[circuit.schemes.kp]\nrule = { name = "local_error", learning_rate = 0.02, decay = 0.0 }\nreadout_rule = {'
        ' decay = 0.25 }'
    )
    kp = changed(bare, given).with_scheme("kp").circuit.active()
    assert (kp.rule.decay, kp.readout_rule.decay, kp.readout_rule.learning_rate) == (0.0, 0.25, 0.03)
    bare.write_text(BARE)
    inherited = bioFA.load(bare, {"circuit.schemes.fa.readout_rule.decay": 0.5}).with_scheme("kp").circuit.active()
    assert (inherited.rule.decay, inherited.readout_rule.decay) == (0.1 / 200, 0.5)


def test_kp_as_a_models_own_scheme_has_the_decay_of_its_training_too(bare):
    bare.write_text(BARE.replace('"fa"', '"kp"').replace(".fa]", ".kp]"))
    assert bioFA.load(bare).circuit.active().rule == LocalError(learning_rate=0.02, decay=0.1 / 200)


@pytest.mark.parametrize(
    ("model", "scheme", "why"), [("pattern", "kp", "Superspike has no decay"), ("digits", "np_own", "perturbation")]
)
def test_a_rule_that_a_scheme_cannot_use_is_refused_and_says_whose_it_is(model, scheme, why):
    loaded = bioFA.load(model) if scheme == "kp" else bioFA.load(model, {"circuit.scheme": "np"}).replace(name="n")
    if scheme == "np_own":
        own = loaded.circuit.replace(own_scheme=None, schemes={"np": loaded.circuit.active()})
        loaded, scheme = loaded.replace(circuit=own), "fa"
    with pytest.raises(
        bioFA.ModelError,
        match=f"scheme '{scheme}' has no settings here, so its rules are those of the model's own scheme '.*{why}",
    ):
        loaded.with_scheme(scheme)


def test_where_more_than_the_feedback_differs_it_is_said(bare):
    model = bioFA.load(bare)
    for scheme in ("bp", "dfa", "lfa", "usf", "arbp", "wm", "pbp"):
        assert model.with_scheme(scheme).rates_in_use()["departs"] == []
    assert model.with_scheme("np").rates_in_use()["departs"] == [
        "input_to_hidden: node_perturbation, learning_rate 0.001 (under fa: local_error, learning_rate 0.02)"
    ]
    assert model.with_scheme("shallow").rates_in_use()["departs"] == [
        "input_to_hidden: does not learn (under fa: local_error, learning_rate 0.02)"
    ]
    assert len(model.with_scheme("kp").rates_in_use()["departs"]) == 2


@pytest.mark.parametrize("scheme", schemes.family.names())
def test_every_rate_in_use_is_among_those_printed(bare, scheme):
    model = bioFA.load(bare).with_scheme(scheme)
    text = model.rates_in_use()["text"]
    for pathway in model.network.plastic():
        assert pathway.name in text
        assert f"learning_rate {pathway.plasticity.learning_rate:.4g}" in text
    for name, value in model.circuit.active().parameters().items():
        assert f"{name} {value:.4g}" in text


@pytest.mark.parametrize("scheme", ["fa", pytest.param("usf", marks=pytest.mark.slow)])
def test_a_run_prints_its_rates(bare, scheme):
    ended = CliRunner().invoke(
        main, ["run", str(bare), "--scheme", scheme, "--backend", "numpy", "--out", str(bare.parent / "out")]
    )
    assert ended.exit_code == 0, ended.output
    assert (
        "input_to_hidden: local_error, learning_rate 0.02; hidden_to_output: delta_rule, learning_rate 0.03"
        in ended.output
    )


@jobs_here()
def test_identical_conditions_are_named_and_not_compared(bare, tmp_path):
    out = tmp_path / "out"
    words = ["--schemes", "fa,dfa,lfa,kp", "--seeds", "3", "--backend", "numpy", "--out", str(out), "--json"]
    ended = CliRunner().invoke(main, ["compare", str(bare), *words])
    assert ended.exit_code == 0, ended.output
    outcome = json.loads(ended.stdout)
    assert outcome["identical"] == [["bare, fa", "bare, dfa"], ["bare, fa", "bare, lfa"], ["bare, dfa", "bare, lfa"]]
    # the same difference three times is one test
    assert {(row["first"], row["second"]) for row in outcome["comparisons"]} == {("bare, fa", "bare, kp")}
    for row in outcome["conditions"]:
        assert row["values"] == outcome["conditions"][0]["values"] or row["scheme"] == "kp"
        assert "learning_rate 0.02" in row["rates"]["text"]
    page, words = (out / "report.html").read_text(), describe(summary(read_outcomes(read(out))))
    assert page.count("are the same network by construction") == words.count("the same network by construction") == 3
    assert "decay 0.0005" in page
    assert "decay 0.0005" in words
    assert (out / "table.csv").read_text().count("decay 0.0005") == 3 * 3
    found = read(out)
    assert np.isclose(found.experiments[3].circuit.active().rule.decay, 0.1 / 200)


@pytest.mark.slow
def test_rates_are_those_that_tuning_chose(bare, tmp_path):
    request = Request((str(bare),), ("fa",), 1, ("task.validation_examples=20",), tune=True, backend="numpy")
    found = begin(request, tmp_path / "tuned")
    outcome = summary(run(found))
    factor = outcome["tuning"][0]["factor"]
    assert factor != 1.0
    assert f"learning_rate {0.02 * factor:.4g}" in outcome["conditions"][0]["rates"]["text"]


def test_a_sweep_of_the_models_own_rate_reaches_the_schemes_that_inherit_it(bare):
    changed(bare, '[circuit.schemes.bp]\nrule = { name = "local_error", learning_rate = 0.5 }')
    key = "circuit.schemes.fa.rule.learning_rate"
    conditions, _ = plan(Request((str(bare),), ("fa", "dfa", "bp"), 1, (f"{key}=0.1,0.2",)))
    assert [(c.scheme, c.settings.get(key)) for c in conditions] == [
        ("fa", 0.1),
        ("fa", 0.2),
        ("dfa", 0.1),
        ("dfa", 0.2),
        ("bp", None),
    ]
    conditions, _ = plan(Request((str(bare),), ("dfa",), 1, (f"{key}=0.1",)))
    assert bioFA.loads(conditions[0].experiment).circuit.active().rule.learning_rate == 0.1
