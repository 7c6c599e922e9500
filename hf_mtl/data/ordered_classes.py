"""Names of classes that have an order, from the lowest to the highest: given, or told by numbers."""

from collections.abc import Mapping

from datasets import Dataset

from hf_mtl.data.class_labels import Labels, declared_names, resolve_classes
from hf_mtl.data.class_names import is_numbered, spelled_numbers
from hf_mtl.data.class_values import read_class_values
from hf_mtl.data.columns import name_values
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.found_classes import found_values, plain_numbers
from hf_mtl.errors import DataError, Mistake, name_classes

_MOST_RANKS = 100
"""Different numbers up to which a column is taken for ranks if nobody says so."""
_REMEDY = "Give labels: the names of the classes, from the lowest to the highest."


def resolve_ordered(labels: Labels, column: str, name: str, splits: Mapping[str, Dataset]) -> list[str]:
    """Name the classes from the lowest to the highest.

    Args:
        labels: The recipe's: their names in this order, or their number, where ids are the ranks.
        column: The label column.
        name: The task's name.
        splits: The task's data.

    Raises:
        DataError: If nothing tells the order, or names and data contradict each other.
    """
    key = f"tasks.{name}.labels"
    declared = declared_names(splits, column)
    if declared is not None:
        if labels is None and not _tell_an_order(declared):
            found = f"the dataset's classes are words, and nothing says which is more: {name_classes(declared)}"
            raise DataError(Mistake(key, found, _REMEDY))
        return resolve_classes(labels, column, name, splits)
    if isinstance(labels, list):
        return labels
    read = {split: read_class_values(part, column, split, f"tasks.{name}.label") for split, part in splits.items()}
    train, own, everywhere = found_values(read)
    words = read[train].texts is not None and not read[train].truth
    if labels is not None:
        if words:
            found = f"labels is a number, and train column '{column}' has words: {name_values(sorted(own))}"
            raise DataError(Mistake(key, found, _REMEDY))
        return resolve_classes(labels, column, name, splits)
    if read[train].truth:
        return sorted(own)  # False is less than True
    return _by_number(sorted(everywhere), column, key)


def gaps(names: list[str]) -> list[int]:
    """Find the whole numbers that ranks leave out between the lowest and the highest; none, if others are among them.

    Args:
        names: The classes, which spell numbers.
    """
    numbers = spelled_numbers(names)
    if numbers is None or not all(number.is_integer() for number in numbers):
        return []
    return sorted(set(range(int(numbers[0]), int(numbers[-1]))) - {int(number) for number in numbers})


def _tell_an_order(names: list[str]) -> bool:
    numbers = spelled_numbers(names)
    return is_numbered(names) or (numbers is not None and numbers == sorted(set(numbers)))


def _by_number(found: list[str] | list[float], column: str, key: str) -> list[str]:
    """Put values in the order of the numbers that they are, or spell."""
    names = [value if isinstance(value, str) else str(plain_numbers([value])[0]) for value in found]
    numbers = spelled_numbers(names)
    shown = name_values(found if numbers is None else plain_numbers(sorted(numbers)), 10) or "no values"
    if numbers is None:
        raise DataError(
            Mistake(key, f"nothing says the order of the classes: train column '{column}' has {shown}", _REMEDY)
        )
    if NO_CLASS in numbers:
        problem = (
            f"the column '{column}' has {NO_CLASS} among its numbers, which marks rows without a label elsewhere"
        )
        raise DataError(Mistake(key, problem, "A row without a label has None. If it is a rank, give labels."))
    if len(numbers) != len(set(numbers)) or not 2 <= len(numbers) <= _MOST_RANKS:
        problem = (
            f"the column '{column}' has {len(set(numbers)):,} different numbers in {len(names):,} spellings: {shown}"
        )
        remedy = f"2 to {_MOST_RANKS} are taken for ranks by themselves. {_REMEDY} Many numbers may be a regression."
        raise DataError(Mistake(key, problem, remedy))
    return [name for _, name in sorted(zip(numbers, names, strict=True))]
