"""The places that are right, and a linear model of what choices share with their context."""

import numpy as np
import pytest

from hf_mtl import MultipleChoice
from hf_mtl.evaluation import baseline_outputs, score_task
from hf_mtl.evaluation.choice_baselines import TextRow, choice_baselines
from hf_mtl.tasks.learning import NO_SITE
from tests.task_types.test_multiple_choice import matching

TASK = MultipleChoice(labels="index")


def test_the_majority_has_the_shares_of_places_and_leaves_out_absent_choices() -> None:
    train = [("an apple", ["red apple", "blue car"])] * 4
    rows = [("on", ["no", "yes"]), ("of", ["aa", "bb", "cc"])]
    found = baseline_outputs(TASK, train, np.array([0, 0, 0, 1]), rows)
    np.testing.assert_allclose(np.exp(found["majority"][..., 0]), [[0.75, 0.25, 0], [0.75, 0.25, 0]], atol=1e-9)
    assert found["majority"][0, 2, 0] == found["tfidf"][0, 2, 0] == NO_SITE


def test_the_linear_model_solves_what_shared_words_solve_and_the_place_does_not() -> None:
    rows = matching(300, seed=3)
    read, labels = list(zip(rows["text"], rows["choices"], strict=True)), np.array(rows["label"])
    found = baseline_outputs(TASK, read[:200], labels[:200], read[200:])
    scores = {name: score_task(TASK, "t", raw, labels[200:])["accuracy"] for name, raw in found.items()}
    assert scores["tfidf"] == 1
    assert scores["majority"] < 0.55


def test_texts_without_words_leave_the_places() -> None:
    train = [TextRow("?", ["!", "."])] * 3
    with pytest.warns(UserWarning, match="no word of two letters"):
        found = choice_baselines(train, np.array([0, 1, 1]), train)
    np.testing.assert_array_equal(found["tfidf"], found["majority"])


def test_choices_in_columns_are_read_as_those_in_lists() -> None:
    task = MultipleChoice(text=[], choices=["a", "b", "c"], labels="index")
    labels = np.array([0, 1, 0, 1])
    columns = [("red apple", "blue car", ""), ("a car", "an apple", None)] * 2
    lists = [["red apple", "blue car"], ["a car", "an apple"]] * 2
    found = baseline_outputs(task, columns, labels, columns)
    other = baseline_outputs(MultipleChoice(text=[], labels="index"), lists, labels, lists)
    for name, raw in found.items():
        assert raw.shape == (4, 2, 1)
        np.testing.assert_array_equal(raw, other[name])
    assert TASK.predictions(found["tfidf"]).tolist() == labels.tolist()
