"""Whether intervals by the rows of two runs hold the truth, of scores that are no means: F1 and a correlation."""

from collections.abc import Callable

import numpy as np
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.experiments.answer.rows import bootstrap
from hf_mtl.tasks import Task
from hf_mtl.training.scoring.kept_rows import TaskRows

STUDIES = 400
CLASSES: Task = SequenceClassification(labels=["a", "b", "c"], metrics=["f1_macro"])
VALUES: Task = Regression(label="y", metrics=["pearson"])
Pair = tuple[TaskRows, TaskRows]


def classified(random: np.random.Generator, rows: int) -> Pair:
    """Two classifiers whose mistakes go together."""
    labels = random.choice(3, rows, p=[0.5, 0.3, 0.2])
    shared, signal = random.normal(size=(rows, 3)), np.eye(3)[labels]
    outputs = [strength * signal + shared + 0.5 * random.normal(size=(rows, 3)) for strength in (1.6, 1.3)]
    ours, theirs = (TaskRows(CLASSES, found.astype(np.float32), labels) for found in outputs)
    return ours, theirs


def predicted(random: np.random.Generator, rows: int) -> Pair:
    """Two regressions whose errors go together."""
    labels, shared = random.normal(size=(rows, 1)), random.normal(size=(rows, 1))
    outputs = [labels + 0.5 * shared + noise * random.normal(size=(rows, 1)) for noise in (0.6, 0.8)]
    ours, theirs = (TaskRows(VALUES, found.astype(np.float32), labels) for found in outputs)
    return ours, theirs


@pytest.mark.slow
@pytest.mark.parametrize("make", [classified, predicted], ids=["f1_macro", "pearson"])
def test_intervals_by_rows_hold_the_truth_in_90_of_100_studies(
    make: Callable[[np.random.Generator, int], Pair],
) -> None:
    random = np.random.default_rng(7)
    ours, theirs = make(random, 400_000)
    [key] = ours.scores("t")
    truth = 100 * (ours.scores("t")[key] - theirs.scores("t")[key])
    for rows in (200, 600):
        found = [bootstrap(*make(random, rows), "t", seed=number, resamples=1000) for number in range(STUDIES)]
        share = float(np.mean([item.low <= truth <= item.high for item in found]))
        print(
            f"bootstrap of two runs by {rows} rows, {key}: {share:.3f} of {STUDIES} studies hold {truth:+.2f} points"
        )
        assert share >= 0.90
