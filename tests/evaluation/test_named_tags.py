"""Entities and tagged words, with values worked by hand."""

import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import TokenClassification
from hf_mtl.evaluation.tags import ABSENT
from hf_mtl.tasks.predicting import RowOutputs

ROWS = {
    "texts": Dataset.from_dict({"tokens": ["Ada Lovelace, London.", "é Bo"]}),
    "lists": Dataset.from_dict({"tokens": [["Ada", "Lovelace", ",", "London", "."], ["é", "Bo"]]}),
}
TAGS = ["O", "B-PER", "I-PER", "B-LOC"]


def logits(rows: list[list[int]], classes: int) -> np.ndarray:
    """Logits of log 3 for a tag, so that of four it has the probability 1/2; None of a row that is shorter."""
    wide = max(map(len, rows))
    found = np.full((len(rows), wide, classes), ABSENT, dtype=np.float32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = np.log(3) * np.eye(classes)[row]
    return found


@pytest.mark.parametrize(("kind", "start", "end"), [("texts", 14, 20), ("lists", 15, 21)])
def test_entities_have_the_characters_of_their_words(kind: str, start: int, end: int) -> None:
    task = TokenClassification(labels=TAGS)
    predicted = task.predicted(RowOutputs(logits([[1, 2, 0, 3, 0], [0, 1]], 4), ROWS[kind]))
    half = pytest.approx(0.5)
    assert predicted == [
        [
            {"entity": "PER", "score": half, "word": "Ada Lovelace", "start": 0, "end": 12},
            {"entity": "LOC", "score": half, "word": "London", "start": start, "end": end},
        ],
        [{"entity": "PER", "score": half, "word": "Bo", "start": 2, "end": 4}],
    ]


def test_plain_tags_are_those_of_all_words_that_the_encoder_has_seen() -> None:
    task = TokenClassification(labels=["noun", "verb"])
    found = RowOutputs(logits([[0, 1, 1], [1]], 2), ROWS["lists"])
    tags = [[(item["tag"], item["word"]) for item in row] for row in task.predicted(found)]  # type: ignore[index]
    assert tags == [[("noun", "Ada"), ("verb", "Lovelace"), ("verb", ",")], [("verb", "é")]]
    columns = task.columns(found, everything=True)
    assert [len(row) for row in columns["words"].to_pylist()] == [3, 1]
    assert columns["p.verb"].to_pylist() == [pytest.approx([0.25, 0.75, 0.75]), pytest.approx([0.75])]
