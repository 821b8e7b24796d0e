"""A seal is the SHA-256 of all that follows it, and says so to the bit."""

import hashlib

import h5py
import numpy as np
import pytest

from bioFA.sealed import BLOCK, SIGNATURE, is_whole, refuse_changed, sealed


@pytest.fixture
def path(tmp_path):
    with sealed(tmp_path / "a.h5") as file:
        file["x"] = np.arange(400_000)  # more than is hashed at a time
    return tmp_path / "a.h5"


def test_the_seal_is_the_sha256_of_the_rest(path):
    content = path.read_bytes()
    assert content[:64] == hashlib.sha256(content[BLOCK:]).hexdigest().encode()
    assert content[64:BLOCK] == bytes(BLOCK - 64)
    assert content[BLOCK:].startswith(SIGNATURE)
    assert is_whole(path) is True
    refuse_changed(path)
    with h5py.File(path) as file:
        assert file["x"].shape == (400_000,)


@pytest.mark.parametrize("place", [0, 63, BLOCK, BLOCK + 1, 100_000, -1])
def test_any_bit_that_flips_is_seen(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert is_whole(path) is False
    with pytest.raises(OSError, match=r"^its SHA-256 is not that of what it holds: it was changed, cut or damaged after it was written$"):
        refuse_changed(path)


@pytest.mark.parametrize("size", [0, 10, BLOCK, BLOCK + 8, 100_000])
def test_any_cut_is_seen(path, size):
    path.write_bytes(path.read_bytes()[:size])
    assert is_whole(path) is False


def test_a_file_without_a_seal_tells_nothing(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    assert is_whole(tmp_path / "other.h5") is None
    refuse_changed(tmp_path / "other.h5")


def test_a_file_that_was_not_closed_has_no_seal(tmp_path):
    def write():
        with sealed(tmp_path / "a.h5") as file:
            file["x"] = 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert is_whole(tmp_path / "a.h5") is False


def test_what_was_there_is_replaced(path):
    with sealed(path) as file:
        assert list(file) == []
        file["y"] = 2
    assert is_whole(path) is True


def test_what_cannot_be_read_says_so(tmp_path):
    for call in (is_whole, refuse_changed):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "missing.h5")
