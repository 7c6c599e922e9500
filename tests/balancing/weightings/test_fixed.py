from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError


@pytest.mark.parametrize("weights", [[2.0, 0.5], {"a": 2.0, "b": 0.5}])
def test_fixed_weights_are_used_as_given(weights: Any) -> None:
    weighting = build_weighting("fixed", num_tasks=2, weights=weights)
    assert float(weighting(torch.tensor([1.0, 10.0]))) == 7.0
    assert weighting.weights().tolist() == [2.0, 0.5]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, 2.0, 3.0]])
def test_fixed_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(UserError, match=r"balancing\.weighting\.weights.*: found .* Allowed: "):
        build_weighting("fixed", num_tasks=2, weights=weights)
