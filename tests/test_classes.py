"""Answers class by class: the confusion matrix, the error of each class, unequal classes beside their error,
and weights of classes."""

import numpy as np
import pytest

import bioFA
from bioFA.analysis.learning import confusion_matrix, error_rate
from bioFA.consumers.reference import Reference
from bioFA.errors import FileError
from bioFA.instance import draw
from bioFA.show import figures
from bioFA.tasks.arrays import Arrays


def unequal(folder, **task):
    """95 examples of class 0 and 5 of class 1, which a network can tell apart."""
    rng = np.random.default_rng(0)
    labels = (np.arange(200) % 20 == 0).astype(int)
    x = rng.normal(size=(200, 3)) + 0.8 * labels[:, np.newaxis]
    np.savez(folder / "d.npz", inputs=x, labels=labels, test_inputs=x, test_labels=labels)
    return bioFA.load(
        "digits",
        {
            "circuit.sizes": [3, 5, 2],
            "task": {"name": "arrays", "path": str(folder / "d.npz"), "encoding": "one_hot", **task},
            "protocol.epochs": 3,
        },
    )


def test_a_confusion_matrix_counts_every_answer_once():
    labels = np.array([0, 1, 1, 2, 2, 2])
    predictions = np.eye(3)[[0, 1, 0, 2, 2, 1]]
    matrix = confusion_matrix(labels, predictions)
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [1, 1, 0], [0, 1, 2]])
    assert 1 - np.trace(matrix) / matrix.sum() == pytest.approx(error_rate(labels, predictions))


def test_a_result_keeps_the_answers_to_the_test_examples(tmp_path):
    result = bioFA.simulate(
        bioFA.load("digits", {"protocol.epochs": 1, "protocol.snapshots": 2}), backend="numpy", folder=tmp_path / "run"
    )
    instance = draw(result.experiment, result.seed)
    answers = (
        Reference(instance)
        .segment(result.state, instance.evaluation("test"), learning=False, every=1)
        .recording.arrays["output.r"]
        .argmax(axis=1)
    )
    labels = instance.data.test.labels
    expected = [[int(np.sum((labels == row) & (answers == column))) for column in range(10)] for row in range(10)]
    np.testing.assert_array_equal(result.confusion["test"], expected)
    assert 1 - np.trace(result.confusion["test"]) / 360 == pytest.approx(result.metrics["test_error"])
    np.testing.assert_allclose(result.class_errors["test"], [np.mean(answers[labels == k] != k) for k in range(10)])
    loaded = bioFA.load_result(tmp_path / "run" / "result.h5")
    np.testing.assert_array_equal(loaded.confusion["test"], result.confusion["test"])
    assert result.summary()["confusion"]["test"] == expected
    assert figures.confusion in figures.drawn(result)
    assert len(figures.confusion(result).axes) == 4  # two splits, two colour bars
    assert "classes are unequal" not in str(result)


def test_unequal_classes_are_told_beside_the_error(tmp_path):
    result = bioFA.simulate(unequal(tmp_path), backend="numpy")
    balance = result.class_balance["test"]
    assert (balance["largest"], balance["constant_error"]) == (0.95, pytest.approx(0.05))
    assert balance["balanced_error"] == pytest.approx(result.class_errors["test"].mean())
    assert "95% are class 0, so that always answering it is wrong in 5.0%" in str(result)


def test_an_error_that_one_answer_to_all_would_have_is_told(tmp_path):
    rng, labels = np.random.default_rng(0), (np.arange(40) % 5 < 2).astype(int)
    np.savez(tmp_path / "d.npz", inputs=rng.normal(size=(40, 3)), labels=labels,
             test_inputs=rng.normal(size=(40, 3)), test_labels=labels)  # fmt: skip
    result = bioFA.simulate(
        bioFA.load("digits", {
            "circuit.sizes": [3, 5, 2],
            "circuit.weights": {"name": "constant", "value": 0.0},
            "circuit.schemes.fa.rule.learning_rate": 0.0,
            "circuit.schemes.fa.readout_rule.learning_rate": 0.0,
            "task": {"name": "arrays", "path": str(tmp_path / "d.npz"), "encoding": "one_hot"},
            "protocol.epochs": 1,
        }),
        backend="numpy",
    )  # fmt: skip
    told = "test error         40.0%   (no better than always answering class 0, which is wrong in 40.0%)"
    assert told in str(result)


def test_weights_of_classes_show_their_examples_so_often(tmp_path):
    plain, balanced, given = (
        unequal(tmp_path, **task).task.draw(None).train
        for task in ({}, {"class_weights": "balanced"}, {"class_weights": [1, 3]})
    )
    assert np.bincount(plain.labels).tolist() == [190, 10]
    assert np.bincount(balanced.labels).tolist() == [190, 190]
    assert np.bincount(given.labels).tolist() == [190, 30]
    assert {tuple(row) for row in balanced.inputs} == {tuple(row) for row in plain.inputs}


def test_weights_of_classes_lower_the_mean_error_of_the_classes(tmp_path):
    plain, balanced = (
        bioFA.simulate(unequal(tmp_path, **task), backend="numpy").class_balance["test"]["balanced_error"]
        for task in ({}, {"class_weights": "balanced"})
    )
    assert balanced < plain - 0.1


def test_wrong_weights_of_classes_are_refused(tmp_path):
    with pytest.raises(FileError, match="class_weights must be 2, one for each class; got 3"):
        unequal(tmp_path, class_weights=[1, 2, 3])
    np.savez(tmp_path / "n.npz", inputs=np.eye(4), targets=np.eye(4))
    with pytest.raises(FileError, match="class_weights need labels"):
        Arrays(path=str(tmp_path / "n.npz"), class_weights="balanced").draw(None)
