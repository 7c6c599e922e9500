"""Losses, outputs and statistics of real targets; labels and metrics are tested where they are read and computed."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_mtl import Regression
from hf_mtl.tasks import MetricSpec
from tests.task_types.sample import Sample, texts, weighted


def sample_rows(count: int) -> Dataset:
    found, share = texts(count)
    return Dataset.from_dict({"text": found, "x": 100 * share, "y": 1 - share})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return ((outputs - labels) ** 2).mean(axis=1)


SAMPLE = Sample(Regression(label=["x", "y"]), sample_rows, sample_loss)
VARIANTS = {"weighted": weighted(SAMPLE, weighted_metrics=True)}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mse", [(0.25 + 9.0) / 2, 0.0]), ("mae", [1.75, 0.0]), ("huber", [(0.125 + 2.5) / 2, 0.0])],
)
def test_regression_losses_are_averaged_over_targets(loss: str, expected: list[float]) -> None:
    task = Regression(label=["v", "a"], loss=loss)
    losses = task.row_losses(torch.tensor([[0.5, 3.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert losses.tolist() == expected


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
