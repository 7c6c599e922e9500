"""Labels in place of the values of a column, as a source's ``map`` says.

A key of a map is text, as a recipe writes it, and stands for every value that is spelled so: ``4`` for the number 4,
for 4.0, and for the text of a csv file; ``true`` for a boolean. A ClassLabel's values go by their names, and by their
ids where no name is spelled so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, Features

from hf_mtl.data.class_values import TRUTH, UNLABELLED_IDS
from hf_mtl.data.columns import (
    arrow_column,
    is_list,
    is_text,
    name_count,
    name_rows,
    name_values,
    null_mask,
    plain_list,
    plain_values,
    say_type,
)
from hf_mtl.errors import Mistake, known
from hf_mtl.tasks.made_columns import LabelValue

Labels: TypeAlias = Mapping[str, LabelValue]

# A number that a float keeps: 007 is a word, and a longer one a code.
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d*)?")


@dataclass
class Mapped:
    """A column that was mapped in one split.

    Args:
        dataset: The split with the new column; the old one where something is wrong.
        used: The keys of the map that some row has.
        mistakes: What is wrong.
    """

    dataset: Dataset
    used: set[str] = field(default_factory=set)
    mistakes: list[Mistake] = field(default_factory=list)


def map_column(dataset: Dataset, column: str, labels: Labels, split: str, key: str) -> Mapped:
    """Put labels in place of the values of a column, or of the elements of its lists.

    Missing values stay missing. A value that the map lacks is a mistake.

    Args:
        dataset: The rows.
        column: The column.
        labels: The label of each value; None: no label.
        split: The split's name.
        key: Recipe key of the map of this column.
    """
    array, feature = arrow_column(dataset, column), dataset.features[column]
    lists = _Lists.of(array) if is_list(array.type) else None
    if lists and (without := [name for name, label in labels.items() if label is None]):
        problem = f"is null, and {split} column '{column}' holds lists"
        return Mapped(dataset, mistakes=[Mistake(f"{key}.{without[0]}", problem, "Give a label.")])
    values = plain_values(lists.values if lists else array)
    if not _can_be_mapped(values.type):
        problem = f"{split} column '{column}' holds {say_type(array)}"
        return Mapped(dataset, mistakes=[Mistake(key, problem, "Texts, numbers and booleans, or lists, are mapped.")])
    declared = getattr(feature, "feature", feature)
    codes, found = _look_up(values, labels, list(declared.names) if isinstance(declared, ClassLabel) else None)
    unknown = np.zeros(len(array), dtype=bool)
    unknown[(lists.rows if lists else np.arange(len(array)))[codes == _UNKNOWN]] = True
    if unknown.any():
        return Mapped(dataset, found.used, [_lacking(found.lacking, unknown, labels, split, column, key)])
    new = _label_array(labels).take(pa.array(codes, mask=codes == _MISSING))
    return Mapped(replaced(dataset, column, lists.of_values(new) if lists else new), found.used)


@dataclass(frozen=True)
class _Lists:
    """A column of lists and the elements that are in them.

    Args:
        array: The column.
        lengths: Elements of each list, int64 [n]; none of one that is null.
        values: The elements end to end, [m].
        rows: The row of each element, int64 [m].
    """

    array: pa.Array
    lengths: np.ndarray
    values: pa.Array
    rows: np.ndarray

    @classmethod
    def of(cls, array: pa.Array) -> "_Lists":
        """Take a column apart. Its own elements are not all that it has: a list that is null may hide some."""
        array = plain_list(array)
        offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        lengths = np.where(null_mask(array), 0, np.diff(offsets))
        ends = np.cumsum(lengths)
        places = np.arange(lengths.sum()) + np.repeat(offsets[:-1] - (ends - lengths), lengths)
        return cls(array, lengths, array.values.take(pa.array(places)), np.repeat(np.arange(len(array)), lengths))

    def of_values(self, values: pa.Array) -> pa.Array:
        """Put other elements in the lists."""
        offsets = pa.array(np.cumsum([0, *self.lengths]), self.array.offsets.type)
        return type(self.array).from_arrays(offsets, values, mask=pa.array(null_mask(self.array)))


_UNKNOWN, _MISSING = -2, -1


@dataclass(frozen=True)
class _Found:
    used: set[str]
    lacking: list[object]


def _look_up(values: pa.Array, labels: Labels, names: list[str] | None) -> tuple[np.ndarray, _Found]:
    """Return the place of each value's label in the map, `_MISSING` or `_UNKNOWN`, and what was found on the way."""
    encoded = pc.dictionary_encode(values)
    keys = list(labels)
    exact = {key: place for place, key in enumerate(keys)}
    alike = {canonical(key): place for place, key in enumerate(keys)}
    places, lacking = [], []
    for value in encoded.dictionary.to_pylist():
        place = _place(value, exact, alike, names)
        places.append(place)
        if place == _UNKNOWN:
            lacking.append(names[value] if names is not None and 0 <= value < len(names) else value)
    # One more, for nulls: their code stands behind that of the last value.
    table = np.array([*places, _MISSING], dtype=np.int64)
    codes = table[pc.fill_null(encoded.indices, len(places)).to_numpy(zero_copy_only=False)]
    return codes, _Found({keys[place] for place in places if place >= 0}, lacking)


def _place(value: object, exact: Mapping[str, int], alike: Mapping[str, int], names: list[str] | None) -> int:
    if names is not None and isinstance(value, int):
        if value in UNLABELLED_IDS:
            return _MISSING
        if 0 <= value < len(names) and names[value] in exact:
            return exact[names[value]]
        # A key that is the name of another class is not this one's id.
        return _UNKNOWN if str(value) in names else exact.get(str(value), _UNKNOWN)
    if value is None or value != value or (isinstance(value, str) and not value.strip() and value not in exact):
        return _MISSING  # None, NaN, or blank
    spelled = str(value).lower() if isinstance(value, bool) else str(value)
    return exact[spelled] if spelled in exact else alike.get(canonical(spelled), _UNKNOWN)


def canonical(text: str) -> str:
    """Write alike what is the same value: 4, 4.0 and `` 4 ``; True and true."""
    text = text.strip()
    if text.lower() in TRUTH:
        return text.lower()
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    return str(int(number)) if number.is_integer() else repr(number)


def ambiguous_keys(labels: Labels, key: str) -> list[Mistake]:
    """Find keys of a map that are the same value and have different labels, such as 4 and 4.0.

    Args:
        labels: The map of one column.
        key: Its recipe key.
    """
    first: dict[str, str] = {}
    mistakes = []
    for name, label in labels.items():
        other = first.setdefault(canonical(name), name)
        if labels[other] != label:
            problem = f"is {label!r}, and '{other}', the same value, is {labels[other]!r}"
            mistakes.append(Mistake(f"{key}.{name}", problem, "Keep one of them."))
    return mistakes


def _lacking(values: list[object], rows: np.ndarray, labels: Labels, split: str, column: str, key: str) -> Mistake:
    count = name_count(int(rows.sum()))
    found = f"{split} has {count} with values of '{column}' that the map lacks: {name_values(values)}"
    remedy = (
        f"{known(labels, str(values[0]), 'It has')} Add them (null: no label), or leave the rows out with a filter."
    )
    return Mistake(key, f"{found} ({name_rows(rows)})", remedy)


def _label_array(labels: Labels) -> pa.Array:
    values = list(labels.values())
    given = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in given) or not given:
        return pa.array(values, pa.string())
    if all(isinstance(value, bool) for value in given):
        return pa.array(values, pa.bool_())
    whole = all(isinstance(value, int) for value in given)
    return pa.array(values, pa.int64() if whole else pa.float64())


def _can_be_mapped(kind: pa.DataType) -> bool:
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(is_text(kind) or numbers or pa.types.is_null(kind))


def replaced(dataset: Dataset, column: str, values: pa.Array) -> Dataset:
    """Put a column at the place of an old one of its name, or behind the others.

    Args:
        dataset: The rows.
        column: The column's name.
        values: Its values.
    """
    order = dataset.column_names
    feature = Features.from_arrow_schema(pa.schema({column: values.type}))[column]
    kept = dataset.remove_columns(column) if column in order else dataset
    if not kept.column_names:  # a dataset without columns has no rows
        return Dataset.from_dict({column: values}, features=Features({column: feature}))
    changed = kept.add_column(column, values, feature=feature)
    return changed.select_columns(order if column in order else [*order, column])
