"""Row weights: the column that says how much each row of a task counts in its loss."""

import numpy as np
import pyarrow as pa
from datasets import Dataset

from hf_mtl.data.columns import (
    arrow_column,
    is_text,
    name_count,
    name_rows,
    null_mask,
    plain_values,
    raise_all,
    say_type,
)
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.tasks import Task


def reads_weights(task: Task, split: str) -> bool:
    """Tell whether the weights of a split count: those of training rows, and where metrics are weighted of all rows.

    Args:
        task: The task.
        split: The split's name.
    """
    return task.weight is not None and (split == "train" or task.weighted_metrics)


def read_row_weights(task: Task, name: str, split: str, dataset: Dataset, used: np.ndarray) -> np.ndarray | None:
    """Read the weights of a split, and check every one that counts.

    Args:
        task: The task.
        name: Its name.
        split: The split's name.
        dataset: Its rows.
        used: The rows that have a label, bool [n]; what stands in the others is not looked at.

    Returns:
        Weights float64 [n], NaN of rows that are not used. None: the rows of this split have none.

    Raises:
        DataError: If there is no such column, it holds no numbers, or some are missing, negative or not finite.
    """
    if not reads_weights(task, split) or not used.any():
        return None
    column, key = str(task.weight), f"tasks.{name}.weight"
    if column not in dataset.column_names:
        remedy = known(dataset.column_names, column, "Columns")
        raise DataError(Mistake(key, f"no column '{column}' in {split}", remedy))
    array = plain_values(arrow_column(dataset, column))
    kind = array.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        held = "strings" if is_text(kind) else say_type(array)
        found = f"{split} column '{column}' holds {held}, not numbers"
        raise DataError(Mistake(key, found, "Weights are numbers from 0 on."))
    weights = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    missing = null_mask(array)
    kinds = {
        "no weight": missing,
        "a NaN weight": np.isnan(weights) & ~missing,
        "an infinite weight": np.isinf(weights),
        "a negative weight": (weights < 0) & np.isfinite(weights),
    }
    raise_all([_mistake(key, split, column, what, bad & used) for what, bad in kinds.items() if (bad & used).any()])
    return np.where(used, weights, np.nan)


def _mistake(key: str, split: str, column: str, what: str, bad: np.ndarray) -> Mistake:
    found = f"{split} has {name_count(int(bad.sum()))} with {what} in column '{column}': {name_rows(bad)}"
    return Mistake(key, found, "A weight is a finite number from 0 on; a row of weight 0 is left out.")


def scaled_weights(weights: np.ndarray) -> np.ndarray:
    """Scale weights to a mean of 1 over the rows.

    Args:
        weights: Weights from 0 on, not all of them 0, [n].
    """
    # By the largest first: a sum of numbers around 1e308 would be infinite.
    shares = weights / weights.max()
    return np.asarray(shares / shares.mean())
