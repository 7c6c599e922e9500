"""The column of weights: read, checked, and rows of weight 0 left out."""

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from pydantic import ValidationError

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.check import column_mistakes
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.load import load_task
from hf_mtl.data.row_weights import reads_weights, scaled_weights
from hf_mtl.errors import DataError
from hf_mtl.inference.encode import encode_splits
from hf_mtl.tasks import DatasetSource
from tests import tiny
from tests.data.rows import message, rows, saved

pytestmark = pytest.mark.usefixtures("own_cache")
TASK = SequenceClassification(labels=["a", "b"], weight="w")


def weighed(labels: list, weights: list) -> dict[str, list]:
    return {**rows(labels), "w": weights}


def test_bad_weights_are_named_by_kind_and_row_and_those_of_unlabelled_rows_are_not_looked_at() -> None:
    given = weighed([0, 1, None, 0, 1, 0], [1.0, -2.0, -3.0, None, float("nan"), float("inf")])
    said = message(encode_labels, TASK, "t", "train", Dataset.from_dict(given))
    assert "tasks.t.weight: train has 1 row with a negative weight in column 'w': row 1, counted from 0" in said
    assert "1 row with no weight in column 'w': row 3" in said
    assert "1 row with a NaN weight in column 'w': row 4" in said
    assert "1 row with an infinite weight in column 'w': row 5" in said


def test_mistakes_of_labels_and_weights_are_said_together() -> None:
    said = message(encode_labels, TASK, "t", "train", Dataset.from_dict(weighed([0, 5], [1.0, -1.0])))
    assert "row 1" in said.split("tasks.t.label")[1]
    assert "a negative weight" in said


def test_words_are_no_weights_and_a_column_has_one_use() -> None:
    said = message(encode_labels, TASK, "t", "train", Dataset.from_dict(weighed([0, 1], ["much", "little"])))
    assert "train column 'w' holds strings, not numbers" in said
    for task, other in ((Regression(label="w", weight="w"), "label"), (Regression(text="w", weight="w"), "text")):
        assert f"both weight and {other}" in str(next(iter(column_mistakes("t", task))))
    with pytest.raises(ValidationError, match="there is no weight: name the column"):
        SequenceClassification(weighted_metrics=True)


def test_rows_of_weight_zero_are_dropped_with_a_count_of_their_own(tmp_path: Path) -> None:
    source = saved(
        tmp_path,
        train=weighed([0, 1, None, 1, 0], [1.0, 0.0, 2.0, 3.0, 0.0]),
        validation=rows([0, 1]),
    )
    loaded = load_task("t", TASK.model_copy(update={"dataset": source}))
    assert loaded.splits["train"]["text"][:] == ["words 0", "words 3"]
    assert loaded.notes == [
        "t: 1 of 5 train rows has no label and was dropped.",
        "t: 2 of 5 train rows have weight 0 and were dropped.",
    ]
    assert loaded.labels["train"].weights is not None
    assert loaded.labels["train"].weights.tolist() == [1.0, 3.0]
    assert loaded.labels["validation"].weights is None


def test_where_every_weight_is_zero_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    source = saved(tmp_path, train=weighed([0, 1], [0.0, 0.0]), validation=rows([0, 1]))
    said = message(load_task, "t", TASK.model_copy(update={"dataset": source}))
    assert "none of 2 train rows has a label and a weight above 0" in said


def test_scored_rows_need_weights_only_where_metrics_are_weighted(tmp_path: Path) -> None:
    source = saved(tmp_path, train=weighed([0, 1], [1.0, 2.0]), validation=rows([0, 1]))
    weighted = TASK.model_copy(update={"dataset": source, "weighted_metrics": True})
    said = message(load_task, "t", weighted)
    assert "tasks.t.weight: no column 'w' in validation" in said
    assert "Without weighted_metrics rows that are only scored need no weights" in said
    assert [reads_weights(weighted, split) for split in ("train", "validation", "test")] == [True] * 3
    assert [reads_weights(TASK, split) for split in ("train", "validation", "test")] == [True, False, False]
    assert not reads_weights(SequenceClassification(), "train")


def test_a_csv_of_weights_is_read_as_numbers_and_its_mistakes_name_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label,w\nk,a,1\nm,b,0.5\nn,a,2\n")
    task = TASK.model_copy(update={"dataset": DatasetSource(path="csv", data_files=str(path))})
    task = task.model_copy(update={"validation_fraction": 0})
    assert load_task("t", task).labels["train"].weights.tolist() == [1.0, 0.5, 2.0]  # type: ignore[union-attr]
    path.write_text("text,label,w\nk,a,1\nm,b,-0.5\nn,a,2\n")
    assert "line 3" in message(load_task, "t", task)


def test_other_weights_are_other_rows(tmp_path: Path) -> None:
    found = []
    for name, weights in (("one", [1.0, 2.0]), ("two", [1.0, 3.0])):
        source = saved(tmp_path, name, train=weighed([0, 1], weights), validation=rows([0]))
        found.append(load_task("t", TASK.model_copy(update={"dataset": source})).fingerprints["train"])
    assert found[0] != found[1]


def test_rows_that_became_validation_rows_keep_weights_for_weighted_metrics_alone(tmp_path: Path) -> None:
    texts = tiny.rows("mood", 40)["text"][:]
    source = saved(tmp_path, train={"text": texts, "label": [0, 1] * 20, "w": list(range(1, 41))})
    for weighted in (False, True):
        task = TASK.model_copy(
            update={"dataset": source, "weighted_metrics": weighted, "validation_fraction": 0.4, "max_rows": 10}
        )
        loaded = load_task("t", task)
        encoded = {
            split: encode_splits({"t": loaded.splits[split]}, {"t": task}, tiny.tokenizer(), None, split)["t"]
            for split in ("train", "validation")
        }
        weights = {split: part.weights for split, part in encoded.items()}
        assert weights["train"].tolist() == loaded.splits["train"]["w"][:]  # type: ignore[union-attr]
        if weighted:
            assert weights["validation"].tolist() == loaded.splits["validation"]["w"][:]  # type: ignore[union-attr]
        else:
            assert weights["validation"] is None


def test_of_rows_to_predict_those_of_weight_zero_are_not_scored_and_none_needs_a_label() -> None:
    task = TASK.model_copy(update={"weighted_metrics": True})
    given = Dataset.from_dict(weighed([0, 1, None], [0.0, 2.0, 5.0]))
    found = encode_splits({"t": given}, {"t": task}, tiny.tokenizer(), None, "test")["t"]
    assert found.scored.tolist() == [1]
    bare = Dataset.from_dict({"text": ["k", "m"]})
    assert not encode_splits({"t": bare}, {"t": task}, tiny.tokenizer(), None, "test")["t"].labelled
    with pytest.raises(DataError, match="no column 'w' in test"):
        encode_splits({"t": given.remove_columns("w")}, {"t": task}, tiny.tokenizer(), None, "test")


def test_weights_are_scaled_to_a_mean_of_one_however_large_they_are() -> None:
    np.testing.assert_allclose(scaled_weights(np.array([1.0, 2.0, 3.0])), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(scaled_weights(np.full(3, 1e308)), 1.0)
    assert scaled_weights(np.full(7, 0.1)).tolist() == [1.0] * 7
