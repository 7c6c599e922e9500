"""The classes of a task where neither recipe nor dataset names them: the values of its label columns."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow.compute as pc

from hf_mtl.data.class_names import is_number_column, mixed_names, numbered_names
from hf_mtl.data.class_values import UNLABELLED_IDS, ClassValues
from hf_mtl.data.columns import name_values
from hf_mtl.errors import DataError, Mistake

Values: TypeAlias = set[Any]  # strings or numbers, of one kind in a split


def find_classes(number: int | None, column: str, read: Mapping[str, ClassValues], key: str) -> list[str]:
    """Name the classes that the splits hold.

    Strings become classes in sorted order, integers 0..max become LABEL_0..LABEL_max. Another split may have classes
    that train has not, if it shares some with train.

    Args:
        number: How many classes the recipe says that there are; None: it does not.
        column: The label column.
        read: The label column of each split.
        key: Recipe key for mistakes.

    Raises:
        DataError: If the values do not tell the classes.
    """
    train, own, everywhere = found_values(read)
    words = read[train].texts is not None
    if words:
        names = _from_words(number, sorted(own), sorted(everywhere), key)
    else:
        names = _from_numbers(number, column, sorted(own), sorted(everywhere), key)
    # Of the names that other splits bring, a number would not be told from an id.
    mistakes = _other_kinds(train, read, sorted(own) if words else names, key)
    if mistakes:
        raise DataError(mistakes)
    return names


def found_values(read: Mapping[str, ClassValues]) -> tuple[str, Values, Values]:
    """Collect the labels that the splits hold.

    Args:
        read: The label column of each split.

    Returns:
        The split that stands for train, its labels, and these with those of the splits that share any with it.
    """
    train = "train" if "train" in read else next(iter(read))
    own = _distinct(train, read[train])
    return train, own, own | _beside(own, read, train)


def plain_numbers(numbers: np.ndarray | list[float]) -> list[int | float]:
    """Write numbers as a reader does them: 3, not 3.0."""
    return [int(number) if float(number).is_integer() else float(number) for number in numbers]


def _distinct(split: str, values: ClassValues) -> Values:
    """Collect the labels of a split, each once."""
    if values.texts is not None:
        return set(pc.unique(values.texts).drop_null().to_pylist())
    numbers = set(np.unique(values.numbers[~values.missing]).tolist())
    return numbers - set(UNLABELLED_IDS) if split == "test" else numbers


def _beside(own: Values, read: Mapping[str, ClassValues], train: str) -> Values:
    """Collect the labels of the splits that share any with train: others mean something else by them."""
    found: Values = set()
    for split, values in read.items():
        its = _distinct(split, values)
        if split != train and its & own:
            found |= its
    return found


def _from_words(number: int | None, own: list[str], everywhere: list[str], key: str) -> list[str]:
    # A number that another split has beside words is an unknown label, and no class.
    names = own if number == len(own) or mixed_names(everywhere) else everywhere
    if number is not None and number != len(names):
        found = f"labels is {number}, and train has {len(own)} classes: {name_values(own, 20)}"
        raise DataError(Mistake(key, found, "Give labels as a list of names."))
    if len(names) < 2:
        found = f"the classes found in train are only: {name_values(names) or 'none'}"
        raise DataError(Mistake(key, found, "Two or more are needed."))
    if mixed := mixed_names(names):
        raise DataError(Mistake(key, mixed, "Give labels as a list of names, as they are spelled in the data."))
    return names


def _from_numbers(number: int | None, column: str, own: list[float], everywhere: list[float], key: str) -> list[str]:
    if number is not None:
        return numbered_names(number)
    counted = next((ids for ids in (everywhere, own) if len(ids) > 1 and ids == list(range(len(ids)))), None)
    if counted is None:
        shown = name_values(plain_numbers(own), 10) or "no values"
        found = f"cannot tell the classes: train column '{column}' has {shown}"
        remedy = "Give labels: the number of classes where ids are 0, 1, ..., else their names (integers as strings)."
        raise DataError(Mistake(key, found, remedy))
    return numbered_names(len(counted))


def _other_kinds(train: str, read: Mapping[str, ClassValues], names: list[str], key: str) -> list[Mistake]:
    """Make a mistake of each split that numbers the classes which train names, or names those which it numbers."""
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
