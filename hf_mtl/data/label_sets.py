"""Labels of which a row may have several: a column of each, lists of names, or lists with 1 or 0 for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset

from hf_mtl.data.class_names import check_number, numbered_names
from hf_mtl.data.columns import (
    arrow_column,
    flat_lists,
    is_list,
    is_text,
    name_count,
    name_rows,
    name_values,
    null_mask,
    plain_values,
    say_type,
)
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.found_classes import plain_numbers
from hf_mtl.errors import DataError, Mistake, known, name_classes

UNKNOWN = NO_CLASS
"""A label of which a row does not say whether it has it."""

_FORMS = (
    "A list of a row holds the names of its labels, or 1 or 0 (or None: not known) for each label. Where each label "
    "has a column, name the columns: label: [a, b]."
)

_AS_TEXT = "Lists that a file spells as texts, as csv files do, a dataset's function can read."


@dataclass(frozen=True)
class LabelLists:
    """A column of lists.

    Args:
        rows: The row of each element, in order, int64 [m].
        lengths: Elements of each row, int64 [n].
        absent: Rows without a list, bool [n].
        texts: The elements as names; None: they are numbers.
        numbers: The elements as numbers, NaN where there is none, float64 [m]; None: they are names.
        declared: The names that the dataset declares with a ClassLabel.
    """

    rows: np.ndarray
    lengths: np.ndarray
    absent: np.ndarray
    texts: pa.Array | None = None
    numbers: np.ndarray | None = None
    declared: list[str] | None = None


def resolve_labels(
    labels: list[str] | int | None, column: str, name: str, splits: Mapping[str, Dataset]
) -> list[str]:
    """Name the labels of a column of lists: as the recipe does, else as a ClassLabel, else as they are found.

    Args:
        labels: The recipe's: names, or their number.
        column: The column of lists.
        name: The task's name.
        splits: The task's data. Labels that train lacks are found in splits that share one with it.

    Raises:
        DataError: If the lists do not tell the labels, or contradict their number.
    """
    if isinstance(labels, list):
        return labels
    read = {split: read_lists(part, column, name, split) for split, part in splits.items()}
    train = read["train" if "train" in read else next(iter(read))]
    key = f"tasks.{name}.labels"
    found = train.declared or (_found_names(train, read) if train.texts is not None else _counted(train, labels, key))
    check_number(labels, found, key)
    if not found:
        raise DataError(Mistake(key, f"no label is in any list of the train column '{column}'", "Give labels."))
    return found


def encode_label_sets(
    names: list[str], columns: Sequence[str], name: str, split: str, dataset: Dataset, lists: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Tell which labels each row has.

    Args:
        names: The L labels.
        columns: A column for each, or the one column of lists.
        name: The task's name.
        split: The split's name.
        dataset: Its rows.
        lists: Whether there is one column of lists.

    Returns:
        1 (has it), 0 or `UNKNOWN`, int8 [n, L], and which rows say nothing of any label, bool [n].

    Raises:
        DataError: If a column holds anything else; all kinds of bad values at once.
    """
    if lists:
        values = _from_lists(names, read_lists(dataset, columns[0], name, split), columns[0], name, split)
    else:
        parts = [_read_column(dataset, column, split, f"tasks.{name}.label") for column in columns]
        if mistakes := [mistake for _, mistake in parts if mistake is not None]:
            raise DataError(mistakes)
        values = np.stack([found for found, _ in parts], axis=1)
    return values, (values == UNKNOWN).all(axis=1)


def read_lists(dataset: Dataset, column: str, name: str, split: str) -> LabelLists:
    """Read a column of lists of names, of ids of a ClassLabel, or of numbers.

    Raises:
        DataError: If it holds no lists, or lists of something else.
    """
    array, key = arrow_column(dataset, column), f"tasks.{name}.label"
    if pa.types.is_null(array.type):
        nothing = np.zeros(0, dtype=np.int64)
        return LabelLists(nothing, np.zeros(len(array), dtype=np.int64), null_mask(array), pa.array([], pa.string()))
    if not is_list(array.type):
        remedy = f"{_FORMS} {_AS_TEXT}" if is_text(array.type) else _FORMS
        raise DataError(Mistake(key, f"{split} column '{column}' holds {say_type(array)}, and no lists", remedy))
    rows, lengths, absent, values = flat_lists(array)
    feature = dataset.features[column].feature
    if isinstance(feature, ClassLabel):
        return _declared(values, LabelLists(rows, lengths, absent), list(feature.names), f"{split} '{column}'", key)
    if is_text(values.type) or pa.types.is_null(values.type):
        return LabelLists(rows, lengths, absent, texts=values.cast(pa.large_string()))
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise DataError(Mistake(key, f"{split} column '{column}' holds lists of {say_type(values)}", _FORMS))
    return LabelLists(rows, lengths, absent, numbers=_as_numbers(values))


def _declared(values: pa.Array, lists: LabelLists, names: list[str], where: str, key: str) -> LabelLists:
    """Read ids of a ClassLabel as names."""
    ids = _as_numbers(values)
    outside = ~((ids >= 0) & (ids < len(names)))
    if outside.any():
        found = f"{where} has ids outside 0..{len(names) - 1} in its lists: {_values_in(ids, outside, lists.rows)}"
        raise DataError(Mistake(key, found, f"{len(names)} labels: {name_classes(names)}."))
    texts = pa.array(names, pa.large_string()).take(pa.array(ids.astype(np.int64)))
    return LabelLists(lists.rows, lists.lengths, lists.absent, texts=texts, declared=names)


def _found_names(train: LabelLists, read: Mapping[str, LabelLists]) -> list[str]:
    found = [
        set(pc.unique(lists.texts).drop_null().to_pylist()) for lists in read.values() if lists.texts is not None
    ]
    own = set(pc.unique(train.texts).drop_null().to_pylist())
    return sorted(own.union(*(names for names in found if names & own)))


def _counted(train: LabelLists, labels: int | None, key: str) -> list[str]:
    """Return names for the labels of lists of 1 and 0, which have none."""
    lengths = np.unique(train.lengths[~train.absent])
    if labels is not None:
        return numbered_names(labels)
    if len(lengths) != 1:
        found = f"cannot tell the labels: train has lists of {name_values(lengths)} numbers"
        raise DataError(Mistake(key, found, f"Give labels. {_FORMS}"))
    return numbered_names(int(lengths[0]))


def _from_lists(names: list[str], lists: LabelLists, column: str, name: str, split: str) -> np.ndarray:
    found = list(_mistakes(names, lists, f"{split} column '{column}'", f"tasks.{name}.label"))
    if found:
        raise DataError(found)
    values = np.zeros((len(lists.lengths), len(names)), dtype=np.int8)
    if lists.texts is not None:
        values[lists.rows, _ids(lists.texts, names)] = 1
    else:
        assert lists.numbers is not None
        values[~lists.absent] = _as_answers(lists.numbers).reshape(-1, len(names))
    values[lists.absent] = UNKNOWN
    return values


def _mistakes(names: list[str], lists: LabelLists, where: str, key: str) -> Iterator[Mistake]:
    if lists.texts is not None:
        bad = _ids(lists.texts, names) < 0
        if bad.any():
            unknown = lists.texts.filter(pa.array(bad)).to_pylist()
            rows = _mask(lists.rows[bad], len(lists.lengths))
            found = f"{where} has {name_count(int(rows.sum()))} with unknown labels {name_values(unknown)}"
            yield Mistake(key, f"{found} ({name_rows(rows)})", known(names, str(unknown[0]), "Labels"))
        return
    wrong = ~lists.absent & (lists.lengths != len(names))
    if wrong.any():
        found = f"{where} has {name_count(int(wrong.sum()))} with other than {len(names)} numbers in the list"
        yield Mistake(key, f"{found}: {name_rows(wrong)}", f"{_FORMS} {len(names)} labels: {name_classes(names)}.")
    assert lists.numbers is not None
    bad = _is_no_answer(lists.numbers)
    if bad.any():
        yield Mistake(key, f"{where} has other than 1 and 0 in {_values_in(lists.numbers, bad, lists.rows)}", _FORMS)


def _read_column(dataset: Dataset, column: str, split: str, key: str) -> tuple[np.ndarray, Mistake | None]:
    """Read the column of one label: 1 or 0, true or false, ids of a ClassLabel of two; or no answer."""
    array = plain_values(arrow_column(dataset, column))
    kind, feature = array.type, dataset.features[column]
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (number or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        found = f"{split} column '{column}' holds {say_type(array)}"
        remedy = "The column of a label holds 1 or 0, or true or false; None where it is not known"
        return np.full(len(array), UNKNOWN, dtype=np.int8), Mistake(key, found, remedy)
    values = _as_numbers(array.cast(pa.int8()) if pa.types.is_boolean(kind) else array)
    if isinstance(feature, ClassLabel):
        values = np.where(values == -1, UNKNOWN, values)  # how the Hub marks rows without a class
    bad = _is_no_answer(values)
    if bad.any():
        found = f"{split} column '{column}' has other than 1 and 0: {_values_in(values, bad, np.arange(len(values)))}"
        return values, Mistake(key, found, f"1: the row has the label, 0: not; None, NaN or {UNKNOWN}: not known.")
    return _as_answers(values), None


def _ids(texts: pa.Array, names: list[str]) -> np.ndarray:
    """Find the place of each text among the names, -1 where it is none."""
    found = pc.index_in(texts, value_set=pa.array(names, type=texts.type), skip_nulls=True)
    ids: np.ndarray = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return ids


def _as_numbers(values: pa.Array) -> np.ndarray:
    found: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def _is_no_answer(numbers: np.ndarray) -> np.ndarray:
    found: np.ndarray = ~(np.isnan(numbers) | np.isin(numbers, (0, 1, UNKNOWN)))
    return found


def _as_answers(numbers: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(numbers), UNKNOWN, numbers).astype(np.int8)


def _mask(rows: np.ndarray, count: int) -> np.ndarray:
    found = np.zeros(count, dtype=bool)
    found[rows] = True
    return found


def _values_in(numbers: np.ndarray, bad: np.ndarray, rows: np.ndarray) -> str:
    """Name bad numbers and the rows that have them."""
    return f"{name_values(plain_numbers(numbers[bad]))} ({name_rows(_mask(rows[bad], int(rows.max()) + 1))})"
