import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.fingerprint import Fingerprint, fingerprint
from hf_mtl.data.text_keys import text_keys


def found(texts: list[str], labels: list[int] | list[list[float]]) -> Fingerprint:
    keys = text_keys(SequenceClassification(), Dataset.from_dict({"text": texts}))
    return fingerprint(keys, EncodedLabels(np.array(labels), np.zeros(len(labels), dtype=bool)))


SAME = found(["one", "two"], [0, 1])


def test_the_same_rows_have_the_same_fingerprint_on_every_machine() -> None:
    assert found(["one", "two"], [0, 1]) == SAME
    assert Fingerprint(2, "d878c9f5e14eea550a9a16630f561a21") == SAME


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["one", "Two"], [0, 1]),
        (["on", "etwo"], [0, 1]),
        (["two", "one"], [1, 0]),
        (["one", "two"], [1, 0]),
        (["one", "two"], [[0.0], [1.0]]),
        (["one"], [0]),
    ],
)
def test_any_other_letter_label_or_order_shows(texts: list[str], labels: list[int]) -> None:
    assert found(texts, labels).content != SAME.content
