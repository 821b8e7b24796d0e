"""Which neuron reaches which: every way keeps its promise, draws evenly, and holds no matrix."""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from bioFA.errors import BioFAError
from bioFA.synapses import connect
from bioFA.synapses import subsets as subsets_module
from bioFA.synapses.connect import FanIn, FanOut, PairsFrom, Probability, Shape, Total
from bioFA.synapses.subsets import subsets

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
sizes = st.integers(1, 30)


@st.composite
def cases(draw):
    """A way to connect with the sizes that it is laid between; it may ask for more than there are."""
    n_pre = draw(sizes)
    same = draw(st.booleans())
    shape = Shape(n_pre, n_pre if same else draw(sizes), same)
    flags = {"multapses": draw(st.booleans()), "autapses": draw(st.booleans())}
    kind = draw(st.sampled_from(["all", "one_to_one", "probability", "fan_in", "fan_out", "total"]))
    own = {"count": draw(st.integers(1, 40))} if kind in ("fan_in", "fan_out", "total") else {}
    own |= {"p": draw(st.floats(0, 1))} if kind == "probability" else {}
    return connect.family.get(kind)(**flags, **own), shape, draw(st.integers(0, 1000))


def room(way, shape):
    """Of how many different partners, or pairs, a way to connect can choose."""
    partners = (shape.n_pre if way.family_name == "fan_in" else shape.n_post) - (shape.same and not way.autapses)
    return shape.n_pre * partners if way.family_name == "total" else partners


@given(case=cases())
@settings(max_examples=20 * EXAMPLES, deadline=None)
def test_a_pathway_has_the_synapses_that_its_description_promises_or_is_refused(case):
    way, shape, seed = case
    available = room(way, shape)
    if way.family_name == "one_to_one":
        impossible = shape.n_pre != shape.n_post or (shape.same and not way.autapses)
    else:
        impossible = hasattr(way, "count") and (available < 1 or (way.count > available and not way.multapses))
    if impossible:
        with pytest.raises(
            BioFAError, match="one_to_one" if way.family_name == "one_to_one" else f"at most {available}"
        ):
            way.draw(np.random.default_rng(seed), shape)
        return
    pre, post, _ = way.draw(np.random.default_rng(seed), shape)
    assert len(pre) == len(post)
    assert ((pre >= 0) & (pre < shape.n_pre) & (post >= 0) & (post < shape.n_post)).all()
    keys = pre.astype(int) * shape.n_post + post
    assert (np.diff(keys) >= 0).all(), "sorted by presynaptic, then postsynaptic neuron"
    if not way.multapses:
        assert (np.diff(keys) > 0).all()
    if shape.same and not way.autapses:
        assert (pre != post).all()
    if way.family_name == "fan_in":
        assert (np.bincount(post, minlength=shape.n_post) == way.count).all()
    if way.family_name == "fan_out":
        assert (np.bincount(pre, minlength=shape.n_pre) == way.count).all()
    if way.family_name == "total":
        assert len(pre) == way.count
    if way.family_name == "all":
        assert len(pre) == shape.n_pre * shape.n_post - (shape.n_pre if shape.same and not way.autapses else 0)


@pytest.mark.parametrize(
    ("way", "chance"),
    [
        (FanIn(count=3, autapses=False), 3 / 4),
        (FanOut(count=3, multapses=True), 3 / 5),
        (Total(count=6, autapses=False, multapses=True), 6 / 20),
        (Probability(p=0.8, autapses=False), 0.8),
        pytest.param(FanIn(count=2), 2 / 5, marks=pytest.mark.slow),
        pytest.param(FanIn(count=4), 4 / 5, marks=pytest.mark.slow),
        pytest.param(FanOut(count=2, autapses=False), 2 / 4, marks=pytest.mark.slow),
        pytest.param(Total(count=6), 6 / 25, marks=pytest.mark.slow),
        pytest.param(Total(count=6, autapses=False), 6 / 20, marks=pytest.mark.slow),
        pytest.param(Probability(p=0.3), 0.3, marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_every_pair_has_the_same_chance(way, chance):
    """A chi-squared-like bound: each count of 4,000 draws lies within 5 standard deviations."""
    counts, n = np.zeros((5, 5)), 4000
    rng = np.random.default_rng(8)
    for _ in range(n):
        np.add.at(counts, tuple(way.draw(rng, Shape(5, 5, True))), 1)
    allowed = np.ones((5, 5), dtype=bool) if way.autapses else ~np.eye(5, dtype=bool)
    assert (counts[~allowed] == 0).all()
    spread = np.sqrt(n * chance * (1 if way.multapses else max(1 - chance, 0.05)))
    assert np.abs(counts[allowed] - n * chance).max() < 5 * spread


def test_all_sets_of_a_size_are_alike():
    """Two of five, and the three that are left out of five: ten sets each, by a chi-squared test."""
    rng = np.random.default_rng(3)
    for count in (2, 3):
        sets = subsets(rng, np.full(20_000, count), 5, None).reshape(-1, count)
        keys = (2**sets).sum(axis=1)
        _, seen = np.unique(keys, return_counts=True)
        assert len(seen) == 10
        assert stats.chisquare(seen).pvalue > 1e-4


def test_a_large_sparse_pathway_takes_little_more_memory_than_its_lists(monkeypatch):
    monkeypatch.setattr(subsets_module, "AT_ONCE", 2**14)
    FanIn(count=1).draw(np.random.default_rng(0), Shape(2, 2, False))  # imports SciPy
    tracemalloc.start()
    pre = FanIn(count=40).draw(np.random.default_rng(0), Shape(20_000, 20_000, True)).pre
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pre) == 800_000
    assert peak < 14 * len(pre)  # two numbers of 4 bytes each; a matrix of all pairs would be 500 bytes a synapse


@pytest.mark.parametrize(
    "way",
    [
        FanIn(count=40, autapses=False),
        FanIn(count=70),
        FanOut(count=60),
        FanIn(count=40, multapses=True),
        FanOut(count=40, multapses=True, autapses=False),
        Probability(p=0.4, autapses=False),
        Total(count=3000),
    ],
    ids=repr,
)
def test_how_many_are_drawn_at_once_changes_no_draw(monkeypatch, way):
    whole = way.draw(np.random.default_rng(5), Shape(99, 99, True))
    monkeypatch.setattr(subsets_module, "AT_ONCE", 100)
    for one, other in zip(whole[:2], way.draw(np.random.default_rng(5), Shape(99, 99, True))[:2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_pairs_from_a_file_are_taken_as_they_are(tmp_path):
    table = np.array([[2, 0], [0, 1], [0, 1], [1, 1]])
    np.save(tmp_path / "pairs.npy", table)
    pre, post, order = PairsFrom(path=str(tmp_path / "pairs.npy")).draw(np.random.default_rng(0), Shape(3, 2, False))
    np.testing.assert_array_equal(pre, [0, 0, 1, 2])
    np.testing.assert_array_equal(post, [1, 1, 1, 0])
    np.testing.assert_array_equal(order, [1, 2, 3, 0])  # where each stood in the file


def test_pairs_that_stand_in_the_model_are_those_of_a_file(tmp_path):
    table = np.array([[2, 0], [0, 1], [0, 1], [1, 1]])
    np.save(tmp_path / "pairs.npy", table)
    shape = Shape(3, 2, False)
    listed = PairsFrom(pairs=table.tolist())
    read = PairsFrom(path=str(tmp_path / "pairs.npy"))
    for one, other in zip(listed.draw(None, shape), read.draw(None, shape), strict=True):
        np.testing.assert_array_equal(one, other)
    assert PairsFrom(pairs=[]).draw(None, shape).pre.shape == (0,)
    with pytest.raises(BioFAError, match=r"connect\.pairs, row 1: postsynaptic neuron 2 is not there"):
        PairsFrom(pairs=[[0, 0], [0, 2]]).draw(None, shape)
    for wrong in ({}, {"pairs": [], "path": "pairs.npy"}):
        with pytest.raises(BioFAError, match="PairsFrom needs pairs or path, and not both"):
            PairsFrom(**wrong)


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        (np.array([[0, 1], [3, 0]]), {}, "row 1: presynaptic neuron 3"),
        (np.array([[0, 2]]), {}, "row 0: postsynaptic neuron 2"),
        (np.array([[0, -1]]), {}, "neuron -1"),
        (np.array([[0, 1], [0, 1]]), {"multapses": False}, "several times"),
        (np.array([[1, 1]]), {"autapses": False}, "an autapse"),
        (np.array([[0.5, 1.0]]), {}, "whole numbers"),
        (np.array([0, 1, 2]), {}, "(n_synapses, 2)"),
    ],
)
def test_pairs_that_cannot_be_are_refused_with_their_row(tmp_path, table, options, said):
    np.save(tmp_path / "pairs.npy", table)
    shape = Shape(2, 2, True) if options.get("autapses") is False else Shape(3, 2, False)
    with pytest.raises(BioFAError) as caught:
        PairsFrom(path=str(tmp_path / "pairs.npy"), **options).draw(np.random.default_rng(0), shape)
    assert said in str(caught.value)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 10), size=st.integers(1, 10))
@settings(max_examples=4 * EXAMPLES, deadline=None)
def test_a_subset_has_different_members_in_order(seed, count, size):
    assume(count <= size)
    found = subsets(np.random.default_rng(seed), np.array([count, 0, count]), size, None)
    assert len(found) == 2 * count
    for part in (found[:count], found[count:]):
        assert (np.diff(part) > 0).all()
        assert ((part >= 0) & (part < size)).all()
