import tracemalloc

import numpy as np
import pytest

from hf_mtl import SequenceClassification
from hf_mtl.evaluation import (
    ClassOutputs,
    calibration_temperature,
    load_metric,
    score_notes,
    score_task,
    wants_logits,
)
from hf_mtl.evaluation import outputs as outputs_module
from hf_mtl.evaluation.outputs import broken_rows, class_probabilities, probabilities
from hf_mtl.tasks import MetricSpec

CLASSES = 7


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    logits = (20 * random.normal(size=(500, CLASSES))).astype(np.float32)
    logits[3] = 1.0  # equal ones
    return logits, random.integers(0, CLASSES, 500)


def task(*metrics: str) -> SequenceClassification:
    return SequenceClassification(labels=[f"c{index}" for index in range(CLASSES)], metrics=list(metrics))


@pytest.mark.parametrize("name", ["ece", "auroc_macro"])
def test_metrics_of_probabilities_are_the_same_to_the_bit_from_logits_in_pieces(
    name: str, rows: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, labels = rows
    metric = load_metric(MetricSpec(name=name), task(name))
    want = metric.compute(prediction_scores=probabilities(logits), references=labels)
    monkeypatch.setattr(outputs_module, "ELEMENTS", 10 * CLASSES + 3)
    assert score_task(task(name), "t", logits, labels) == want


def test_the_probabilities_of_single_classes_are_those_of_all_to_the_bit(rows: tuple[np.ndarray, np.ndarray]) -> None:
    columns = np.stack(list(class_probabilities(rows[0])), axis=1)
    np.testing.assert_array_equal(columns, probabilities(rows[0]))


def test_a_temperature_is_the_same_to_the_bit_from_pieces(
    rows: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    want = calibration_temperature(*rows)
    monkeypatch.setattr(outputs_module, "ELEMENTS", 50)
    assert calibration_temperature(*rows) == want


def test_scores_and_notes_need_no_more_than_the_predicted_classes(rows: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = rows
    usual = task("accuracy", "f1_macro", "matthews")
    kept = ClassOutputs.gathered(np.array_split(logits, 9), whole=wants_logits(usual))
    assert kept.logits is None
    scores = score_task(usual, "t", kept, labels)
    assert scores == score_task(usual, "t", logits, labels)
    same = ClassOutputs.of(np.zeros((500, CLASSES)))
    assert score_notes(usual, "t", same, labels, scores) == ["t: all 500 rows are predicted 'c0'."]


def test_rows_that_are_not_finite_are_counted_however_they_come(rows: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = rows
    logits[[2, 400], [0, 6]] = np.nan, np.inf
    kept = ClassOutputs.gathered(np.array_split(logits, 9), whole=False)
    assert kept.broken == broken_rows(logits) == 2
    assert np.isnan(score_task(task("accuracy"), "t", kept, labels)["accuracy"])


def test_logits_are_wanted_by_metrics_of_probabilities_and_by_those_that_may_want_them() -> None:
    assert not wants_logits(task("accuracy", "f1_macro"))
    assert wants_logits(task("accuracy", "ece"))
    foreign = MetricSpec(name="brier_score", greater_is_better=False)
    assert wants_logits(SequenceClassification(labels=2, metrics=[foreign]))


def test_scoring_takes_less_memory_than_the_logits_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs_module, "ELEMENTS", 1 << 13)
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(5000, 200)).astype(np.float32), random.integers(0, 100, 5000)
    many = SequenceClassification(labels=[f"c{index}" for index in range(200)], metrics=["accuracy", "ece"])
    score_task(many, "t", logits[:100], labels[:100])
    tracemalloc.start()
    try:
        score_task(many, "t", logits, labels)
        calibration_temperature(logits, labels)
        assert tracemalloc.get_traced_memory()[1] < logits.nbytes
    finally:
        tracemalloc.stop()
