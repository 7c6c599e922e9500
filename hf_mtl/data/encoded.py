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
        values: Class ids int64 [n] (`NO_CLASS` where missing), targets float64 [n, D] (NaN where missing), or 1 and 0
            for each of several labels int8 [n, L] (`NO_CLASS` where not known).
        missing: Rows without a label, bool [n].
    """

    values: np.ndarray
    missing: np.ndarray

    def select(self, rows: np.ndarray) -> "EncodedLabels":
        """Return the labels of some rows, by index or mask."""
        return EncodedLabels(self.values[rows], self.missing[rows])


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
