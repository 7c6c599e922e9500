"""The answers of a task that has nothing special, where its type gives none."""

import numpy as np

from hf_mtl import Regression, SequenceClassification
from hf_mtl.tasks.learning import LearningAnswers
from tests.task_types.independent import IndependentLabels

TASK = IndependentLabels(label=["a", "b"])
LABELS = np.zeros((3, 2))


def test_every_row_counts_once_and_belongs_together_with_the_others() -> None:
    assert TASK.masses(LABELS) is None
    assert LearningAnswers.strata(TASK, LABELS).tolist() == [0, 0, 0]


def test_nothing_is_refused_noted_or_kept() -> None:
    assert not [*TASK.key_mistakes("t"), *TASK.unknown_outputs("t"), *LearningAnswers.train_notes(TASK, LABELS)]
    assert TASK.class_counts(LABELS) is TASK.label_names is None
    assert TASK.resolve("t", {}) is TASK
    statistics = TASK.new_statistics()
    assert statistics.is_fitted
    assert TASK.fit_statistics("t", statistics, LABELS, keep=False) == []
    assert not TASK.is_weighted


def test_the_family_follows_from_the_kind_of_numbers() -> None:
    assert [task.family for task in (TASK, SequenceClassification(), Regression())] == [
        "classification",
        "classification",
        "regression",
    ]
