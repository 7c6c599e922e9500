"""Rows of the desk that have several columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hf_mtl.data.support_desk.phrases import ASIDES
from hf_mtl.data.support_desk.rows import ASIDE_SHARE
from hf_mtl.data.support_desk.sentences import SENTENCES, Item, Kind, pick


@dataclass(frozen=True)
class Example:
    """One row.

    Args:
        columns: Its values by column.
        text: What tells it from other rows.
        kind: What decides it: ``plain`` words, word ``order`` or ``negation``.
    """

    columns: Mapping[str, Any]
    text: str
    kind: Kind


def shuffled(rng: Random, items: Sequence[Item]) -> list[Item]:
    """Return the items in random order, by `Random.random` alone."""
    return sorted(items, key=lambda item: rng.random())


def beside(rng: Random, shares: Mapping[str, float]) -> list[str]:
    """Draw what else a message says: plain sentences of these tasks with their shares, and an aside."""
    found = [SENTENCES[name](rng, "plain").text for name, share in shares.items() if rng.random() < share]
    return [*found, pick(rng, ASIDES)] if rng.random() < ASIDE_SHARE else found
