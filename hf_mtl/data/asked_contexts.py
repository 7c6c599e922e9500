"""Contexts with the characters of their tokens: what turns places in windows into texts, and spans into places."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.answers import spans_of

NO_WINDOW = -100
"""Place of an answer in a window that a row does not have."""


@dataclass(frozen=True, eq=False, slots=True)
class AskedContext:
    """The context of a question, which scores of extracted answers read.

    Args:
        context: Its text.
        spans: First character and end of each answer, each once; empty: it has none.
        windows: Of each window the first character and the end of its tokens of the context, int32 [P, 2]; token i is
            place i + 1 of the outputs, whose place 0 stands for no answer. Empty where nothing was tokenised.
    """

    context: str
    spans: tuple[tuple[int, int], ...]
    windows: tuple[NDArray[np.int32], ...] = ()

    @property
    def answers(self) -> list[str]:
        """The texts of the answers."""
        return [self.context[start:end] for start, end in self.spans]

    def characters(self, window: int, first: int, last: int) -> tuple[int, int]:
        """Return first character and end of some tokens, without blanks around them.

        Args:
            window: The window.
            first: The place of the first token, from 1 on.
            last: That of the last one.
        """
        tokens = self.windows[window]
        start, end = int(tokens[first - 1, 0]), int(tokens[last - 1, 1])
        text = self.context[start:end]  # some tokenizers count the blank before a word among its characters
        first = end - len(text.lstrip()) if text.strip() else start  # of blanks alone nothing is left, at their place
        return first, start + len(text.rstrip())

    def places(self) -> NDArray[np.int64]:
        """Return first and last place of the answer in each window, int64 [S, 2]: of its first answer that is whole
        there, 0 where none is.
        """
        found = np.zeros((len(self.windows), 2), dtype=np.int64)
        filled = [tokens for tokens in self.windows if len(tokens)]
        if not self.spans or not filled:
            return found
        # At both ends of the context a window holds what has no token, too.
        begins, ends = min(int(tokens[0, 0]) for tokens in filled), max(int(tokens[-1, 1]) for tokens in filled)
        for number, tokens in enumerate(self.windows):
            if len(tokens):
                start = 0 if tokens[0, 0] == begins else int(tokens[0, 0])
                end = len(self.context) if tokens[-1, 1] == ends else int(tokens[-1, 1])
                found[number] = _places(tokens, self.spans, (start, end))
        return found


def _places(tokens: NDArray[np.int32], spans: Sequence[tuple[int, int]], reach: tuple[int, int]) -> tuple[int, int]:
    for start, end in spans:
        if not reach[0] <= start <= end <= reach[1]:
            continue
        # The first token that ends behind the answer's first character, and the last that begins before its end.
        first = int(np.searchsorted(tokens[:, 1], start, side="right"))
        last = int(np.searchsorted(tokens[:, 0], end, side="left")) - 1
        if first <= last:  # else no token has a character of it
            return first + 1, last + 1
    return 0, 0


def asked_contexts(
    contexts: Sequence[str],
    labels: np.ndarray | None,
    windows: Sequence[tuple[NDArray[np.int32], ...]] | None = None,
) -> np.ndarray:
    """Put contexts and answers together, object [n].

    Args:
        contexts: The texts.
        labels: The spans of the answers, [n, G, 2]; None: they are not known.
        windows: `AskedContext.windows` of each; None: nothing was tokenised.
    """
    found = np.empty(len(contexts), dtype=object)
    for row, context in enumerate(contexts):
        spans = () if labels is None else spans_of(labels[row])
        found[row] = AskedContext(context, spans, () if windows is None else windows[row])
    return found


def window_places(asked: np.ndarray) -> NDArray[np.int64]:
    """Return `AskedContext.places` of each row, int64 [n, S, 2]; `NO_WINDOW` where a row has fewer windows."""
    most = max((len(row.windows) for row in asked), default=1)
    found = np.full((len(asked), most, 2), NO_WINDOW, dtype=np.int64)
    for number, row in enumerate(asked):
        found[number, : len(row.windows)] = row.places()
    return found
