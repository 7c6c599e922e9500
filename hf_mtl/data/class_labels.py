"""Class names from the recipe, the dataset or the data; class ids from label columns."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset

from hf_mtl.data.class_values import UNLABELLED_IDS, ClassValues, read_class_values
from hf_mtl.data.columns import name_count, name_rows, name_values
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
    if isinstance(task.labels, list):
        _check_names(task.labels, key)
    declared = declared_names(splits, task.label)
    if declared is not None:
        return task.model_copy(update={"labels": _names_from_dataset(task, declared, key)})
    if isinstance(task.labels, list):
        return task
    train = splits.get("train", next(iter(splits.values())))
    return task.model_copy(update={"labels": _names_from_values(task, name, train, key)})


def declared_names(splits: Mapping[str, Dataset], column: str) -> list[str] | None:
    """Class names of the first split that declares them with a ClassLabel."""
    for dataset in splits.values():
        feature = dataset.features[column]
        feature = getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            return list(feature.names)
    return None


def is_numbered(names: list[str]) -> bool:
    """Whether names say no more than the ids: 0, 1, ... or LABEL_0, LABEL_1, ..."""
    return all(name in (str(index), f"LABEL_{index}") for index, name in enumerate(names))


def encode_classes(task: SequenceClassification, name: str, split: str, dataset: Dataset) -> EncodedLabels:
    """Turn a label column into class ids.

    Integers are ids, unless every class name is an integer itself: then they are names. A ClassLabel's ids are
    matched by name, so that datasets may number the same classes differently.

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
    by_name = _matches_names(read, names)
    ids = _ids_by_name(read, names) if by_name else read.numbers
    missing = read.missing
    if split == "test" and not by_name:
        missing = missing | np.isin(ids, UNLABELLED_IDS)  # how GLUE marks the rows of its test splits
    fractional = ~missing & (ids != np.floor(ids))
    outside = ~missing & ~fractional & ((ids < 0) | (ids >= len(names)))
    mistakes = []
    if fractional.any():
        values, rows = name_values(read.numbers[fractional]), name_rows(fractional)
        found = f"{split} has {name_count(int(fractional.sum()))} with labels that are no integers: {values} ({rows})"
        mistakes.append(Mistake(key, found, f"{len(names)} classes: {', '.join(names)}."))
    if outside.any():
        mistakes.append(_unknown_label(read, outside, names, by_name, split, key))
    if mistakes:
        raise DataError(mistakes)
    return EncodedLabels(np.where(missing, NO_CLASS, ids).astype(np.int64), missing)


def _check_names(names: list[str], key: str) -> None:
    if len(names) < 2:
        raise DataError(Mistake(key, f"{name_count(len(names), 'class name')}", "Two or more classes are needed."))
    twice = sorted({item for item in names if names.count(item) > 1})
    if twice:
        raise DataError(Mistake(key, f"class names given twice: {', '.join(twice)}"))


def _names_from_dataset(task: SequenceClassification, declared: list[str], key: str) -> list[str]:
    given = task.label_names
    if given is None:
        return declared
    if len(given) != len(declared):
        found = f"{len(given)} labels, and the dataset has {len(declared)} classes"
        raise DataError(Mistake(key, found, f"Its classes: {', '.join(declared)}."))
    if isinstance(task.labels, int):
        return declared
    if set(given) != set(declared) and not is_numbered(declared):
        remedy = f"The dataset's: {', '.join(declared)}. Leave labels out, or list the same names in any order."
        raise DataError(Mistake(key, f"labels {', '.join(given)} are not the dataset's", remedy))
    return given


def _names_from_values(task: SequenceClassification, name: str, train: Dataset, key: str) -> list[str]:
    read = read_class_values(train, task.label, "train", f"tasks.{name}.label")
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


def _matches_names(read: ClassValues, names: list[str]) -> bool:
    """Whether a value names its class, rather than being its id."""
    if read.texts is None:
        return all(item.removeprefix("-").isdecimal() for item in names)
    if read.names is None or set(read.names) & set(names):
        return True
    # Names that only number the classes, on either side, leave the ids to go by.
    return not (is_numbered(read.names) or is_numbered(names))


def _ids_by_name(read: ClassValues, names: list[str]) -> np.ndarray:
    """Class id per row, -1 for an unknown one."""
    if read.texts is None:
        order = {int(item): index for index, item in enumerate(names)}
        values, inverse = np.unique(np.where(read.missing, np.inf, read.numbers), return_inverse=True)
        return np.array([order.get(value, -1) for value in values.tolist()], dtype=np.float64)[inverse]
    found = pc.index_in(read.texts, value_set=pa.array(names, type=read.texts.type))
    return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.float64)


def _unknown_label(
    read: ClassValues, bad: np.ndarray, names: list[str], by_name: bool, split: str, key: str
) -> Mistake:
    rows, count = name_rows(bad), name_count(int(bad.sum()))
    if not by_name:
        found = (
            f"{split} has {count} with labels outside 0..{len(names) - 1}: {name_values(_plain(read.numbers[bad]))}"
        )
        remedy = f"{len(names)} classes: {', '.join(names)}. A row without a label has None."
        return Mistake(key, f"{found} ({rows})", remedy)
    values = _plain(read.numbers[bad]) if read.texts is None else read.texts.filter(pa.array(bad)).to_pylist()
    found = f"{split} has {count} with unknown labels {name_values(values)} ({rows})"
    return Mistake(key, found, known(names, str(values[0]), "Classes"))


def _plain(numbers: np.ndarray) -> list[int | float]:
    """Numbers as a reader writes them: 3, not 3.0."""
    return [int(number) if number.is_integer() else number for number in numbers.tolist()]
