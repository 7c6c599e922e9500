"""The loss of every kind of task, against a calculation from the predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional

from hf_mtl import Regression, SequenceClassification
from hf_mtl.tasks import Task
from tests import tiny
from tests.training.trainers import make, records


def first_loss(folder: Path, task: Task, dataset: Dataset, **options: Any) -> tuple[float, np.ndarray]:
    """The loss of a step that has every row of the task, and what the model predicts for them."""
    model = tiny.model(tasks={"only": task})
    size = len(dataset)
    trainer = make(
        folder,
        model=model,
        train={"only": dataset},
        evaluation={"only": dataset},
        per_device_train_batch_size=size,
        max_steps=1,
        learning_rate=0.0,
        **options,
    )
    trainer.train()
    (found,) = records(trainer, "loss/only")
    assert records(trainer, "loss") == [pytest.approx(found)]
    return found, trainer.predict({"only": dataset}).predictions["only"]


TOPICS = tiny.rows("topic", 40)
CLASSES: dict[str, Any] = {"labels": ["a", "b", "c"]}


def test_cross_entropy_with_class_weights_and_label_smoothing(tmp_path: Path) -> None:
    task = SequenceClassification(**CLASSES, class_weights={"a": 1.0, "b": 5.0, "c": 2.0}, label_smoothing=0.2)
    found, logits = first_loss(tmp_path, task, TOPICS)
    labels = torch.tensor(TOPICS["label"])
    weights = torch.tensor([1.0, 5.0, 2.0])
    weights /= weights[labels].mean()
    rows = functional.cross_entropy(torch.from_numpy(logits), labels, label_smoothing=0.2, reduction="none")
    # A row's weight is that of its own class, in the smoothed part too, where torch takes each class's own.
    assert found == pytest.approx(float((weights[labels] * rows).mean()), rel=1e-5)


def test_balanced_class_weights(tmp_path: Path) -> None:
    found, logits = first_loss(tmp_path, SequenceClassification(**CLASSES, class_weights="balanced"), TOPICS)
    labels = torch.tensor(TOPICS["label"])
    rows = functional.cross_entropy(torch.from_numpy(logits), labels, reduction="none")
    by_class = [float(rows[labels == label].mean()) for label in range(3)]
    assert found == pytest.approx(np.mean(by_class), rel=1e-5)


def test_focal_loss(tmp_path: Path) -> None:
    found, logits = first_loss(tmp_path, SequenceClassification(**CLASSES, loss="focal"), TOPICS)
    right = torch.softmax(torch.from_numpy(logits), dim=1)[range(40), TOPICS["label"]]
    assert found == pytest.approx(float((-((1 - right) ** 2) * right.log()).mean()), rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("standardize", [True, False])
def test_regression_losses(tmp_path: Path, loss: Any, standardize: bool) -> None:
    dataset = tiny.rows("score", 40)
    task = Regression(label=["x", "y"], loss=loss, standardize=standardize)
    found, predictions = first_loss(tmp_path, task, dataset)
    targets = np.stack([dataset["x"], dataset["y"]], axis=1)
    scale = targets.std(axis=0) if standardize else 1.0
    difference = torch.from_numpy((predictions - targets) / scale)
    functions = {"mse": difference**2, "mae": difference.abs()}
    functions["huber"] = functional.huber_loss(difference, torch.zeros_like(difference), reduction="none")
    assert found == pytest.approx(float(functions[loss].mean()), rel=1e-4)
