"""Rows as a language model is asked about them: a text, and the labels among which it chooses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hf_mtl.tasks.learning import NO_SITE
from hf_mtl.tasks.scoring import Candidates


def class_candidates(
    texts: Sequence[Any], names: Sequence[str], outputs: Callable[[Sequence[np.ndarray]], np.ndarray]
) -> Candidates:
    """Let each row have any of the same classes.

    Args:
        texts: The text of each row, or its two texts.
        names: The class names.
        outputs: From the scores of each row's classes the outputs of a head, [m, C].
    """
    joined = [text if isinstance(text, str) else "\n".join(text) for text in texts]
    return Candidates(joined, [list(names)] * len(joined), outputs)


def choice_logits(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Put the scores of each row's choices side by side, float32 [m, S, 1], and `NO_SITE` where a row has fewer.

    Args:
        scores: Of each row, [S_i].
    """
    wide = max([2, *(len(item) for item in scores)])
    found = np.full((len(scores), wide, 1), NO_SITE, dtype=np.float32)
    for row, item in enumerate(scores):
        found[row, : len(item), 0] = item
    return found


def step_logits(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Turn scores of ordered classes into logits of going beyond each of them, [m, K-1].

    A softmax of the scores gives the classes probabilities p; the logit of step k is that of P(y > k | y >= k).

    Args:
        scores: Of each of m rows, [K].
    """
    values = np.stack(scores)
    beyond = np.logaddexp.accumulate(values[:, ::-1], axis=1)[:, ::-1]
    found: np.ndarray = beyond[:, 1:] - values[:, :-1]
    return found
