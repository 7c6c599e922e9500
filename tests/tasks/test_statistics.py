"""What a loss keeps of its rows: nothing where it needs nothing, and no other numbers than it needs."""

import pytest
import torch

from hf_mtl.errors import ModelError
from hf_mtl.modeling.statistics import ClassWeights
from hf_mtl.tasks.statistics import TaskStatistics


def test_a_task_that_needs_none_changes_nothing() -> None:
    none, values = TaskStatistics(), torch.tensor([[1.0, 2.0]])
    assert none.is_fitted
    assert none.standardize(values) is none.restore(values) is none.compared(values) is values
    assert none.restore_variance(values, lambda: values + 1) is values
    assert none.loss_weights is none.affine() is None
    assert none.for_metrics() == {}
    assert list(none.state_dict()) == []


def test_other_numbers_than_those_that_are_kept_are_refused() -> None:
    with pytest.raises(ModelError, match="its loss keeps nothing of the training rows, found mean and std"):
        TaskStatistics().fit(mean=0.0, std=1.0)
    weights = ClassWeights(2)
    for given in ({}, {"weights": [1.0, 2.0], "mean": 3.0}):
        with pytest.raises(ModelError, match="its loss keeps weights of the training rows, found"):
            weights.fit(**given)
    weights.fit(weights=[1.0, 3.0])
    assert weights.loss_weights.tolist() == [1.0, 3.0]
