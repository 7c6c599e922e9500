from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.balancing.aggregators.cagrad import conflict_averse_weights
from hf_mtl.balancing.aggregators.imgrad import balance
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_imgrad")


@cases(GOLDEN)
def test_golden_gradient_weights_and_cosine(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("imgrad", num_tasks=len(rows), c=0.5)
    assert_near(aggregator(rows), case["expected"]["gradient"], GOLDEN, norm=float(rows.mean(dim=0).norm()))
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, case["expected"]["weights"], GOLDEN, norm=1.0)
    active = rows[rows.norm(dim=1) > 0]
    assert balance((active @ active.T).numpy()) == pytest.approx(case["expected"]["cos_mean_minnorm"], abs=1e-6)


def test_with_equal_weights_on_both_terms_it_is_cagrad() -> None:
    rows = random_rows(3, 7)
    s = balance((rows @ rows.T).numpy())
    imgrad = build_aggregator("imgrad", num_tasks=3, c=0.4, kappa=2 * s) if 2 * s > 1 else None
    assert imgrad is not None
    cagrad = build_aggregator("cagrad", num_tasks=3, c=0.4, rescale=0)
    assert torch.allclose(imgrad(rows), cagrad(rows), rtol=1e-9)


def test_where_the_least_norm_vanishes_the_worst_served_task_gets_the_correction() -> None:
    rows = tensor([[1.0, 0.0], [-3.0, 0.0], [0.0, 1.0]])
    assert balance((rows @ rows.T).numpy()) == 0.0
    mean = rows.mean(dim=0)
    expected = mean + 0.8 * mean.norm() * tensor([1.0, 0.0])  # the first row projects least on the mean
    assert torch.allclose(build_aggregator("imgrad", num_tasks=3)(rows), expected)


def test_a_small_weight_of_the_second_term_approaches_its_limit() -> None:
    rows = random_rows(3, 6, seed=2)
    gramian = (rows @ rows.T).numpy()
    limit = conflict_averse_weights(gramian, 0.5, trust=0.0)
    near = conflict_averse_weights(gramian, 0.5, trust=1e-4)
    assert limit is not None
    assert near is not None
    assert np.abs(near - limit).max() < 1e-3 * np.abs(limit).max()


def test_rescaling_divides_by_one_plus_c_squared() -> None:
    rows = random_rows(3, 5)
    plain, rescaled = (build_aggregator("imgrad", num_tasks=3, c=0.3, rescale=value)(rows) for value in (0, 1))
    assert torch.allclose(rescaled, plain / 1.09)


def test_where_the_correction_vanishes_it_is_the_mean_itself() -> None:
    rows = tensor([[1.0, 3e-7], [-1.0, 3e-7], [0.0, 1.0]])  # the least norm is 9e-7 of the mean's
    direction = build_aggregator("imgrad", num_tasks=3, rescale=1)(rows)
    assert torch.allclose(direction, rows.mean(dim=0), rtol=1e-12)


@pytest.mark.parametrize(("options", "said"), [({"c": -0.1}, "c: found -0.1"), ({"kappa": 1.0}, "kappa: found 1.0")])
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator("imgrad", num_tasks=2, **options)
