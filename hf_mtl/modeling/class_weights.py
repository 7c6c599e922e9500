"""Weights of a task's classes in its loss: given by a recipe, and scaled to the training rows."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.modeling.statistics import ClassWeights, far_note
from hf_mtl.tasks.statistics import TaskStatistics

GivenWeights: TypeAlias = Literal["balanced"] | list[float] | dict[str, float] | None


def check_weights(given: GivenWeights, names: list[str], key: str) -> Iterator[Mistake]:
    """Compare the weights that a recipe gives with the classes.

    Args:
        given: The weights.
        names: The classes in id order.
        key: Recipe key of the weights.
    """
    listed = given if isinstance(given, dict) else dict(enumerate(given if isinstance(given, list) else ()))
    for place, weight in listed.items():
        if not weight >= 0:
            yield Mistake(f"{key}.{place}", f"found {weight:g}", "Allowed: at least 0.")
    if isinstance(given, dict):
        for label in given:
            if label not in names:
                yield Mistake(f"{key}.{label}", f"unknown class '{label}'", known(names, label, "Classes"))
        absent = [label for label in names if label not in given]
        if absent:
            yield Mistake(key, f"nothing for {', '.join(absent)}", "Give one value for every class.")
    elif isinstance(given, list) and len(given) != len(names):
        yield Mistake(key, f"found {len(given)} weights for {len(names)} classes", "Give one for each class.")


def fit_weights(given: GivenWeights, names: list[str], counts: np.ndarray, key: str) -> list[float]:
    """Make one weight per class in id order, scaled to a mean of 1 over the training rows.

    Balanced, a class without training rows weighs 1 too: its weight counts in validation losses alone.

    Args:
        given: The weights that a recipe gives.
        names: The classes in id order.
        counts: Training rows of each.
        key: Recipe key of the weights.

    Raises:
        DataError: If weights are given for other classes than the task has, or make every training row count nothing.
    """
    rows = counts.astype(np.float64)
    if given == "balanced":
        weights = rows.sum() / (len(rows) * np.maximum(rows, 1))
    else:
        weights = _given_weights(names, given, key)
    mean = float((weights * rows).sum() / rows.sum())
    if mean == 0:
        found = "weighs every class that has training rows 0"
        raise DataError(Mistake(key, found, "Give a class with rows a weight above 0"))
    weights = weights / mean
    if given == "balanced":
        weights[rows == 0] = 1.0
    result: list[float] = weights.tolist()
    return result


def _given_weights(names: list[str], given: list[float] | dict[str, float] | None, key: str) -> np.ndarray:
    """Put the weights that a task gives its classes in id order."""
    strangers = set(given) - set(names) if isinstance(given, dict) else set()
    values = [given.get(label, math.nan) for label in names] if isinstance(given, dict) else list(given or [])
    if strangers or len(values) != len(names) or not all(0 <= value < math.inf for value in values):
        raise DataError(Mistake(key, f"found {given}", f"Give a weight >= 0 for each of {names}"))
    return np.array(values, dtype=np.float64)


def compare_weights(
    kept: TaskStatistics, weights: Sequence[float], names: list[str], counts: np.ndarray
) -> list[str]:
    """Say which of the weights that a model keeps are far from those of some rows.

    Args:
        kept: The model's weights.
        weights: Those of the rows, in id order.
        names: The classes in id order.
        counts: Rows of each; of a class without any they say nothing.
    """
    assert isinstance(kept, ClassWeights)
    return [
        far_note(f"loss weight {kept.weights[place]:.3g} of the class '{names[place]}'", f"{weights[place]:.3g}")
        for place in kept.far_from(weights)
        if counts[place]
    ]
