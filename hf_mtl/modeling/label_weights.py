"""Weights of the rows that have a label, in its loss: given by a recipe, and scaled to the training rows."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from hf_mtl.errors import DataError, Mistake
from hf_mtl.modeling.class_weights import check_weights
from hf_mtl.modeling.statistics import LabelWeights, far_note
from hf_mtl.tasks.statistics import TaskStatistics

PositiveWeight: TypeAlias = Literal["balanced"] | float | list[float] | dict[str, float] | None


def positive_weight_mistakes(given: PositiveWeight, names: list[str], key: str) -> Iterator[Mistake]:
    """Compare the weights that a recipe gives with the labels.

    Args:
        given: The weights.
        names: The labels.
        key: Recipe key of the weights.
    """
    yield from check_weights([given] * len(names) if isinstance(given, int | float) else given, names, key)


def fit_positive_weights(
    given: PositiveWeight, names: list[str], no: np.ndarray, yes: np.ndarray, key: str
) -> tuple[list[float], list[float]]:
    """Make the weights of a label's rows without it and with it, scaled to a mean of 1 over all that is known.

    Args:
        given: What a row with a label weighs, one without it weighing 1. ``balanced``: as much as makes both weigh
            the same in all; 1 for a label that no row has, or that all have.
        names: The labels.
        no: Training rows without each label, [L].
        yes: Training rows with it, [L].
        key: Recipe key of the weights.

    Returns:
        The weights of rows without and with each label.

    Raises:
        DataError: If there is not one weight for each label, or nothing would weigh anything.
    """
    if mistakes := list(positive_weight_mistakes(given, names, key)):
        raise DataError(mistakes)
    if given == "balanced":
        positive = np.where((yes > 0) & (no > 0), no / np.maximum(yes, 1), 1.0)
    elif isinstance(given, dict):
        positive = np.array([given[name] for name in names], dtype=np.float64)
    else:
        positive = np.broadcast_to(np.asarray(given, dtype=np.float64), len(names))
    mean = float((no + positive * yes).sum() / (no + yes).sum())
    if mean == 0:
        raise DataError(Mistake(key, "weighs every row that is known 0", "Give a weight above 0"))
    return np.full(len(names), 1 / mean).tolist(), (positive / mean).tolist()


def compare_positive_weights(kept: TaskStatistics, positive: Sequence[float], names: list[str]) -> list[str]:
    """Say which of the weights that a model keeps are far from those of some rows.

    Args:
        kept: The model's weights.
        positive: Those of the rows with each label.
        names: The labels.
    """
    assert isinstance(kept, LabelWeights)
    return [
        far_note(f"weight {kept.positive[place]:.3g} of rows with '{names[place]}'", f"{positive[place]:.3g}")
        for place in kept.far_from(positive)
    ]
