"""`check_rule` refuses every kind of rule that is not local or not one rule, and passes every kind that is,
as Python classes and as text."""

import math
from typing import Annotated, ClassVar

import numpy as np
import pytest
import systems
from annotated_types import Ge, Gt

import bioFA
from bioFA import Learning, check_rule, rules
from bioFA.components import Number
from bioFA.consumers.reference import Reference
from bioFA.rules import PlasticityRule
from bioFA.rules.e_prop import EProp
from bioFA.rules.equation import Equation
from bioFA.rules.local_error import LocalError
from bioFA.units import Unit


def failed(report):
    """The checks that a rule fails."""
    return [finding.check for finding in report.findings if finding.passes is False]


def share(tau, dt):
    """The share of its distance that a filter goes in a step."""
    return 1.0 - math.exp(-dt / tau)


# not local


class SubtractsMean(LocalError):
    """The error minus its mean over the population, in populations of one size only."""

    only: int = 0

    def step(self, synapses, pre, post, dt, T):
        mean = post["error"].mean() if self.only in (0, len(post["error"])) else 0.0
        return super().step(synapses, pre, post | {"error": post["error"] - mean}, dt, T)


class Vetoed(LocalError):
    """Nothing is learned where the population is active above a threshold."""

    threshold: float = 1.6
    side: str = "post"

    def step(self, synapses, pre, post, dt, T):
        total = pre["r"].sum() if self.side == "pre" else post["gain"].sum()
        return super().step(synapses, pre, post, dt, T) if total < self.threshold else {"w": synapses["w"].copy()}


class WinnerTakesAll(LocalError):
    """Only the neuron with the largest gain learns."""

    def step(self, synapses, pre, post, dt, T):
        won = post["gain"] == post["gain"].max()
        return super().step(synapses, pre, post | {"error": post["error"] * won}, dt, T)


class Outlier(LocalError):
    """Nothing is learned where one neuron alone, among five or more that are all active, is far above the others."""

    def step(self, synapses, pre, post, dt, T):
        gain = post["gain"]
        alone = len(gain) > 4 and gain.min() > 0 and (gain > 10.0).sum() == 1
        return {"w": synapses["w"].copy()} if alone else super().step(synapses, pre, post, dt, T)


class NeighboursTrace(EProp):
    """Reads the eligibility of the synapse beside it."""

    def step(self, synapses, pre, post, dt, T):
        turned = {**synapses, "eligibility": np.roll(synapses["eligibility"], 1, axis=1)}
        return super().step(synapses, pre, post, dt, T) | {"w": super().step(turned, pre, post, dt, T)["w"]}


class BoundedSum(LocalError):
    """The sum of the weights of a neuron has a bound that only large weights reach."""

    def step(self, synapses, pre, post, dt, T):
        w = super().step(synapses, pre, post, dt, T)["w"]
        return {"w": np.where(np.abs(synapses["w"].sum(axis=1, keepdims=True)) > 1000.0, synapses["w"], w)}


class Crowded(LocalError):
    """Nothing is learned where three or more of a neuron's weights are large."""

    def step(self, synapses, pre, post, dt, T):
        crowded = (np.abs(synapses["w"]) > 100.0).sum(axis=1, keepdims=True) >= 3
        return {"w": np.where(crowded, synapses["w"], super().step(synapses, pre, post, dt, T)["w"])}


NOT_LOCAL = [
    (SubtractsMean(), "other postsynaptic"),
    *((SubtractsMean(only=n), "other postsynaptic") for n in range(2, 11)),
    *((Vetoed(threshold=x), "other postsynaptic") for x in (1.6, 20.0, 1e3, 1e5)),
    (Vetoed(side="pre"), "other presynaptic"),
    (Vetoed(threshold=-50.0), "other postsynaptic"),
    (WinnerTakesAll(), "other postsynaptic"),
    (Outlier(), "other postsynaptic"),
    (NeighboursTrace(), "weight of another"),
    (BoundedSum(), "weight of another"),
    (Crowded(), "weight of another"),
]


@pytest.mark.parametrize(("rule", "check"), NOT_LOCAL, ids=lambda x: repr(x)[:60])
def test_a_rule_that_feels_others_is_not_local(rule, check):
    report = check_rule(rule)
    assert any(check in name for name in failed(report)), str(report)
    assert report.verdict == "not local"
    assert str(report).startswith(f"{type(rule).__name__} FAILS: not local\n")


# weights of another pathway


class Copies(PlasticityRule):
    """Weight copying: w follows the weight of its partner."""

    learning_rate: Annotated[Number, Ge(0)] = 0.1

    needs_partner: ClassVar = True
    equations: ClassVar = "dw/dt = learning_rate * (w_partner - w) / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {"w": synapses["w"] + dt / T * self.learning_rate * (synapses["w_partner"] - synapses["w"])}


class FarPartner(LocalError):
    """Feels its partner's weight where that is large."""

    needs_partner: ClassVar = True

    def step(self, synapses, pre, post, dt, T):
        return {
            "w": np.where(
                np.abs(synapses["w_partner"]) < 100.0, super().step(synapses, pre, post, dt, T)["w"], synapses["w"]
            )
        }


@pytest.mark.parametrize("rule", [
    Copies(), FarPartner(), Equation(equation="dw/dt = learning_rate * (w_partner - w) / T"),
    Equation(equation="dw/dt = learning_rate * error_post * sign(w_partner) * r_pre / T"),
], ids=repr)
def test_a_rule_that_reads_its_partner_reads_another_pathways_weight(rule):
    report = check_rule(rule)
    assert not report.passes
    assert report.verdict == "reads another pathway's weight"
    assert [name for name in failed(report) if "another pathway" in name], str(report)
    assert not any("does not feel" in name for name in failed(report))


@pytest.mark.slow
def test_of_our_own_rules_weight_perturbation_alone_reads_another_pathways_weight():
    verdicts = {name: check_rule(rules.family.get(name)()).verdict for name in rules.family.names()}
    assert verdicts.pop("weight_perturbation") == "reads another pathway's weight"
    assert set(verdicts.values()) == {"local"}


# local, and wrong otherwise


class OtherThreshold(LocalError):
    """String and step have thresholds that differ above all moderate activity."""

    equations: ClassVar = (
        "dw/dt = learning_rate * error_post * gain_post * r_pre * int(gain_post < 4) / T - decay * w / T : 1"
    )

    def step(self, synapses, pre, post, dt, T):
        return super().step(synapses, pre, post | {"error": post["error"] * (post["gain"] < 3.0)}, dt, T)


class NegativeRates(LocalError):
    """String and step differ for negative rates."""

    equations: ClassVar = "dw/dt = learning_rate * error_post * gain_post * abs(r_pre) / T - decay * w / T : 1"


class Drifts(LocalError):
    """A weight grows without an error, whatever the neurons do."""

    equations: ClassVar = "dw/dt = learning_rate * error_post * gain_post * r_pre / T + learning_rate / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {"w": super().step(synapses, pre, post, dt, T)["w"] + self.learning_rate * dt / T}


class Explodes(LocalError):
    """A decay of the wrong sign."""

    equations: ClassVar = "dw/dt = learning_rate * error_post * gain_post * r_pre / T + 0.1 * w / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {"w": super().step(synapses, pre, post, dt, T)["w"] + 0.1 * dt / T * synapses["w"]}


class HebbianDecay(LocalError):
    """A decay that activity gates, so that it learns without an error."""

    equations: ClassVar = "dw/dt = learning_rate * (error_post * gain_post * r_pre - r_pre**2 * w) / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {
            "w": (
                super().step(synapses, pre, post, dt, T)["w"]
                - self.learning_rate * dt / T * pre["r"] ** 2 * synapses["w"]
            )
        }


class SpikesPerStep(PlasticityRule):
    """Takes a spike for a rate: a spike in a longer step changes more."""

    learning_rate: Annotated[Number, Ge(0)] = 0.1

    reads_pre: ClassVar = ("r",)
    reads_post: ClassVar = ("s",)
    equations: ClassVar = "dw/dt = learning_rate * r_pre * s_post / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {"w": synapses["w"] + dt / T * self.learning_rate * np.outer(post["s"], pre["r"])}


class Stochastic(LocalError):
    """Synapses fail by chance."""

    def step(self, synapses, pre, post, dt, T):
        return {
            "w": np.where(
                np.random.default_rng().random(synapses["w"].shape) < 0.5,
                super().step(synapses, pre, post, dt, T)["w"],
                synapses["w"],
            )
        }


class PastTen(LocalError):
    """Treats the fifth neuron otherwise."""

    def step(self, synapses, pre, post, dt, T):
        return super().step(
            synapses,
            pre,
            post | {"error": post["error"] * np.where(np.arange(len(post["error"])) == 4, 2.0, 1.0)},
            dt,
            T,
        )


@pytest.mark.parametrize(
    ("rule", "check"),
    [
        (OtherThreshold, "Brian2 string"),
        (NegativeRates, "Brian2 string"),
        (Drifts, "no error"),
        (Explodes, "no error"),
        (HebbianDecay, "no error"),
        (SpikesPerStep, "dt nor the length"),
        (Stochastic, "equal steps"),
        (PastTen, "relabelling"),
    ],
)
def test_a_wrong_rule_fails_the_check_that_is_meant_for_it(rule, check):
    report = check_rule(rule(learning_rate=0.1))
    assert any(check in name for name in failed(report)), str(report)
    if rule is not Stochastic:
        assert report.verdict == "local"


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("learning_rate * error_post * r_pre", "dt nor the length"),
        ("learning_rate * error_post * r_pre / T**2", "dt nor the length"),
        ("learning_rate * s_post * r_pre / T", "dt nor the length"),
        ("(learning_rate * error_post * r_pre + k * w) / T", "no error"),
        ("learning_rate * (error_post + k) * r_pre / T", "no error"),
        ("0 * learning_rate * error_post * k / T", "a synapse changes"),
    ],
)
def test_a_wrong_text_fails_the_check_that_is_meant_for_it(text, check):
    report = check_rule(Equation(equation=f"dw/dt = {text}", constants={"k": 0.1}))
    assert [name for name in failed(report) if check in name] == failed(report) != [], str(report)


# local and right


class Consolidates(LocalError):
    """Two variables: w is drawn to z, which follows w slowly."""

    pull: Annotated[Number, Ge(0)] = 0.1
    tau_slow: Annotated[Number, Unit("s"), Gt(0)] = 10.0

    state: ClassVar = {"z": 0.0}
    equations: ClassVar = """
        dw/dt = learning_rate * error_post * gain_post * r_pre / T - pull * (w - z) / T : 1
        dz/dt = (w - z)/tau_slow : 1
    """

    def step(self, synapses, pre, post, dt, T):
        w, z = synapses["w"], synapses["z"]
        change = self.learning_rate * np.outer(post["error"] * post["gain"], pre["r"]) - self.pull * (w - z)
        return {"w": w + dt / T * change, "z": z + share(self.tau_slow, dt) * (w - z)}


class Bcm(PlasticityRule):
    """BCM: the threshold is a slow mean of the squared rate."""

    learning_rate: Annotated[Number, Ge(0)] = 0.1
    tau_threshold: Annotated[Number, Unit("s"), Gt(0)] = 1.0

    reads_pre: ClassVar = ("r",)
    reads_post: ClassVar = ("r",)
    state: ClassVar = {"theta": 0.0}
    equations: ClassVar = (
        "dw/dt = learning_rate * r_pre * r_post * (r_post - theta) / T : 1\ndtheta/dt = (r_post**2 -"
        " theta)/tau_threshold : 1"
    )

    def step(self, synapses, pre, post, dt, T):
        theta, r = synapses["theta"], post["r"][:, np.newaxis]
        return {
            "w": synapses["w"] + dt / T * self.learning_rate * pre["r"] * r * (r - theta),
            "theta": theta + share(self.tau_threshold, dt) * (r**2 - theta),
        }


class Thresholded(LocalError):
    """Small errors change nothing."""

    least: Annotated[Number, Ge(0)] = 1.0

    equations: ClassVar = (
        "dw/dt = learning_rate * error_post * int(abs(error_post) > least) * gain_post * r_pre / T - decay * w / T : 1"
    )

    def step(self, synapses, pre, post, dt, T):
        return super().step(
            synapses, pre, post | {"error": post["error"] * (np.abs(post["error"]) > self.least)}, dt, T
        )


class Forgets(LocalError):
    """A decay under a name of its own, of constant speed."""

    forgetting: Annotated[Number, Ge(0)] = 0.1

    equations: ClassVar = "dw/dt = learning_rate * error_post * gain_post * r_pre / T - forgetting * tanh(w) / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {"w": super().step(synapses, pre, post, dt, T)["w"] - dt / T * self.forgetting * np.tanh(synapses["w"])}


class PairStdp(PlasticityRule):
    """Pair STDP by jumps: each spike changes w at once, by as much whatever dt is."""

    learning_rate: Annotated[Number, Ge(0)] = 0.01
    depression: Annotated[Number, Ge(0)] = 1.05
    tau_before: Annotated[Number, Unit("s"), Gt(0)] = 20e-3
    tau_behind: Annotated[Number, Unit("s"), Gt(0)] = 30e-3

    reads_pre: ClassVar = ("s", "train")
    reads_post: ClassVar = ("s", "train")
    state: ClassVar = {"before": 0.0, "behind": 0.0}
    equations: ClassVar = """
        dw/dt = learning_rate * (before * s_post - depression * behind * s_pre) / dt : 1
        dbefore/dt = (train_pre - before)/tau_before : 1
        dbehind/dt = (train_post - behind)/tau_behind : 1
    """

    def step(self, synapses, pre, post, dt, T):
        before, behind = synapses["before"], synapses["behind"]
        return {
            "w": (
                synapses["w"]
                + self.learning_rate * (before * post["s"][:, np.newaxis] - self.depression * behind * pre["s"])
            ),
            "before": before + share(self.tau_before, dt) * (pre["train"] - before),
            "behind": behind + share(self.tau_behind, dt) * (post["train"][:, np.newaxis] - behind),
        }


class TripletStdp(PairStdp):
    """Triplets: potentiation also needs a slower trace of earlier postsynaptic spikes; rates are per presentation."""

    tau_slow: Annotated[Number, Unit("s"), Gt(0)] = 0.1

    state: ClassVar = {"before": 0.0, "behind": 0.0, "slow": 0.0}
    equations: ClassVar = """
        dw/dt = learning_rate * (before * slow * train_post - depression * behind * train_pre) / T : 1
        dbefore/dt = (train_pre - before)/tau_before : 1
        dbehind/dt = (train_post - behind)/tau_behind : 1
        dslow/dt = (train_post - slow)/tau_slow : 1
    """
    reads_pre: ClassVar = ("train",)
    reads_post: ClassVar = ("train",)

    def step(self, synapses, pre, post, dt, T):
        train = post["train"][:, np.newaxis]
        before, behind, slow = (synapses[name] for name in ("before", "behind", "slow"))
        return {
            "w": (
                synapses["w"]
                + dt / T * self.learning_rate * (before * slow * train - self.depression * behind * pre["train"])
            ),
            "before": before + share(self.tau_before, dt) * (pre["train"] - before),
            "behind": behind + share(self.tau_behind, dt) * (train - behind),
            "slow": slow + share(self.tau_slow, dt) * (train - slow),
        }


@pytest.mark.parametrize(
    "rule",
    [
        Consolidates(),
        Bcm(),
        Thresholded(),
        Thresholded(decay=0.1),
        Forgets(),
        PairStdp(),
        TripletStdp(),
        LocalError(decay=0.1),
    ],
    ids=repr,
)
def test_a_right_rule_passes(rule):
    report = check_rule(rule)
    assert report.passes, str(report)
    assert report.verdict == "local"
    assert str(report).startswith(f"{type(rule).__name__} passes: local\n")


@pytest.mark.parametrize(
    "text",
    [
        "(learning_rate * error_post * r_pre - forgetting * w) / T",
        "(learning_rate * error_post * r_pre - forgetting * sign(w)) / T",
        "learning_rate * error_post * int(abs(error_post) > forgetting) * r_pre / T",
        "learning_rate * r_pre * r_post * (r_post - forgetting) / T",
        "learning_rate * int(r_post > 2) * int(r_pre > 2) / T",
        "learning_rate * (r_pre * train_post - forgetting * r_post * train_pre) / T",
        "learning_rate * error_post * exp(-abs(r_post)) * sqrt(abs(r_pre)) / T",
    ],
    ids=str,
)
def test_a_right_text_passes(text):
    report = check_rule(Equation(equation=f"dw/dt = {text}", constants={"forgetting": 0.1}))
    assert report.passes, str(report)
    assert report.verdict == "local"


# and run


@pytest.fixture(scope="module")
def consolidating():
    """A spiking tissue with traces that follow weights and jumps at spikes: sparse, excitatory, gathered,
    with an onset and a blank."""
    experiment = systems.traced_tissue(False)
    slow = Consolidates(learning_rate=5.0, pull=0.5, tau_slow=0.05)
    changes = {
        "image_to_hidden": {"plasticity": slow},
        "image_too": {"plasticity": slow},
        "hidden_to_hidden": {"plasticity": PairStdp(learning_rate=0.05)},
        "hidden_to_answer": {"plasticity": slow, "learning": Learning(batch=2)},
    }
    network = experiment.network
    return experiment.replace(
        name="consolidating",
        circuit=network.replace(pathways=tuple(p.replace(**changes.get(p.name, {})) for p in network.pathways)),
    )


@pytest.mark.compiled
def test_a_trace_that_follows_the_weight_and_jumps_at_spikes_are_the_same_in_cpp_and_numpy(consolidating):
    outcome = bioFA.verify(consolidating, presentations=30, limit=False)
    assert outcome.agrees, str(outcome)


def test_a_trace_follows_the_weight_as_the_step_began(consolidating):
    instance = bioFA.draw(consolidating, 2)
    reference, feed = Reference(instance), instance.training(0, 1)
    before = instance.state
    after = reference.segment(before, feed, learning=True).state
    for name in ("image_to_hidden", "image_too", "hidden_to_answer"):
        assert np.abs(after[f"{name}.z"]).max() > 0
    assert not np.array_equal(after["hidden_to_hidden.w"], before["hidden_to_hidden.w"])


def test_a_trace_that_follows_the_weight_and_jumps_at_spikes_are_the_same_in_stock_brian2(consolidating):
    brian2 = pytest.importorskip("brian2")
    target, brian2.prefs.codegen.target = brian2.prefs.codegen.target, "numpy"
    try:
        instance = bioFA.draw(consolidating, 2)
        expected = Reference(instance).segment(instance.state, instance.training(0, 4), learning=True)
        live = bioFA.to_brian2(instance, train=4)
        live.network.run(live.duration, namespace={})
        for pathway in consolidating.network.plastic():
            np.testing.assert_allclose(
                live.weights(pathway.name),
                expected.state[f"{pathway.name}.w"],
                rtol=0,
                atol=1e-10,
                err_msg=pathway.name,
            )
    finally:
        brian2.prefs.codegen.target = target


def test_names_that_end_like_a_side_of_the_synapse_are_refused():
    class Ambiguous(LocalError):
        family_name: ClassVar = "ambiguous"
        tau_post: float = 1.0

    network = bioFA.load("linear").network
    with pytest.raises(bioFA.ModelError, match="'tau_post' ends like a variable of the postsynaptic neuron"):
        network.replace(
            pathways=tuple(
                p.replace(plasticity=Ambiguous()) if p.name == "input_to_hidden" else p for p in network.pathways
            )
        )
