"""Rows as the linear model sees them: the gradient of each by the shared parameters, projected."""

import numpy as np

from hf_mtl.batch import divisor
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.experiments.affinity.linear_model import LinearRows
from hf_mtl.experiments.affinity.links import LEAST, LINKS
from hf_mtl.experiments.affinity.projection import Projection
from hf_mtl.experiments.affinity.subject import Subject


def linear_rows(subject: Subject, of: TrainRows, task: str, rows: np.ndarray, projection: Projection) -> LinearRows:
    """Linearise the losses of some rows of a task at the checkpoint; inside `Subject.looking`.

    One row at a time, with a backward of its own: so the gradients are autograd's for every encoder, at the cost of
    training on the rows once. A row's loss here is that per unit of its mass, of a token for instance; mass and
    weight are its weight in the task's loss.

    Args:
        subject: The model.
        of: The training or the validation rows.
        task: The task.
        rows: Its rows.
        projection: Of the shared parameters.

    Raises:
        UserError: If a loss is below 0 or no number.
    """
    link = LINKS[subject.model.tasks[task].family]
    losses, weights = np.empty(len(rows)), np.empty(len(rows))
    gradients = np.empty((len(rows), projection.dimensions))
    for place, row in enumerate(rows):
        batch, mass = subject.batch(of, task, np.array([row]))
        weight = batch.pop("row_weights", {}).get(task)
        loss = subject.row_losses(task, batch, backward=True).sum() / divisor(mass)
        losses[place], gradients[place] = float(loss.detach()), projection(subject.gradients(loss))
        weights[place] = mass * (1.0 if weight is None else float(weight))
    numbers = link.number(np.maximum(losses, LEAST))
    total = weights.sum()
    shares = weights / total if total > 0 else np.full(len(rows), 1 / len(rows))
    return LinearRows(numbers, gradients / link.slope(numbers)[:, None], shares, link)
