"""Affinities by lookahead: what a step along one task's gradient does to the losses of all."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hf_mtl.batch import Batch
from hf_mtl.experiments.affinity.matrix import Matrix
from hf_mtl.experiments.affinity.subject import Subject

ROWS = 16
"""Rows of each task in a batch."""


def lookahead(subject: Subject, batches: Mapping[str, tuple[Batch, float]], rate: float) -> Matrix:
    """Measure Z[i, j] = 1 - L_j(θ - η g_i) / L_j(θ) on one batch of each task, float64 [T, T].

    θ are the shared parameters that are trained, in eval mode; they are as before at the end. g_i is the plain
    gradient of L_i, the data term of its loss, whatever the optimizer of the run makes of it.

    Source: "Efficiently Identifying Task Groupings for Multi-Task Learning" (arXiv 2109.04617).

    Args:
        subject: The model.
        batches: Rows of each task, and the sum of their masses.
        rate: The length η of the step.

    Raises:
        UserError: If a loss is below 0 or no number.
    """
    tasks = subject.tasks
    found = np.zeros((len(tasks), len(tasks)))
    with subject.looking() as before:
        losses = _losses(subject, batches)
        for place, task in enumerate(tasks):
            gradients = subject.gradients(subject.loss(task, *batches[task], backward=True))
            _step(subject.parameters, before, gradients, rate)
            after = _losses(subject, batches)
            # A loss of 0 cannot drop.
            found[place] = 1 - np.divide(after, losses, out=np.ones_like(after), where=losses > 0)
            _step(subject.parameters, before, gradients, 0.0)
    return found


def sampled_lookaheads(subject: Subject, batches: int, rate: float, rows: int = ROWS) -> list[Matrix]:
    """Measure lookaheads on several batches of training rows, of which none repeats before all have been drawn.

    Args:
        subject: The model.
        batches: How many.
        rate: As for `lookahead`.
        rows: Rows of each task in a batch; all of them where a task has no more.
    """
    drawn = {task: subject.train.draw(task, batches * rows, "affinity", task) for task in subject.tasks}
    found = []
    for number in range(batches):
        parts = {task: _some(mine, number * rows, rows) for task, mine in drawn.items()}
        made = {task: subject.batch(subject.train, task, part) for task, part in parts.items()}
        found.append(lookahead(subject, made, rate))
    return found


def _some(rows: np.ndarray, start: int, count: int) -> np.ndarray:
    """Take rows from a place on, from the beginning again behind the last; none twice."""
    return rows[np.arange(start, start + min(count, len(rows))) % len(rows)]


def _losses(subject: Subject, batches: Mapping[str, tuple[Batch, float]]) -> Matrix:
    return np.array([float(subject.loss(task, *batches[task])) for task in subject.tasks])


@torch.no_grad()
def _step(
    parameters: Sequence[nn.Parameter], before: Sequence[Tensor], gradients: Sequence[Tensor], rate: float
) -> None:
    """Set parameters to what they were, and from there a step against their gradients."""
    for parameter, value, gradient in zip(parameters, before, gradients, strict=True):
        parameter.copy_(value if not rate else value - rate * gradient)
