"""Labels as numbers."""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

NO_CLASS = -100
"""Class id of a row without a label: the index that torch's cross entropy ignores."""


@dataclass(frozen=True)
class EncodedLabels:
    """The labels of a split.

    Args:
        values: Class ids int64 [n] (`NO_CLASS` where missing), or targets float64 [n, D] (NaN where missing).
        missing: Rows without a label, bool [n].
    """

    values: np.ndarray
    missing: np.ndarray

    def select(self, rows: np.ndarray) -> "EncodedLabels":
        """The labels of some rows, by index or mask."""
        return EncodedLabels(self.values[rows], self.missing[rows])


@dataclass(frozen=True)
class LabelledRows:
    """The rows of a split with their labels."""

    dataset: Dataset
    labels: EncodedLabels

    def select(self, rows: np.ndarray) -> "LabelledRows":
        """Some of the rows, by index."""
        return LabelledRows(self.dataset.select(rows), self.labels.select(rows))
