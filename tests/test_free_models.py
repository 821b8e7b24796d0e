"""The built-in models without a teacher, made small: they run, do what their papers say, and are drawn as figures."""

import numpy as np
import pytest

import bioFA
from bioFA.instance import draw
from bioFA.show import figures

FREE = [name for name in bioFA.builtin_models() if bioFA.load(name).free]


def test_there_are_models_without_a_teacher():
    assert {"random_ei", "coba"} <= set(FREE)


def test_random_ei_declares_what_a_comparison_tabulates():
    labels = [measure.label for measure in bioFA.load("random_ei").measures]
    assert labels == ["exc.rate", "exc.cv", "exc.synchrony", "inh.rate"]


@pytest.fixture(scope="module")
def brunel():
    """The rate of the excitatory neurons of Brunel's network, a tenth of its size, by g and the rate from outside."""

    def rate(g, nu_ext):
        changes = {"constants.order": 250, "constants.J": "1 mV", "constants.g": g, "constants.nu_ext": nu_ext}
        experiment = bioFA.load("random_ei", changes | {"protocol.duration": "400 ms", "protocol.warm_up": "100 ms"})
        return bioFA.simulate(experiment, seed=1).metrics

    return rate


@pytest.mark.slow
@pytest.mark.compiled
def test_inhibition_lowers_the_rate_and_excitation_saturates_it(brunel):
    """Figure 2 of Brunel (2000): near 1/t_ref = 500 Hz where g < 4, far below where inhibition dominates."""
    excited, balanced, inhibited = brunel(3, 2), brunel(5, 2), brunel(8, 2)
    assert excited["exc.rate"] > 200
    assert 10 < inhibited["exc.rate"] < balanced["exc.rate"] < 80
    assert balanced["exc.cv"] > 0.3  # irregular, not a clock


@pytest.mark.slow
@pytest.mark.compiled
def test_the_mean_potential_that_comes_from_outside_is_as_high_as_said():
    """nu_ext = 1 brings the mean potential, without recurrent spikes, to the threshold: v = J C_E tau nu = theta."""
    changes = {"constants.order": 250, "constants.nu_ext": 0.5, "circuit.pathways": [], "protocol.duration": "300 ms"}
    experiment = bioFA.load("random_ei", changes)
    record = experiment.record.replace(
        traces=({"population": "exc", "variables": ("v",), "neurons": tuple(range(200)), "from": "100 ms"},), spikes=()
    )
    result = bioFA.simulate(experiment.replace(record=record), seed=1)
    assert np.mean(result.traces[0]["v"]) == pytest.approx(0.5 * 20e-3, rel=0.05)


def test_the_synapses_of_the_full_networks_are_as_many_as_the_papers_say():
    coba = draw(bioFA.load("coba"), 1).synapses
    assert len(coba["exc_to_exc"].post) == pytest.approx(0.02 * 3200**2, rel=0.01)
    small = draw(bioFA.load("random_ei", {"constants.order": 250}), 1)
    assert np.all(np.bincount(small.synapses["exc_to_inh"].post, minlength=250) == 100)
    assert small.constants["exc.background_0_rate"] * 100 == pytest.approx(2 * 20e-3 / (0.1e-3 * 20e-3))


@pytest.mark.slow
@pytest.mark.compiled
def test_a_model_is_drawn_from_what_was_recorded(tmp_path):
    result = bioFA.simulate(bioFA.load("coba", {"protocol.duration": "50 ms", "protocol.warm_up": "0 ms"}), seed=1)
    figures.save_all(result, tmp_path)
    assert {"raster.png", "traces.png", "spectrum.png"} <= {path.name for path in tmp_path.iterdir()}
