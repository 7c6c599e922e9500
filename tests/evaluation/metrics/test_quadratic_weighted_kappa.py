import math

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.quadratic_weighted_kappa import QuadraticWeightedKappa

KAPPA = QuadraticWeightedKappa(num_classes=4)


def test_it_is_one_less_the_disagreement_over_that_of_chance():
    rng = np.random.default_rng(0)
    references = rng.integers(0, 4, 80)
    predictions = np.clip(references + rng.integers(-1, 2, 80), 0, 3)
    seen = np.mean((predictions - references) ** 2)
    chance = np.mean((predictions[:, None] - references[None, :]) ** 2)
    found = KAPPA.compute(predictions=predictions, references=references)["quadratic_weighted_kappa"]
    assert found == pytest.approx(1 - seen / chance)


def test_ranks_that_no_row_has_keep_the_others_apart():
    near = QuadraticWeightedKappa(num_classes=4).compute(predictions=[0, 3, 3], references=[0, 3, 0])
    far = QuadraticWeightedKappa(num_classes=4).compute(predictions=[0, 3, 2], references=[0, 3, 0])
    assert near != far


def test_one_rank_everywhere_has_no_kappa():
    with pytest.warns(UserWarning, match="undefined"):
        assert math.isnan(KAPPA.compute(predictions=[2, 2], references=[2, 2])["quadratic_weighted_kappa"])
    assert KAPPA.compute(predictions=[2, 2], references=[2, 3])["quadratic_weighted_kappa"] == 0
