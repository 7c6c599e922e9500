"""From which log-odds on a question is said to have no answer: chosen on rows that were not trained on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def tune_null_threshold(
    odds: NDArray[np.float64], texts: Sequence[str], answers: Sequence[Sequence[str]]
) -> tuple[float, list[str]]:
    """Choose the threshold with the best F1 of SQuAD; of equally good ones 0, or that nearest to it.

    It lies half-way between the log-odds that it parts.

    Args:
        odds: Log-odds of no answer against the best span; infinite where there is no span, [n].
        texts: Best span of each row.
        answers: The answers of each row; empty: it has none.

    Returns:
        The threshold, and what the user should know of it.
    """
    from hf_mtl.evaluation.metrics.squad import SquadF1  # imports evaluate

    none = np.array([not row for row in answers], dtype=bool)
    notes = []
    if none.all() or not none.any():
        which = "none" if none.all() else "each"
        notes.append(f"{which} of the rows to tune null_threshold on has an answer: they tell little of it.")
    finite = np.isfinite(odds)
    order = np.argsort(odds[finite], kind="stable")
    # Rows up to the threshold get their span, and those above are said to have no answer.
    gains = (SquadF1.each(texts, answers) - none)[finite][order]
    return _best_cut(odds[finite][order], np.concatenate([[0.0], np.cumsum(gains)])), notes


def _best_cut(odds: NDArray[np.float64], gains: NDArray[np.float64]) -> float:
    """Return the number that parts the first k of some ascending numbers, whose gain is the largest, from the others.

    Args:
        odds: The numbers, [n].
        gains: The gain of parting off the first k, k = 0..n.
    """
    if not len(odds):
        return 0.0
    parts = np.concatenate([[True], odds[1:] > odds[:-1], [True]])  # between equal ones there is no cut
    best = np.flatnonzero(parts & (gains >= gains[parts].max() - 1e-9))
    if np.searchsorted(odds, 0.0, side="right") in best:
        return 0.0
    cuts = np.concatenate([[odds[0] - 1], (odds[1:] + odds[:-1]) / 2, [odds[-1] + 1]])
    return float(cuts[best[np.argmin(np.abs(cuts[best]))]])
