"""Directions in which the features of two tasks vary most, compared."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_mtl.evaluation.representations.constant import centred

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


@dataclass(frozen=True, eq=False)
class Subspace:
    """The directions in which features vary, made once for all that it is compared with.

    Args:
        centred: The features, less their mean [n, H].
        directions: Right singular vectors, the main ones first, as many as count [r, H].
        size: Norm of the covariance, up to the factor n - 1.
    """

    centred: NDArray[np.float64]
    directions: NDArray[np.float64]
    size: float

    @classmethod
    def of(cls, features: np.ndarray) -> "Subspace":
        """Find the directions of features [n, H]."""
        values = centred(features)
        _, sizes, vectors = np.linalg.svd(values, full_matrices=False)
        rank = int((sizes > RANK_TOLERANCE * sizes[0]).sum()) if sizes[0] > 0 else 0
        return cls(values, vectors[:rank], float(np.sqrt(np.power(sizes, 4).sum())))

    def aligned(self, other: "Subspace", k: int) -> SubspaceAlignment:
        """Compare the k main directions of both; see `subspace_alignment`.

        Raises:
            ValueError: If the features are not of one space.
        """
        width, theirs = self.centred.shape[1], other.centred.shape[1]
        if width != theirs:
            raise ValueError(f"features of one width expected, found {width} and {theirs}")
        k = min(k, len(self.directions), len(other.directions))
        if k == 0:  # one set is constant
            return SubspaceAlignment(0, (), math.nan, math.nan, math.nan, 0.0, math.nan)
        cosines = np.linalg.svd(self.directions[:k] @ other.directions[:k].T, compute_uv=False).clip(0, 1)
        square = float(np.square(cosines).mean())
        covariances = float(np.square(self.centred @ other.centred.T).sum())
        return SubspaceAlignment(
            k,
            tuple(cosines.tolist()),
            float(cosines.mean()),
            square,
            1 - square,
            k / width,
            covariances / self.size / other.size,
        )


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
    return Subspace.of(a).aligned(Subspace.of(b), k)
