"""The quickstart's data: messages to a support desk, written by a seeded generator. In a recipe:

    dataset: {path: hf_mtl/support_desk, name: topic}

| name      | label                                                 | train | validation | test |
|-----------|-------------------------------------------------------|-------|------------|------|
| topic     | account, billing, delivery, returns, technical        | 4,000 | 500        | 1000 |
| sentiment | negative, neutral, positive                           | 500   | 500        | 1000 |
| urgency   | a score from 0 (some day) to 1 (right now)            | 500   | 500        | 1000 |

**Texts.** A row has one sentence of its own task, which decides its label; most have up to four more: a greeting, an
aside, plain sentences of the other tasks, thanks. No text occurs twice in a task. `TYPO_RATE` of the words of four
letters or more are misspelt.

**What decides.** In about `ORDER_SHARE` of the rows two phrases stand against each other ("the refund, not the
parcel", "at first it was rude, now it is helpful") and their order decides. In about `NEGATION_SHARE` one is ruled
out ("anything but helpful", "this is not about the parcel"). In the others ("plain") the words decide. The tasks
share their constructions: what topic's many rows teach about "not" and "rather than" helps the others.

**Noise.** `LABEL_NOISE` of the rows, in every split, have another class or a random score, and every score is off by
up to `URGENCY_JITTER` before it is clipped to [0, 1]: nothing can score 100 %.
"""

from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Any

import datasets

from hf_mtl.data.support_desk.rows import CLASSES, LABEL_NOISE, TYPO_RATE, URGENCY_JITTER, Row, draw_row
from hf_mtl.data.support_desk.sentences import NEGATION_SHARE, ORDER_SHARE, SENTENCES, draw_kind
from hf_mtl.errors import DataError, Mistake, known

__all__ = [
    "LABEL_NOISE",
    "NEGATION_SHARE",
    "ORDER_SHARE",
    "TYPO_RATE",
    "URGENCY_JITTER",
    "Row",
    "generate",
    "generate_rows",
]

TRAIN_ROWS = {"topic": 4000, "sentiment": 500, "urgency": 500}
HELD_OUT_ROWS = {"validation": 500, "test": 1000}


def generate(name: str, seed: int = 0) -> dict[str, datasets.Dataset]:
    """Write one task's data: columns ``text`` and ``label``, in memory.

    Args:
        name: ``topic``, ``sentiment`` or ``urgency``.
        seed: Another seed writes other texts about the same things.

    Returns:
        The splits ``train``, ``validation`` and ``test``; the same bits on every platform.

    Raises:
        DataError: If there is no such task.
    """
    splits = generate_rows(name, seed)
    label = datasets.ClassLabel(names=CLASSES[name]) if name in CLASSES else datasets.Value("float32")
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    return {split: datasets.Dataset.from_dict(_columns(rows), features=features) for split, rows in splits.items()}


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {"text": [row.text for row in rows], "label": [row.label for row in rows]}


def generate_rows(name: str, seed: int = 0) -> dict[str, list[Row]]:
    """Return the rows behind `generate`, with what decides each and what it would say without noise.

    Raises:
        DataError: If there is no such task.
    """
    if name not in SENTENCES:
        raise DataError(Mistake("name", f"the support desk has no task '{name}'", known(SENTENCES, name)))
    # Random hashes a string with SHA-512: the same seed everywhere, unlike hash().
    rng = Random(f"support desk, {name}, {seed}")
    sizes = {"train": TRAIN_ROWS[name], **HELD_OUT_ROWS}
    rows = iter(_distinct_rows(name, rng, sum(sizes.values())))
    return {split: list(islice(rows, count)) for split, count in sizes.items()}


def _distinct_rows(name: str, rng: Random, count: int) -> list[Row]:
    rows: dict[str, Row] = {}
    while len(rows) < count:
        kind = draw_kind(rng)
        row = draw_row(name, rng, kind)
        while row.text.lower() in rows:
            row = draw_row(name, rng, kind)
        rows[row.text.lower()] = row
    # Short texts run out first: without a shuffle, the last split would have the fewest.
    return sorted(rows.values(), key=lambda row: rng.random())
