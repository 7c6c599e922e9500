"""Votes and distributions as labels: lists and mappings, and what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data.class_values import read_class_values
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.load import load_task
from hf_mtl.data.soft_labels import resolve_soft
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource
from tests import tiny
from tests.data.rows import message

pytestmark = pytest.mark.usefixtures("own_cache")
TASK = SequenceClassification(labels=["no", "yes"], soft_labels=True)


def data(*labels: object) -> Dataset:
    return Dataset.from_dict({"text": [f"k{place}" for place in range(len(labels))], "label": list(labels)})


def encoded(*labels: object) -> np.ndarray:
    return encode_labels(TASK, "t", "train", data(*labels)).values


def test_votes_by_class_that_are_read_as_one_class_say_the_key() -> None:
    votes = Dataset.from_list([{"label": {"a": 1, "b": 2}}] * 2)
    with pytest.raises(DataError, match="soft_labels: true reads votes or shares by class"):
        read_class_values(votes, "label", "train", "k")


def test_votes_become_shares_and_a_row_without_any_is_unlabelled() -> None:
    found = encode_labels(TASK, "t", "train", data([3, 1], None, [0.25, 0.75], [1e308, 1e308]))
    np.testing.assert_allclose(found.values[[0, 2, 3]], [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    assert found.missing.tolist() == [False, True, False, False]


def test_mappings_name_the_classes_and_leave_out_those_without_votes() -> None:
    found = encode_labels(TASK, "t", "train", data({"yes": 3, "no": 1}, {"yes": 2}, None))
    np.testing.assert_allclose(found.values[:2], [[0.25, 0.75], [0.0, 1.0]])
    assert found.missing.tolist() == [False, False, True]
    train, test = data({"b": 1, "a": 2}), data({"c": 1.0})
    assert resolve_soft(None, "label", "t", {"train": train, "test": test}) == ["a", "b", "c"]


def test_lists_are_of_classes_that_have_a_number_or_names() -> None:
    assert resolve_soft(None, "label", "t", {"train": data([1, 2, 3])}) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert resolve_soft(2, "label", "t", {"train": data([1, 2])}) == ["LABEL_0", "LABEL_1"]
    assert resolve_soft(["x", "y"], "label", "t", {"train": data([1, 2])}) == ["x", "y"]
    said = message(resolve_soft, 3, "label", "t", {"train": data({"a": 1, "b": 2})})
    assert "labels is 3, and the data tells of 2: 'a', 'b'" in said


def test_each_kind_of_bad_label_is_named_with_its_rows() -> None:
    said = message(encoded, [1, 1], [1, 2, 3], [-1, 2], [0, 0], [float("nan"), 1], [None, 1], [float("inf"), 1])
    assert "train column 'label' has 1 row with other than 2 numbers in the list: row 1, counted from 0" in said
    assert "1 row with a negative number in the label: row 2" in said
    assert "1 row with a label of zeros: row 3" in said
    assert "3 rows with a missing or infinite number in the label: rows 4, 5 and 6" in said
    said = message(encoded, {"yes": 1, "maybe": 2})
    assert "has votes for an unknown class 'maybe'" in said
    said = message(encoded, "yes", "no")
    assert "train column 'label' holds large_string. A soft label is a list of numbers" in said
    assert "holds string in its labels, not numbers" in message(encoded, ["yes"], ["no"])
    said = message(encode_labels, SequenceClassification(labels=2), "t", "train", data([1, 2], [2, 1]))
    assert "soft_labels: true reads lists of a number for each class" in said


@pytest.mark.parametrize("form", ["lists", "mappings"])
def test_soft_labels_come_from_files(tmp_path: Path, form: str) -> None:
    texts = tiny.rows("mood", 20)["text"][:]
    votes = [[place % 4, 2] for place in range(20)]
    labels = votes if form == "lists" else [dict(zip(("bad", "good"), pair, strict=True)) for pair in votes]
    Dataset.from_dict({"text": texts, "label": labels}).to_json(str(tmp_path / "rows.jsonl"))
    source = DatasetSource(path="json", data_files=str(tmp_path / "rows.jsonl"))
    draw = {"validation_fraction": 0.3, "max_rows": 8, "stratify": True}
    loaded = load_task("t", SequenceClassification(soft_labels=True, dataset=source, **draw))
    assert loaded.task.labels == (["LABEL_0", "LABEL_1"] if form == "lists" else ["bad", "good"])
    np.testing.assert_allclose(loaded.labels["train"].values.sum(axis=1), 1)
    assert len(loaded.splits["train"]) == 8
