"""The quickstart's data: messages to a support desk, written by this module (draft)."""

from random import Random

import datasets

from hf_mtl.data.support_desk.rows import CLASSES, Row, draw_row
from hf_mtl.data.support_desk.sentences import SENTENCES
from hf_mtl.errors import DataError, Mistake, known

TRAIN_ROWS = {"topic": 4000, "sentiment": 500, "urgency": 500}
HELD_OUT_ROWS = {"validation": 500, "test": 1000}


def generate(name: str, seed: int = 0) -> dict[str, datasets.Dataset]:
    features = _features(name)
    return {
        split: datasets.Dataset.from_dict(
            {"text": [row.text for row in rows], "label": [row.label for row in rows]}, features=features
        )
        for split, rows in generate_rows(name, seed).items()
    }


def generate_rows(name: str, seed: int = 0) -> dict[str, list[Row]]:
    if name not in SENTENCES:
        raise DataError(Mistake("dataset.name", f"unknown support desk task {name!r}", known(SENTENCES, name)))
    rng = Random(f"support desk {name} {seed}")
    seen: set[str] = set()
    return {
        split: _distinct(name, rng, count, seen)
        for split, count in {"train": TRAIN_ROWS[name], **HELD_OUT_ROWS}.items()
    }


def _distinct(name: str, rng: Random, count: int, seen: set[str]) -> list[Row]:
    rows: list[Row] = []
    while len(rows) < count:
        row = draw_row(name, rng)
        if row.text.lower() not in seen:
            seen.add(row.text.lower())
            rows.append(row)
    return rows


def _features(name: str) -> datasets.Features:
    label = datasets.ClassLabel(names=CLASSES[name]) if name in CLASSES else datasets.Value("float32")
    return datasets.Features({"text": datasets.Value("string"), "label": label})
