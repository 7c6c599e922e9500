"""Losses, outputs and statistics of real targets; labels and metrics are tested where they are read and computed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from pydantic import ValidationError

from hf_mtl import Regression
from hf_mtl.errors import ModelError
from hf_mtl.evaluation import score_task
from hf_mtl.tasks import MetricSpec
from tests import tiny
from tests.task_types.sample import Sample, texts, weighted


def sample_rows(count: int) -> Dataset:
    found, share = texts(count)
    return Dataset.from_dict({"text": found, "x": 100 * share, "y": 1 - share})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.nanmean((outputs - labels) ** 2, axis=1)


def holed_rows(count: int) -> Dataset:
    """Rows of which every third lacks the first target, and every fourth of the others the second."""
    columns = sample_rows(count).to_dict()
    columns["x"] = [None if row % 3 == 1 else x for row, x in enumerate(columns["x"])]
    columns["y"] = [None if row % 4 == 3 and row % 3 != 1 else y for row, y in enumerate(columns["y"])]
    return Dataset.from_dict(columns)


SAMPLE = Sample(Regression(label=["x", "y"]), sample_rows, sample_loss)
HOLED = Sample(SAMPLE.task, holed_rows, sample_loss)
BOUNDED = Sample(Regression(label=["x", "y"], range=[(0, 100), (0, 1)]), holed_rows, sample_loss)
VARIANTS = {
    "weighted": weighted(SAMPLE, weighted_metrics=True),
    "holed": weighted(HOLED, weighted_metrics=True),
    "bounded": BOUNDED,
}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mse", [(0.25 + 9.0) / 2, 0.0]), ("mae", [1.75, 0.0]), ("huber", [(0.125 + 2.5) / 2, 0.0])],
)
def test_regression_losses_are_averaged_over_targets(loss: str, expected: list[float]) -> None:
    task = Regression(label=["v", "a"], loss=loss)
    losses = task.row_losses(torch.tensor([[0.5, 3.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert losses.tolist() == expected


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_a_target_that_a_row_does_not_have_takes_no_part_in_its_loss_or_gradient(loss: str) -> None:
    task = Regression(label=["v", "a"], loss=loss)
    outputs = torch.tensor([[0.5, 3.0], [1.0, float("inf")], [2.0, 2.0]], requires_grad=True)
    labels = torch.tensor([[0.0, float("nan")], [0.0, float("nan")], [float("nan")] * 2])
    losses = task.row_losses(outputs, labels)
    single = Regression(loss=loss).row_losses(torch.tensor([[0.5], [1.0]]), torch.tensor([[0.0], [0.0]]))
    assert losses.tolist() == [*single.tolist(), 0.0]
    losses[::2].sum().backward()
    assert torch.isfinite(outputs.grad).all()
    assert outputs.grad[:, 1].tolist() == [0.0] * 3


def test_of_targets_that_some_rows_lack_everything_is_that_of_the_others() -> None:
    task, nan = Regression(label=["x", "y", "z"], metrics=["pearson", "mse"]), float("nan")
    labels = np.array([[1.0, 5.0, nan], [2.0, nan, nan], [4.0, 7.0, nan], [nan, 6.0, nan]])
    outputs = np.array([[1.0, 5.0, 0.0], [2.0, 99.0, 0.0], [4.0, 7.0, 0.0], [-9.0, 7.0, 0.0]])
    scores = score_task(task, "t", outputs, labels)
    assert scores["pearson_x"] == pytest.approx(1)
    assert scores["mse_y"] == pytest.approx(1 / 3)
    assert scores["mse"] == pytest.approx((0 + 1 / 3) / 2), "a target that no row has is left out of the mean"
    assert np.isnan(scores["mse_z"])
    assert task.unknown_counts(labels).tolist() == [1, 1, 4]  # type: ignore[union-attr]
    assert Regression().unknown_counts(labels[:, :1]) is None
    np.testing.assert_allclose(task.constant_outputs(labels), [7 / 3, 6, 0])
    assert task.training_statistics(labels)["std"][2] == 1.0
    assert task.train_notes(labels) == ["no train row has the target 'z', which cannot be learned."]
    same = np.tile(labels[0], (4, 1))
    assert task.train_notes(same)[0] == "the target 'x' is 1 in every train row; there is nothing to learn."
    [said] = task.undefined(MetricSpec(name="pearson"), np.where(labels > 5, 5, labels))
    assert said[1] == "every target in 'y' is 5"
    [note, _] = task.sameness(task.outputs_of(np.full((4, 3), 3.0)), labels)
    assert note == "all 3 predictions of 'x' are 3, within 1e-5 of the targets' spread."


def test_one_target_may_come_as_a_vector() -> None:
    losses = Regression().row_losses(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0]))
    assert losses.tolist() == [0.0, 4.0]


def test_outputs_of_a_model_that_is_always_right_are_the_targets() -> None:
    targets = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(Regression(label=["x", "y"]).perfect_outputs(targets), targets)
    assert Regression().perfect_outputs(np.array([1.0, 2.0])).shape == (2, 1)


def test_targets_are_scored_apart_where_there_are_several() -> None:
    assert Regression(label=["x", "y"]).scored_apart == ["x", "y"]
    assert Regression(label=["x"]).scored_apart == []


def test_statistics_are_those_of_the_rows_in_their_units() -> None:
    task, rows = Regression(label=["x", "y"]), np.array([[1.0, 10.0], [3.0, 10.0]])
    statistics = task.new_statistics()
    assert task.fit_statistics("t", statistics, rows, keep=False) == []
    assert statistics.for_metrics() == {"mean": [2.0, 10.0], "std": [1.0, 1.0]}
    assert statistics.restore(torch.tensor([[1.0, 1.0]])).tolist() == [[3.0, 11.0]]
    [note] = task.fit_statistics("t", statistics, rows + np.array([9.0, 0.0]), keep=True)
    assert note.startswith("the model keeps the mean 2 and the standard deviation 1 of 'x' from the rows")
    assert task.training_statistics(rows) == {"std": [1.0, 1.0]}


def test_targets_that_are_not_standardised_keep_no_statistics() -> None:
    task = Regression(standardize=False)
    assert task.new_statistics().is_fitted
    assert task.fit_statistics("t", task.new_statistics(), np.ones((2, 1)), keep=False) == []
    [said] = task.metric_mistakes("metrics", MetricSpec(name="mse_z"))
    assert "mse_z with standardize: false" in str(said)


def test_predictions_that_are_all_but_the_same_are_said() -> None:
    task, targets = Regression(), np.array([[0.0], [1.0]])
    [said] = task.sameness(task.outputs_of(np.array([[0.5], [0.500001]])), targets)
    assert said == "all 2 predictions of 'label' are 0.5, within 1e-5 of the targets' spread."
    assert not list(task.sameness(task.outputs_of(targets), targets))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"range": [1, 1]}, "finite numbers, the lowest target and a higher one"),
        ({"range": [0, float("inf")]}, "finite numbers"),
        ({"range": [0, 1], "standardize": True}, "beside standardize: true"),
        ({"range": [[0, 1], [0, 2]]}, "or one for each of the 1"),
        ({"range": [[0, 1]], "label": ["x", "y"]}, "or one for each of the 2"),
    ],
)
def test_a_range_that_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Regression(**options)


def test_targets_are_standardised_unless_there_is_a_range_or_the_recipe_says_no() -> None:
    tasks = [Regression(), Regression(range=(0, 1)), Regression(range=(0, 1), standardize=False)]
    assert [task.standardizes for task in tasks] == [True, False, False]
    assert not Regression(standardize=False).standardizes
    assert Regression(label=["x", "y"], range=(0, 1)).ranges == [(0, 1), (0, 1)]
    assert list(tasks[1].metric_mistakes("metrics", MetricSpec(name="mse_z"))) == []


@pytest.mark.parametrize("head", ["linear", "vip"])
def test_the_loss_of_a_range_is_that_of_its_outputs_over_the_training_variance(head: str) -> None:
    task = Regression(label=["x", "y"], range=[(0, 100), (0, 1)])
    model = tiny.model(tasks={"t": task}, head=head).train()
    task.fit_statistics("t", model.heads.of("t").statistics, np.array([[20.0, 0.5], [40.0, 0.5]]), keep=False)
    if head == "vip":
        model.heads.of("t").head.log_tau.data.fill_(0.5)  # type: ignore[operator, union-attr]
    ids, labels = torch.tensor([[2, 7, 9, 3], [2, 30, 40, 3]]), torch.tensor([[30.0, 0.1], [90.0, float("nan")]])
    found = model(ids, labels=labels, task="t")
    errors = ((found.logits["t"] - labels) / torch.tensor([10.0, 1.0])) ** 2
    expected = errors.nanmean(dim=1) * (np.exp(-0.5) if head == "vip" else 1)
    torch.testing.assert_close(found.row_losses["t"], expected, rtol=1e-5, atol=1e-6)
    assert ((found.logits["t"] > 0) & (found.logits["t"] < torch.tensor([100.0, 1.0]))).all()


def test_simple_models_of_a_range_predict_between_its_ends() -> None:
    task, features = Regression(range=(0, 1)), np.arange(6.0)[:, None]
    predict = task.linear_outputs(features, np.array([[0.0], [0], [0], [1], [1], [1]]), np.array([0.5]))
    found = predict(np.array([[-50.0], [2.5], [50.0]]))
    assert found[:, 0].tolist() == [0.0, pytest.approx(0.5), 1.0]


def test_a_range_cannot_be_exported_and_that_is_said(tmp_path: Path) -> None:
    model = tiny.model(tasks={"t": Regression(range=(0, 1))}, head="native")
    with pytest.raises(ModelError, match="through a sigmoid into their range, which no AutoModel"):
        model.export_task("t", tmp_path, tiny.tokenizer())
    assert not list(tmp_path.iterdir())


def test_a_model_that_keeps_the_deviation_of_other_rows_says_so() -> None:
    task = Regression(range=(0, 1))
    statistics = task.new_statistics()
    assert task.fit_statistics("t", statistics, np.array([[0.0], [1.0]]), keep=False) == []
    [note] = task.fit_statistics("t", statistics, np.array([[0.5], [0.51]]), keep=True)
    assert note.startswith("the model keeps the standard deviation 0.5 of 'label' from the rows")
