"""Rows that a Trainer was given are compared by their texts, or by their tokens where some have no texts."""

import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data.encoded import EncodedLabels, LabelledRows
from hf_mtl.data.section import ImbalanceSpec
from hf_mtl.data.seen_rows import SeenRows, draw_encoded, settle_encoded
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


def test_rows_that_a_ratio_leaves_out_are_not_compared() -> None:
    tasks = {"t": TASKS["t"], "u": TASKS["t"]}
    train = {"t": encoded(*[[3, row] for row in range(6)]), "u": encoded([1], [2])}
    seen = SeenRows()
    seen.add("t", "train", TASKS["t"], rows(text=list("abcdef")))
    seen.add("u", "train", TASKS["t"], rows(text=["x", "y"]))
    seen.add("t", "validation", TASKS["t"], rows(text=list("abcdef")))
    drawn, imbalance = draw_encoded(train, tasks, ImbalanceSpec(ratio={"t": 1, "u": 1}), 0, seen)
    assert imbalance is not None
    assert [len(part) for part in drawn.values()] == [2, 2]
    assert drawn["t"].tokens.flat_ids.tolist()[1::2] == imbalance.rows["t"].tolist()
    _, overlaps = settle_encoded(seen, tasks, drawn, {"t": encoded(*[[3, row] for row in range(6)])}, "warn")
    assert [(item.found, item.trained_rows) for item in overlaps] == [(2, 2)]
    assert overlaps[0].examples == tuple(repr("abcdef"[row]) for row in imbalance.rows["t"])


def test_rows_that_have_the_ratio_stay_and_without_one_all_do() -> None:
    train = {"t": encoded([1], [2]), "u": encoded([3])}
    tasks = dict.fromkeys(train, TASKS["t"])
    found, imbalance = draw_encoded(train, tasks, ImbalanceSpec(ratio={"t": 2, "u": 1}), 0)
    assert (found, imbalance.unit if imbalance else None) == (train, 1)
    assert draw_encoded(train, tasks, None, 0) == (train, None)
