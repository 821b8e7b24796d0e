"""Sealed JSON: what was written comes back, what was changed does not."""

import hashlib
import json

import pytest

from bioFA.system import sealed_json

CONTENT = {"b": [1, 2.5, None], "a": "text, ü"}


@pytest.fixture
def path(tmp_path):
    sealed_json.write(tmp_path / "x.json", "outcome", CONTENT, format=1)
    return tmp_path / "x.json"


def test_what_was_written_is_read(path):
    assert sealed_json.read(path, "outcome") == CONTENT
    assert sealed_json.load(path)["format"] == 1


def test_a_file_says_what_it_is_before_what_it_holds(path):
    fields = json.loads(path.read_text())
    assert list(fields) == ["format", "sha256", "outcome"]
    assert fields["sha256"] == hashlib.sha256(fields["outcome"].encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": json.dumps(CONTENT | {"a": "another"})},
        {"outcome": CONTENT},
        {"outcome": None},
        {"sha256": "0" * 64},
        {"sha256": None},
    ],
)
def test_what_was_changed_is_refused(path, change):
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match="its checksum is wrong"):
        sealed_json.read(path, "outcome")


def test_what_is_under_another_key_is_refused(path):
    with pytest.raises(ValueError, match="its checksum is wrong"):
        sealed_json.read(path, "table")


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", "[" * 100_000])
def test_what_is_no_json_object_is_refused(path, text):
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"it is no JSON object|it is nested too deep|Expecting"):
        sealed_json.read(path, "outcome")


def test_every_cut_is_noticed(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|it is no JSON object"):
            sealed_json.read(path, "outcome")


def test_a_file_that_is_not_there_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        sealed_json.read(tmp_path / "x.json", "outcome")
