"""Questions to a task about what a head's outputs mean: predictions by name, for people, files and programs."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:  # heavy, and needed for annotations alone
    import pyarrow as pa
    from datasets import Dataset

Prediction: TypeAlias = dict[str, Any] | list[dict[str, Any]]
"""What is predicted for a row, in plain values of Python: a mapping, or a list of mappings where a row may have
several. ``label`` and ``score`` are a name and its probability wherever there are such."""


@dataclass(frozen=True, eq=False)
class RowOutputs:
    """What a model has made of n rows.

    Args:
        outputs: Outputs of the head in eval mode, so divided by a calibration temperature, and in original units; as
            wide as the widest of the rows, all of them finite, [n, ..., C].
        rows: The rows with the task's text columns.
        references: What `lay_out` gives as references for these rows, [n]; None: it gives none.
        variances: Variances of what a probabilistic head has decoded, in the units of the outputs, squared, [n, C];
            None: the head has none.
    """

    outputs: np.ndarray
    rows: "Dataset"
    references: np.ndarray | None = None
    variances: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.outputs)

    def select(self, rows: np.ndarray) -> "RowOutputs":
        """Return what was made of some of the rows."""

        def of(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return RowOutputs(self.outputs[rows], self.rows.select(rows), of(self.references), of(self.variances))


class PredictingAnswers(ABC):
    """Questions to a task for predicting with it."""

    @abstractmethod
    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Say what is predicted for each row.

        Args:
            found: What a model has made of n rows; n may be 0.
        """

    def ranked(self, found: RowOutputs, most: int | None) -> list[list[dict[str, Any]]] | None:
        """Give what may be predicted for each row, the likeliest first; None: the task has nothing to choose from.

        Args:
            found: What a model has made of n rows.
            most: The most of a row; None: all there are, of answers 20.
        """
        return None

    def columns(self, found: RowOutputs, everything: bool) -> "dict[str, pa.Array]":
        """Give the predictions as columns of a flat file, by what follows the task's name and a dot in their names.

        Names and types of the columns are the same whatever the rows are, and without any.

        Args:
            found: What a model has made of n rows; n may be 0.
            everything: Also the probabilities of all that may be predicted.
        """
        import pyarrow as pa

        columns: dict[str, list[Any] | None] = {"prediction": list(self.predicted(found))}
        if everything:
            columns["ranked"] = self.ranked(found, None)
        return {
            key: pa.array([json.dumps(value, ensure_ascii=False) for value in values], pa.string())
            for key, values in columns.items()
            if values is not None
        }
