"""Means, deviations and class weights in a model: how they are kept, and when they are far from others."""

import pytest
import torch

from hf_mtl.errors import ModelError
from hf_mtl.modeling.statistics import BoundedStatistics, ClassWeights, TargetStatistics, far_note


def test_targets_go_to_the_units_of_the_outputs_and_back() -> None:
    found = TargetStatistics(2)
    assert not found.is_fitted
    found.fit(mean=[1.0, 5.0], std=[2.0, 0.0])
    targets = torch.tensor([[3.0, 6.0]])
    assert found.std.tolist() == [2.0, 1.0]  # a constant target is only centred
    assert found.standardize(targets).tolist() == [[1.0, 1.0]]
    assert torch.equal(found.restore(found.standardize(targets)), targets)
    assert found.restore_variance(torch.ones(1, 2), lambda: targets).tolist() == [[4.0, 1.0]]
    assert [numbers.tolist() for numbers in found.affine()] == [[1.0, 5.0], [2.0, 1.0]]
    found.reset()
    assert (found.is_fitted, found.for_metrics()) == (False, {"mean": [0.0, 0.0], "std": [1.0, 1.0]})


def test_outputs_of_a_range_are_between_its_ends_and_reach_them() -> None:
    found = BoundedStatistics([-0.1, 1.0], [0.3, 5.0])
    found.fit(std=[0.5, 0.0])
    assert found.restore(torch.zeros(1, 2)).tolist() == [[pytest.approx(0.1), 3.0]]
    ends = found.restore(torch.tensor([[-200.0, -200.0], [200.0, 200.0]]))
    assert torch.equal(ends, torch.tensor([[-0.1, 1.0], [0.3, 5.0]]))
    between = found.restore(torch.linspace(-30, 30, 1001)[:, None].expand(-1, 2))
    assert ((between >= ends[0]) & (between <= ends[1])).all()
    assert (between.diff(dim=0) >= 0).all()
    assert found.compared(torch.zeros(1, 2)).tolist() == [[pytest.approx(0.2), 3.0]]
    assert found.standardize(torch.tensor([[0.2, 4.0]])).tolist() == [[pytest.approx(0.4), 4.0]]
    assert found.standardize(torch.zeros(0)).shape == (0, 2)
    assert (found.affine(), found.for_metrics()) == (None, {"std": [0.5, 1.0]})
    assert found.far_from([0.6, 4.0]) == [1]
    found.low.zero_()
    found.reset()
    assert (found.is_fitted, found.for_metrics()) == (False, {"std": [1.0, 1.0]})
    assert torch.equal(found.low, torch.tensor([-0.1, 1.0]))


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (2.0, 0.25), (-3.0, 9.0), (0.5, 1e-6), (0.0, 100.0)])
def test_variance_in_a_range_is_that_of_many_samples(mean: float, variance: float) -> None:
    found = BoundedStatistics([1.0], [5.0])
    draws = mean + variance**0.5 * torch.randn(1_000_000, 1, generator=torch.Generator().manual_seed(0))
    outputs = torch.tensor([[mean]])
    value = found.restore_variance(torch.tensor([[variance]]), lambda: outputs)
    assert value.item() == pytest.approx(found.restore(draws).var().item(), rel=0.02)


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
