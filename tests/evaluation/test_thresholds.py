"""Thresholds chosen for F1, on the labels that are known."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

from hf_mtl.evaluation.binary import UNKNOWN
from hf_mtl.evaluation.thresholds import threshold_logits, threshold_mistakes, tune_thresholds


def test_no_other_threshold_has_a_better_f1() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(80, 3)) * 2 - 1
    answers = (logits + rng.normal(size=(80, 3)) * 2 > 0.5).astype(np.int8)
    answers[rng.random((80, 3)) < 0.2] = UNKNOWN
    found, notes = tune_thresholds(logits, answers, ["a", "b", "c"])
    assert notes == []
    predicted = logits > threshold_logits(found, ["a", "b", "c"])
    for label in range(3):
        known = answers[:, label] != UNKNOWN
        yes = answers[known, label]
        best = max(f1_score(yes, logits[known, label] >= cut) for cut in logits[known, label])
        assert f1_score(yes, predicted[known, label]) == pytest.approx(best)
        assert best > f1_score(yes, logits[known, label] > 0)


def test_a_threshold_lies_between_what_it_parts_and_near_the_middle() -> None:
    logits, answers = np.array([[-3.0], [-1.0], [2.0], [4.0]]), np.array([[0], [0], [1], [1]])
    assert tune_thresholds(logits, answers, ["a"]) == ([pytest.approx(expit(0.5))], [])
    # Predicting all rows is as good as predicting none of the last: the cut nearer to 0.5 is taken.
    all_yes_but_one = tune_thresholds(np.array([[5.0], [6.0], [7.0]]), np.array([[1], [0], [1]]), ["a"])[0]
    assert all_yes_but_one == [pytest.approx(expit(4.0))]


def test_labels_that_the_rows_do_not_tell_apart_keep_the_middle() -> None:
    answers = np.array([[1, 0, UNKNOWN], [1, 0, UNKNOWN]])
    found, [note] = tune_thresholds(np.ones((2, 3)), answers, ["a", "b", "c"])
    assert found == [0.5, 0.5, 0.5]
    assert note.startswith("the rows to tune thresholds on do not tell 'a', 'b', 'c' apart")


def test_thresholds_of_far_logits_come_back() -> None:
    logits, answers = np.array([[20.0], [22.0], [24.0]]), np.array([[0], [1], [1]])
    found, _ = tune_thresholds(logits, answers, ["a"])
    assert threshold_logits(found, ["a"])[0] == pytest.approx(21.0, abs=0.01)
    assert 0 < found[0] < 1


def test_one_for_each_label_is_wanted() -> None:
    said = [str(item) for item in threshold_mistakes({"a": 0.5, "x": 0.1}, ["a", "b"], "k")]
    assert said[0].startswith("k.x: unknown label 'x'")
    assert said[1].startswith("k: nothing for b.")
    assert next(str(item) for item in threshold_mistakes([0.5], ["a", "b"], "k")).startswith("k: found 1 thresholds")
    assert not list(threshold_mistakes("tuned", ["a"], "k"))
    np.testing.assert_allclose(threshold_logits({"b": 0.9, "a": 0.1}, ["a", "b"]), [-np.log(9), np.log(9)])
