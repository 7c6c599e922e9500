import numpy as np
import pytest

from hf_mtl.experiments.affinity.links import LEAST, LINKS
from hf_mtl.tasks.learning import Family

LOSSES = np.array([LEAST, 1e-3, 0.1, np.log(2), 3.0, 40.0, 800.0])


@pytest.mark.parametrize("family", ["classification", "regression"])
def test_a_loss_comes_back_and_slope_and_curvature_are_its_derivatives(family: Family) -> None:
    link = LINKS[family]
    numbers = link.number(LOSSES)
    assert link.loss(numbers) == pytest.approx(LOSSES, rel=1e-6)
    step = 1e-5
    difference = (link.loss(numbers + step) - link.loss(numbers - step)) / (2 * step)
    assert link.slope(numbers) == pytest.approx(difference, rel=1e-4, abs=1e-9)
    bend = (link.slope(numbers + step) - link.slope(numbers - step)) / (2 * step)
    assert link.curvature(numbers) == pytest.approx(bend, rel=1e-4, abs=1e-9)
    assert (link.curvature(numbers) >= 0).all()


def test_log_odds_of_two_classes_are_the_difference_of_their_logits() -> None:
    logits = np.array([2.0, -0.5])
    loss = -np.log(np.exp(logits[0]) / np.exp(logits).sum())
    assert LINKS["classification"].number(np.array([loss]))[0] == pytest.approx(2.5)
