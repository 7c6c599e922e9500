"""Losses, outputs and notes of one class per text; labels and metrics are tested where they are read and computed."""

import math

import numpy as np
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
VARIANTS = {"weighted": weighted(SAMPLE, weighted_metrics=True)}


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
