"""A description survives its file, an instance follows from names and a seed alone,
and neither can be changed afterwards."""

import ast
from pathlib import Path

import numpy as np
import pytest
import systems
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import neurons, rules, schemes, units
from bioFA.components import Component
from bioFA.errors import ModelError
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import NOISE_BLOCK, draw, stream
from bioFA.measures.record import Record
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.local_error import LocalError
from bioFA.rules.node_perturbation import NodePerturbation as NodePerturbationRule
from bioFA.schemes import Layered
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.tasks.tanh_teacher import TanhTeacher
from bioFA.weights import Constant, Identity, LowRank, Normal, Orthogonal, SharedWith, Uniform, Values

# ---------------------------------------------------------------------------------- descriptions

finite = st.floats(allow_nan=False, allow_infinity=False)
bounded = st.floats(min_value=-8e307, max_value=8e307)  # the width of a range is finite, too
positive = st.floats(min_value=1e-12, max_value=1e12)
sizes = st.integers(min_value=1, max_value=5)
names = st.from_regex(r"[a-z][a-z0-9]{2,5}_[a-z0-9]{1,3}", fullmatch=True)
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
titles = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.isprintable)
activations = st.sampled_from(["linear", "tanh", "logistic", "rectified"])
learning_rates = st.floats(min_value=0, allow_infinity=False)

free_weights = st.one_of(
    st.tuples(bounded, bounded).map(lambda ends: Uniform(low=min(ends), high=max(ends))),
    st.builds(Normal, scale=st.floats(min_value=0, allow_infinity=False), mean=finite),
    st.builds(Orthogonal, scale=finite),
    st.builds(LowRank, rank=sizes, scale=positive),
    st.builds(Constant, value=finite),
)

PARTICULAR = ("arbp", "dfa", "frsf", "ifa", "kp", "wm")
"""Schemes whose feedback learns, gives its signs away, or does not come from the layer above: an identity,
or values of that shape, is refused."""


@st.composite
def weights(draw_, shape):
    """Weights that fit a shape `(n_post, n_pre)`."""
    row = st.tuples(*[finite] * shape[1])
    fitting = [free_weights, st.tuples(*[row] * shape[0]).map(lambda rows: Values(values=rows))]
    if shape[0] == shape[1]:
        fitting.append(st.builds(Identity, scale=finite))
    return draw_(st.one_of(fitting))


@st.composite
def settings_of_schemes(draw_):
    """Every scheme with rates of its own."""
    found = {}
    for name in schemes.family.names():
        fields = {
            "rule": LocalError(learning_rate=draw_(learning_rates)),
            "readout_rule": DeltaRule(learning_rate=draw_(learning_rates)),
        }
        if name == "np":
            fields = fields | {
                "rule": NodePerturbationRule(learning_rate=draw_(learning_rates)),
                "sigma": draw_(st.floats(min_value=1e-3, max_value=10)),
            }
        found[name] = schemes.family.get(name)(**fields)
    return found


def times(draw_):
    """A protocol with times that are whole steps."""
    dt, steps = draw_(positive), draw_(st.integers(2, 50))
    return {"dt": dt, "presentation": steps * dt, "learning_onset": draw_(st.integers(0, steps - 1)) * dt}


@st.composite
def layered_experiments(draw_):
    """A layered circuit of any depth, scheme, activation and weights, as a recipe or laid out pathway by pathway."""
    shape = draw_(st.lists(sizes, min_size=3, max_size=5))
    static = draw_(st.booleans())
    tau = draw_(positive)

    def unit():
        activation = draw_(activations)
        return (
            StaticRate(activation=activation)
            if static
            else LeakyRate(tau=tau, activation=activation, decay=draw_(st.sampled_from(["euler", "exact"])))
        )

    pairs = list(zip(shape[1:], shape[:-1], strict=True))
    scheme = draw_(st.sampled_from(schemes.family.names()))
    from_above = st.tuples(*(weights((n_pre, n_post)) for n_post, n_pre in pairs[1:]))
    circuit = Layered(
        sizes=shape,
        hidden=unit(),
        output=unit(),
        error=ErrorUnit(carries_gain=draw_(st.booleans())),
        biases=draw_(st.booleans()),
        weights=tuple(draw_(free_weights) for _ in pairs) if draw_(st.booleans()) else draw_(free_weights),
        bias_weights=draw_(free_weights),
        feedback=draw_(free_weights if scheme in PARTICULAR else from_above | free_weights),
        scheme=scheme,
        schemes=draw_(settings_of_schemes()) if draw_(st.booleans()) else {},
    )
    task = (
        TanhTeacher(
            sizes_of_teacher=(shape[0], shape[-1]),
            scale=draw_(positive),
            examples=draw_(sizes),
            test_examples=draw_(sizes),
        )
        if draw_(st.booleans())
        else LinearTeacher(
            n_in=shape[0],
            n_out=shape[-1],
            examples=draw_(sizes),
            teacher=draw_(free_weights),
            inputs=draw_(free_weights),
        )
    )
    protocol = Protocol(
        epochs=draw_(sizes),
        presentations=draw_(st.none() | sizes),
        shuffle=draw_(st.booleans()),
        snapshots=draw_(sizes),
        **({} if static and draw_(st.booleans()) else times(draw_)),
    )
    record = Record(
        variables=draw_(st.lists(st.sampled_from(["output.r", "output.gain", "mismatch.loss", "input.r"]), max_size=3)),
        every=draw_(sizes),
    )
    return Experiment(
        name=draw_(titles),
        description=draw_(texts),
        circuit=circuit if draw_(st.booleans()) else circuit.network(),
        task=task,
        protocol=protocol,
        record=record,
    )


@st.composite
def explicit_experiments(draw_):
    """Leaky populations with random pathways between them, learning or not, sharing weights or not,
    around one error unit."""
    n_in, n_out = draw_(sizes), draw_(sizes)
    inner = draw_(st.lists(names, min_size=1, max_size=3, unique=True))
    leaky = [
        Population(name, size=draw_(sizes), neuron=LeakyRate(tau=draw_(positive), activation=draw_(activations)))
        for name in inner
    ]
    output = Population("answer", size=n_out, neuron=LeakyRate())
    populations = [
        Population("image", size=n_in, neuron=RateSource()),
        Population("wanted", size=n_out, neuron=RateSource(of="targets")),
        *leaky,
        output,
        Population("mismatch", size=n_out, neuron=ErrorUnit()),
    ]
    pathways = [
        Pathway(
            "wanted_to_mismatch",
            source="wanted",
            target="mismatch",
            port="target",
            weights=Identity(scale=draw_(finite)),
        ),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
        *(
            Pathway(
                f"error_to_{p.name}",
                source="mismatch",
                target=p.name,
                port="error",
                weights=draw_(weights((p.size, n_out))),
            )
            for p in (*leaky, output)
        ),
    ]
    for number in range(draw_(st.integers(1, 5))):
        source, target = draw_(st.sampled_from([populations[0], *leaky, output])), draw_(
            st.sampled_from([*leaky, output])
        )
        chosen = draw_(weights((target.size, source.size)))
        rule = draw_(
            st.none()
            | st.builds(LocalError, learning_rate=learning_rates)
            | st.builds(DeltaRule, learning_rate=learning_rates)
        )
        first = Pathway(
            f"way{number}",
            source=source.name,
            target=target.name,
            weights=chosen,
            plasticity=None if chosen.one_to_one else rule,
        )
        pathways.append(first)
        if not chosen.one_to_one and source in [*leaky, output] and draw_(st.booleans()):
            shared = SharedWith(pathway=first.name, transposed=True)
            pathways.append(
                Pathway(
                    f"back{number}",
                    source=target.name,
                    target=source.name,
                    port="probe",
                    weights=shared,
                    stands_for=first.name,
                )
            )
    return Experiment(
        name="explicit", circuit=Network(populations=populations, pathways=draw_(st.permutations(pathways))),
        task=LinearTeacher(n_in=n_in, n_out=n_out), protocol=Protocol(**times(draw_)),
    )


unhurried = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@unhurried
@given(experiment=layered_experiments())
def test_a_layered_experiment_survives_its_file(experiment):
    again = bioFA.loads(bioFA.dumps(experiment))
    assert again == experiment
    assert again.network == experiment.network
    assert bioFA.dumps(again) == bioFA.dumps(experiment)


@unhurried
@given(experiment=explicit_experiments())
def test_an_explicit_network_survives_its_file(experiment):
    again = bioFA.loads(bioFA.dumps(experiment))
    assert again == experiment
    assert again.network.order == experiment.network.order


@pytest.mark.parametrize("name", bioFA.builtin_models())
def test_a_built_in_model_survives_its_file_under_every_scheme(name):
    model = bioFA.load(name)
    impossible = {"np", "wp"} if model.network.spiking() else set()  # no port for a perturbation, or no loss to reward
    if isinstance(model.circuit, Layered) and model.circuit.error.opponent() is not None:
        # a pair of error populations shares weights that neither learn nor follow others
        impossible |= {"kp", "arbp", "usf", "frsf", "brsf"}
    if isinstance(model.circuit, Layered) and "decay" not in model.circuit.active().readout_rule.parameters():
        impossible |= {"kp"}  # which inherits a rule that has no decay, and needs one
    assert bioFA.loads(bioFA.dumps(model)) == model
    for scheme in set(schemes.family.names()) - impossible if isinstance(model.circuit, Layered) else ():
        experiment = model.with_scheme(scheme)
        assert bioFA.loads(bioFA.dumps(experiment)) == experiment


@pytest.mark.parametrize("experiment", systems.ALL, ids=lambda experiment: experiment.name)
def test_a_test_system_survives_its_file(experiment):
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment


def test_what_differs_is_not_equal_after_the_file_either():
    """So that the tests above mean something."""
    model = bioFA.load("leaky")
    other = model.replace(circuit=model.circuit.replace(hidden=LeakyRate(tau=np.nextafter(10e-3, 1.0))))
    assert model != other
    assert bioFA.loads(bioFA.dumps(other)) != bioFA.loads(bioFA.dumps(model))


@pytest.mark.parametrize("unit", ["s", "Hz", "V", "A", "S", "F", "ohm"])
@settings(max_examples=300, deadline=None)
@given(value=finite)
def test_a_quantity_is_written_and_read_without_loss(unit, value):
    assert units.parse(units.write(value, unit), unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("10 ms", "s", 0.01),
        ("0.1ms", "s", 1e-4),
        ("-70 mV", "V", -0.07),
        ("5 Hz", "Hz", 5.0),
        ("2.5e1 us", "s", 25e-6),
        ("3 kHz", "Hz", 3000.0),
    ],
)
def test_a_quantity_with_a_prefix_is_the_nearest_number_in_si(text, unit, value):
    assert units.parse(text, unit) == value


# ------------------------------------------------------------------------------------- instances

TASK = LinearTeacher(n_in=5, n_out=3, examples=40, test_examples=7)


def layered(scheme="fa", shuffle=True, **circuit):
    return Experiment(
        name="t",
        circuit=Layered(sizes=(5, 6, 4, 3), scheme=scheme, biases=True, **circuit),
        task=TASK,
        protocol=Protocol(epochs=3, shuffle=shuffle),
    )


def all_arrays(instance):
    """Everything that was drawn, by name."""
    found = dict(instance.state)
    for name, split in instance.data.splits().items():
        found |= {f"{name}.inputs": split.inputs, f"{name}.targets": split.targets}
    feed = instance.training(0, instance.presentations())
    found["order"] = instance.order(0, instance.presentations())
    return found | {f"feed.{name}": feed.tables[name][feed.rows[name]] for name in feed.tables}


@pytest.mark.parametrize("scheme", schemes.family.names())
def test_the_same_seed_draws_the_same_arrays(scheme):
    first, second = all_arrays(draw(layered(scheme), 3)), all_arrays(draw(layered(scheme), np.int64(3)))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("scheme", schemes.family.names())
def test_another_seed_draws_other_arrays(scheme):
    first, second = draw(layered(scheme), 3), draw(layered(scheme), 4)
    same = {name for name, array in all_arrays(first).items() if np.array_equal(array, all_arrays(second)[name])}
    drawn = {f"{p.name}.w" for p in first.network.owners() if isinstance(p.weights, Uniform)}
    assert drawn >= {"input_to_hidden1.w", "hidden1_to_hidden2.w", "hidden2_to_output.w"}
    assert not same & (drawn | {"train.inputs", "train.targets", "test.inputs", "order", "feed.noise_hidden1"})
    assert {f"bias_to_{name}.w" for name in ("hidden1", "hidden2", "output")} <= same  # all zero: nothing was drawn


def test_two_pathways_of_the_same_shape_and_weights_are_drawn_apart():
    state = draw(Experiment(name="t", circuit=Layered(sizes=(5, 5, 5, 3), weights=(Uniform(),)), task=TASK), 1).state
    assert not np.isclose(state["input_to_hidden1.w"], state["hidden1_to_hidden2.w"]).any()


def test_adding_a_population_and_a_pathway_leaves_all_other_draws_alone():
    before = layered()
    network = before.network
    grown = before.replace(
        circuit=Network(
            populations=(Population("aside", size=9, neuron=StaticRate()), *network.populations),
            pathways=(
                Pathway("input_to_aside", source="input", target="aside", weights=Normal()),
                *network.pathways[::-1],
            ),
        )
    )
    old, new = all_arrays(draw(before, 1)), all_arrays(draw(grown, 1))
    assert set(new) - set(old) == {"input_to_aside.w"}
    for name in old:
        np.testing.assert_array_equal(new[name], old[name], err_msg=name)


def test_every_scheme_starts_from_the_same_weights_data_and_order():
    found = [all_arrays(draw(layered(scheme), 1)) for scheme in schemes.family.names()]
    common = set.intersection(*(set(arrays) for arrays in found))
    assert {"input_to_hidden1.w", "hidden2_to_output.w", "train.inputs", "test.targets", "order"} <= common
    for arrays in found[1:]:
        for name in common:
            np.testing.assert_array_equal(arrays[name], found[0][name], err_msg=name)


def test_more_training_examples_leave_weights_and_test_examples_alone():
    few, many = draw(layered(), 1), draw(layered().replace(task=TASK.replace(examples=60)), 1)
    np.testing.assert_array_equal(few.data.test.targets, many.data.test.targets)
    for name in few.state:
        np.testing.assert_array_equal(few.state[name], many.state[name])


@given(start=st.integers(0, 3 * NOISE_BLOCK), length=st.integers(1, 2 * NOISE_BLOCK))
@settings(max_examples=30, deadline=None)
def test_the_noise_of_a_segment_is_that_segment_of_a_longer_draw(start, length):
    task = TASK.replace(examples=6 * NOISE_BLOCK)
    instance = draw(layered("np").replace(task=task), 1)

    def noise(first, last):
        feed = instance.training(first, last)
        return feed.tables["noise_hidden1"][feed.rows["noise_hidden1"]]

    np.testing.assert_array_equal(noise(start, start + length), noise(0, 6 * NOISE_BLOCK)[start : start + length])


def test_noise_has_the_spread_that_its_source_names_and_differs_between_populations_and_splits():
    instance = draw(layered("np").replace(task=TASK.replace(examples=4000, test_examples=4000)), 1)
    feeds = [instance.training(0, 4000), instance.evaluation("test")]
    noise = [feed.tables[name][feed.rows[name]] for feed in feeds for name in ("noise_hidden1", "noise_hidden2")]
    for one in noise:
        assert one.std() == pytest.approx(0.01, rel=0.05)
    drawn = [one.ravel()[:1000] for one in noise]
    drawn.append(noise[0][NOISE_BLOCK:].ravel()[:1000])
    assert np.abs(np.corrcoef(drawn) - np.eye(5)).max() < 0.15  # of each population, split and block its own


def test_every_example_is_shown_once_an_epoch_in_a_new_order():
    instance = draw(layered(), 1)
    assert instance.presentations() == 120
    epochs = [instance.order(40 * k, 40 * (k + 1)) for k in range(3)]
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), np.arange(40))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], np.arange(40))


def test_without_shuffling_examples_come_in_their_order():
    np.testing.assert_array_equal(draw(layered(shuffle=False), 1).order(0, 120), np.tile(np.arange(40), 3))


@given(start=st.integers(0, 119), length=st.integers(1, 120))
@settings(max_examples=30, deadline=None)
def test_the_order_of_a_segment_is_that_segment_of_the_whole(start, length):
    instance = draw(layered(), 1)
    stop = min(start + length, 120)
    np.testing.assert_array_equal(instance.order(start, stop), instance.order(0, 120)[start:stop])


def test_inputs_and_targets_are_shown_together():
    feed = draw(layered(), 1).training(30, 50)
    shown = {name: feed.tables[name][feed.rows[name]] for name in ("input", "target")}
    data = draw(layered(), 1).data.train
    matrix = np.linalg.lstsq(data.inputs, data.targets, rcond=None)[0]
    np.testing.assert_allclose(shown["input"] @ matrix, shown["target"], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "other"), [("weights/a", "weights/b"), ("order/1", "order/11"), ("noise/train/a/0", "noise/train/a/1")]
)
def test_streams_go_by_name_and_seed(name, other):
    first = stream(1, name).standard_normal(8)
    np.testing.assert_array_equal(first, stream(1, name).standard_normal(8))
    assert not np.isclose(first, stream(1, other).standard_normal(8)).any()
    assert not np.isclose(first, stream(2, name).standard_normal(8)).any()


# ------------------------------------------------------------------------------------ the rest


@pytest.mark.parametrize(
    "part",
    [
        LeakyRate(),
        LocalError(),
        Uniform(),
        Protocol(),
        TASK,
        Layered(sizes=(1, 1)),
        Population("image", size=1, neuron=StaticRate()),
        layered(),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_description_is_frozen(part):
    field = next(iter(type(part).model_fields))
    with pytest.raises(Exception, match="frozen"):
        setattr(part, field, getattr(part, field))
    with pytest.raises(Exception, match="frozen"):
        part.something_new = 1


def test_a_changed_copy_is_checked_like_a_new_part():
    assert LeakyRate(tau=0.01).replace(tau="20 ms") == LeakyRate(tau=0.02)
    with pytest.raises(ModelError, match=r"LeakyRate\.tau must be > 0 s"):
        LeakyRate(tau=0.01).replace(tau=-1.0)


@pytest.mark.parametrize("family", [neurons.family, rules.family, schemes.family], ids=lambda family: family.kind)
def test_a_part_is_found_by_the_name_in_its_file(family):
    assert family.names()
    for name in family.names():
        part = family.get(name)
        assert issubclass(part, Component)
        assert part.family_name == name
        if any(field.is_required() for field in part.model_fields.values()):
            continue
        fields = {"spikes": []} if name == "spikes_from" else {}  # which needs one of two
        assert family.read({"name": name, **fields}) == part(**fields)
        assert fields or family.read(name) == part()


def test_public_names_are_the_exported_names():
    """Names are loaded when first used, so the list, what type checkers are told,
    and what is loaded could come apart."""
    imports = [
        node for node in ast.walk(ast.parse(Path(bioFA.__file__).read_text())) if isinstance(node, ast.ImportFrom)
    ]
    told = [alias.name for node in imports if str(node.module).startswith("bioFA.") for alias in node.names]
    assert sorted(bioFA.__all__) == sorted(told) == dir(bioFA)
    for name in bioFA.__all__:
        assert getattr(bioFA, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        bioFA.nothing  # noqa: B018


def test_a_file_that_stays_as_it_is_gives_the_same_experiment_and_one_that_names_files_is_read_anew(tmp_path):
    path = tmp_path / "mine.toml"
    text = (bioFA.modelfiles.toml.models_folder() / "linear.toml").read_text()
    path.write_text(text)
    first = bioFA.load(path)
    assert bioFA.load(path) is first
    assert bioFA.load(path, {"protocol.epochs": 2}).protocol.epochs == 2
    assert bioFA.load(path, {"protocol.epochs": 3}).protocol.epochs == 3
    path.write_text(text.replace("epochs = 1", "epochs = 7"))
    assert bioFA.load(path).protocol.epochs == 7
    np.savez(tmp_path / "mine.npz", inputs=np.eye(30), targets=np.ones((30, 10)))
    given = text.partition("[task]")[0] + '[task]\nname = "arrays"\npath = "mine.npz"\n[protocol]\nepochs = 1\n'
    path.write_text(given)
    assert bioFA.load(path) is not bioFA.load(path)
