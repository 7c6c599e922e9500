"""What is drawn under which name, how many rows of it, and in which columns."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import datasets

from hf_mtl.data.support_desk.answers import draw_answers
from hf_mtl.data.support_desk.entities import TAGS, draw_entities
from hf_mtl.data.support_desk.examples import Example
from hf_mtl.data.support_desk.phrases import TOPICS
from hf_mtl.data.support_desk.replies import draw_replies
from hf_mtl.data.support_desk.stars import draw_stars
from hf_mtl.data.support_desk.topics import draw_topics


class Table(NamedTuple):
    """Rows of several columns under one name.

    Args:
        draw: Draws a row.
        features: The columns.
        train: Training rows.
    """

    draw: Callable[[Random], Example]
    features: datasets.Features
    train: int


_TEXT = datasets.Value("string")
_PLACE = datasets.Value("int32")
TABLES: dict[str, Table] = {
    "topics": Table(
        draw_topics,
        datasets.Features(text=_TEXT, topics=datasets.Sequence(datasets.ClassLabel(names=sorted(TOPICS)))),
        800,
    ),
    "stars": Table(
        draw_stars,
        datasets.Features(text=_TEXT, stars=datasets.Value("int64"), urgency=datasets.Value("float32")),
        1_200,
    ),
    "entities": Table(
        draw_entities,
        datasets.Features(
            tokens=datasets.Sequence(_TEXT), ner_tags=datasets.Sequence(datasets.ClassLabel(names=TAGS))
        ),
        1_000,
    ),
    "replies": Table(
        draw_replies,
        datasets.Features(message=_TEXT, replies=datasets.Sequence(_TEXT), label=datasets.Value("int64")),
        1_000,
    ),
    "answers": Table(
        draw_answers,
        datasets.Features(
            question=_TEXT, context=_TEXT, answers=datasets.Sequence({"text": _TEXT, "answer_start": _PLACE})
        ),
        1_200,
    ),
}
HELD_OUT = {"validation": 200, "test": 400}
