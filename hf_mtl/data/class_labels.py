"""Class names from the recipe, the dataset or the data; class ids from label columns."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset

from hf_mtl.data.class_names import ids_by_name, is_numbered, matches_names, numbered_names, odd_names, similar_names
from hf_mtl.data.class_values import UNLABELLED_IDS, ClassValues, read_class_values
from hf_mtl.data.columns import name_count, name_rows, name_values
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.found_classes import find_classes, plain_numbers
from hf_mtl.errors import DataError, Mistake, known, name_classes

Labels: TypeAlias = list[str] | int | None  # as a recipe gives classes: their names, their number, or nothing


def resolve_classes(labels: Labels, column: str, name: str, splits: Mapping[str, Dataset]) -> list[str]:
    """Name the classes: as the recipe does, else as the dataset's ClassLabel, else by the values found in the data.

    Args:
        labels: The recipe's.
        column: The label column.
        name: The task's name.
        splits: The task's data.

    Raises:
        DataError: If the recipe's names contradict the dataset's, or the values do not tell the classes.
    """
    key = f"tasks.{name}.labels"
    declared = declared_names(splits, column)
    if declared is not None:
        return _names_from_dataset(labels, declared, key)
    if isinstance(labels, list):
        return labels
    read = {split: read_class_values(part, column, split, f"tasks.{name}.label") for split, part in splits.items()}
    return find_classes(labels, column, read, key)


def declared_names(splits: Mapping[str, Dataset], column: str) -> list[str] | None:
    """Give the class names of the first split that declares them with a ClassLabel."""
    for dataset in splits.values():
        feature = dataset.features[column]
        feature = getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            return list(feature.names)
    return None


def encode_classes(
    names: list[str] | None, column: str, name: str, split: str, dataset: Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a label column into class ids.

    A value that is spelled as a class name is that class. Else integers are ids, and so are booleans, 0 and 1. A
    ClassLabel's ids are matched by name, so that datasets may number the same classes differently.

    Args:
        names: The classes in id order; None: they are not known, which is a mistake.
        column: The label column.
        name: The task's name.
        split: The split's name.
        dataset: Its rows.

    Returns:
        Class ids int64 [n] (`NO_CLASS` where missing), and which are missing, bool [n].

    Raises:
        DataError: If values are unknown strings, or numbers that are no class id.
    """
    key = f"tasks.{name}.label"
    if names is None:
        raise DataError(Mistake(f"tasks.{name}.labels", "the classes are not known", "Give labels."))
    read = read_class_values(dataset, column, split, key)
    by_name = matches_names(read, names)
    ids = ids_by_name(read, names) if by_name else read.numbers
    missing = read.missing
    if split == "test" and not by_name:
        missing = missing | np.isin(ids, UNLABELLED_IDS)  # how GLUE marks the rows of its test splits
    fractional = ~missing & (ids != np.floor(ids))
    outside = ~missing & ~fractional & ((ids < 0) | (ids >= len(names)))
    mistakes = []
    if fractional.any():
        values, rows = name_values(read.numbers[fractional]), name_rows(fractional)
        found = f"{split} has {name_count(int(fractional.sum()))} with labels that are no integers: {values} ({rows})"
        mistakes.append(Mistake(key, found, f"{len(names)} classes: {name_classes(names)}."))
    if outside.any():
        mistakes.append(_unknown_label(read, outside, names, by_name, split, key))
    if mistakes:
        raise DataError(mistakes)
    return np.where(missing, NO_CLASS, ids).astype(np.int64), missing


def found_notes(names: list[str], column: str, name: str) -> list[str]:
    """Say what is odd about classes that were found in the data.

    Args:
        names: The classes in id order.
        column: The label column.
        name: The task's name.
    """
    notes = []
    for group in similar_names(names):
        shown = " beside ".join(repr(item) for item in group)
        notes.append(f"{name}: the classes {shown} differ only in blanks, case or coding, and are not the same.")
    if words := odd_names(names):
        notes.append(
            f"{name}: {name_values(words)} beside the numbers of '{column}' became "
            f"{'a class' if len(words) == 1 else 'classes'} of {'its' if len(words) == 1 else 'their'} own; "
            "a row without a label has an empty field, or None."
        )
    return notes


def order_notes(names: list[str], column: str, name: str, train: Dataset) -> list[str]:
    """Say how booleans, and numbers out of their order, became classes that have names.

    Args:
        names: The classes in id order.
        column: The label column.
        name: The task's name.
        train: Its training rows.
    """
    read = read_class_values(train, column, "train", f"tasks.{name}.label")
    return [f"{name}: {text}" for text in _order_notes(read, names, column)] if read.names is None else []


def _order_notes(read: ClassValues, names: list[str], column: str) -> list[str]:
    by_name = matches_names(read, names)
    if read.truth and not by_name:
        return [f"the column '{column}' holds booleans: False is {names[0]!r}, True is {names[1]!r}."]
    if read.texts is not None or not by_name:
        return []
    ids = ids_by_name(read, names)
    moved = ~read.missing & (ids >= 0) & (ids != read.numbers)
    if not moved.any():
        return []
    first = int(np.flatnonzero(moved)[0])
    number, index = plain_numbers(read.numbers[[first]])[0], int(ids[first])
    return [
        f"the numbers of '{column}' name classes as labels spells them: {number} is {names[index]!r}, class {index}."
    ]


def _names_from_dataset(labels: Labels, declared: list[str], key: str) -> list[str]:
    if labels is None:
        return declared
    given = numbered_names(labels) if isinstance(labels, int) else labels
    if isinstance(labels, list) and (set(given) < set(declared) or set(declared) < set(given)):
        return given  # labels go by name: those of the dataset that are meant, or more than it knows
    if len(given) != len(declared):
        found = f"{len(given)} labels, and the dataset has {len(declared)} classes"
        remedy = f"Its classes: {name_classes(declared)}. Name them, or those of them that are meant."
        raise DataError(Mistake(key, found, remedy))
    if isinstance(labels, int):
        return declared
    if set(given) != set(declared) and not is_numbered(declared):
        remedy = f"The dataset's: {name_classes(declared)}. Leave labels out, or list the same names in any order."
        raise DataError(Mistake(key, f"labels {name_classes(given)} are not the dataset's", remedy))
    return given


def _unknown_label(
    read: ClassValues, bad: np.ndarray, names: list[str], by_name: bool, split: str, key: str
) -> Mistake:
    rows, count = name_rows(bad), name_count(int(bad.sum()))
    if not by_name:
        values = name_values(plain_numbers(read.numbers[bad]))
        found = f"{split} has {count} with labels outside 0..{len(names) - 1}: {values}"
        remedy = f"{len(names)} classes: {name_classes(names)}. A row without a label has None."
        return Mistake(key, f"{found} ({rows})", remedy)
    unknown = plain_numbers(read.numbers[bad]) if read.texts is None else read.texts.filter(pa.array(bad)).to_pylist()
    found = f"{split} has {count} with unknown labels {name_values(unknown)} ({rows})"
    remedy = known(names, str(unknown[0]), "Classes")
    if read.names is not None:  # the dataset knows the class, and labels left it out
        remedy += " A filter leaves out the rows of other classes."
    return Mistake(key, found, remedy)
