"""Texts that machines make, put to the readers: by Hypothesis always,
by Atheris for a fixed short time where it is installed (`pip install 'bioFA[fuzz]'`)."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

FUZZ = Path(__file__).parent / "fuzz"
SEEDS = sorted((FUZZ / "seeds").iterdir())
SECONDS = 20


@pytest.fixture(scope="module")
def fuzz():
    specification = importlib.util.spec_from_file_location("fuzz_readers", FUZZ / "fuzz_readers.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def target(fuzz, tmp_path_factory):
    return fuzz.Target(tmp_path_factory.mktemp("fuzz"))


def test_every_reader_has_a_letter_and_a_seed(fuzz, target):
    assert set(fuzz.LETTERS.values()) == set(target.known)
    assert {path.read_text()[0] for path in SEEDS} == set(fuzz.LETTERS)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.name)
def test_a_seed_is_no_finding(target, seed):
    target(seed.read_bytes())


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.sampled_from(SEEDS).flatmap(
            lambda path: st.tuples(st.just(path.read_bytes()), st.integers(0, 300), st.binary(max_size=20)).map(
                lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
            )
        ),
    )
)
def test_no_bytes_are_a_finding(target, content):
    target(content)


@pytest.mark.parametrize(
    "deed",
    [
        lambda _: Path("/dev/null").write_text(""),
        lambda _: subprocess.run([sys.executable, "-c", ""]),
        lambda text: eval("1"),
        lambda text: 1 / 0,
    ],
    ids=["opens", "starts", "runs", "breaks"],
)
def test_a_reader_that_does_what_none_may_do_is_a_finding(fuzz, target, deed, monkeypatch):
    monkeypatch.setitem(target.known, "equation", deed)
    with pytest.raises(fuzz.Finding):
        target(b"ew")


def test_atheris_finds_nothing(tmp_path):
    pytest.importorskip("atheris", reason="Atheris is not installed: pip install 'bioFA[fuzz]'")
    (tmp_path / "corpus").mkdir()
    done = subprocess.run(
        [
            sys.executable,
            FUZZ / "fuzz_readers.py",
            f"-max_total_time={SECONDS}",
            "-max_len=400",
            "-timeout=10",
            f"-artifact_prefix={tmp_path}/",
            tmp_path / "corpus",
            FUZZ / "seeds",
        ],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(re.search(r"Done (\d+) runs", done.stderr)[1]) > 100
