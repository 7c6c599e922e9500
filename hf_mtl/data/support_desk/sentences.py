"""Sentences of the desk: each says one value of one task, plainly, by word order or by negation."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, NamedTuple, TypeVar

from hf_mtl.data.support_desk.frames import CONTRASTS, SENTIMENT_FRAMES, TOPIC_FRAMES, URGENCY_FRAMES, Frames
from hf_mtl.data.support_desk.phrases import RULED_OUT_LATE, RULED_OUT_SOON, SENTIMENTS, TOPICS, URGENCIES

Item = TypeVar("Item")
Kind = Literal["plain", "order", "negation"]
Value = str | float

ORDER_SHARE = 0.3
NEGATION_SHARE = 0.15
CHANGE_SHARE = 0.2  # of the order sentences: "at first ..., now ..."


class Sentence(NamedTuple):
    """Words for one task, and the value that they mean."""

    text: str
    value: Value


def pick(rng: Random, items: Sequence[Item]) -> Item:
    """Draw one item with `Random.random` alone, whose sequence Python promises to keep."""
    return items[int(rng.random() * len(items))]


def draw_kind(rng: Random) -> Kind:
    """Return what decides the next row."""
    draw = rng.random()
    if draw < ORDER_SHARE:
        return "order"
    return "negation" if draw < ORDER_SHARE + NEGATION_SHARE else "plain"


def topic_sentence(rng: Random, kind: Kind) -> Sentence:
    """Return what the message is about: the topic that is named, or the one that is not ruled out."""
    meant, other = two(rng, sorted(TOPICS))
    return Sentence(topic_text(rng, kind, meant, other), meant)


def topic_text(rng: Random, kind: Kind, meant: str, other: str) -> str:
    """Say that a message is about one topic and, but for plain ones, not about another."""
    a, b = pick(rng, TOPICS[meant]), pick(rng, TOPICS[other])
    if kind == "negation":
        pair = [pick(rng, TOPIC_FRAMES.plain).format(x=a), pick(rng, TOPIC_FRAMES.negations).format(x=b)]
        return " ".join(pair if rng.random() < 0.5 else reversed(pair))
    return said(rng, TOPIC_FRAMES, kind, a, b)


def sentiment_sentence(rng: Random, kind: Kind) -> Sentence:
    """Tell how the customer found the service; ruling out praise is blame and the reverse."""
    if kind == "negation":
        denied, meant = pick(rng, [("negative", "positive"), ("positive", "negative")])
        return Sentence(framed(rng, SENTIMENT_FRAMES.negations, pick(rng, SENTIMENTS[denied])), meant)
    meant, other = two(rng, sorted(SENTIMENTS))
    a, b = pick(rng, SENTIMENTS[meant]), pick(rng, SENTIMENTS[other])
    return Sentence(said(rng, SENTIMENT_FRAMES, kind, a, b), meant)


def urgency_sentence(rng: Random, kind: Kind) -> Sentence:
    """Tell when the customer wants it, from 0 (some day) to 1 (right now)."""
    a, b = two(rng, list(URGENCIES))
    if kind == "negation":
        meant = RULED_OUT_SOON if URGENCIES[a] > 0.5 else RULED_OUT_LATE
        return Sentence(framed(rng, URGENCY_FRAMES.negations, a), meant)
    return Sentence(said(rng, URGENCY_FRAMES, kind, a, b), URGENCIES[a])


SENTENCES: dict[str, Callable[[Random, Kind], Sentence]] = {
    "topic": topic_sentence,
    "sentiment": sentiment_sentence,
    "urgency": urgency_sentence,
}


def two(rng: Random, items: Sequence[Item]) -> tuple[Item, Item]:
    """Draw two different items."""
    first = pick(rng, items)
    return first, pick(rng, [item for item in items if item != first])


def framed(rng: Random, frames: Sequence[str], phrase: str) -> str:
    """Put a phrase into one of the frames."""
    return pick(rng, frames).format(x=phrase)


def said(rng: Random, frames: Frames, kind: Kind, a: str, b: str) -> str:
    """Say a plainly, or a against b; each pair occurs both ways round, so its words alone do not decide."""
    if kind == "plain":
        return framed(rng, frames.plain, a)
    if rng.random() < CHANGE_SHARE:
        return pick(rng, frames.changes).format(a=a, b=b)
    return framed(rng, frames.contrasts, pick(rng, CONTRASTS).format(a=a, b=b))
