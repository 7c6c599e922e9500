"""Directions in which the features of two tasks vary most, compared."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RANK_TOLERANCE = 1e-10
"""Singular values below this share of the largest count as 0."""


@dataclass(frozen=True)
class SubspaceAlignment:
    """How much two subspaces of a feature space have in common.

    Args:
        k: Dimensions that are compared; fewer than asked for where the features vary in fewer.
        cosines: Cosines of the principal angles, descending [k].
        mean_cosine: Their mean.
        mean_squared_cosine: The mean of their squares, in [0, 1].
        alignment_error: 1 less that.
        chance: What the mean square is for random subspaces: k / H.
        covariance_cosine: Cosine of the two covariance matrices, which takes in the sizes of the directions.
    """

    k: int
    cosines: tuple[float, ...]
    mean_cosine: float
    mean_squared_cosine: float
    alignment_error: float
    chance: float
    covariance_cosine: float


def subspace_alignment(a: np.ndarray, b: np.ndarray, k: int = 15) -> SubspaceAlignment:
    """Compare the k main directions of two sets of features, which need not be of the same rows.

    The main directions are the right singular vectors of features that are centred, each set by itself. Departs from
    the code that introduced the measure for multi-task learning, which takes left singular vectors, of rows that have
    nothing to do with each other.

    Args:
        a: Features of one task's rows, [n, H].
        b: Features of another's, [m, H].
        k: The most directions.

    Raises:
        ValueError: If the features are not of one space.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features of one width expected, found {a.shape[1]} and {b.shape[1]}")
    first, second = _centred(a), _centred(b)
    (first_basis, first_rank), (second_basis, second_rank) = _basis(first), _basis(second)
    k = min(k, first_rank, second_rank)
    if k == 0:  # one set is constant
        return SubspaceAlignment(0, (), math.nan, math.nan, math.nan, 0.0, math.nan)
    cosines = np.linalg.svd(first_basis[:k] @ second_basis[:k].T, compute_uv=False).clip(0, 1)
    square = float(np.square(cosines).mean())
    covariances = np.square(first @ second.T).sum()
    sizes = [math.sqrt(np.square(item @ item.T).sum()) for item in (first, second)]
    return SubspaceAlignment(
        k,
        tuple(cosines.tolist()),
        float(cosines.mean()),
        square,
        1 - square,
        k / a.shape[1],
        float(covariances / sizes[0] / sizes[1]),
    )


def _centred(features: np.ndarray) -> NDArray[np.float64]:
    values = np.asarray(features, dtype=np.float64)
    found: NDArray[np.float64] = values - values.mean(axis=0)
    return found


def _basis(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the right singular vectors, the main ones first, and how many of them count."""
    _, sizes, vectors = np.linalg.svd(centred, full_matrices=False)
    return vectors, int((sizes > RANK_TOLERANCE * sizes[0]).sum()) if sizes[0] > 0 else 0
