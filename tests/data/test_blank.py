"""Texts that look like something to a program and like nothing to a reader."""

from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.blank import blank_texts
from hf_mtl.data.class_names import similar_names
from hf_mtl.data.class_values import read_class_values
from hf_mtl.data.filters import filter_rows
from hf_mtl.data.texts import check_texts
from hf_mtl.tasks import DatasetSource, RowFilter

UNSEEN = {
    "nothing": "",
    "blanks": " \t\r\n",
    "no-break space": "\xa0",
    "ideographic space": "\u3000",
    "zero-width space": "\u200b",
    "zero-width joiners": "\u200c\u200d",
    "byte order mark": "\ufeff",
    "soft hyphen": "\xad",
    "control": "\x00\x07\x1b",
    "direction": "\u202e\u2066",
    "Hangul filler": "\u3164\u115f\u1160\uffa0",
    "Braille blank": "\u2800",
    "variation selector": "\ufe0f",
    "tag": "\U000e0041",
}
SEEN = ["a", ".", "\u200bx", "0", "\u0301", "\U0001f600\ufe0f", "\u200f\u05d0", "\u1100", "\u2801", "\ue000"]


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN.keys())
def test_a_text_that_nobody_can_see_is_blank_wherever_it_is_read(text: str) -> None:
    rows = Dataset.from_dict({"text": ["a", text], "label": ["x", text]})
    task = SequenceClassification(labels=["x", "y"])
    [mistake] = check_texts(task, "t", "train", rows)
    assert mistake.problem == "train has 1 row with empty text in column 'text': row 1, counted from 0"
    assert filter_rows(rows, RowFilter(column="text", not_blank=True))[1] == 1
    assert read_class_values(rows, "label", "train", "t").missing.tolist() == [False, True]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_text_with_anything_to_see_is_none(kind: Any) -> None:
    assert blank_texts(pa.array([*SEEN, None], kind)).to_pylist() == [*([False] * len(SEEN)), None]


def test_classes_that_differ_in_what_cannot_be_seen_are_alike() -> None:
    assert similar_names(["joy", "joy\u200b", "anger", "\ufeffAnger", "calm"]) == [
        ["joy", "joy\u200b"],
        ["anger", "\ufeffAnger"],
    ]


def test_what_to_do_with_empty_texts_is_said_as_the_rows_were_given() -> None:
    rows = Dataset.from_dict({"body": [" ", "b"], "label": [1.0, 2.0]})
    [given] = check_texts(Regression(text="body"), "t", "train", rows)
    assert given.remedy == "Give these rows a text, or leave them out with Dataset.filter."
    [named] = check_texts(Regression(text="body", dataset=DatasetSource(path="x")), "t", "train", rows)
    remedy = "leave them out with the dataset's filter: {column: body, not_blank: true}."
    assert named.remedy == f"Give these rows a text, or {remedy}"
