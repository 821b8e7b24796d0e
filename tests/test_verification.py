"""How the compiled program is compared with the reference: in shares of each variable's range, whatever its unit."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import pytest
from annotated_types import Gt
from hypothesis import given
from hypothesis import strategies as st

import bioFA
from bioFA import Experiment, Network, Pathway, Population, Protocol, Record
from bioFA.components import Number
from bioFA.consumers.base import Segment
from bioFA.consumers.reference import Reference
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.delta_rule import DeltaRule
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.units import Unit
from bioFA.verification.backends import TOLERANCE, compare, verify
from bioFA.weights import Constant, Identity, Normal

SCALES = st.floats(1e-9, 1e9)


@given(scale=SCALES, offset=st.floats(-100, 100), share=st.floats(2e-10, 1e-3), seed=st.integers(0, 999))
def test_the_verdict_does_not_depend_on_the_unit(scale, offset, share, seed):
    values = np.random.default_rng(seed).uniform(0, 1, (4, 50))
    wrong = values + share * np.ptp(values) * (np.arange(50) == 7)
    close = values + 0.4 * TOLERANCE * np.ptp(values) * (np.arange(50) == 7)
    for compiled, equal in ((wrong, False), (close, True)):
        found = compare("x", scale * (values + offset), scale * (compiled + offset))
        assert found.agrees is equal
        assert found.relative == pytest.approx(found.absolute / (scale * np.ptp(values)), rel=1e-6)


def test_small_weights_have_a_small_bound():
    weights = 1e-6 * np.random.default_rng(1).normal(size=(30, 20))
    # 1e-11 in size: 1e-10 as an absolute bound let it pass
    assert not compare("w", weights, weights * (1 + 1e-5)).agrees
    assert compare("w", weights, weights * (1 + 1e-12)).agrees


@given(size=SCALES)
def test_what_never_changes_is_compared_in_its_size(size):
    values = np.full(5, size)
    assert compare("x", values, values * (1 + 5e-11)).agrees
    assert not compare("x", values, values * (1 + 3e-10)).agrees
    assert compare("x", np.zeros(5), np.zeros(5)).agrees
    assert not compare("x", np.zeros(5), np.full(5, 1e-300)).agrees


def test_a_variable_that_hardly_moves_may_differ_by_rounding_in_every_step_and_no_more():
    weights = 1.0 + 1e-7 * np.linspace(0, 1, 9)
    assert compare("w", weights, weights + 1e-12, steps=10_000).agrees
    assert not compare("w", weights, weights + 1e-12, steps=1000).agrees
    assert not compare("w", weights, weights + 1e-11, steps=10_000).agrees
    assert not compare("w", weights, weights + 2e-10, steps=10**9).agrees


def test_the_range_is_that_of_the_whole_run_where_it_is_known():
    late = np.array([1e-3, 1.1e-3])
    assert not compare("v", late, late + 1e-11).agrees
    assert compare("v", late, late + 1e-11, {"v": (0.0, 1.0)}).agrees
    assert compare("v", late, late + 1e-11, {"v": (0.0, 1.0)}).range == 1.0


def test_a_counter_that_is_one_off_differs_whatever_it_counts():
    counters = np.array([0.0, 3.0, 3.0, 1_000_000.0])
    assert not compare("left", counters, counters + np.array([0, 0, 1, 0])).agrees


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_never_agrees(broken):
    assert not compare("x", np.ones(3), np.array([1.0, broken, 1.0])).agrees
    assert not compare("x", np.array([0.0, broken, 1.0]), np.array([0.0, broken, 1.0])).agrees


class Izhikevich(SpikingNeuron):
    """dv/dt = 0.04 v^2 + 5 v + 140 - u + drive, du/dt = a (b v - u), in mV and ms; at 30 mV v = c, u += d.
    Izhikevich (2003), eqs. 1 to 3."""

    a: Annotated[Number, Gt(0)] = 0.02
    per: Annotated[Number, Unit("s"), Gt(0)] = 1e-3
    unit_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0

    ports: ClassVar[tuple[str, ...]] = ("drive",)
    publishes: ClassVar[tuple[str, ...]] = ("s", "train", "r", "potential")
    state: ClassVar[Mapping[str, float]] = {"v": -65.0, "u": -13.0, "fired": 0.0, **SpikingNeuron.state}

    def s(self, fired):
        return fired.copy()

    def train(self, s, dt):
        return s / (self.unit_rate * dt)

    def potential(self, v):
        return v.copy()

    def unit(self):
        return self.unit_rate

    def advance(self, state, now, dt):
        v, u, h = state["v"], state["u"], dt / self.per
        v, u = v + h * ((0.04 * v + 5.0) * v + 140.0 - u + now["drive"]), u + h * self.a * (0.2 * v - u)
        passed = v >= 30.0
        return {
            **super().advance(state, now, dt),
            "v": np.where(passed, -65.0, v),
            "u": np.where(passed, u + 8.0, u),
            "fired": passed.astype(float),
        }

    def expressions(self):
        return {"s": "fired", "train": "s/(unit_rate*dt)", "r": "filtered", "potential": "v"}

    def dynamics(self):
        return (
            f"dv/dt = (0.04*v**2 + 5*v + 140 - u + drive)/per : 1\ndu/dt = a*(0.2*v - u)/per : 1\n{super().dynamics()}"
        )

    def integration(self):
        return "euler"

    def spiking(self):
        return "fired = 1.0*int(v >= 30)\nu = u + 8*fired\nv = v*(1 - fired) - 65*fired"


def cortex() -> Experiment:
    """Eighty Izhikevich neurons under a steady current, coupled, and a readout that learns."""
    populations = (
        Population("shown", size=4, neuron=RateSource()),
        Population("tonic", size=1, neuron=ConstantSource()),
        Population("cells", size=80, neuron=Izhikevich()),
        Population("answer", size=2, neuron=StaticRate()),
        Population("wanted", size=2, neuron=RateSource(of="targets")),
        Population("mismatch", size=2, neuron=ErrorUnit()),
    )
    pathways = (
        Pathway("shown_to_cells", source="shown", target="cells", weights=Normal(scale=0.5)),
        Pathway("tonic_to_cells", source="tonic", target="cells", weights=Constant(value=10.0)),
        Pathway("cells_to_cells", source="cells", target="cells", carries="train", weights=Normal(scale=0.02)),
        Pathway(
            "cells_to_answer",
            source="cells",
            target="answer",
            weights=Normal(scale=0.1),
            plasticity=DeltaRule(learning_rate=1e-3),
        ),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
        Pathway("mismatch_to_answer", source="mismatch", target="answer", port="error", weights=Identity()),
    )
    return Experiment(
        name="cortex", circuit=Network(populations=populations, pathways=pathways),
        task=LinearTeacher(n_in=4, n_out=2, examples=20, test_examples=5),
        protocol=Protocol(dt="0.5 ms", presentation="100 ms", epochs=2), record=Record(variables=("cells.potential",)),
    )


@pytest.mark.compiled
def test_a_correct_neuron_in_millivolts_agrees_and_its_range_is_printed():
    outcome = verify(cortex(), presentations=40)
    assert outcome.agrees, str(outcome)
    assert outcome.spikes["cells"][0] > 1000
    assert outcome.states["cells.v"].range > 80
    assert outcome.summary()["ranges"]["cells.v"] == outcome.states["cells.v"].range
    assert f"of a range of {outcome.states['cells.v'].range:.3g}" in str(outcome)


@pytest.mark.slow
@pytest.mark.compiled
def test_a_unit_as_text_in_millivolts_agrees():
    text = {"name": "equation", "rate": "20*tanh(u) - 65", "slope": "20*(1 - tanh(u)**2)"}
    rates = {f"circuit.schemes.fa.{rule}.learning_rate": 1e-6 for rule in ("rule", "readout_rule")}
    outcome = verify(
        bioFA.load("linear", {"circuit.hidden": text, "record.variables": ["hidden.r"], **rates}), presentations=100
    )
    assert outcome.agrees, str(outcome)
    assert 0 < outcome.records["hidden.r"].range < 65


@pytest.mark.compiled
def test_a_small_wrong_term_in_millivolts_differs(monkeypatch):
    right = Izhikevich.advance

    def advance(self, state, now, dt):
        new = right(self, state, now, dt)
        return {**new, "u": new["u"] + 1e-6 * dt / self.per}

    monkeypatch.setattr(Izhikevich, "advance", advance)
    outcome = verify(cortex(), presentations=20)
    assert not outcome.agrees
    assert "cells.u" in outcome.first_excess
    assert "DIFFER" in str(outcome)


class Nearly(Reference):
    """A consumer one of whose pathways ends each segment with weights that are a little too large."""

    pathway = "input_to_hidden.w"

    def segment(self, *arguments, **keywords):
        right = super().segment(*arguments, **keywords)
        wrong = right.state | {self.pathway: right.state[self.pathway] * (1 + 1e-5)}
        return Segment(wrong, right.recording, right.rasters)


@pytest.mark.parametrize("size", [1.0, 1e-6])
def test_a_wrong_share_of_the_weights_is_seen_at_any_size(size):
    experiment = bioFA.load(
        "linear",
        {"circuit.weights": {"name": "normal", "scale": size}, "circuit.schemes.fa.rule.learning_rate": 1e-6 * size},
    )
    instance = bioFA.instance.draw(experiment, 1)
    outcome = verify(experiment, presentations=2, against=Nearly(instance))
    assert "input_to_hidden.w" in outcome.first_excess
    assert outcome.differences["input_to_hidden.w"] < 1e-4 * size


def test_the_reference_keeps_extremes_of_every_step():
    instance = bioFA.instance.draw(bioFA.load("digits_spiking", {"circuit.sizes": [64, 10, 10]}), 1)
    node = bioFA.network.Node("hidden", "v")
    segment = Reference(instance).segment(instance.state, instance.training(0, 2), True, watched=[node], extremes=True)
    low, high = segment.extremes["hidden.v"]
    course = segment.courses["hidden.v"]
    assert low <= course.min() + 1e-6
    assert high >= course.max() - 1e-6
    assert high - low > 1.5 * np.ptp(segment.state["hidden.v"])
    assert set(segment.extremes) >= {*instance.state, *segment.recording.arrays}




def test_a_wrong_number_that_a_run_prints_is_caught(monkeypatch):
    experiment = bioFA.load("digits", {"protocol.epochs": 1})
    instance = bioFA.draw(experiment, 1)

    class Wrong(Reference):
        """Answers rightly while it learns, and a little wrong when it is asked."""

        def segment(self, state, feed, learning, **options):
            found = super().segment(state, feed, learning, **options)
            if not learning:
                for array in found.recording.arrays.values():
                    array += 1e-8
            return found

    right, wrong = (verify(experiment, presentations=200, against=side(instance)) for side in (Reference, Wrong))
    assert right.agrees
    assert {"nse", "validation_nse", "validation_error", "test_nse", "test_error"} <= set(right.records)
    assert set(wrong.first_excess) == {"validation_nse", "test_nse"}
    assert "test_nse" in str(wrong)
