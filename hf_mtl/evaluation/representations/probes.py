"""Linear probes: what a linear map reads off features that stay as they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_mtl.evaluation.representations.constant import NOISE
from hf_mtl.tasks import Task


@dataclass(frozen=True)
class Standardisation:
    """Mean and population standard deviation of training features, which other features are measured in.

    Args:
        mean: [H].
        deviation: [H]; 1 where a feature is constant, up to the rounding of float32.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, features: np.ndarray) -> "Standardisation":
        """Measure features [n, H]."""
        values = np.asarray(features, dtype=np.float64)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        return cls(mean, np.where(deviation > NOISE * np.abs(mean), deviation, 1.0))

    def __call__(self, features: np.ndarray) -> NDArray[np.float64]:
        """Return features [m, H] in these units."""
        found: NDArray[np.float64] = (np.asarray(features, dtype=np.float64) - self.mean) / self.deviation
        return found


def probe_outputs(task: Task, train: np.ndarray, labels: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Fit the task's own linear model to features of training rows, and predict other rows.

    Of classes that is scikit-learn's `LogisticRegression` (C=1), of values its `Ridge` (alpha=1). Features are
    standardised by the training rows.

    Args:
        task: A task with one output for a row, its outputs known.
        train: Features of the training rows [n, H].
        labels: Their labels, as the task encodes them.
        features: Features of m rows, [m, H].

    Returns:
        Outputs [m, C], such as log-probabilities.
    """
    constant = task.constant_outputs(labels)
    if len(np.unique(labels[~np.isnan(labels)] if labels.dtype.kind == "f" else labels)) < 2:
        return np.tile(constant, (len(features), 1))
    measured = Standardisation.of(train)
    predict = task.linear_outputs(measured(train), labels, constant)
    return np.asarray(predict(measured(features)))


def site_probe_outputs(
    task: Task, train: np.ndarray, losses: Any, features: np.ndarray, iterations: int = 100
) -> np.ndarray:
    """Fit a linear map at the sites where a head looks (tokens, choices), and apply it at others.

    It minimises the sum of the task's row losses and half the squared weights, as a logistic regression of C=1 does.

    Args:
        task: A task whose rows have several outputs.
        train: Features of the sites of the training rows [U, H].
        losses: From outputs at these sites [U, C], a tensor, to the losses of the rows.
        features: Features of other sites [V, H].
        iterations: The most iterations of L-BFGS.

    Returns:
        Outputs at the other sites, float32 [V, C].
    """
    import torch

    measured = Standardisation.of(train)
    inputs = torch.from_numpy(measured(train).astype(np.float32))
    weight = torch.zeros(task.num_outputs, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(task.num_outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = losses(inputs @ weight.T + bias).sum() + weight.square().sum() / 2
        value.backward()
        found: torch.Tensor = value
        return found

    with torch.enable_grad():
        optimizer.step(closure)
    found: np.ndarray = measured(features).astype(np.float32) @ weight.detach().numpy().T + bias.detach().numpy()
    return found
