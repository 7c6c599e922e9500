"""Values of a label column: the names of classes told from their ids."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_mtl.data.class_values import TRUTH, ClassValues
from hf_mtl.data.columns import name_values
from hf_mtl.errors import DataError, Mistake

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def numbered_names(count: int) -> list[str]:
    """Name classes of which the number alone is known: LABEL_0, LABEL_1, ..."""
    return [f"LABEL_{index}" for index in range(count)]


def check_number(given: int | None, found: list[str], key: str) -> None:
    """Compare the number of classes that a recipe gives with the names that the data has.

    Raises:
        DataError: If they differ.
    """
    if given is not None and len(found) != given:
        problem = f"labels is {given}, and the data has {len(found)}: {name_values(found, 20)}"
        raise DataError(Mistake(key, problem, "Give labels as a list of names."))


def is_numbered(names: Sequence[str]) -> bool:
    """Say whether names say no more than the ids: 0, 1, ... or LABEL_0, LABEL_1, ..."""
    return all(name in (str(index), f"LABEL_{index}") for index, name in enumerate(names))


def matches_names(read: ClassValues, names: list[str]) -> bool:
    """Say whether a value names its class, rather than being its id."""
    if read.truth:
        return _names_truth(read, names)
    if read.texts is None:
        return _names_numbers(names)
    if read.names is None or set(read.names) & set(names):
        return True
    # Names that only number the classes, on either side, leave the ids to go by.
    return not (is_numbered(read.names) or is_numbered(names))


def ids_by_name(read: ClassValues, names: list[str]) -> np.ndarray:
    """Give each row its class id, -1 for an unknown one."""
    if read.truth:
        return _truth_ids(read, names)
    if read.texts is None:
        order = _by_number(names)
        values, inverse = np.unique(np.where(read.missing, np.inf, read.numbers), return_inverse=True)
        return np.array([order.get(value, -1) for value in values.tolist()], dtype=np.float64)[inverse]
    return _ids_by_text(read.texts, names)


def is_number_column(read: ClassValues, names: list[str]) -> bool:
    """Say whether labels are numbers, also such as texts spell, that are none of the names."""
    if read.texts is None:
        return True
    spelled = pc.unique(read.texts).drop_null().to_pylist()
    return not set(spelled) & set(names) and all(_NUMBER.fullmatch(text) for text in spelled)


def spelled_numbers(names: Sequence[str]) -> list[float] | None:
    """Return the numbers that names spell, in their order; None if one of them spells none."""
    return [float(name) for name in names] if all(_NUMBER.fullmatch(name) for name in names) else None


def mixed_names(names: list[str]) -> str:
    """Say what is wrong with classes found in the data of which some are ids of the others; empty if nothing is."""
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    words = [name for name in names if name not in numbers]
    if not numbers or not words or not {str(index) for index in range(len(words))}.issuperset(numbers):
        return ""
    return f"train mixes numbers, {name_values(numbers)}, and words, {name_values(words)}"


def odd_names(names: Sequence[str]) -> list[str]:
    """Find the words among classes that are the ids 0, 1, ... otherwise, such as NA for a missing one."""
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    words = [name for name in names if name not in numbers]
    ids = {str(index) for index in range(len(numbers))}
    return words if len(numbers) > 1 and set(numbers) == ids else []


def similar_names(names: Sequence[str]) -> list[list[str]]:
    """Group names that differ only in blanks, in case, in how Unicode writes the same letters, or unseen."""
    groups: dict[str, list[str]] = {}
    for name in names:
        seen = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
        plain = " ".join(unicodedata.normalize("NFKC", seen).casefold().split())
        groups.setdefault(plain, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _names_truth(read: ClassValues, names: list[str]) -> bool:
    """Say whether booleans are named: by true or false, by how the texts are spelled, or by 1 and 0."""
    spelled = set(pc.unique(read.texts).drop_null().to_pylist())
    return bool(spelled & set(names) or TRUTH & {name.strip().lower() for name in names}) or set(names) == {"0", "1"}


def _truth_ids(read: ClassValues, names: list[str]) -> np.ndarray:
    exact = _ids_by_text(read.texts, names)
    order = {_as_truth(name): index for index, name in enumerate(names)}
    loose = np.where(read.numbers == 1, order.get(True, -1), order.get(False, -1))
    return np.where(exact >= 0, exact, loose).astype(np.float64)


def _as_truth(name: str) -> bool | str:
    return {"true": True, "1": True, "false": False, "0": False}.get(name.strip().lower(), name)


def _names_numbers(names: list[str]) -> bool:
    """Say whether names spell numbers, all of them or some that are not what the ids would be."""
    if all(_NUMBER.fullmatch(name) for name in names):
        return True
    return any(number != index for number, index in _by_number(names).items())


def _by_number(names: list[str]) -> dict[float, int]:
    """Give class ids by the numbers that names spell; of 1 and 01 the plain one is meant."""
    order: dict[float, int] = {}
    for index, name in enumerate(names):
        if not _NUMBER.fullmatch(name):
            continue
        number = float(name)
        if number not in order or name == f"{number:.0f}":
            order[number] = index
    return order


def _ids_by_text(texts: pa.Array, names: list[str]) -> np.ndarray:
    found = pc.index_in(texts, value_set=pa.array(names, type=texts.type))
    result: np.ndarray = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.float64)
    return result
