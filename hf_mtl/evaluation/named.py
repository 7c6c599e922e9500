"""Predictions by name: classes with their probabilities, as mappings and as columns of a file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def best_classes(names: Sequence[str], probabilities: np.ndarray, chosen: np.ndarray) -> list[Any]:
    """Name the chosen class of each row, with its probability.

    Args:
        names: The classes.
        probabilities: Their probabilities [n, C].
        chosen: The class that is predicted, int64 [n].
    """
    scores = _at(probabilities, chosen)
    return [{"label": names[k], "score": p} for k, p in zip(chosen.tolist(), scores.tolist(), strict=True)]


def ranked_classes(names: Sequence[str], probabilities: np.ndarray, most: int | None) -> list[list[dict[str, Any]]]:
    """Name the classes of each row, the likeliest first and the first of equal ones.

    Args:
        names: The classes.
        probabilities: Their probabilities [n, C].
        most: The most of a row; None: all.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :most]
    scores = np.take_along_axis(probabilities, order, axis=1)
    return [
        [{"label": names[k], "score": p} for k, p in zip(row, values, strict=True)]
        for row, values in zip(order.tolist(), scores.tolist(), strict=True)
    ]


def class_columns(
    names: Sequence[str], probabilities: np.ndarray, chosen: np.ndarray, everything: bool
) -> dict[str, pa.Array]:
    """Give the chosen class of each row and its probability as columns, and on request the probabilities of all.

    Args:
        names: The classes.
        probabilities: Their probabilities [n, C].
        chosen: The class that is predicted, int64 [n].
        everything: Whether all are wanted.
    """
    columns = {
        "label": pa.array([names[k] for k in chosen.tolist()], pa.string()),
        "score": pa.array(_at(probabilities, chosen), pa.float64()),
    }
    return {**columns, **probability_columns(names, probabilities)} if everything else columns


def probability_columns(names: Sequence[str], probabilities: np.ndarray) -> dict[str, pa.Array]:
    """Give a column of the probabilities of each class.

    Args:
        names: The classes.
        probabilities: Their probabilities [n, C].
    """
    return {f"p.{name}": pa.array(probabilities[:, k], pa.float64()) for k, name in enumerate(names)}


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Compute the probability of each logit for itself, in float64, without overflow."""
    found: np.ndarray = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    return found


def shortest(values: np.ndarray) -> np.ndarray:
    """Give float32 numbers as the float64 ones that are written the shortest: 3.2, and not 3.200000047683716.

    Args:
        values: Numbers of any shape.
    """
    found: np.ndarray = np.asarray(values, dtype=np.float32).astype("U").astype(np.float64)
    return found


def _at(probabilities: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    found: np.ndarray = probabilities[np.arange(len(chosen)), chosen]
    return found
