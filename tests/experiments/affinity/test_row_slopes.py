"""Every type of task: its rows' linear model has the losses and the slopes of the model itself."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hf_mtl.experiments.affinity.row_slopes import linear_rows
from tests import tiny
from tests.experiments.affinity.subjects import subject_of
from tests.task_types.sample import Sample, samples, weighted

SAMPLES = samples()
SAMPLES["regression, weighted"] = weighted(SAMPLES["regression"])
STEP = 3e-3


class Along:
    """In place of a projection: the component of a gradient along one direction."""

    dimensions = 1

    def __init__(self, direction: list[Tensor]):
        self.direction = direction

    def __call__(self, vector: list[Tensor]) -> np.ndarray:
        found = sum(float((one * other).sum()) for one, other in zip(vector, self.direction, strict=True))
        return np.array([found])


@pytest.mark.parametrize("name", SAMPLES)
def test_value_and_slope_are_those_of_the_tasks_loss(name: str) -> None:
    sample: Sample = SAMPLES[name]
    model = tiny.model(tasks={"t": sample.task, "mood": tiny.TASKS["mood"]})
    subject = subject_of(model, {"t": sample.rows(9), "mood": tiny.rows("mood", 4)}, {})
    batch, mass = subject.batch(subject.train, "t", np.arange(9))
    with subject.looking() as kept:
        direction = subject.gradients(subject.loss("t", batch, mass, backward=True))
        length = float(torch.stack([one.norm() for one in direction]).norm())
        along: Any = Along([one / length for one in direction])
        rows = linear_rows(subject, subject.train, "t", np.arange(9), along)
        losses = []
        for sign in (1, 0, -1):
            with torch.no_grad():
                for parameter, value, one in zip(subject.parameters, kept, along.direction, strict=True):
                    parameter.copy_(value + sign * STEP * one)
            losses.append(float(subject.loss("t", batch, mass)))
    share = rows.weights.sum()
    assert share == pytest.approx(1)
    # The weights of a whole split have a mean of 1, those of the rows of a batch of tokens need not.
    factor = losses[1] / rows.loss(np.zeros(1))
    assert factor == pytest.approx(1, rel=1e-4)
    slope = (rows.loss(np.array([STEP])) - rows.loss(np.array([-STEP]))) / (2 * STEP)
    assert slope == pytest.approx((losses[0] - losses[2]) / (2 * STEP), rel=0.02)
    assert slope == pytest.approx(length, rel=0.02)
