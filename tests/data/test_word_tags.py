from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from hf_mtl import TokenClassification
from hf_mtl.errors import DataError

LABELS = ["O", "B-X", "I-X"]
IDS = Features({"tokens": Sequence(Value("string")), "tags": Sequence(ClassLabel(names=["B-X", "I-X", "O"]))})


def data(tags: list[Any], features: Features | None = None) -> Dataset:
    words = [["w"] * (0 if row is None else len(row)) for row in tags]
    return Dataset.from_dict({"tokens": words, "tags": tags}, features=features)


def encoded(task: TokenClassification, rows: Dataset) -> tuple[list[list[int]], list[bool]]:
    labels, missing = task.encode("t", "train", rows)
    assert labels.dtype == np.int16
    return labels.tolist(), missing.tolist()


def test_names_ids_and_ids_of_a_class_label_are_the_same_tags() -> None:
    task = TokenClassification(labels=LABELS)
    expected = ([[1, 2, -100], [0, -100, 1], [-100, -100, -100], [-100, -100, -100]], [False, False, True, True])
    assert encoded(task, data([["B-X", "I-X"], ["O", None, "B-X"], [None], None])) == expected
    assert encoded(task, data([[1, 2], [0, -100, 1], [-100], None])) == expected
    assert encoded(task, data([[0, 1], [2, -1, 0], [-1], None], IDS)) == expected


def test_found_tags_are_completed_for_every_type() -> None:
    rows = data([["O", "B-LOC"], ["B-PER", "I-PER"]])
    assert TokenClassification().resolve("t", {"train": rows}).labels == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    task = TokenClassification(scheme="bioes").resolve("t", {"train": data([["S-A"]])})
    assert task.labels == ["O", "B-A", "I-A", "E-A", "S-A"]
    iob1 = TokenClassification(scheme="iob1").resolve("t", {"train": data([["I-A", "O"]])})
    assert iob1.labels == ["O", "B-A", "I-A"]
    assert encoded(iob1, data([["I-A", "O", "I-A", "I-A"]]))[0] == [[1, 0, 1, 2]]
    plain = TokenClassification().resolve("t", {"train": data([["VERB", "NOUN"]])})
    assert plain.labels == ["NOUN", "VERB"]
    assert [spec.name for spec in plain.metrics] == ["accuracy", "f1_macro"]
    declared = TokenClassification().resolve("t", {"train": data([[0, 2]], IDS)})
    assert declared.labels == ["B-X", "I-X", "O"]


@pytest.mark.parametrize(
    ("task", "tags", "said"),
    [
        ({}, [[0, 1]], "ids without names"),
        ({}, [[None]], "no tag is in any list"),
        ({}, [["NOUN"]], "one tag alone"),
        ({"scheme": "bioes"}, [["NOUN", "VERB"]], "have prefixes, found: NOUN, VERB"),
        ({"class_weights": [1.0]}, [["NOUN", "VERB"]], "found 1 weights for 2 classes"),
        ({"labels": 2}, [["O", "B-X"]], "labels is 2, and the data has 3"),
        ({}, [["O", "B-X", "NOUN"]], "found: NOUN"),
        ({"scheme": "iob1", "invalid_tags": "repair"}, [["O", "I-X"]], "found repair, and the tags are iob1"),
    ],
)
def test_tags_that_the_data_do_not_tell_are_mistakes(task: dict[str, Any], tags: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        TokenClassification(**task).resolve("t", {"train": data(tags)})


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ([["O"], ["O", "B-Y"]], r"1 row with unknown tags 'B-Y' \(row 1, counted from 0\).*Did you mean \'B-X\'"),
        ([[0, 3], [1.5], [-1]], r"3 rows with ids outside 0\.\.2: 3, 1\.5, -1 \(rows 0, 1 and 2, counted"),
        (
            [["O"], ["O", "I-X", "I-X"], ["B-X"]],
            r"1 row with 1 tag that break iob2: row 1, counted from 0; row 1 has 'O I-X I-X' around word 1",
        ),
        ([["O", "I-X"], ["B-X", "O"]], "invalid_tags: repair"),
        ([["I-X", "I-X"], ["O", "O"]], "look like IOB1.*write scheme: iob1"),
        (["O"], "string, and no lists"),
        ([[["O"]]], "lists of list"),
    ],
)
def test_wrong_tags_are_mistakes_with_their_rows(tags: list[Any], said: str) -> None:
    rows = Dataset.from_dict({"tokens": [["w"] * len(row) for row in tags], "tags": tags})
    with pytest.raises(DataError, match=said):
        TokenClassification(labels=LABELS).encode("t", "train", rows)


def test_other_numbers_of_tags_than_of_words_are_mistakes() -> None:
    rows = Dataset.from_dict({"tokens": [["a", "b"], ["a"], ["a", "b"]], "tags": [["O", "O"], ["O", "O"], ["O"]]})
    with pytest.raises(DataError, match=r"2 rows with another number.*rows 1 and 2.*row 1 has 2 tags and 1 words"):
        TokenClassification(labels=LABELS).encode("t", "train", rows)


def test_tags_that_break_their_scheme_are_repaired_on_request() -> None:
    task = TokenClassification(labels=LABELS, invalid_tags="repair")
    assert encoded(task, data([["O", "I-X", "I-X"], ["B-X", "O"]]))[0] == [[0, 1, 2], [1, 0, -100]]
    without = TokenClassification(labels=["O", "I-X"], invalid_tags="repair")
    with pytest.raises(DataError, match="cannot be repaired"):
        without.encode("t", "train", data([["O", "I-X"]]))
