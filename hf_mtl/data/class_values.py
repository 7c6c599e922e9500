"""The values of a class label column, whatever the column's type."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset

from hf_mtl.data.blank import blank_texts
from hf_mtl.data.columns import (
    arrow_column,
    is_list,
    is_text,
    name_count,
    name_rows,
    null_mask,
    plain_list,
    plain_values,
    say_type,
)
from hf_mtl.errors import DataError, Mistake, name_classes

TRUTH = frozenset({"true", "false"})
UNLABELLED_IDS = (-1, -100)


@dataclass(frozen=True)
class ClassValues:
    """A class label column.

    Args:
        numbers: The column's numbers, float64 [n]; zeros for strings, NaN where missing.
        texts: The column's strings, ``True`` and ``False`` for booleans, or the names of a ClassLabel's ids; None
            for plain numbers. Null where missing.
        missing: Rows without a label, bool [n].
        names: A ClassLabel's names.
        truth: Whether the values are booleans, or texts that spell booleans; then ``numbers`` are 0 and 1.
    """

    numbers: np.ndarray
    texts: pa.Array | None
    missing: np.ndarray
    names: list[str] | None = None
    truth: bool = False


def read_class_values(dataset: Dataset, column: str, split: str, key: str) -> ClassValues:
    """Read a label column of integers, booleans, whole floats, strings, a ClassLabel, or lists of one of these.

    A label is missing where it is None, NaN, an empty string, or -1 or -100 in a ClassLabel column, which is how
    the Hub marks rows without one.

    Raises:
        DataError: If lists hold other than one value, ids are outside their ClassLabel, or the type is none of these.
    """
    values = plain_values(_unwrap(arrow_column(dataset, column), column, split, key))
    feature = dataset.features[column]
    feature = getattr(feature, "feature", feature)
    if isinstance(feature, ClassLabel):
        return _declared(values, list(feature.names), split, key)
    if is_text(values.type):
        texts = pc.if_else(pc.fill_null(blank_texts(values), True), pa.scalar(None, values.type), values)
        return _spelled(texts)
    if pa.types.is_boolean(values.type):
        return _spelled(pc.if_else(values, "True", "False"))
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_null(values.type)):
        found = f"{split} column '{column}' holds {say_type(values)}"
        remedy = "A class label is an integer, a boolean, a string, or a list of one."
        if pa.types.is_struct(values.type):
            remedy += " In a sequence_classification soft_labels: true reads votes or shares by class."
        raise DataError(Mistake(key, found, remedy))
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return ClassValues(numbers, None, np.isnan(numbers))


def _spelled(texts: pa.Array) -> ClassValues:
    missing = null_mask(texts)
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    spelled = pc.unique(lower).drop_null().to_pylist()
    if not spelled or not TRUTH.issuperset(spelled):
        return ClassValues(np.zeros(len(texts)), texts, missing)
    numbers = pc.fill_null(pc.equal(lower, "true"), False).to_numpy(zero_copy_only=False).astype(np.float64)
    return ClassValues(np.where(missing, np.nan, numbers), texts, missing, truth=True)


def _declared(values: pa.Array, names: list[str], split: str, key: str) -> ClassValues:
    """Read ids of a ClassLabel as names. Loading does not check that they are in range, so this does."""
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    missing = np.isnan(numbers) | np.isin(numbers, UNLABELLED_IDS)
    outside = ~missing & ((numbers < 0) | (numbers >= len(names)))
    if outside.any():
        found = sorted({int(number) for number in numbers[outside]})
        problem = (
            f"{split} has {name_count(int(outside.sum()))} with labels outside 0..{len(names) - 1}: "
            f"{', '.join(map(str, found[:5]))} ({name_rows(outside)})"
        )
        raise DataError(Mistake(key, problem, f"{len(names)} classes: {name_classes(names)}."))
    # NaN has no integer: where a label is missing the id is 0 first, and null by the mask.
    indices = pa.array(np.where(missing, 0, numbers).astype(np.int64), mask=missing)
    return ClassValues(numbers, pa.array(names).take(indices), missing, names)


def _unwrap(values: pa.Array, column: str, split: str, key: str) -> pa.Array:
    """Take the value out of lists of one."""
    if not is_list(values.type):
        return values
    values = plain_list(values)
    absent = null_mask(values)
    lengths = pc.fill_null(pc.list_value_length(values), 1).to_numpy(zero_copy_only=False)
    wrong = ~absent & (lengths != 1)
    if wrong.any():
        found = (
            f"{split} has {name_count(int(wrong.sum()))} with other than one value in '{column}': {name_rows(wrong)}"
        )
        remedy = f"Keep rows of one with filter: {{column: {column}, length: 1}}."
        if pa.types.is_integer(values.type.value_type) or pa.types.is_floating(values.type.value_type):
            remedy += " In a sequence_classification soft_labels: true reads lists of a number for each class."
        raise DataError(Mistake(key, found, remedy))
    starts = values.offsets.to_numpy(zero_copy_only=False)[:-1]
    # An index that is null takes null, so a row without a list stays one without a label.
    return values.values.take(pa.array(starts, mask=absent))
