"""Text tables as others write them: every field of every row is read, or the file is refused with its line;
nothing is guessed away."""

import gzip
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import cli
from bioFA.errors import FileError, ModelError
from bioFA.tasks.arrays import Arrays

SHIPPED = Path(sklearn.datasets.__file__).parent / "data"


def read(path, **fields):
    return Arrays(path=str(path), **fields).draw(None).train


def table_of(name):
    """A data set of scikit-learn as a table whose last column is the class by its name."""
    bunch = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    return bunch.data.assign(kind=np.asarray(bunch.target_names)[bunch.target])


SHIPPED_TABLES = {
    "breast_cancer.csv": (
        {"skip_lines": 1, "header": False, "labels": "column_31", "encoding": "one_hot"},
        (569, 30),
        "breast_cancer",
    ),
    "wine_data.csv": (
        {"skip_lines": 1, "header": False, "labels": "column_14", "encoding": "one_hot"},
        (178, 13),
        "wine",
    ),
    "iris.csv": ({"skip_lines": 1, "header": False, "labels": "column_5", "encoding": "one_hot"}, (150, 4), "iris"),
    "digits.csv.gz": ({"header": False, "labels": "column_65", "encoding": "one_hot"}, (1797, 64), "digits"),
    "diabetes_data_raw.csv.gz": ({"header": False, "targets": "column_10"}, (442, 9), None),
    "diabetes_target.csv.gz": ({"header": False, "inputs": "column_1", "targets": "column_1"}, (442, 1), None),
    "linnerud_exercise.csv": ({"targets": "Jumps"}, (20, 2), None),
    "linnerud_physiological.csv": ({"targets": "Pulse"}, (20, 2), None),
}


def test_every_table_that_scikit_learn_ships_is_named_here():
    assert set(SHIPPED_TABLES) == {name for name in os.listdir(SHIPPED) if ".csv" in name}


@pytest.mark.parametrize("file", SHIPPED_TABLES)
def test_the_tables_of_scikit_learn_are_read_whole(file):
    fields, shape, name = SHIPPED_TABLES[file]
    train = read(SHIPPED / file, **fields)
    assert train.inputs.shape == shape
    if name is not None:
        bunch = getattr(sklearn.datasets, f"load_{name}")()
        np.testing.assert_array_equal(train.inputs, bunch.data)
        np.testing.assert_array_equal(train.labels, bunch.target)


@pytest.mark.parametrize(
    ("file", "label", "line"),
    [
        ("breast_cancer.csv", "benign", "line 2 has 31 fields, and line 1 has 4"),
        ("wine_data.csv", "class_2", "line 2 has 14 fields, and line 1 has 5"),
        ("iris.csv", "virginica", "line 1 should hold the names of the columns, and holds the number 150"),
        ("digits.csv.gz", "0", "line 1 should hold the names"),
    ],
)
def test_a_table_without_a_line_of_names_is_refused_with_its_line(file, label, line):
    with pytest.raises(FileError, match=line):
        read(SHIPPED / file, labels=label, encoding="one_hot")


def by_pandas(table, path, **options):
    table.to_csv(path, index=False, **options)


def by_a_spreadsheet(table, path):
    """Semicolons, decimal commas, a mark before the text, line ends of Windows."""
    table.to_csv(path, index=False, sep=";", decimal=",", encoding="utf-8-sig", lineterminator="\r\n")


def by_numpy(table, path):
    """Numbers only, divided by spaces, the names behind a #."""
    numbers = table.assign(kind=np.unique(table.kind, return_inverse=True)[1])
    np.savetxt(path, numbers.to_numpy(float), header=" ".join(c.replace(" ", "_") for c in table.columns), fmt="%.17g")


WRITERS = {
    "pandas.csv": (by_pandas, {}), "pandas.tsv": (lambda table, path: by_pandas(table, path, sep="\t"), {}),
    "quoted.csv": (lambda table, path: by_pandas(table, path, quoting=1), {}), "packed.csv.gz": (by_pandas, {}),
    "spreadsheet.csv": (by_a_spreadsheet, {"decimal": ","}), "numpy.txt": (by_numpy, {}),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", ["iris", "wine"])
def test_iris_and_wine_come_back_from_every_writer(name, writer, tmp_path):
    table, (write, fields) = table_of(name), WRITERS[writer]
    write(table, tmp_path / writer)
    train = read(tmp_path / writer, labels="kind", encoding="one_hot", **fields)
    np.testing.assert_array_equal(train.inputs, table.drop(columns="kind"))
    np.testing.assert_array_equal(train.labels, np.unique(table.kind, return_inverse=True)[1])


def test_decimal_commas_are_refused_with_the_option_that_reads_them(tmp_path):
    by_a_spreadsheet(table_of("iris"), tmp_path / "d.csv")
    with pytest.raises(FileError, match=r"line 2 holds '5,1'. Where numbers are written so, say decimal = ','"):
        read(tmp_path / "d.csv", labels="kind", encoding="one_hot")


def test_row_numbers_are_no_inputs_unless_they_are_named(tmp_path):
    table = table_of("iris")
    table.to_csv(tmp_path / "index.csv")
    table.insert(0, "Id", np.arange(1, 151))
    table.to_csv(tmp_path / "id.csv", index=False)
    for file, name, fault in (("index.csv", "column_1", "has no name"), ("id.csv", "Id", "counts the rows")):
        with pytest.raises(FileError, match=f"the column '{name}' {fault}.*exclude"):
            read(tmp_path / file, labels="kind", encoding="one_hot")
        assert read(tmp_path / file, labels="kind", encoding="one_hot", exclude=name).inputs.shape == (150, 4)
        assert read(tmp_path / file, labels="kind", encoding="one_hot", inputs=[name]).inputs.shape == (150, 1)


def test_columns_left_out_are_no_inputs_and_unknown_ones_are_refused(tmp_path):
    pd.DataFrame({"patient_id": [7, 3, 9], "x": [1.0, 2.0, 4.0], "y": [0.0, 1.0, 1.0]}).to_csv(
        tmp_path / "d.csv", index=False
    )
    np.testing.assert_array_equal(read(tmp_path / "d.csv", targets="y", exclude=["patient_id"]).inputs, [[1], [2], [4]])
    with pytest.raises(FileError, match=r"no column 'patient'.*Did you mean 'patient_id'"):
        read(tmp_path / "d.csv", targets="y", exclude=["patient"])
    with pytest.raises(ModelError, match="asked for, and excluded"):
        read(tmp_path / "d.csv", targets="y", exclude=["y"])


@pytest.mark.parametrize("missing", ["NA", "nan", "NULL", "None", "n/a"])
def test_a_class_whose_name_means_missing_elsewhere_is_a_class(missing, tmp_path):
    (tmp_path / "d.csv").write_text(f"a,kind\n1,{missing}\n2,V1\n5,{missing}\n")
    np.testing.assert_array_equal(
        read(tmp_path / "d.csv", labels="kind", encoding="one_hot").targets.sum(axis=0),
        sorted([2, 1], reverse=missing < "V1"),
    )


@pytest.mark.parametrize("kinds", [("01", "1"), ("1", "1e400", "inf"), ("True", "true"), ("0.1", "0.10"), ("x ", "1")])
def test_texts_that_would_be_one_number_are_classes_of_their_own(kinds, tmp_path):
    (tmp_path / "d.csv").write_text("a,kind\n" + "".join(f"{row / 2},{kind}\n" for row, kind in enumerate(kinds * 3)))
    found = read(tmp_path / "d.csv", labels="kind", encoding="one_hot").targets
    np.testing.assert_array_equal(found.sum(axis=0), [3] * len(kinds))


def test_labels_that_are_numbers_stay_numbers_also_where_one_is_missing(tmp_path):
    (tmp_path / "d.csv").write_text("a,kind\n1,10\n2,9\n3,10\n")
    np.testing.assert_array_equal(
        read(tmp_path / "d.csv", labels="kind", encoding="one_hot").targets, [[0, 1], [1, 0], [0, 1]]
    )
    (tmp_path / "d.csv").write_text("a,kind\n1,10\n2,\n3,10\n")
    with pytest.raises(FileError, match="label in line 3 is missing"):
        read(tmp_path / "d.csv", labels="kind", encoding="one_hot")


def test_lines_are_those_of_the_file_also_after_blank_and_broken_ones(tmp_path):
    (tmp_path / "d.csv").write_text('a,b,kind\n1,2,"x\ny"\n\n3,,z\n')
    with pytest.raises(FileError, match="column 'b' has no finite number in line 5"):
        read(tmp_path / "d.csv", labels="kind", encoding="one_hot")


BROKEN = {
    "a wider row": ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, and line 1 has 2, divided by a comma"),
    "a shorter row": ("a b c\n1 2 3\n4 5\n", "line 3 has 2 fields, and line 1 has 3, divided by spaces"),
    "a name twice": ("a,a,b\n1,2,3\n", "line 1 has the name 'a' 2 times"),
    "no names": ("1,2\n3,4\n", "line 1 should hold the names of the columns, and holds the number 1"),
    "two separators": ("a;b,c\n1;2,3\n", "can be read in 2 ways"),
    "nothing": ("", "is empty"),
    "a quote that does not end": ('a,b\n1,"2\n', "fields|cannot be divided"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_is_refused_with_its_line(case, tmp_path):
    text, complaint = BROKEN[case]
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(FileError, match=complaint):
        read(tmp_path / "d.csv", targets="b")


def test_options_of_a_text_table_are_refused_for_arrays(tmp_path):
    np.savez(tmp_path / "d.npz", inputs=np.eye(3), targets=np.eye(3), patient=np.arange(3))
    with pytest.raises(ModelError, match="header, skip_lines and decimal"):
        read(tmp_path / "d.npz", header=False)
    assert read(tmp_path / "d.npz", exclude="patient").inputs.shape == (3, 3)


texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8).filter(
    lambda text: text == text.strip() and not text.startswith("#")
)
numbers = st.floats(allow_nan=False, allow_infinity=False).map(float)


@settings(max_examples=int(os.environ.get("BIOFA_EXAMPLES", 25)), deadline=None)
@given(data=st.data(), separator=st.sampled_from([",", ";", "\t"]), rows=st.integers(1, 8), packed=st.booleans())
def test_what_a_csv_writer_writes_is_read_whole_or_refused_by_name(data, separator, rows, packed, tmp_path_factory):
    names = data.draw(st.lists(texts.filter(lambda t: t != "kind"), min_size=1, max_size=5, unique=True))
    values = np.array(
        data.draw(st.lists(st.lists(numbers, min_size=len(names), max_size=len(names)), min_size=rows, max_size=rows))
    )
    kinds = data.draw(st.lists(texts, min_size=rows, max_size=rows))
    path = tmp_path_factory.mktemp("drawn") / f"d.csv{'.gz' if packed else ''}"
    text = io.StringIO()
    pd.DataFrame(values, columns=names).assign(kind=kinds).to_csv(
        text, index=False, sep=separator, quoting=data.draw(st.sampled_from([0, 1]))
    )
    path.write_bytes(gzip.compress(text.getvalue().encode()) if packed else text.getvalue().encode())
    refusal = _refusal(path)
    # what the file leaves open
    assume(not any(why in refusal for why in ("holds the number", "can be read in", "counts the rows")))
    assert refusal == ""
    train = read(path, labels="kind", encoding="one_hot")
    np.testing.assert_allclose(train.inputs, values, rtol=1e-15)
    assert len(set(kinds)) == train.targets.shape[1] or all(_is_number(kind) for kind in kinds)


def _refusal(path):
    try:
        read(path, labels="kind", encoding="one_hot")
    except (FileError, ModelError) as error:
        return str(error)
    return ""


def _is_number(text):
    try:
        return float(text) is not None
    except ValueError:
        return text in ("True", "False", "TRUE", "FALSE", "true", "false")


def test_a_run_of_a_wrong_size_names_the_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_pandas(table_of("iris"), "iris.csv")
    fields = {"name": "arrays", "path": "iris.csv", "labels": "kind", "encoding": "one_hot"}
    with pytest.raises(
        ModelError, match=r"4 values \(sepal length \(cm\), sepal width \(cm\), .*petal width \(cm\)\); its size is 5"
    ):
        bioFA.load("linear", {"circuit.sizes": [5, 4, 3], "task": fields})
    with pytest.raises(ModelError, match=r"3 values \(classes of kind\); its size is 2"):
        bioFA.load("linear", {"circuit.sizes": [4, 4, 2], "task": fields})


WRONG_ARRAYS = {
    "more labels": (
        lambda x, y: {"inputs": x[:50], "labels": y},
        "'labels' must be 50 names or whole numbers, one an example; got int64 of shape (60,)",
    ),
    "fewer labels": (
        lambda x, y: {"inputs": x, "labels": y[:50]},
        "'labels' must be 60 names or whole numbers, one an example",
    ),
    "a matrix of labels": (lambda x, y: {"inputs": x, "labels": np.eye(3)[y]}, "got float64 of shape (60, 3)"),
    "one number": (lambda x, y: {"inputs": np.array(3.0), "labels": y}, "'inputs' must be a matrix of numbers"),
    "no number in a label": (
        lambda x, y: {"inputs": x, "labels": np.where(np.arange(60) == 7, np.nan, y)},
        "the label in row 7 is missing (1 of 60 are)",
    ),
    "an empty label": (
        lambda x, y: {"inputs": x, "labels": np.where(np.arange(60) == 9, "", "a")},
        "the label in row 9 is missing",
    ),
    "a gap": (
        lambda x, y: {"inputs": np.where(np.arange(60)[:, None] == 31, np.nan, x), "labels": y},
        "'inputs' holds a number that is not finite in row 31",
    ),
    "dates as labels": (lambda x, y: {"inputs": x, "labels": y.astype("M8[D]")}, "'labels' must be numbers or texts"),
}


@pytest.mark.parametrize("shares", [{}, {"validation": 0.2, "test": 0.2}])
@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_wrong_arrays_are_refused_in_rows_of_the_file_whether_split_or_not(case, shares, tmp_path):
    make, complaint = WRONG_ARRAYS[case]
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", **make(rng.normal(size=(60, 3)), rng.integers(3, size=60)))
    with pytest.raises(FileError) as caught:
        read(tmp_path / "d.npz", encoding="one_hot", **shares)
    assert complaint in str(caught.value)


def test_a_missing_numeric_label_of_a_table_is_refused_with_its_line(tmp_path):
    (tmp_path / "d.csv").write_text(
        "a,kind\n" + "".join(f"{n / 7:.3f},{n % 3 if n != 11 else ''}\n" for n in range(30))
    )
    with pytest.raises(FileError, match="the label in line 13 is missing"):
        read(tmp_path / "d.csv", labels="kind", encoding="one_hot", validation=0.2)


@settings(max_examples=50, deadline=None)
@given(power=st.integers(-300, 300), constant=st.floats(-1e300, 1e300), scaling=st.sampled_from(["standard", "range"]))
def test_scaling_neither_overflows_nor_blows_up_what_is_constant(power, constant, scaling, tmp_path_factory):
    path = tmp_path_factory.mktemp("scale") / "d.npz"
    x = np.random.default_rng(1).normal(size=(40, 1))
    rounded = np.full((40, 1), constant) * (1 + 2.0**-53 * (np.arange(40)[:, None] % 3))  # the same up to rounding
    np.savez(path, inputs=np.hstack([x * 10.0**power, np.full((40, 1), constant), rounded]), labels=np.arange(40) % 2)
    scaled = read(path, encoding="one_hot", scaling=scaling).inputs
    offset, width = (x.mean(), x.std()) if scaling == "standard" else (x.min(), np.ptp(x))
    np.testing.assert_allclose(scaled[:, :1], (x - offset) / width, rtol=1e-9, atol=1e-12)
    assert not scaled[:, 1:].any()


def test_an_example_too_far_from_the_others_is_named(tmp_path):
    x = np.random.default_rng(1).normal(size=(40, 2))
    far = x.copy()
    far[3, 1] = 1e300
    np.savez(
        tmp_path / "d.npz", inputs=x * 1e-20, labels=np.arange(40) % 2, test_inputs=far, test_labels=np.arange(40) % 2
    )
    with pytest.raises(FileError, match=r"row 3, input 1, is too far from the training examples"):
        read(tmp_path / "d.npz", encoding="one_hot", scaling="standard")


def test_the_summary_of_a_run_names_the_columns_that_were_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_pandas(table_of("iris").assign(Id=np.arange(150)), "iris.csv")
    shutil.copy("iris.csv", "copy.csv")
    task = json.dumps(
        {"name": "arrays", "path": "iris.csv", "labels": "kind", "encoding": "one_hot", "exclude": ["Id"]}
    ).replace(":", " =")
    done = CliRunner().invoke(
        cli.main,
        [
            "run",
            "linear",
            "--backend",
            "numpy",
            "--set",
            f"task={task.replace(chr(34) + ' =', chr(34) + ' =')}",
            "--set",
            "circuit.sizes=[4,4,3]",
            "--out",
            "out",
        ],
    )
    assert done.exit_code == 0, done.output
    assert "sepal length (cm), sepal width (cm), petal length (cm), petal width (cm)" in done.output
    assert "labels: kind" in done.output
    assert bioFA.load_result("out/result.h5").provenance["columns"]["labels"] == ["kind"]


def test_a_split_whose_targets_are_all_0_is_no_reason_to_refuse_training(tmp_path):
    x = np.random.default_rng(2).normal(size=(20, 3))
    y = (x[:, :1] > 0).astype(float)
    np.savez(
        tmp_path / "d.npz", inputs=x, targets=y, validation_inputs=x[y[:, 0] == 0], validation_targets=y[y[:, 0] == 0]
    )
    experiment = bioFA.load(
        "linear", {"circuit.sizes": [3, 4, 1], "task": {"name": "arrays", "path": str(tmp_path / "d.npz")}}
    )
    result = bioFA.simulate(experiment, backend="numpy")
    assert np.isfinite(result.metrics["nse"])
    assert "validation_nse" not in result.metrics  # squared error over the power of the targets, which is 0
    assert [row["nse"] for row in result.evaluations] == [None] * len(result.evaluations)
    with pytest.raises(ModelError, match="no validation targets but 0"):
        bioFA.simulate(
            bioFA.load(
                "linear",
                {
                    "circuit.sizes": [3, 4, 1],
                    "task": {"name": "arrays", "path": str(tmp_path / "d.npz")},
                    "protocol.stop": {"measure": "validation_nse", "below": 0.1},
                },
            ),
            backend="numpy",
        )


def test_numbers_beyond_float32_are_refused_as_such(tmp_path):
    x = np.random.default_rng(2).normal(size=(20, 3))
    x[4, 2] = -1e39
    np.savez(tmp_path / "d.npz", inputs=x, targets=x[:, :2] * 1e-40)
    experiment = bioFA.load(
        "linear", {"circuit.sizes": [3, 4, 2], "task": {"name": "arrays", "path": str(tmp_path / "d.npz")}}
    )
    with pytest.raises(
        FileError, match=r"the train inputs of Arrays hold -1e\+39 in row 4, column 2, which float32 cannot hold"
    ):
        bioFA.simulate(experiment, precision="float32")


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        pytest.param("a,y\n1,u\nnan,v\n", {}, "line 3 holds 'nan'", id="a number that is none"),
        pytest.param("a,y\n1,u\n1_000,v\n", {}, "line 3 holds '1_000'", id="a number as Python writes it"),
        pytest.param("a;y\n1,5;u\n2.5;v\n", {"decimal": ","}, "line 3 holds '2.5'", id="a point where commas are told"),
        pytest.param(
            "a,y\n1,u\n9007199254740993,v\n",
            {},
            "the first in line 3: 9007199254740993",
            id="a whole number beyond float64",
        ),
        pytest.param(
            "a,y\n3,u\n18446744073709551617,v\n",
            {},
            "the first in line 3: 18446744073709551617",
            id="a whole number beyond 64 bits",
        ),
        pytest.param(f"a,y\n1,u\n1{'0' * 400},v\n", {}, "no finite number in line 3", id="a whole number beyond all"),
        pytest.param(
            'a b y\n1 2 u\n3 4 "v w\n', {}, "line 3 cannot be divided by spaces", id="a quote that is not closed"
        ),
    ],
)
def test_what_is_no_number_is_named_with_its_own_line(text, options, said, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(FileError, match=re.escape(said)):
        Arrays(path=str(tmp_path / "x.csv"), labels="y", encoding="one_hot", **options).made()


def test_whole_numbers_that_float64_has_are_read_at_any_size(tmp_path):
    (tmp_path / "x.csv").write_text("a,y\n1,u\n18446744073709551616,v\n36893488147419103232,u\n")
    found = Arrays(path=str(tmp_path / "x.csv"), labels="y", encoding="one_hot").made().train
    np.testing.assert_array_equal(found.inputs, [[1.0], [2.0**64], [2.0**65]])


@pytest.mark.parametrize(
    ("text", "inputs", "columns"),
    [
        pytest.param('"a\n(mm)",b,y\n1,2,u\n3,4,v\n', {}, ("a\n(mm)", "b"), id="a line end in a name"),
        pytest.param(
            '5" screen\na,b,y\n1,2,u\n3,4,v\n', {"skip_lines": 1}, ("a", "b"), id="a quote in a line that is left out"
        ),
        pytest.param('"a" "b c" "y"\n1 2 "u"\n3 4 "New York"\n', {}, ("a", "b c"), id="quotes between spaces"),
        pytest.param('"a" "b" "y"\n1 2 5"\n3 4 "say ""hi"""\n', {}, ("a", "b"), id="quotes in texts between spaces"),
    ],
)
def test_texts_in_quotes_may_hold_what_divides(text, inputs, columns, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    found = Arrays(path=str(tmp_path / "x.csv"), labels="y", encoding="one_hot", **inputs).made()
    np.testing.assert_array_equal(found.train.inputs, [[1, 2], [3, 4]])
    assert found.columns["inputs"] == columns


@pytest.mark.parametrize("coding", ["latin-1", "utf-16"])
def test_a_text_of_another_coding_is_refused_with_its_first_line(coding, tmp_path):
    (tmp_path / "x.csv").write_bytes("a,y\n1,u\n2,M\u00fcll\n".encode(coding))
    with pytest.raises(FileError, match=f"line {3 if coding == 'latin-1' else 1} of .* is no UTF-8 text"):
        Arrays(path=str(tmp_path / "x.csv"), labels="y", encoding="one_hot").made()
