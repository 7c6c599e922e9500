"""Data of a support desk, for recipes that run without a download: messages, written by a seeded generator.

    dataset: {path: hf_mtl/support_desk, name: topic}

| name      | columns                                                             | train | validation | test |
|-----------|---------------------------------------------------------------------|-------|------------|------|
| topic     | text; label: account, billing, delivery, returns, technical         | 4,000 | 500        | 1000 |
| sentiment | text; label: negative, neutral, positive                            | 500   | 500        | 1000 |
| urgency   | text; label: a score from 0 (some day) to 1 (right now)             | 500   | 500        | 1000 |
| topics    | text; topics: none to three of the classes of topic                 | 800   | 200        | 400  |
| stars     | text; stars: 1 to 5; urgency: a score as above, or none             | 1,200 | 200        | 400  |
| entities  | tokens: words; ner_tags: city, order and product in IOB2            | 1,000 | 200        | 400  |
| replies   | message; replies: two to four; label: which of them fits, from 0    | 1,000 | 200        | 400  |
| answers   | question; context; answers: text and answer_start, as in SQuAD 2    | 1,200 | 200        | 400  |

**Texts.** A row has one sentence of its own task, which decides its label; most have up to four more: a greeting, an
aside, plain sentences of the other tasks, thanks. No text occurs twice in a task. `TYPO_RATE` of the words of four
letters or more are misspelt.

**What decides.** In about `ORDER_SHARE` of the rows two phrases stand against each other ("the refund, not the
parcel", "at first it was rude, now it is helpful") and their order decides. In about `NEGATION_SHARE` one is ruled
out ("anything but helpful", "this is not about the parcel"). In the others ("plain") the words decide. The tasks
share their constructions: what topic's many rows teach about "not" and "rather than" helps the others. Of topics more
rows name one that is ruled out (`topics.RULED_OUT_SHARE`), and replies to it are among the choices. What an entity or
an answer is depends on its sentence: "Florence" is a city or an agent, five digits an order or a phone, and a city
where a customer lives or where a parcel goes. Of answers a fifth of the questions have none, and a fifth of the
contexts are long.

**Noise.** `LABEL_NOISE` of the rows, in every split, have another class (star, reply; a topic more or less) or a
random score, and every score is off by up to `URGENCY_JITTER` before it is clipped to [0, 1]: nothing can score 100%,
but of entities and answers, whose labels have no noise.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from random import Random
from typing import Any

import datasets

from hf_mtl.data.support_desk.examples import Example, shuffled
from hf_mtl.data.support_desk.rows import CLASSES, LABEL_NOISE, TYPO_RATE, URGENCY_JITTER, Row, draw_row
from hf_mtl.data.support_desk.sentences import NEGATION_SHARE, ORDER_SHARE, SENTENCES, Item, draw_kind
from hf_mtl.data.support_desk.tables import HELD_OUT, TABLES
from hf_mtl.errors import DataError, Mistake, known

__all__ = [
    "LABEL_NOISE",
    "NEGATION_SHARE",
    "ORDER_SHARE",
    "TYPO_RATE",
    "URGENCY_JITTER",
    "Example",
    "Row",
    "generate",
    "generate_examples",
    "generate_rows",
]

TRAIN_ROWS = {"topic": 4000, "sentiment": 500, "urgency": 500}
HELD_OUT_ROWS = {"validation": 500, "test": 1000}


def generate(name: str, seed: int = 0) -> dict[str, datasets.Dataset]:
    """Write one task's data, in memory.

    Args:
        name: One of the names above.
        seed: Another seed writes other texts about the same things.

    Returns:
        The splits ``train``, ``validation`` and ``test``; the same bits on every platform.

    Raises:
        DataError: If there is no such task.
    """
    if name in TABLES:
        features = TABLES[name].features
        return {
            split: datasets.Dataset.from_dict(
                {column: [row.columns[column] for row in rows] for column in features}, features=features
            )
            for split, rows in generate_examples(name, seed).items()
        }
    splits = generate_rows(name, seed)
    label = datasets.ClassLabel(names=CLASSES[name]) if name in CLASSES else datasets.Value("float32")
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    return {split: datasets.Dataset.from_dict(_columns(rows), features=features) for split, rows in splits.items()}


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {"text": [row.text for row in rows], "label": [row.label for row in rows]}


def generate_rows(name: str, seed: int = 0) -> dict[str, list[Row]]:
    """Return the rows behind `generate` of topic, sentiment and urgency: what decides each, and what is meant.

    Raises:
        DataError: If there is no such task.
    """
    if name not in SENTENCES:
        names = [*SENTENCES, *TABLES]
        raise DataError(Mistake("name", f"the support desk has no task '{name}'", known(names, name)))
    rng, sizes = _random(name, seed), {"train": TRAIN_ROWS[name], **HELD_OUT_ROWS}

    def draw() -> Callable[[], Row]:
        kind = draw_kind(rng)
        return lambda: draw_row(name, rng, kind)

    return _splits(rng, draw, lambda row: row.text.lower(), sizes)


def generate_examples(name: str, seed: int = 0) -> dict[str, list[Example]]:
    """Return the rows behind `generate` of the other names, with what decides each.

    Raises:
        KeyError: If there is no such table.
    """
    rng, table = _random(name, seed), TABLES[name]
    return _splits(rng, lambda: lambda: table.draw(rng), lambda row: row.text, {"train": table.train, **HELD_OUT})


def _random(name: str, seed: int) -> Random:
    # Random hashes a string with SHA-512: the same seed everywhere, unlike hash().
    return Random(f"support desk, {name}, {seed}")


def _splits(
    rng: Random, begin: Callable[[], Callable[[], Item]], text: Callable[[Item], str], sizes: Mapping[str, int]
) -> dict[str, list[Item]]:
    """Draw rows until enough are different.

    Args:
        rng: What rows are drawn with.
        begin: Decides what a row is to be like, and returns what draws such rows.
        text: What tells a row from others.
        sizes: Rows of each split.
    """
    found: dict[str, Item] = {}
    while len(found) < sum(sizes.values()):
        draw = begin()
        row = draw()
        while text(row) in found:
            row = draw()
        found[text(row)] = row
    # Short texts run out first: without a shuffle, the last split would have the fewest.
    rows = iter(shuffled(rng, [*found.values()]))
    return {split: list(islice(rows, count)) for split, count in sizes.items()}
