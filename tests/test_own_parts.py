"""Rules and neurons of one's own, from Python and from a model file; and the checks that a rule must pass."""

from typing import Annotated, ClassVar

import numpy as np
import pytest
from annotated_types import Ge

import bioFA
from bioFA import ModelError, check_rule, rules
from bioFA.components import Number
from bioFA.expressions import FUNCTIONS, parse
from bioFA.modelfiles.toml import dumps, loads
from bioFA.neurons.equation import Equation as EquationNeuron
from bioFA.rules import PlasticityRule
from bioFA.rules.equation import Equation
from bioFA.rules.local_error import LocalError

OWN = {
    "circuit.schemes.fa.rule": {
        "name": "equation",
        "equation": "dw/dt = learning_rate * error_post * gain_post * r_pre / T - decay * w / T",
        "learning_rate": 7e-3,
        "constants": {"decay": 1e-4},
    },
}


# check_rule


class Oja(PlasticityRule):
    """Oja's rule, right in every respect."""

    learning_rate: Annotated[Number, Ge(0)] = 0.1

    reads_pre: ClassVar = ("r",)
    reads_post: ClassVar = ("r",)
    equations: ClassVar = "dw/dt = learning_rate * r_post * (r_pre - r_post * w) / T : 1"

    def step(self, synapses, pre, post, dt, T):
        w, y = synapses["w"], post["r"][:, np.newaxis]
        return {"w": w + dt / T * self.learning_rate * y * (pre["r"] - y * w)}


class MeanError(LocalError):
    """Feels the errors of other neurons."""

    def step(self, synapses, pre, post, dt, T):
        return super().step(synapses, pre, post | {"error": post["error"] - post["error"].mean()}, dt, T)


class Crowd(LocalError):
    """Feels other presynaptic neurons."""

    def step(self, synapses, pre, post, dt, T):
        return super().step(synapses, {"r": pre["r"] / pre["r"].sum()}, post, dt, T)


class Norm(LocalError):
    """Feels the weights of other synapses."""

    def step(self, synapses, pre, post, dt, T):
        return {
            "w": super().step(synapses, pre, post, dt, T)["w"] - dt / T * synapses["w"] * np.linalg.norm(synapses["w"])
        }


class FirstNeuron(LocalError):
    """Treats neurons by their number."""

    def step(self, synapses, pre, post, dt, T):
        return super().step(synapses, pre, {name: v * (1 + np.arange(len(v))) for name, v in post.items()}, dt, T)


class Restless(LocalError):
    """Moves without an error."""

    def step(self, synapses, pre, post, dt, T):
        return super().step(synapses, pre, post | {"error": post["error"] + 1.0}, dt, T)


class PerStep(LocalError):
    """Learns as much in every step, however short."""

    def step(self, synapses, pre, post, dt, T):
        return super().step(synapses, pre, post, 1.0, 1.0)


class Flipped(LocalError):
    """Its string has the other sign."""

    equations: ClassVar = LocalError.equations.replace("= learning_rate", "= -learning_rate")


class Silent(LocalError):
    """Its string reads more than it says."""

    reads_post: ClassVar = ("error", "gain", "r")


class Writing(LocalError):
    """Writes into what it is given."""

    def step(self, synapses, pre, post, dt, T):
        synapses["w"] += super().step(synapses, pre, post, dt, T)["w"] - synapses["w"]
        return synapses


class Still(LocalError):
    """Never learns."""

    def step(self, synapses, pre, post, dt, T):
        return {"w": synapses["w"].copy()}


class Broken(LocalError):
    """Cannot run."""

    def step(self, synapses, pre, post, dt, T):
        return {"w": synapses["w"] + post["nothing"]}


FAULTS = {
    MeanError: "other postsynaptic",
    Crowd: "other presynaptic",
    Norm: "weight of another",
    FirstNeuron: "relabelling",
    Restless: "no error",
    PerStep: "dt nor the length",
    Flipped: "Brian2 string",
    Silent: "Brian2 string",
    Writing: "arguments alone",
    Still: "a synapse changes",
    Broken: "a synapse changes",
}


@pytest.mark.parametrize("name", rules.family.names())
def test_every_rule_of_ours_passes(name):
    report = check_rule(rules.family.get(name)())
    failed = {finding.check for finding in report.findings if finding.passes is False}
    assert failed == (
        {"a synapse reads no weight of another pathway"} if name == "weight_perturbation" else set()
    ), str(report)
    assert len(report.findings) == 11


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_decay_is_no_change_without_an_error(decay):
    assert check_rule(LocalError(decay=decay)).passes


def test_a_right_rule_of_ones_own_passes():
    report = check_rule(Oja())
    assert report.passes, str(report)
    assert "the rule reads no error" in str(report)


@pytest.mark.parametrize("rule", FAULTS)
def test_a_wrong_rule_fails_the_check_that_is_meant_for_it(rule):
    report = check_rule(rule(learning_rate=0.1))
    failed = [finding.check for finding in report.findings if finding.passes is False]
    assert not report.passes
    assert any(FAULTS[rule] in check for check in failed), str(report)
    assert "FAILS" in str(report)
    if rule in (MeanError, Norm, Flipped, Silent, Still, PerStep, Crowd):
        allowed = (
            {"Brian2 string"}
            | {FAULTS[rule]}
            | ({"no error"} if rule is MeanError else set())
            | ({"no error"} if rule is Norm else set())
        )
        assert all(any(word in check for word in allowed) for check in failed), str(report)


@pytest.mark.parametrize("given", [Oja, None, "local_error"])
def test_only_a_rule_can_be_checked(given):
    with pytest.raises(ModelError, match=r"Give an instance, such as check_rule\(MyRule\(\)\)"):
        check_rule(given)


# parts from Python


def test_a_rule_from_python_has_a_name_once_it_is_added():
    with pytest.raises(ModelError, match="unknown plasticity rule 'oja'"):
        rules.family.get("oja")
    try:
        assert rules.family.add(Oja) is Oja
        assert rules.family.read({"name": "oja", "learning_rate": 0.2}) == Oja(learning_rate=0.2)
        experiment = bioFA.load("linear", {"circuit.schemes.shallow.readout_rule": {"name": "oja"}}).with_scheme(
            "shallow"
        )
        assert loads(dumps(experiment)) == experiment
    finally:
        rules.family._parts().pop("oja", None)


def test_a_taken_name_and_a_class_that_is_no_rule_are_refused():
    class LocalError(PlasticityRule):
        pass

    with pytest.raises(ModelError, match="there is a plasticity rule 'local_error' already"):
        rules.family.add(LocalError)
    with pytest.raises(ModelError, match="derived from PlasticityRule"):
        rules.family.add(dict)


@pytest.mark.compiled
def test_a_rule_from_python_is_compiled_and_agrees():
    fa = bioFA.load("linear").circuit.schemes["fa"]
    experiment = bioFA.load("linear")
    circuit = experiment.circuit.replace(schemes={"fa": fa.replace(rule=Oja(learning_rate=1e-3))})
    outcome = bioFA.verify(experiment.replace(circuit=circuit), presentations=300)
    assert outcome.agrees, str(outcome)


# text from a model file


def test_an_equation_that_says_what_a_rule_says_does_what_it_does():
    rate = {
        f"circuit.schemes.fa.rule.{name}": value
        for name, value in (("name", "local_error"), ("learning_rate", 7e-3), ("decay", 1e-4))
    }
    own, built_in = (
        bioFA.simulate(bioFA.load("linear", {"protocol.presentations": 200, **changes}), seed=1, backend="numpy").state
        for changes in (OWN, rate)
    )
    for name in own:
        np.testing.assert_allclose(own[name], built_in[name], rtol=0, atol=1e-13)


@pytest.mark.compiled
def test_an_equation_is_compiled_and_its_numbers_are_not():
    from bioFA.consumers.brian.compose import make_program

    first = bioFA.load("linear", OWN)
    assert bioFA.verify(first, presentations=300).agrees
    changes = {f"{next(iter(OWN))}": {**next(iter(OWN.values())), "learning_rate": 1e-3, "constants": {"decay": 0.5}}}
    assert make_program(first).digest() == make_program(bioFA.load("linear", changes)).digest()


@pytest.mark.compiled
def test_every_allowed_function_means_the_same_in_cpp_and_in_numpy():
    text = (
        "dw/dt = learning_rate / T * (exp(-r_pre**2) + log(1 + abs(w)) * sign(error_post) + sqrt(2 + r_pre) * tanh(w) -"
        " sin(error_post) * cos(r_pre) + clip(3 * w, -a, 1 / 2) + int(r_pre > 0.1) + int(w <= 0) - +w**3 / 7 + 10 / 20"
        " * 1e-2)"
    )
    rule = {"name": "equation", "equation": text, "learning_rate": 1e-3, "constants": {"a": 0.25}}
    changes = {
        "circuit.sizes": [5, 4, 3],
        "task.n_in": 5,
        "task.n_out": 3,
        "circuit.schemes.fa.rule": rule,
        "circuit.hidden.activation": "tanh",
        "task.inputs": {"name": "uniform"},
    }
    experiment = bioFA.load("linear", changes)
    assert all(f"{name}(" in text for name in FUNCTIONS)
    assert bioFA.verify(experiment, presentations=100).agrees


def test_own_equations_survive_a_file_and_give_what_they_read():
    experiment = bioFA.load(
        "linear",
        {
            **OWN,
            "circuit.hidden": {
                "name": "equation",
                "rate": "u / (1 + abs(u))",
                "slope": "k * (1 - abs(r))**2",
                "constants": {"k": 1.0},
            },
        },
    )
    assert loads(dumps(experiment)) == experiment
    rule = experiment.circuit.active().rule
    assert (rule.reads_pre, rule.reads_post) == (("r",), ("error", "gain"))
    assert rule.parameters() == {"learning_rate": 7e-3, "decay": 1e-4}
    assert check_rule(rule).passes  # its decay is a constant of its own
    assert not check_rule(rule.replace(constants={"decay": -1e-4})).passes


@pytest.mark.compiled
def test_a_neuron_from_a_file_is_compiled_and_agrees():
    hidden = {"name": "equation", "rate": "u / (1 + abs(u))", "slope": "k * (1 - abs(r))**2", "constants": {"k": 1.0}}
    outcome = bioFA.verify(bioFA.load("linear", {"circuit.hidden": hidden}), presentations=200)
    assert outcome.agrees, str(outcome)


def test_a_neuron_from_text_computes_what_the_text_says():
    neuron, u = EquationNeuron(rate="a * u**3", slope="3 * a * u**2", constants={"a": 2.0}), np.array([-1.0, 0.5])
    np.testing.assert_allclose(neuron.r(u), [-2.0, 0.25])
    np.testing.assert_allclose(neuron.gain(u, neuron.r(u)), [6.0, 1.5])
    np.testing.assert_array_equal(EquationNeuron().gain(u, u), [1.0, 1.0])


REFUSED = [
    "__import__('os').system('true')",
    "().__class__",
    "w.shape",
    "w[0]",
    "lambda: w",
    "[w]",
    "{w}",
    "'w'",
    "w if w else w",
    "w and w",
    "not w",
    "w := 1",
    "f'{w}'",
    "print(w)",
    "eval(w)",
    "exec(w)",
    "open(w)",
    "exp",
    "exp(w, w)",
    "exp(x=w)",
    "exp(*w)",
    "w == w",
    "w < w",
    "int(w)",
    "int(w < w < w)",
    "w ^ 2",
    "w // 2",
    "w % 2",
    "1e400",
    "1j",
    "True",
    "None",
    "...",
    "w @ w",
    "~w",
    "w << 2",
    "unknown",
    "w = 1",
    "",
    " ",
    "w; w",
    "w\nw",
    "-" * 90 + "w",
    "w +" * 400 + "w",
    "exp.__call__(w)",
    "yield w",
    "await w",
    "w, w",
    "int(w > 1) > 0",
    "abs(w > 0)",
    "\x00w",
    "w + \\",
    "\uff57",
    "w\u1d62",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_on_the_list_is_refused(text):
    with pytest.raises(ModelError):
        parse(text, ["w", "T", "learning_rate"])


def test_a_tower_of_powers_is_not_computed_exactly():
    rule = Equation(equation="dw/dt = 99**99 * learning_rate * w / T")
    assert "99.0 ** 99.0" in rule.equations


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"equation": "learning_rate * w"}, "must begin with 'dw/dt ='"),
        ({"equation": "dv/dt = w"}, "must begin with 'dw/dt ='"),
        ({"equation": "dw/dt = learning_rat * r_pre"}, "Did you mean 'learning_rate'"),
        ({"equation": "dw/dt = tan(w)"}, "Did you mean 'tanh'"),
        ({"constants": {"w": 1.0}}, "means something else"),
        ({"constants": {"a_pre": 1.0}}, "means something else"),
        ({"constants": {"exp": 1.0}}, "means something else"),
        ({"constants": {"i": 1.0}}, "means something else"),
        ({"constants": {"lambda": 1.0}}, "means something else"),
        ({"constants": {"a b": 1.0}}, "no plain name"),
        ({"constants": {"a": float("nan")}}, "finite number"),
        ({"equation": "dw/dt = w ^ 2"}, r"Write a power as \*\*"),
    ],
)
def test_a_wrong_equation_is_refused_with_a_remedy(fields, words):
    with pytest.raises(ModelError, match=words):
        Equation(**fields)


def test_a_wrong_equation_in_a_file_says_where_it_is():
    with pytest.raises(
        ModelError,
        match=r"linear.toml \(circuit.schemes.fa.rule, as changed\): the equation uses the unknown name 'errr'",
    ):
        bioFA.load("linear", {"circuit.schemes.fa.rule": {"name": "equation", "equation": "dw/dt = errr"}})


@pytest.mark.parametrize(
    "tower", ["9**9**9**9*w", "9**9**9**(9 + 0*w)", "exp(exp(exp(9)))*w", "w*exp(exp(exp(8 + w - w)))"]
)
def test_constants_beyond_every_float_are_refused_before_sympy_computes_them(tower):
    with pytest.raises(ModelError, match="beyond every float"):
        parse(tower)


@pytest.mark.parametrize("text", ["9**64*w", "exp((w - v_post)/0.001)", "exp(1/w)", "tanh(5*w)**64", "1/(w - w)"])
def test_what_fits_a_float_is_left_alone(text):
    assert parse(text).names
