"""Rows that a Trainer was given are compared by their texts, or by their tokens where some have no texts."""

import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data.encoded import EncodedLabels, LabelledRows
from hf_mtl.data.seen_rows import SeenRows, settle_encoded
from hf_mtl.data.text_keys import text_keys
from hf_mtl.data.tokens import EncodedSplit, TokenStore
from hf_mtl.errors import DataError

TASKS = {"t": SequenceClassification(labels=["x", "y"])}


def rows(**columns: list[object]) -> LabelledRows:
    dataset = Dataset.from_dict(columns)
    labels = EncodedLabels(np.zeros(len(dataset), np.int64), np.zeros(len(dataset), bool))
    return LabelledRows(dataset, labels, text_keys(TASKS["t"], dataset))


def encoded(*ids: list[int]) -> EncodedSplit:
    offsets = np.cumsum([0, *map(len, ids)])
    tokens = TokenStore(np.concatenate(ids).astype(np.int32), offsets, np.zeros(len(ids), bool))
    return EncodedSplit(tokens, np.arange(len(ids)) % 2)


TRAIN, SCORED = {"t": encoded([1, 2], [3], [4])}, {"t": encoded([3], [9])}


def test_texts_are_compared_where_all_rows_have_them() -> None:
    seen = SeenRows()
    seen.add("t", "train", TASKS["t"], rows(text=["A!", "b", "c"]))
    seen.add("t", "validation", TASKS["t"], rows(text=["a", "d"]))
    train, overlaps = settle_encoded(seen, TASKS, TRAIN, SCORED, "drop")
    assert [(item.found, item.trained_rows, item.examples) for item in overlaps] == [(1, 1, ("'a'",))]
    assert train["t"].labels.tolist() == [1, 0]
    assert train["t"].tokens.flat_ids.tolist() == [3, 4]
    assert len(SCORED["t"]) == 2


@pytest.mark.parametrize("train", [None, rows(input_ids=[[1, 2], [3], [4]])])
def test_tokens_are_compared_where_some_rows_alone_have_no_texts(train: LabelledRows | None) -> None:
    seen = SeenRows()
    if train is not None:
        seen.add("t", "train", TASKS["t"], train)
    seen.add("t", "validation", TASKS["t"], rows(text=["a", "d"]))
    found, overlaps = settle_encoded(seen, TASKS, TRAIN, SCORED, "warn")
    assert [(item.found, item.examples) for item in overlaps] == [(1, ("'3'",))]
    assert found == TRAIN


def test_what_is_dropped_or_refused_is_said(caplog: pytest.LogCaptureFixture) -> None:
    settle_encoded(SeenRows(), TASKS, {"t": encoded([3], [5], [7])}, {"t": encoded([5])}, "drop")
    assert "t: 1 of 1 validation row stands in the training rows of t (1 training row taken out)" in caplog.text
    assert "t: every train row is of class 'x'; there is nothing to learn." in caplog.text
    with pytest.raises(DataError, match=r"^data\.contamination: is 'error', and t: 1 of 1 validation row stands"):
        settle_encoded(SeenRows(), TASKS, {"t": encoded([3], [5])}, {"t": encoded([5])}, "error")
