"""Drawn files of arrays: every array and attribute is used as the file has it, or named in the notes,
or the file is refused by the name of the array."""

import os

import h5py
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bioFA.errors import FileError, ModelError
from bioFA.tasks.arrays import Arrays

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
NUMBERS = ("f2", "f4", "f8", "g", "i1", "i2", "i4", "i8", "u1", "u8", "?", ">f8", ">i4", "c8", "U3", "S3", "M8[s]")
LABELS = ("i8", "u8", "u1", "?", "f4", "f8", "U5", "S5", "latin", "O", "M8[s]", "c8", ">i8")
WIDE = (2**53 + 1, -(2**53) - 1, 2**60, 0, 1)


@pytest.fixture(scope="module", autouse=True)
def _walked():
    """The files are the test's own, so no other process need walk them first: half a second each."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("tables", "recorded_trials"):
            patch.setattr(f"bioFA.tasks.{place}.inspect", lambda *paths: ())
        yield


@st.composite
def numbers(draw, rows):
    """An array of examples, nearly always with so many rows, of any type."""
    kind = draw(st.sampled_from(NUMBERS if draw(st.booleans()) else NUMBERS[:13]))
    count = draw(st.sampled_from([rows] * 18 + [rows + 1, 0]))
    shape = draw(
        st.sampled_from([(count, 2)] * 8 + [(count, 1), (count, 3, 2), (count,), (count, 0), (), (count, 2, 1, 1)])
    )
    values = np.array(
        draw(st.lists(st.integers(-3, 9), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    ).reshape(shape)
    made = np.abs(values).astype(kind) if kind[-2:] in ("u1", "u8") else values.astype(kind)
    if kind[-1] not in "?" and made.dtype.kind in "fiu" and made.size and draw(st.integers(0, 7)) == 0:
        at = draw(st.integers(0, made.size - 1))
        if made.dtype.kind == "f":
            made.flat[at] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.1, -0.0, 1e-7]))
        elif made.dtype.itemsize == 8:
            made.flat[at] = abs(draw(st.sampled_from(WIDE)))
    if kind == "g" and made.size and draw(st.booleans()):
        made.flat[0] = np.longdouble(1) / 3
    return made


@st.composite
def classes(draw, rows):
    """Labels, nearly always as many, of any type, some missing."""
    kind = draw(st.sampled_from(LABELS if draw(st.booleans()) else LABELS[:8]))
    count = draw(st.sampled_from([rows] * 18 + [rows + 1, max(rows - 1, 0)]))
    values = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    missing = count and draw(st.integers(0, 5)) == 0
    if kind in ("U5", "S5", "O", "latin"):
        texts = [("a", "é", "nan", "NA")[value] for value in values]
        texts[:1] = [""] if missing else texts[:1]
        made = (
            np.array(texts, dtype=object)
            if kind == "O"
            else (
                np.array([text.encode("latin-1" if kind == "latin" else "utf-8") for text in texts] or [b""] * count)
                if kind != "U5"
                else np.array(texts, dtype=kind)
            )
        )
    else:
        made = np.array(values).astype(kind)
        if missing and made.dtype.kind == "f":
            made[0] = draw(st.sampled_from([np.nan, np.inf]))
        elif made.dtype.itemsize == 8 and made.dtype.kind in "iu" and draw(st.booleans()):
            made[:1] = 2**60 + 1
    return made[:, None] if draw(st.integers(0, 9)) == 0 else made


def fault_of_numbers(array, rows=None):
    """Whether an array cannot be examples, by a way of its own."""
    if array.dtype.kind not in "fiub" or array.ndim not in (2, 3) or 0 in array.shape or rows not in (None, len(array)):
        return True
    for value in array.ravel():
        try:
            if not np.isfinite(float(value)) or (
                np.longdouble(float(value)) != value if array.dtype.kind == "f" else int(float(value)) != int(value)
            ):
                return True
        except OverflowError:
            return True
    return False


def names_of_labels(array, rows):
    """The label of each example as Python has it, or None where there are none."""
    if array.ndim != 1 or len(array) != rows or array.dtype.kind not in "fiubSUO":
        return None
    found = []
    for value in array.tolist():
        try:
            value = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            return None
        if value == "" or (isinstance(value, float) and not np.isfinite(value)):
            return None
        found.append(value)
    return found


def fault_of_targets(of, found, prefix, rows):
    if f"{prefix}targets" in of and fault_of_numbers(found[f"{prefix}targets"], rows):
        return [f"{prefix}targets"]
    if f"{prefix}labels" not in of:
        return []
    width, labels = found[f"{prefix}targets"].shape[-1], found[f"{prefix}labels"]
    whole = labels.dtype.kind in "iu" and names_of_labels(labels, rows) is not None
    return [] if whole and all(0 <= label < width for label in labels.tolist()) else [f"{prefix}labels"]


def write(path, arrays, attributes=(), links=(), objects=()):
    if path.suffix == ".npz":
        np.savez(path, **arrays, **{name: np.array([{}, None], dtype=object) for name in objects})
        return
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if array.dtype.kind in "UO":
                file.create_dataset(name, array.shape, h5py.string_dtype(), data=array.astype(object))
            else:
                file[name] = array
        for name in objects:
            file.create_dataset(name, (2,), h5py.vlen_dtype(np.float64))
        for place, name in attributes:
            file.get(place, file).attrs[name] = [1.0, 2.0]
        for name in links:
            file[name] = h5py.SoftLink("/elsewhere")


def outcome(path, **fields):
    """What was read, or the message of the refusal; any other error fails the test."""
    try:
        return Arrays(path=str(path), **fields).draw(None), ""
    except (FileError, ModelError) as error:
        return None, f"{error} [{error.code}]"


@settings(max_examples=EXAMPLES)
@given(
    data=st.data(),
    suffix=st.sampled_from([".npz", ".h5"]),
    rows=st.integers(1, 5),
    encoding=st.sampled_from(["given", "one_hot"]),
    named=st.booleans(),
)
def test_every_array_is_used_as_it_is_or_noted_or_refused_by_name(
    data, suffix, rows, encoding, named, tmp_path_factory
):
    of = {"inputs": data.draw(numbers(rows))}
    count = len(of["inputs"]) if of["inputs"].ndim else 0
    if encoding == "given" or data.draw(st.integers(0, 5)) == 0:
        of["targets"] = data.draw(numbers(count))
    if encoding == "one_hot" or data.draw(st.booleans()):
        of["labels"] = data.draw(classes(count))
    if not named and data.draw(st.booleans()):
        test = data.draw(numbers(rows))
        of |= {"test_inputs": test} | {
            f"test_{name}": data.draw((numbers if name == "targets" else classes)(len(test) if test.ndim else 0))
            for name in ("targets", "labels")
            if name in of
        }
    if suffix == ".h5":
        # HDF5 has no dates
        of = {name: array.astype("i8") if array.dtype.kind == "M" else array for name, array in of.items()}
    extra = {
        name: np.arange(4.0).reshape(2, 2)
        for name in data.draw(st.sampled_from([(), (), ("patient",), ("validation_x", "notes")]))
    }
    objects = data.draw(st.sampled_from([(), (), (), ("cells",), ("labels",)]))
    objects = tuple(name for name in objects if name not in of)
    attributes = (
        data.draw(
            st.lists(
                st.tuples(st.sampled_from(["inputs", "/"]), st.sampled_from(["unit", "scale"])), max_size=2, unique=True
            )
        )
        if suffix == ".h5"
        else []
    )
    links = data.draw(st.sampled_from([(), ("link",)])) if suffix == ".h5" else ()
    renamed = {name: f"group/{name}_of_mine" if named else name for name in of}
    path = tmp_path_factory.mktemp("drawn") / f"d{suffix}"
    write(
        path,
        {renamed[name]: array for name, array in of.items()} | extra,
        [(renamed.get(place, place), name) for place, name in attributes],
        links,
        objects,
    )
    given_targets = encoding == "given"
    fields = (
        {
            name: renamed[name]
            for name in ("inputs", "targets", "labels")
            if name in of and (given_targets or name != "targets")
        }
        if named
        else {}
    )
    result, refusal = outcome(path, encoding=encoding, **fields)

    unused = [*extra, *objects] + ([renamed["targets"]] if named and not given_targets and "targets" in of else [])
    faults = [] if named else [*extra, *(name for name in objects if name != "labels")]
    faults += [] if "labels" in fields or "labels" not in objects else ["labels"]
    faults += [name for name, array in of.items() if array.dtype.kind == "O" and suffix == ".npz"]
    for prefix in ("", "test_") if "test_inputs" in of else ("",):
        rows_here = len(of[f"{prefix}inputs"]) if of[f"{prefix}inputs"].ndim else 0
        if fault_of_numbers(of[f"{prefix}inputs"]):
            faults.append(f"{prefix}inputs")
        elif given_targets:
            faults += fault_of_targets(of, of, prefix, rows_here) if f"{prefix}targets" in of else [f"{prefix}targets"]
        else:
            faults += (
                [f"{prefix}labels"]
                if f"{prefix}labels" not in of or names_of_labels(of[f"{prefix}labels"], rows_here) is None
                else []
            )
            faults += ["targets"] if f"{prefix}targets" in of and not named else []
    if "test_inputs" in of and not faults:
        differ = [
            kind
            for kind in ("inputs", "targets")
            if f"test_{kind}" in of and of[f"test_{kind}"].shape[1:] != of[kind].shape[1:]
        ]
        faults += [f"test_{kind}" for kind in differ]
        if not given_targets and (of["test_labels"].dtype.kind in "SUO") != (of["labels"].dtype.kind in "SUO"):
            faults.append("test_labels")
    event("refused" if faults else "read")
    if faults:
        assert result is None, faults
        assert not any(f"[{code}]" in refusal for code in ("damaged-file", "malformed-file")), refusal
        assert any(f"'{renamed.get(name, name)}'" in refusal for name in faults), (faults, refusal)
        return
    assert refusal == ""
    for prefix, split in (("", result.train), ("test_", result.test)):
        if split is None:
            continue
        np.testing.assert_array_equal(split.inputs, of[f"{prefix}inputs"].astype("f8"))
        if given_targets:
            np.testing.assert_array_equal(split.targets, of[f"{prefix}targets"].astype("f8"))
            if f"{prefix}labels" in of:
                np.testing.assert_array_equal(split.labels, of[f"{prefix}labels"])
        else:
            labels = {
                of_: names_of_labels(of[f"{of_}labels"], len(of[f"{of_}inputs"]))
                for of_ in ("", "test_")
                if f"{of_}labels" in of
            }
            known = sorted({label for some in labels.values() for label in some})
            np.testing.assert_array_equal(split.labels, [known.index(label) for label in labels[prefix]])
            np.testing.assert_array_equal(split.targets, np.eye(len(known))[split.labels])
    notes = "\n".join(result.notes)
    for name in unused:
        assert f"array '{name}'" in notes
    for place, name in attributes:
        assert f"'{renamed.get(place, place)}'" in notes
        assert f"{name} (2 values)" in notes
    for name in links:
        assert f"'{name}', a link" in notes
