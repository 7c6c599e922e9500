"""Answers cut out of contexts: windows, losses, scores, and what a broken alignment could not learn."""

from typing import Any

import numpy as np
from datasets import Dataset

from hf_mtl import SpanExtraction
from tests.task_types.sample import Sample


def key_values(count: int, seed: int = 0, pairs: tuple[int, int] = (3, 22), unanswered: float = 0.25) -> Dataset:
    """Contexts of keys and values; the question is a key, and the answer the value behind it, if the key is there."""
    random = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {"question": [], "context": [], "answers": []}
    for _ in range(count):
        keys = random.permutation(30)
        length = int(random.integers(*pairs))
        values = random.integers(30, 60, length)
        words = [f"w{word}" for pair in zip(keys[:length], values, strict=True) for word in pair]
        missing = random.random() < unanswered
        place = int(random.integers(length))
        start = len(" ".join(words[: 2 * place + 1])) + 1
        columns["question"].append(f"w{keys[length if missing else place]}")
        columns["context"].append(" ".join(words))
        found = ([], []) if missing else ([words[2 * place + 1]], [start])
        columns["answers"].append({"text": found[0], "answer_start": found[1]})
    return Dataset.from_dict(columns)


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found = []
    for row, places in zip(outputs, labels, strict=True):
        windows = []
        for window, ends in zip(row, places, strict=True):
            if ends[0] < 0:
                continue
            there = window[window[:, 0] > -1e20]
            logs = there - np.log(np.exp(there).sum(axis=0))
            windows.append(-(logs[ends[0], 0] + logs[ends[1], 1]) / 2)
        found.append(np.mean(windows))
    return np.array(found)


def nothing_everywhere(perfect: np.ndarray) -> np.ndarray:
    same = np.where(perfect > -1e20, 0, perfect)
    same[:, :, 0] = np.where(perfect[:, :, 0] > -1e20, 9, perfect[:, :, 0])
    return same


def right_answers(predicted: np.ndarray, references: np.ndarray) -> np.ndarray:
    texts = [
        row.context[slice(*row.characters(*place))] if place[1] else ""
        for row, place in zip(references, predicted.tolist(), strict=True)
    ]
    return np.array([text == (row.answers or [""])[0] for text, row in zip(texts, references, strict=True)])


SAMPLE = Sample(SpanExtraction(no_answer=True), key_values, sample_loss, nothing_everywhere, right_answers)
