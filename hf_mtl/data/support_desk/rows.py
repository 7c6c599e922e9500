"""Rows of the desk: messages of one to four sentences, with typos and label noise."""

from dataclasses import dataclass
from random import Random

from hf_mtl.data.support_desk.phrases import ASIDES, CLOSINGS, GREETINGS, SENTIMENTS, TOPICS
from hf_mtl.data.support_desk.sentences import SENTENCES, Kind, Value, pick

LABEL_NOISE = 0.04
URGENCY_JITTER = 0.08
TYPO_RATE = 0.03
OTHER_TASK_SHARE = 0.2
ASIDE_SHARE = 0.3
GREETING_SHARE = 0.1
CLOSING_SHARE = 0.25

CLASSES: dict[str, list[str]] = {"topic": sorted(TOPICS), "sentiment": sorted(SENTIMENTS)}


@dataclass(frozen=True)
class Row:
    """One message and its label.

    Args:
        text: The message.
        label: Class name, or urgency in [0, 1]; with noise.
        meant: What the message says, without noise.
        kind: What decides it: ``plain`` words, word ``order`` or ``negation``.
    """

    text: str
    label: Value
    meant: Value
    kind: Kind


def draw_row(name: str, rng: Random, kind: Kind) -> Row:
    """Draw one row of a task: customers come to the point, then add what else is on their mind."""
    own = SENTENCES[name](rng, kind)
    more: list[str] = []
    for other in SENTENCES:
        if other != name and rng.random() < OTHER_TASK_SHARE:
            more.append(SENTENCES[other](rng, "plain").text)
    if rng.random() < ASIDE_SHARE:
        more.insert(int(rng.random() * (len(more) + 1)), pick(rng, ASIDES))
    sentences = [own.text, *more]
    if rng.random() < GREETING_SHARE:
        sentences.insert(0, pick(rng, GREETINGS))
    if rng.random() < CLOSING_SHARE:
        sentences.append(pick(rng, CLOSINGS))
    text = with_typos(rng, " ".join(sentences))
    return Row(text, noisy(rng, name, own.value), own.value, kind)


def noisy(rng: Random, name: str, value: Value) -> Value:
    """Add noise: with LABEL_NOISE another class or a score from nowhere, and every score is a little off."""
    wrong = rng.random() < LABEL_NOISE
    if isinstance(value, str):
        return pick(rng, [label for label in CLASSES[name] if label != value]) if wrong else value
    score = rng.random() if wrong else value + URGENCY_JITTER * (2 * rng.random() - 1)
    return round(min(max(score, 0.0), 1.0), 3)


def with_typos(rng: Random, text: str) -> str:
    """Misspell TYPO_RATE of the words."""
    return " ".join(_misspell(rng, word) if rng.random() < TYPO_RATE else word for word in text.split(" "))


def _misspell(rng: Random, word: str) -> str:
    """Swap, drop or double one inner letter of a word of four letters or more."""
    if len(word) < 4:
        return word
    at = 1 + int(rng.random() * (len(word) - 3))
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return pick(rng, [swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]])
