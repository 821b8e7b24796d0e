"""Weights, delays and dynamics that a text computes from the two neurons of each synapse."""

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, ModelError, Network, Pathway, Population, exchange
from bioFA.distributions import Text, read_distribution, written_distribution
from bioFA.instance import draw
from bioFA.neurons.equations import Equations
from bioFA.runs.trained import Trained
from bioFA.verification.free_run import verify_free

PLACES = {"x": {"name": "uniform", "low": "0 um", "high": "900 um"}, "y": {"name": "linear", "high": "300 um"}}


def cell(**parameters):
    return Equations(
        model="dv/dt = (1.2 - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : amp",
        ports={"exc": "amp"},
        arrival="I += exc; v += exc/nA",
        threshold="v > 1",
        reset="v = 0",
        initial={"v": {"name": "uniform"}},
        parameters=parameters,
    )


FAR, LATE = "0.5 nA * exp(-distance / (200 um))", "0.5 ms + distance / (0.3 m/s)"


def model(weights=FAR, delay=LATE, pre=PLACES, post=PLACES, **more):
    ends = {"source": "pre", "target": "post", "port": "exc"}
    given = {"connect": {"name": "fan_in", "count": 4}, "weights": weights, "delay": delay} | more
    return Experiment(
        name="spread",
        circuit=Network(
            populations=(
                Population("pre", size=7, neuron=cell(**pre)),
                Population("post", size=5, neuron=cell(**post)),
            ),
            pathways=(Pathway("spread", **ends, **given),),
        ),
        protocol={"duration": "100 ms", "dt": "0.1 ms"},
    )  # fmt: skip


def at_each(instance):
    """The two neurons of each synapse, and their distance in metres."""
    synapses, found = instance.synapses["spread"], instance.constants
    pre, post = synapses.pre, synapses.post
    apart = [found[f"pre.{axis}"][pre] - found[f"post.{axis}"][post] for axis in "xy"]
    return pre, post, np.hypot(*apart)


def test_weights_and_delays_are_those_of_the_distance():
    instance = draw(model(), 3)
    _, _, distance = at_each(instance)
    synapses = instance.synapses["spread"]
    assert len(set(distance)) == 20
    np.testing.assert_allclose(synapses.weights, 0.5e-9 * np.exp(-distance / 200e-6), rtol=1e-14)
    np.testing.assert_array_equal(synapses.delays, np.floor((0.5e-3 + distance / 0.3) / 1e-4 + 0.5))
    assert synapses.delays.max() > synapses.delays.min() + 5


def test_texts_name_numbers_parameters_and_dynamics_of_both_neurons():
    dynamics = {"name": "tsodyks_markram", "U": "0.1 + 0.8*i/n_pre", "tau_rec": "100*ms*(1 + j)"}
    instance = draw(model("(i + 10*j)*pA*int(x_pre > x_post)", "1 ms", dynamics=dynamics), 3)
    pre, post, _ = at_each(instance)
    synapses, places = instance.synapses["spread"], instance.constants
    later = places["pre.x"][pre] > places["post.x"][post]
    assert later.any()
    assert not later.all()
    np.testing.assert_allclose(synapses.weights, (pre + 10 * post) * 1e-12 * later)
    np.testing.assert_allclose(synapses.parameters["U"], 0.1 + 0.8 * pre / 7)
    np.testing.assert_allclose(synapses.parameters["tau_rec"], 0.1 * (1 + post))


def test_a_text_draws_nothing_so_that_other_draws_stay():
    text, plain = draw(model(), 3), draw(model("1 nA", "1 ms"), 3)
    np.testing.assert_array_equal(text.synapses["spread"].post, plain.synapses["spread"].post)
    np.testing.assert_array_equal(text.state["post.v"], plain.state["post.v"])


def test_a_run_is_that_of_the_same_numbers_as_values():
    text = draw(model(connect="all"), 3)
    synapses = text.synapses["spread"]
    values = draw(model(synapses.weights.tolist(), (synapses.delays * 1e-4).tolist(), connect="all"), 3)
    np.testing.assert_array_equal(values.synapses["spread"].delays, synapses.delays)
    spikes = [bioFA.simulate(one.experiment, 3, "numpy").spikes("post") for one in (text, values)]
    assert len(spikes[0][0]) > 20
    for mine, theirs in zip(*spikes, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.compiled
def test_the_compiled_program_has_the_same_numbers():
    verified = verify_free(model(), 3, trials=1)
    assert verified.agrees, str(verified)
    assert verified.spikes["post"][0] > 20


def test_a_matrix_may_have_delays_of_a_text():
    weights = bioFA.weights.Constant(value=1e-10)
    instance = draw(model(weights, {"axonal": "1 ms + 0.1 ms * i", "dendritic": "0.2*ms*j"}, connect=None), 3)
    parts = instance.delays["spread"]
    np.testing.assert_array_equal(parts["axonal"], np.tile(10 + np.arange(7), (5, 1)))
    np.testing.assert_array_equal(parts["dendritic"], np.tile(2 * np.arange(5)[:, None], (1, 7)))


def test_parts_of_populations_count_from_their_own_first_neuron():
    whole = Network(
        populations=(Population("pre", size=7, neuron=cell(x=[f"{n} um" for n in range(7)])),
                     Population("post", size=5, neuron=cell(x=[f"{10 * n} um" for n in range(5)]))),
        pathways=(Pathway("spread", source="pre[2:5]", target="post[1:3]", port="exc", connect="all",
                          weights="1 nA * (i + 10*j) + 1 nA/um * (x_pre + x_post)"),),
    )  # fmt: skip
    instance = draw(Experiment(name="part", circuit=whole, protocol={"duration": "1 ms", "dt": "0.1 ms"}), 1)
    synapses = instance.synapses["spread"]
    i, j = synapses.pre - 2, synapses.post - 1
    expected = i + 10 * j + synapses.pre + 10 * synapses.post
    np.testing.assert_allclose(synapses.weights, 1e-9 * expected)


def test_a_pathway_laid_as_another_reads_its_own_neurons():
    experiment = model()
    spread = experiment.network.pathway("spread")
    back = spread.replace(name="again", connect={"name": "as", "pathway": "spread"}, weights="1 nA * exp(-distance/mm)")
    network = experiment.network.replace(pathways=(spread, back))
    found = draw(experiment.replace(circuit=network), 3)
    _, _, distance = at_each(found)
    np.testing.assert_allclose(found.synapses["again"].weights, 1e-9 * np.exp(-distance / 1e-3))


def test_connect_where_has_no_time():
    with pytest.raises(ModelError, match=r"connect.p: the text uses the unknown name 't'"):
        model(connect={"name": "where", "p": "t > 1*second"})


def test_connect_where_knows_the_distance_too():
    instance = draw(model(connect={"name": "where", "p": "distance < 400*um"}), 3)
    pre, post, _ = at_each(instance)
    near = {
        (j, i)
        for j in range(7)
        for i in range(5)
        if np.hypot(*(instance.constants[f"pre.{a}"][j] - instance.constants[f"post.{a}"][i] for a in "xy")) < 400e-6
    }
    assert 0 < len(near) < 35
    assert set(zip(pre.tolist(), post.tolist(), strict=True)) == near


def test_bounds_refuse_or_clip():
    text = {"name": "text", "text": "distance/(100*um)*nA", "high": "3 nA"}
    with pytest.raises(ModelError, match=r"weights: 'distance/\(100\*um\)\*nA' is .* for the neurons . and .,"):
        draw(model(text), 3)
    instance = draw(model(text | {"outside": "clip"}), 3)
    _, _, distance = at_each(instance)
    np.testing.assert_allclose(instance.synapses["spread"].weights, np.minimum(distance / 1e-4, 3) * 1e-9)


@pytest.mark.parametrize(
    ("weights", "delay", "said"),
    [
        ("1 mV * exp(-distance / (200 um))", "1 ms", r"weights: '1 mV .* is in volt; expected amp"),
        ("1 nA * exp(-distance)", "1 ms", r"weights: .*exp.*metre"),
        ("1 nA * exp(-distance / (200 um))", "distance / (1 mm)", r"delay.axonal: .* is in 1; expected second"),
        ("1 nA * exp(-distanc_pre / (200 um))", "1 ms", r"weights: .*'distanc_pre'. Known: distance, dt"),
        ("1 nA * i * t / (1 s)", "1 ms", "weights: .*unknown name 't'. .*Known: distance, i, j, n_post, n_pre, x_post"),
        ("1 nA * int(distance > 100 um)", "1 ms", None),
        ("1 nA * (distance > 100 um)", "1 ms", "weights: .*is a condition; put int"),
        ("distance > 100 um", "1 ms", "weights: .* is a condition; write int"),
        ("1 nA * rand() * i", "1 ms", "draws numbers"),
        ("1 nA * i *", "1 ms", "cannot be read"),
    ],
)
def test_wrong_texts_are_refused_as_they_are_described(weights, delay, said):
    if said is None:
        assert draw(model(weights, delay), 3)
        return
    with pytest.raises(ModelError, match=said):
        model(weights, delay)


@pytest.mark.parametrize(
    ("weights", "delay", "said"),
    [
        ("1 nA / (i - 2)", "1 ms", "weights: '1 nA / .* is inf for the neurons 2 and "),
        ("1 nA", "1 ms - 0.5 ms * i", r"\d+ of 20 delays are negative"),
    ],
)
def test_values_that_cannot_be_are_refused_as_they_are_drawn(weights, delay, said):
    with pytest.raises(ModelError, match=said):
        draw(model(weights, delay), 3)


@pytest.mark.parametrize(
    ("pre", "post"),
    [
        (PLACES, {}),
        (PLACES, {"x": "3 um"}),
        ({"x": 1.0}, {"x": "3 um"}),
        ({"x": "1 um", "y": 3.0}, {"x": "1 um", "y": 3.0}),
    ],
)
def test_without_coordinates_that_both_have_there_is_no_distance(pre, post):
    with pytest.raises(ModelError, match="unknown name 'distance'"):
        model(pre=pre, post=post)


def test_neurons_have_no_two_neurons():
    with pytest.raises(ModelError, match=r"tau.* a text of two neurons is for weights, delays and dynamics"):
        Equations(model="dv/dt = -v/tau : 1", parameters={"tau": "10 ms + i*ms"})
    neuron = cell().replace(initial={"v": "0.1*i"})
    with pytest.raises(ModelError, match="'pre': v: a text of two neurons is for weights"):
        Network(populations=(Population("pre", size=3, neuron=neuron),), pathways=())


def test_a_text_survives_its_file_and_formats_without_a_place_refuse_it(tmp_path):
    experiment = model(dynamics={"name": "tsodyks_markram", "U": "0.1 + 0.05*j"})
    written = bioFA.dumps(experiment)
    assert 'weights = "0.5 nA * exp(-distance / (200 um))"' in written
    assert bioFA.loads(written) == experiment
    bounded = read_distribution({"name": "text", "text": "i*nA", "high": "3 nA"})
    assert read_distribution(written_distribution(bounded)) == bounded
    assert isinstance(bounded, Text)
    with pytest.raises(ModelError, match="NEST has no neuron like equations"):
        exchange.export(Trained(experiment, 1, 0, draw(experiment, 1).state), "sonata", tmp_path / "out")
    with pytest.raises(ModelError, match="for which NIR has no words"):
        exchange.export(Trained(experiment, 1, 0, draw(experiment, 1).state), "nir", tmp_path / "out")
