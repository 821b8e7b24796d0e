"""A seal is the SHA-256 of all that follows it, and says so to the bit."""

import hashlib

import h5py
import numpy as np
import pytest

from bioFA.system import sealed_hdf5 as seal
from bioFA.system.sealed_hdf5 import BLOCK, SIGNATURE, _Deferring, is_whole, refuse_changed, sealed


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


CHANGED = "its SHA-256 is not that of what it holds: it was changed, cut or damaged after it was written"
NOT_HDF5 = "it is no HDF5 file: of another kind, or changed, cut or damaged in its first 520 bytes"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (0, CHANGED),
        (63, CHANGED),
        (BLOCK, NOT_HDF5),
        (BLOCK + 7, NOT_HDF5),
        (BLOCK + 8, CHANGED),
        (100_000, CHANGED),
        (-1, CHANGED),
    ],
)
def test_any_bit_that_flips_is_seen(path, place, says):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert is_whole(path) is False
    with pytest.raises(OSError, match=f"^{says}$"):
        refuse_changed(path)


@pytest.mark.parametrize("size", [0, 10, BLOCK, BLOCK + 8, 100_000])
def test_any_cut_is_seen(path, size):
    path.write_bytes(path.read_bytes()[:size])
    assert is_whole(path) is False


@pytest.mark.parametrize("content", [b"", b"# A text", b"x" * 2000])
def test_what_is_no_hdf5_is_called_so(tmp_path, content):
    (tmp_path / "notes.md").write_bytes(content)
    with pytest.raises(OSError, match=f"^{NOT_HDF5}$"):
        refuse_changed(tmp_path / "notes.md")


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


class _Full:
    """A disk on which nothing can be written or cut."""

    def __init__(self):
        self.asked = 0

    def write(self, content):
        self.asked += 1
        raise OSError(28, f"full {self.asked}")

    def truncate(self, size):
        self.asked += 1
        raise OSError(28, f"full {self.asked}")


def test_hdf5_is_told_of_no_mishap_and_the_first_is_kept():
    disk = _Full()
    deferring = _Deferring(disk)
    assert deferring.wrong is None
    assert deferring.truncate(5) == 5
    assert str(deferring.wrong) == "[Errno 28] full 1"
    assert deferring.truncate() == 0
    assert deferring.write(np.zeros(3)) == 24
    assert str(deferring.wrong) == "[Errno 28] full 1"
    assert disk.asked == 2  # once something is wrong, nothing more is written
    deferring = _Deferring(_Full())
    assert deferring.write(b"abc") == 3
    assert str(deferring.wrong) == "[Errno 28] full 1"
    deferring.flush()


def test_what_is_written_in_pieces_is_written_whole(tmp_path):
    class Slow:
        """A disk that takes three bytes at a time."""

        def __init__(self, file):
            self.file = file

        def write(self, content):
            return self.file.write(content[:3])

    with open(tmp_path / "x", "wb", buffering=0) as file:
        deferring = _Deferring(Slow(file))
        assert deferring.write(np.arange(4, dtype=np.int32)) == 16
        assert deferring.wrong is None
    assert (tmp_path / "x").read_bytes() == np.arange(4, dtype=np.int32).tobytes()


def test_all_else_is_as_of_the_file(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    with open(tmp_path / "x", "r+b", buffering=0) as file:
        deferring = _Deferring(file)
        assert deferring.read(4) == b"0123"
        assert deferring.tell() == 4
        assert deferring.read() == b"456789"
        assert deferring.seek(2) == 2
        assert deferring.seek(3, 1) == 5
        buffer = bytearray(3)
        assert deferring.readinto(buffer) == 3
        assert bytes(buffer) == b"567"
        assert deferring.seek(-1, 2) == 9
        assert deferring.truncate(6) == 6
    assert (tmp_path / "x").read_bytes() == b"012345"


class _Counted:
    """A file that says how much is asked of it at once."""

    def __init__(self, file):
        self.file, self.asked = file, []

    def seek(self, place):
        self.file.seek(place)

    def read(self, size):
        self.asked.append(size)
        return self.file.read(size)


def test_a_digest_reads_a_piece_of_a_mebibyte_at_a_time(path):
    with open(path, "rb") as file:
        counted = _Counted(file)
        assert seal._digest(counted) == path.read_bytes()[:64]
    assert set(counted.asked) == {1 << 20}
    assert len(counted.asked) >= 4
