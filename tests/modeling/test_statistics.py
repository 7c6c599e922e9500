"""Means, deviations and class weights in a model: how they are kept, and when they are far from others."""

import pytest
import torch

from hf_mtl.errors import ModelError
from hf_mtl.modeling.statistics import ClassWeights, TargetStatistics, far_note


def test_targets_go_to_the_units_of_the_outputs_and_back() -> None:
    found = TargetStatistics(2)
    assert not found.is_fitted
    found.fit(mean=[1.0, 5.0], std=[2.0, 0.0])
    targets = torch.tensor([[3.0, 6.0]])
    assert found.std.tolist() == [2.0, 1.0]  # a constant target is only centred
    assert found.standardize(targets).tolist() == [[1.0, 1.0]]
    assert torch.equal(found.restore(found.standardize(targets)), targets)
    assert found.restore_variance(torch.ones(1, 2)).tolist() == [[4.0, 1.0]]
    assert [numbers.tolist() for numbers in found.affine()] == [[1.0, 5.0], [2.0, 1.0]]
    found.reset()
    assert (found.is_fitted, found.for_metrics()) == (False, {"mean": [0.0, 0.0], "std": [1.0, 1.0]})


@pytest.mark.parametrize("weights", [[1.0], [1.0, float("inf")], [1.0, 1.0, 1.0]])
def test_one_finite_number_per_output_is_wanted(weights: list[float]) -> None:
    with pytest.raises(ModelError, match="expected 2 finite numbers"):
        ClassWeights(2).fit(weights=weights)


def test_far_is_more_than_three_deviations_or_a_factor_of_three() -> None:
    targets, weights = TargetStatistics(2), ClassWeights(2)
    targets.fit(mean=[0.0, 0.0], std=[1.0, 1.0])
    assert targets.far_from([3.0, 3.1], [1.0, 1.0]) == [1]
    assert targets.far_from([0.0, 0.0], [0.0, 3.1]) == [1]
    weights.fit(weights=[1.0, 1.0])
    assert weights.far_from([0.0, 3.1]) == [1]
    assert far_note("mean 1", "5").startswith("the model keeps the mean 1 from the rows")
