"""Tags of words: read, checked, aligned with tokens, cut or in windows, and scored as entities."""

import numpy as np
from datasets import Dataset

from hf_mtl import TokenClassification
from tests import tiny
from tests.task_types.sample import Sample, texts

LABELS = ["O", "B-HIGH", "I-HIGH", "B-MID", "I-MID"]
TASK = TokenClassification(text="text", label="label", labels=LABELS)


def tags_of(words: list[str]) -> list[str]:
    """A type for each word by its number, and entities where words of one type follow each other."""
    types = [None if (number := int(word[1:])) < 30 else "MID" if number < 45 else "HIGH" for word in words]
    return [
        "O" if kind is None else f"{'I' if place and types[place - 1] == kind else 'B'}-{kind}"
        for place, kind in enumerate(types)
    ]


def sample_rows(count: int) -> Dataset:
    words = [text.split() for text in texts(count)[0]]
    return Dataset.from_dict({"text": words, "label": [tags_of(row) for row in words]})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    total = np.log(np.exp(outputs).sum(axis=-1))
    chosen = np.take_along_axis(outputs, np.maximum(labels, 0).astype(int)[..., None], axis=-1)[..., 0]
    return np.where(labels == -100, 0.0, total - chosen).sum(axis=1)


def all_outside(outputs: np.ndarray) -> np.ndarray:
    return np.where((outputs == -100).all(axis=-1, keepdims=True), -100, np.eye(5)[0]).astype(np.float32)


SAMPLE = Sample(TASK, sample_rows, sample_loss, same=all_outside)
assert tiny
