"""Gradients of all shared parameters through one seeded sparse random projection."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

DIMENSIONS = 256


class Projection:
    """scikit-learn's `SparseRandomProjection` of vectors with a component for each of P parameters.

    It keeps inner products in expectation. Its matrix has P^-½ of its components, so of each vector only those are
    taken that are multiplied with something, and taken where they are.

    Args:
        sizes: Components of each tensor of a vector; P is their sum.
        dimensions: Length of what comes out.
        seed: Seed.
        device: Where the tensors are.
    """

    def __init__(self, sizes: Sequence[int], dimensions: int, seed: int, device: torch.device):
        from sklearn.random_projection import SparseRandomProjection

        ends = np.cumsum([0, *sizes])
        # Of what it is fitted to, only the width matters.
        fitted = SparseRandomProjection(dimensions, random_state=seed).fit(csr_matrix((1, int(ends[-1]))))
        matrix = fitted.components_.tocoo()
        touched, place = np.unique(matrix.col, return_inverse=True)
        self.dimensions = dimensions
        self._matrix = csr_matrix((matrix.data, (matrix.row, place)), shape=(dimensions, len(touched)))
        cuts = np.searchsorted(touched, ends)
        self._taken = [
            torch.from_numpy(touched[a:b] - start).to(device, torch.int64)
            for (a, b), start in zip(pairwise(cuts), ends, strict=False)
        ]

    def __call__(self, vector: Sequence[Tensor]) -> NDArray[np.float64]:
        """Project a vector, float64 [dimensions].

        Args:
            vector: Its tensors, of the sizes above.
        """
        parts = [tensor.reshape(-1)[taken] for tensor, taken in zip(vector, self._taken, strict=True)]
        return np.asarray(self._matrix @ torch.cat(parts).double().cpu().numpy(), dtype=np.float64)
