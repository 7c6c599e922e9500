"""Regression targets from number columns."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.data.columns import (
    arrow_column,
    is_text,
    name_count,
    name_rows,
    name_values,
    null_mask,
    plain_values,
    say_type,
)
from hf_mtl.errors import DataError, Mistake

Range: TypeAlias = tuple[float, float]
"""Lowest and highest possible value of a target."""


def check_ranges(given: Range | list[Range], targets: int | None, standardize: bool | None) -> None:
    """Refuse ranges that cannot be.

    Args:
        given: The recipe's: one pair, or one for each target.
        targets: Number of targets; None: not known, as that key is wrong itself.
        standardize: The recipe's wish.

    Raises:
        ValueError: If they cannot be; says what is wrong.
    """
    pairs = [given] if isinstance(given, tuple) else given
    if any(not (-np.inf < low < high < np.inf) for low, high in pairs):
        raise ValueError("finite numbers, the lowest target and a higher one: [0, 1]")
    if standardize:
        raise ValueError("no range beside standardize: true, which shifts outputs out of it; leave one of them out")
    if isinstance(given, list) and targets is not None and len(given) != targets:
        raise ValueError(f"one pair for all targets, such as [0, 1], or one for each of the {targets}")


def encode_targets(
    columns: Sequence[str], name: str, split: str, dataset: Dataset, ranges: Sequence[Range] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read the target columns of a split; a row without any of its targets is missing.

    Args:
        columns: The D target columns.
        name: The task's name.
        split: The split's name.
        dataset: Its rows.
        ranges: The lowest and the highest possible value of each target; None: any may be.

    Returns:
        Targets float64 [n, D] (NaN where not given), and which rows have none at all, bool [n].

    Raises:
        DataError: If a column holds no numbers, or infinite ones, or such as are outside its range; or, where it is
            the only one, NaN. Of a single
            target None is a missing one: NaN comes from a computation that went wrong, and dropping the row would
            hide that. Only in ``test``, whose rows are not dropped, it means a row to predict. Of several targets
            NaN is what tables have for those that were not measured, and it drops no row that has another.
    """
    found, mistakes = [], []
    key = f"tasks.{name}.label"
    for place, column in enumerate(columns):
        values, mistake = _read(dataset, column, split, key, len(columns) > 1 or split == "test")
        found.append(values)
        mistakes.extend(mistake)
        if ranges is not None and not mistake:
            mistakes.extend(_outside(values, *ranges[place], f"{split} has {{}} in column '{column}'", key))
    if mistakes:
        raise DataError(mistakes)
    targets = np.stack(found, axis=1)
    return targets, np.isnan(targets).all(axis=1)


def target_moments(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure mean and standard deviation of each target over the rows that have it; 0 and 0 if none has.

    Args:
        targets: Float [n, D], NaN where not given.

    Returns:
        The means [D] and the deviations [D], which are exactly 0 for a constant target.
    """
    columns = [column[~np.isnan(column)] for column in targets.T]
    mean = [column.mean() if len(column) else 0.0 for column in columns]
    # Of a constant such as 6.9 the mean is rounded, and the deviation from it is 1e-15, not 0.
    std = [column.std() if len(column) and np.ptp(column) > 0 else 0.0 for column in columns]
    return np.array(mean), np.array(std)


def _read(dataset: Dataset, column: str, split: str, key: str, may_be_nan: bool) -> tuple[np.ndarray, list[Mistake]]:
    array = plain_values(arrow_column(dataset, column))
    kind = array.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (number or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        return np.full(len(array), np.nan), [_not_numbers(array, column, split, key)]
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    mistakes = []
    nan = np.isnan(values) & ~null_mask(array)
    if nan.any() and not may_be_nan:
        found = f"{split} has {name_count(int(nan.sum()), 'NaN target')} in column '{column}': {name_rows(nan)}"
        mistakes.append(Mistake(key, found, "Give a number, or None for a row without a target."))
    infinite = np.isinf(values)
    if infinite.any():
        count = name_count(int(infinite.sum()), "infinite target")
        mistakes.append(Mistake(key, f"{split} has {count} in column '{column}': {name_rows(infinite)}"))
    return values, mistakes


def _outside(values: np.ndarray, low: float, high: float, words: str, key: str) -> Iterator[Mistake]:
    # A 0.3 that was stored in float32 is above 0.3.
    slack = 1e-6 * (high - low)
    outside = (values < low - slack) | (values > high + slack)
    if outside.any():
        count = f"{name_count(int(outside.sum()), 'target')} outside [{low:g}, {high:g}]"
        found = f"{words.format(count)}: {name_values(values[outside])} ({name_rows(outside)})"
        yield Mistake(key, found, "Mend them, or widen the task's range.")


def _not_numbers(array: pa.Array, column: str, split: str, key: str) -> Mistake:
    if not is_text(array.type):
        return Mistake(key, f"{split} column '{column}' holds {say_type(array)}, not numbers", "Targets are numbers.")
    # Null where a text is an ordinary number: "nan" and "inf" are none.
    ordinary = pc.match_substring_regex(array, r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
    bad = ~pc.fill_null(ordinary, True).to_numpy(zero_copy_only=False)
    found = f"{split} column '{column}' is a string column, not numbers"
    if not bad.any():
        return Mistake(key, f"{found}: every value is a number written as text", "Cast the column to float.")
    values = array.filter(pa.array(bad)).to_pylist()
    return Mistake(
        key,
        f"{found}: {name_values(values)} ({name_rows(bad)})",
        "Targets are finite numbers, or None for no target; in csv an empty field, or what dataset.missing names.",
    )
