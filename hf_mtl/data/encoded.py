"""Labels as numbers."""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from hf_mtl.data.text_keys import TextKeys

NO_CLASS = -100
"""Class id of a row without a label: the index that torch's cross entropy ignores."""


@dataclass(frozen=True)
class EncodedLabels:
    """The labels of a split.

    Args:
        values: Class ids int64 [n] (`NO_CLASS` where missing), targets float64 [n, D] (NaN where not given), or 1 and
            0 for each of several labels int8 [n, L] (`NO_CLASS` where not known).
        missing: Rows without a label, or with a weight of 0, bool [n].
        weights: Weight of each row as it was given, NaN of rows without a label, float64 [n]; None: 1 each.
    """

    values: np.ndarray
    missing: np.ndarray
    weights: np.ndarray | None = None

    def select(self, rows: np.ndarray) -> "EncodedLabels":
        """Return the labels of some rows, by index or mask."""
        weights = None if self.weights is None else self.weights[rows]
        return EncodedLabels(self.values[rows], self.missing[rows], weights)

    @property
    def weightless(self) -> int:
        """Return the number of rows that have a label, and a weight of 0."""
        return 0 if self.weights is None else int((self.weights == 0).sum())

    @property
    def wanted(self) -> str:
        """Say what a row must have to be used, in words."""
        return "a label and a weight above 0" if self.weightless else "a label"


@dataclass(frozen=True)
class LabelledRows:
    """The rows of a split with their labels.

    Args:
        dataset: The rows.
        labels: Their labels.
        keys: The hashes of their texts; None while nobody has asked.
    """

    dataset: Dataset
    labels: EncodedLabels
    keys: TextKeys | None = None

    def select(self, rows: np.ndarray) -> "LabelledRows":
        """Return some of the rows, by index."""
        keys = None if self.keys is None else self.keys.select(rows)
        return LabelledRows(self.dataset.select(rows), self.labels.select(rows), keys)
