"""Soft labels: for each row a share of every class, from votes or a distribution."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.data.class_labels import Labels
from hf_mtl.data.class_names import numbered_names
from hf_mtl.data.columns import (
    arrow_column,
    is_list,
    name_count,
    name_rows,
    name_values,
    null_mask,
    plain_list,
    say_type,
)
from hf_mtl.errors import DataError, Mistake, known, name_classes

_FORMS = "A soft label is a list of numbers, one for each class, or a mapping from classes to numbers."


@dataclass(frozen=True)
class Votes:
    """A column of soft labels.

    Args:
        numbers: Votes or shares of each class float64 [n, C], NaN where one is missing in a list; of rows of another
            length all are NaN.
        absent: Rows without a label, bool [n].
        wrong: Rows whose lists have another length than the others, bool [n].
        names: The classes of mappings; None: lists, which name none.
    """

    numbers: np.ndarray
    absent: np.ndarray
    wrong: np.ndarray
    names: list[str] | None


def read_votes(dataset: Dataset, column: str, split: str, key: str, classes: int | None = None) -> Votes:
    """Read a column of lists of numbers or of mappings to numbers.

    Args:
        dataset: The rows.
        column: The label column.
        split: The split's name.
        key: Recipe key for mistakes.
        classes: Numbers that a list should have; None: as many as the first has.

    Raises:
        DataError: If it holds anything else.
    """
    array = arrow_column(dataset, column)
    absent = null_mask(array)
    if pa.types.is_struct(array.type):
        names = [field.name for field in array.type]
        parts = [_numbers(array.field(place), column, split, key) for place in range(len(names))]
        # A mapping leaves out the classes that nobody has voted for.
        shares = np.nan_to_num(np.stack(parts, axis=1)) if parts else np.zeros((len(array), 0))
        given = np.stack([~null_mask(array.field(place)) for place in range(len(names))], axis=1).any(axis=1)
        # Where the file says nothing of the row, its mapping has no class at all.
        return Votes(shares, absent | ~given, np.zeros(len(array), dtype=bool), names)
    if not is_list(array.type):
        if pa.types.is_null(array.type):
            return Votes(np.full((len(array), classes or 0), np.nan), absent, ~absent, None)
        raise DataError(Mistake(key, f"{split} column '{column}' holds {say_type(array)}", _FORMS))
    array = plain_list(array)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    if classes is None:
        classes = int(lengths[~absent][0]) if (~absent).any() else 0
    wrong = ~absent & (lengths != classes)
    fits = ~absent & ~wrong
    numbers = np.full((len(array), classes), np.nan)
    values = _numbers(array.filter(pa.array(fits)).flatten(), column, split, key)
    numbers[fits] = values.reshape(-1, classes) if classes else np.zeros((int(fits.sum()), 0))
    return Votes(numbers, absent, wrong, None)


def _numbers(values: pa.Array, column: str, split: str, key: str) -> np.ndarray:
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DataError(Mistake(key, f"{split} column '{column}' holds {kind} in its labels, not numbers", _FORMS))
    found: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def resolve_soft(labels: Labels, column: str, name: str, splits: Mapping[str, Dataset]) -> list[str]:
    """Name the classes of soft labels: as the recipe does, else as the mappings do, else by their number.

    Args:
        labels: The recipe's.
        column: The label column.
        name: The task's name.
        splits: The task's data.

    Raises:
        DataError: If the data do not tell the classes, or contradict their number.
    """
    if isinstance(labels, list):
        return labels
    read = {split: read_votes(part, column, split, f"tasks.{name}.label") for split, part in splits.items()}
    train = read["train" if "train" in read else next(iter(read))]
    if train.names is None:
        names = numbered_names(train.numbers.shape[1] if labels is None else labels)
    else:
        names = sorted({key for votes in read.values() for key in votes.names or []})
    if len(names) < 2 or (labels is not None and labels != len(names)):
        said = "" if labels is None else f"labels is {labels}, and "
        found = f"{said}the data tells of {len(names)}: {name_values(names, 20)}"
        raise DataError(Mistake(f"tasks.{name}.labels", found, "Give labels: the names of two or more classes."))
    return names


def encode_soft(
    names: Sequence[str], column: str, name: str, split: str, dataset: Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Turn votes into shares.

    Args:
        names: The C classes in id order.
        column: The label column.
        name: The task's name.
        split: The split's name.
        dataset: Its rows.

    Returns:
        Shares that sum to 1, float64 [n, C] (NaN where there is no label), and which rows have none, bool [n].

    Raises:
        DataError: If a label is for other classes, negative, not finite, or sums to 0: all kinds at once.
    """
    key = f"tasks.{name}.label"
    votes = read_votes(dataset, column, split, key, len(names))
    mistakes = list(_mistakes(votes, names, f"{split} column '{column}'", key))
    if mistakes:
        raise DataError(mistakes)
    numbers = votes.numbers
    if votes.names is not None:
        numbers = np.zeros((len(numbers), len(names)))
        numbers[:, [list(names).index(each) for each in votes.names]] = votes.numbers
    numbers = np.where(votes.absent[:, None], np.nan, numbers)
    # By the largest first: a sum of numbers around 1e308 would be infinite.
    shares = numbers / numbers.max(axis=1, keepdims=True)
    return shares / shares.sum(axis=1, keepdims=True), votes.absent


def _mistakes(votes: Votes, names: Sequence[str], where: str, key: str) -> Iterator[Mistake]:
    if votes.names is not None:
        for stranger in [each for each in votes.names if each not in names]:
            yield Mistake(
                key, f"{where} has votes for an unknown class '{stranger}'", known(names, stranger, "Classes")
            )
    if votes.wrong.any():
        found = f"{where} has {name_count(int(votes.wrong.sum()))} with other than {len(names)} numbers in the list"
        remedy = f"{_FORMS} {len(names)} classes: {name_classes(list(names))}."
        yield Mistake(key, f"{found}: {name_rows(votes.wrong)}", remedy)
    whole = ~votes.absent & ~votes.wrong
    broken = whole & ~np.isfinite(votes.numbers).all(axis=1)
    kinds = {
        "a missing or infinite number in the label": broken,
        "a negative number in the label": whole & (votes.numbers < 0).any(axis=1),
        "a label of zeros": whole & ~broken & (votes.numbers == 0).all(axis=1),
    }
    for what, bad in kinds.items():
        if bad.any():
            found = f"{where} has {name_count(int(bad.sum()))} with {what}: {name_rows(bad)}"
            yield Mistake(key, found, "Votes and shares are numbers from 0 on; a row without a label has None.")
