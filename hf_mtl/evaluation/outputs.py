"""Outputs of a head as they are kept to be scored: no more of them than the task's metrics want."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hf_mtl.evaluation.registry import METRICS
from hf_mtl.tasks import Task

ELEMENTS = 1 << 20
"""Numbers of a large array that are worked on at once, so that what a formula leaves on the way stays small."""


@dataclass(frozen=True, eq=False)
class ClassOutputs:
    """The outputs for n rows: the predicted classes, and the logits where a metric wants them.

    Args:
        predicted: The class of each row's largest logit, the first of equal ones, [n]; means nothing if not finite.
        broken: Rows with an output that is not finite.
        logits: [n, C]; None: nobody wants them.
    """

    predicted: NDArray[np.int64]
    broken: int
    logits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.predicted)

    @classmethod
    def of(cls, outputs: "np.ndarray | ClassOutputs") -> "ClassOutputs":
        """Make the outputs of logits [n, C], or leave them as they are."""
        if isinstance(outputs, ClassOutputs):
            return outputs
        return cls(outputs.argmax(axis=1), broken_rows(outputs), outputs)

    @classmethod
    def gathered(cls, batches: Iterable[np.ndarray], whole: bool) -> "ClassOutputs":
        """Make the outputs of the logits of one batch of rows after another.

        Args:
            batches: Logits of some rows each.
            whole: Whether to keep them.
        """
        kept, predicted, broken = [], [], 0
        for logits in batches:
            predicted.append(logits.argmax(axis=1))
            broken += broken_rows(logits)
            if whole:
                kept.append(logits)
        return cls(np.concatenate(predicted), broken, np.concatenate(kept) if whole else None)


@dataclass(frozen=True, eq=False)
class PlainOutputs:
    """Outputs that are scored as they are.

    Args:
        values: The outputs, [n, C].
    """

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def broken(self) -> int:
        """Return the number of rows with an output that is not finite."""
        return broken_rows(self.values)


def wants_logits(task: Task) -> bool:
    """Say whether a metric of a task wants more than the predicted classes, as one that is not ours may."""
    return any(spec.name not in METRICS or METRICS[spec.name].wants_probabilities for spec in task.metrics)


def broken_rows(outputs: np.ndarray) -> int:
    """Count the rows with an output that is not finite."""
    if not len(outputs):
        return 0
    flat = outputs.reshape(len(outputs), -1)
    return sum(int((~np.isfinite(part).all(axis=1)).sum()) for part in pieces(flat))


def pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    """Cut an array [n, C] into rows after others: views of about `ELEMENTS` numbers."""
    rows = max(1, ELEMENTS // max(1, values.shape[1]))
    for start in range(0, len(values), rows):
        yield values[start : start + rows]


def probabilities(logits: np.ndarray) -> NDArray[np.float64]:
    """Compute the softmax of each row in float64, [n, C]; for a few rows, or metrics that cannot do with less."""
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def class_probabilities(logits: np.ndarray) -> Iterator[NDArray[np.float64]]:
    """Give the probability of one class after another, [n] each, to the bits of `probabilities`."""
    largest = logits.max(axis=1).astype(np.float64)
    # Along the rows, as `probabilities` adds: added up class by class, the last bits would differ.
    total = np.concatenate([np.exp(part - part.max(axis=1, keepdims=True)).sum(axis=1) for part in _exact(logits)])
    for index in range(logits.shape[1]):
        yield np.exp(logits[:, index].astype(np.float64) - largest) / total


def _exact(logits: np.ndarray) -> Iterator[NDArray[np.float64]]:
    """Give the pieces of an array in float64."""
    for part in pieces(logits):
        yield part.astype(np.float64)
