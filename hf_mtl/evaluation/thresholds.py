"""Thresholds of the probabilities of labels: given, or chosen on rows that were not trained on."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from hf_mtl.errors import Mistake, known
from hf_mtl.evaluation.binary import UNKNOWN

MIDDLE = 0.5

Thresholds: TypeAlias = Literal["tuned"] | float | list[float] | dict[str, float]


def threshold_logits(given: Thresholds, names: Sequence[str]) -> np.ndarray:
    """Return the logit above which each label is predicted, [L]; that of 0.5 while thresholds are not tuned yet.

    Args:
        given: The task's thresholds, without mistakes.
        names: The L labels.
    """
    if isinstance(given, dict):
        given = [given[name] for name in names]
    values = np.broadcast_to(np.asarray(MIDDLE if given == "tuned" else given, dtype=np.float64), len(names))
    found: np.ndarray = np.log(values) - np.log1p(-values)
    return found


def threshold_mistakes(given: Thresholds, names: Sequence[str], key: str) -> Iterator[Mistake]:
    """Compare thresholds with the labels.

    Args:
        given: The task's thresholds.
        names: The labels.
        key: Recipe key of the thresholds.
    """
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                yield Mistake(f"{key}.{name}", f"unknown label '{name}'", known(names, name, "Labels"))
        if absent := [name for name in names if name not in given]:
            yield Mistake(key, f"nothing for {', '.join(absent)}", "Give one for every label, or one number for all.")
    elif isinstance(given, list) and len(given) != len(names):
        yield Mistake(key, f"found {len(given)} thresholds for {len(names)} labels", "Give one for each label.")


def tune_thresholds(logits: np.ndarray, answers: np.ndarray, names: Sequence[str]) -> tuple[list[float], list[str]]:
    """Choose for each label the threshold with the best F1; of equal ones that nearest to 0.5.

    Each lies half-way between the logits that it parts. A label that no row has, or that all have, keeps 0.5.

    Args:
        logits: Of rows that were not trained on, finite [n, L].
        answers: Which labels they have: 1, 0 or `UNKNOWN`, [n, L].
        names: The labels.

    Returns:
        The thresholds, and what the user should know of them.
    """
    found, untold = [], []
    for name, column, answer in zip(names, logits.astype(np.float64).T, answers.T, strict=True):
        known_rows = answer != UNKNOWN
        yes = answer[known_rows] == 1
        if yes.any() and not yes.all():
            found.append(_best(column[known_rows], yes))
        else:
            found.append(MIDDLE)
            untold.append(f"'{name}'")
    notes = []
    if untold:
        notes.append(f"the rows to tune thresholds on do not tell {', '.join(untold)} apart, which keeps {MIDDLE}.")
    return found, notes


def _best(logits: np.ndarray, yes: np.ndarray) -> float:
    from sklearn.metrics import precision_recall_curve

    precision, recall, least = precision_recall_curve(yes, logits)
    precision, recall = precision[:-1], recall[:-1]  # the last of them predicts no row, at no logit
    both = precision + recall
    f1 = 2 * precision * recall / np.where(both > 0, both, 1)
    # The rows from logit k on are predicted: the cut is half-way to the next one below, if there is one.
    cuts = np.concatenate([[least[0] - 1], (least[1:] + least[:-1]) / 2])
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    cut = float(cuts[best[np.argmin(np.abs(cuts[best]))]])
    # As a probability it must stay away from 0 and 1, which no threshold may be.
    return float(np.clip(1 / (1 + np.exp(-cut)), 1e-12, 1 - 1e-12))
