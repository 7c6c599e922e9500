"""Class names from the recipe, the dataset or the data; class ids from label columns."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset

from hf_mtl.data.class_names import (
    ids_by_name,
    is_number_column,
    is_numbered,
    matches_names,
    mixed_names,
    odd_names,
    similar_names,
)
from hf_mtl.data.class_values import UNLABELLED_IDS, ClassValues, read_class_values
from hf_mtl.data.columns import name_classes, name_count, name_rows, name_values
from hf_mtl.data.encoded import NO_CLASS, EncodedLabels
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.tasks import SequenceClassification


def resolve_classes(task: SequenceClassification, name: str, splits: Mapping[str, Dataset]) -> SequenceClassification:
    """Fill in the class names: the recipe's, else the dataset's ClassLabel, else the values found in train.

    Strings become classes in sorted order, integers 0..max become LABEL_0..LABEL_max.

    Raises:
        DataError: If the recipe's names contradict the dataset's, or the values do not tell the classes.
    """
    key = f"tasks.{name}.labels"
    declared = declared_names(splits, task.label)
    if declared is not None:
        return task.model_copy(update={"labels": _names_from_dataset(task, declared, key)})
    if isinstance(task.labels, list):
        return task
    read = {
        split: read_class_values(part, task.label, split, f"tasks.{name}.label") for split, part in splits.items()
    }
    train = "train" if "train" in splits else next(iter(splits))
    names = _names_from_values(task, name, read[train], key)
    mistakes = _other_kinds(train, read, names, key)
    if mistakes:
        raise DataError(mistakes)
    return task.model_copy(update={"labels": names})


def declared_names(splits: Mapping[str, Dataset], column: str) -> list[str] | None:
    """Class names of the first split that declares them with a ClassLabel."""
    for dataset in splits.values():
        feature = dataset.features[column]
        feature = getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            return list(feature.names)
    return None


def encode_classes(task: SequenceClassification, name: str, split: str, dataset: Dataset) -> EncodedLabels:
    """Turn a label column into class ids.

    A value that is spelled as a class name is that class. Else integers are ids, and so are booleans, 0 and 1. A
    ClassLabel's ids are matched by name, so that datasets may number the same classes differently.

    Shape:
        values int64 [n], missing bool [n].

    Raises:
        DataError: If values are unknown strings, or numbers that are no class id.
    """
    key = f"tasks.{name}.label"
    names = task.label_names
    if names is None:
        raise DataError(Mistake(f"tasks.{name}.labels", "the classes are not known", "Give labels."))
    read = read_class_values(dataset, task.label, split, key)
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
    return EncodedLabels(np.where(missing, NO_CLASS, ids).astype(np.int64), missing)


def class_notes(
    task: SequenceClassification, name: str, train: Dataset, given: SequenceClassification | None = None
) -> list[str]:
    """What the user should know of how labels became classes.

    Args:
        task: The task, resolved.
        name: Its name.
        train: Its training rows.
        given: The task as the recipe has it, whose names were meant; None: all of them were.
    """
    names = task.label_names or []
    notes = []
    found = given is not None and not isinstance(given.labels, list)
    for group in similar_names(names) if found else ():
        shown = " beside ".join(repr(item) for item in group)
        notes.append(f"{name}: the classes {shown} differ only in blanks, case or coding, and are not the same.")
    if words := odd_names(names) if found else []:
        notes.append(
            f"{name}: {name_values(words)} beside the numbers of '{task.label}' became "
            f"{'a class' if len(words) == 1 else 'classes'} of {'its' if len(words) == 1 else 'their'} own; "
            "a row without a label has an empty field, or None."
        )
    read = read_class_values(train, task.label, "train", f"tasks.{name}.label")
    if read.names is None and isinstance(task.labels, list):
        notes.extend(f"{name}: {text}" for text in _order_notes(read, names, task.label))
    return notes


def _order_notes(read: ClassValues, names: list[str], column: str) -> list[str]:
    """Say how booleans, and numbers out of their order, became classes."""
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
    number, index = _plain(read.numbers[[first]])[0], int(ids[first])
    return [
        f"the numbers of '{column}' name classes as labels spells them: {number} is {names[index]!r}, class {index}."
    ]


def _names_from_dataset(task: SequenceClassification, declared: list[str], key: str) -> list[str]:
    given = task.label_names
    if given is None:
        return declared
    if len(given) != len(declared):
        found = f"{len(given)} labels, and the dataset has {len(declared)} classes"
        raise DataError(Mistake(key, found, f"Its classes: {name_classes(declared)}."))
    if isinstance(task.labels, int):
        return declared
    if set(given) != set(declared) and not is_numbered(declared):
        remedy = f"The dataset's: {name_classes(declared)}. Leave labels out, or list the same names in any order."
        raise DataError(Mistake(key, f"labels {name_classes(given)} are not the dataset's", remedy))
    return given


def _other_kinds(train: str, read: Mapping[str, ClassValues], names: list[str], key: str) -> list[Mistake]:
    """A mistake per split that numbers the classes which train names, or names those which it numbers."""
    kinds = ("words", "numbers")
    numbered = {split: is_number_column(values, names) for split, values in read.items() if not values.missing.all()}
    return [
        Mistake(
            key,
            f"{train} has {kinds[numbered[train]]} for labels and {split} has {kinds[other]}, and nothing says which "
            "is which",
            "Give labels: the names of the classes, in the order of the numbers.",
        )
        for split, other in numbered.items()
        if other != numbered[train]
    ]


def _names_from_values(task: SequenceClassification, name: str, read: ClassValues, key: str) -> list[str]:
    if read.texts is not None:
        names = sorted(pc.unique(read.texts.drop_null()).to_pylist())
        if isinstance(task.labels, int) and task.labels != len(names):
            found = f"labels is {task.labels}, and train has {len(names)} classes: {name_values(names, 20)}"
            raise DataError(Mistake(key, found, "Give labels as a list of names."))
        if len(names) < 2:
            remedy = "Two or more are needed."
            raise DataError(
                Mistake(key, f"the classes found in train are only: {name_values(names) or 'none'}", remedy)
            )
        mixed = mixed_names(names)
        if mixed:
            raise DataError(Mistake(key, mixed, "Give labels as a list of names, as they are spelled in the data."))
        return names
    if task.label_names is not None:
        return task.label_names
    values = np.unique(read.numbers[~read.missing])
    if len(values) < 2 or not np.array_equal(values, np.arange(len(values))):
        shown = name_values(_plain(values), 10) or "no values"
        found = f"cannot tell the classes: train column '{task.label}' has {shown}"
        remedy = "Give labels: their number when labels are ids 0, 1, ..., or the names (integers as strings)."
        raise DataError(Mistake(key, found, remedy))
    return [f"LABEL_{index}" for index in range(len(values))]


def _unknown_label(
    read: ClassValues, bad: np.ndarray, names: list[str], by_name: bool, split: str, key: str
) -> Mistake:
    rows, count = name_rows(bad), name_count(int(bad.sum()))
    if not by_name:
        found = (
            f"{split} has {count} with labels outside 0..{len(names) - 1}: {name_values(_plain(read.numbers[bad]))}"
        )
        remedy = f"{len(names)} classes: {name_classes(names)}. A row without a label has None."
        return Mistake(key, f"{found} ({rows})", remedy)
    values = _plain(read.numbers[bad]) if read.texts is None else read.texts.filter(pa.array(bad)).to_pylist()
    found = f"{split} has {count} with unknown labels {name_values(values)} ({rows})"
    return Mistake(key, found, known(names, str(values[0]), "Classes"))


def _plain(numbers: np.ndarray) -> list[int | float]:
    """Numbers as a reader writes them: 3, not 3.0."""
    return [int(number) if number.is_integer() else number for number in numbers.tolist()]
