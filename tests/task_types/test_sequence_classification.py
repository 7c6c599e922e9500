"""Losses, outputs and notes of one class per text; labels and metrics are tested where they are read and computed."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F

from hf_mtl import SequenceClassification
from hf_mtl.tasks import MetricSpec
from tests.task_types.sample import Sample, texts, weighted

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
LABELS = torch.tensor([0, 2])


def sample_rows(count: int) -> Dataset:
    found, share = texts(count)
    return Dataset.from_dict({"text": found, "label": np.array(["sad", "so", "glad"])[(share * 3).astype(int)]})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(len(labels)), labels]


SAMPLE = Sample(SequenceClassification(labels=["sad", "so", "glad"]), sample_rows, sample_loss)


def soft_rows(count: int) -> Dataset:
    """Rows with the votes of ten people."""
    found, share = texts(count)
    middle = np.array([0.0, 0.5, 1.0])
    votes = np.round(10 * np.exp(-20 * (share[:, None] - middle) ** 2)).astype(int)
    votes[np.arange(count), (share * 3).astype(int)] += 1
    return Dataset.from_dict({"text": found, "label": votes.tolist()})


def soft_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.log(np.exp(outputs).sum(axis=1)) - (labels * outputs).sum(axis=1)


SOFT = Sample(SequenceClassification(labels=["sad", "so", "glad"], soft_labels=True), soft_rows, soft_loss)
VARIANTS = {"weighted": weighted(SAMPLE, weighted_metrics=True), "soft": weighted(SOFT, weighted_metrics=True)}


def test_cross_entropy_by_hand() -> None:
    first = math.log(1 + math.exp(-2) + math.exp(-3))
    losses = SequenceClassification(labels=3).row_losses(LOGITS, LABELS)
    torch.testing.assert_close(losses, torch.tensor([first, math.log(3)]))


def test_label_smoothing_is_that_of_torch() -> None:
    losses = SequenceClassification(labels=3, label_smoothing=0.2).row_losses(LOGITS, LABELS)
    expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.2, reduction="none")
    assert torch.equal(losses, expected)


def test_focal_loss_shrinks_easy_rows() -> None:
    losses = SequenceClassification(labels=3, loss="focal").row_losses(LOGITS, LABELS)
    p = math.exp(2) / (math.exp(2) + 1 + math.exp(-1))
    torch.testing.assert_close(losses, torch.tensor([-((1 - p) ** 2) * math.log(p), (2 / 3) ** 2 * math.log(3)]))


def test_class_weights_scale_rows_of_their_class() -> None:
    task = SequenceClassification(labels=3)
    weighted = task.row_losses(LOGITS, LABELS, torch.tensor([2.0, 7.0, 0.5]))
    torch.testing.assert_close(weighted, task.row_losses(LOGITS, LABELS) * torch.tensor([2.0, 0.5]))


def test_all_logits_are_wanted_where_a_metric_wants_probabilities() -> None:
    assert SequenceClassification(labels=2, metrics=["ece"]).compact() is None


def test_classes_are_known_once_they_are_named_or_counted() -> None:
    said = list(SequenceClassification().unknown_outputs("t"))
    assert [str(item).split(".")[0] for item in said] == ["tasks"]
    assert not list(SequenceClassification(labels=3).unknown_outputs("t"))
    assert SequenceClassification(labels=3).output_names == ["LABEL_0", "LABEL_1", "LABEL_2"]


def test_classes_that_no_row_has_are_named_where_they_count() -> None:
    task = SequenceClassification(labels=["a", "b", "c"])
    assert task.absent(np.array([0, 2])) == ["b"]
    assert task.model_copy(update={"metrics": [MetricSpec(name="accuracy")]}).absent(np.array([0])) == []


def test_a_model_that_is_always_right_predicts_the_labels() -> None:
    task, labels = SequenceClassification(labels=3), np.array([2, 0])
    assert task.predictions(task.perfect_outputs(labels)).tolist() == [2, 0]


def test_all_rows_predicted_as_one_class_are_said_where_the_labels_differ() -> None:
    task, outputs = SequenceClassification(labels=["a", "b"]), np.array([[0.0, 1.0], [0.0, 2.0]])
    assert list(task.sameness(task.outputs_of(outputs), np.array([0, 1]))) == ["all 2 rows are predicted 'b'."]
    assert not list(task.sameness(task.outputs_of(outputs), np.array([1, 1])))


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([2.0, 7.0, 0.5])])
def test_soft_labels_that_are_sure_have_the_losses_of_hard_ones(loss: Any, smoothing: float, weights: Any) -> None:
    options: dict[str, Any] = {"loss": loss, "label_smoothing": smoothing}
    hard = SequenceClassification(labels=3, **options)
    soft = SequenceClassification(labels=3, soft_labels=True, **options)
    sure = F.one_hot(LABELS, 3).double()
    torch.testing.assert_close(soft.row_losses(LOGITS, sure, weights), hard.row_losses(LOGITS, LABELS, weights))
    # Else the mean over the shares of what the loss would be.
    shares = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.25, 0.75]])
    each = [hard.row_losses(LOGITS, torch.full((2,), index), weights) for index in range(3)]
    torch.testing.assert_close(soft.row_losses(LOGITS, shares, weights), (shares * torch.stack(each, 1)).sum(1))


def test_a_class_without_a_share_may_be_impossible() -> None:
    task = SequenceClassification(labels=2, soft_labels=True)
    logits = torch.tensor([[0.0, float("-inf")]])
    assert task.row_losses(logits, torch.tensor([[1.0, 0.0]])).tolist() == [0.0]


def test_what_wants_one_class_takes_that_of_the_largest_share_and_what_counts_adds_shares() -> None:
    task = SequenceClassification(labels=["a", "b", "c"], soft_labels=True, class_weights="balanced")
    shares = np.array([[0.5, 0.5, 0.0], [0.4, 0.6, 0.0], [0.9, 0.1, 0.0]])
    assert task.strata(shares).tolist() == [0, 1, 0]
    assert task.class_counts(shares).tolist() == [2, 1, 0]
    assert task.train_notes(shares) == ["train has no row of class 'c', which cannot be learned."]
    assert task.absent(shares) == ["c"]
    assert task.perfect_outputs(shares).argmax(axis=1).tolist() == [0, 1, 0]
    np.testing.assert_allclose(np.exp(task.constant_outputs(shares))[:2], [0.6, 0.4])
    statistics = task.new_statistics()
    assert task.fit_statistics("t", statistics, shares, keep=False) == []
    weights = statistics.loss_weights.numpy()  # type: ignore[union-attr]
    np.testing.assert_allclose((shares * weights).sum() / 3, 1, rtol=1e-6)
    np.testing.assert_allclose(weights[0] * 1.8, weights[1] * 1.2, rtol=1e-6)


def test_a_linear_model_of_soft_labels_learns_their_shares() -> None:
    features = np.repeat([[0.0], [1.0]], 500, axis=0)
    shares = np.where(features > 0, [[0.3, 0.7, 0.0]], [[0.9, 0.1, 0.0]])
    task = SequenceClassification(labels=["a", "b", "c"], soft_labels=True)
    found = np.exp(task.linear_outputs(features, shares, task.constant_outputs(shares))(np.array([[0.0], [1.0]])))
    np.testing.assert_allclose(found[:, :2], [[0.9, 0.1], [0.3, 0.7]], atol=0.02)
    one = np.tile([[1.0, 0.0, 0.0]], (4, 1))
    same = task.linear_outputs(features[:4], one, task.constant_outputs(one))(features[:2])
    assert same.argmax(axis=1).tolist() == [0, 0]
