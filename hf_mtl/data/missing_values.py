"""Spellings that a source calls missing values: n/a, -, unknown in a column of numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.data.columns import arrow_column, name_count, raise_all
from hf_mtl.data.csv_source import Loaded
from hf_mtl.data.mapped_values import replaced
from hf_mtl.errors import Mistake, known


def without_missing(loaded: Loaded, spellings: Mapping[str, list[str]], key: str) -> Loaded:
    """Take the values out of columns of a file without types that its source calls missing.

    Args:
        loaded: Splits whose columns are all text, with the names that the files give them.
        spellings: What is missing, by column; blanks around it are no part of it.
        key: Recipe key of the spellings.

    Raises:
        DataError: If no split has a column.
    """
    names = dict.fromkeys(name for part in loaded.splits.values() for name in part.column_names)
    absent = [column for column in spellings if column not in names]
    raise_all(
        [Mistake(f"{key}.{name}", f"no column '{name}'", known(list(names), name, "Columns")) for name in absent]
    )
    splits, notes = dict(loaded.splits), []
    for column, words in spellings.items():
        counts = dict.fromkeys((word.strip() for word in words), 0)
        for split, part in splits.items():
            if column in part.column_names:
                splits[split] = _without(part, column, counts)
        if idle := [word for word, count in counts.items() if not count]:
            notes.append(f"No row has the value {', '.join(map(repr, idle))} that '{column}' may be missing by.")
        said = ", ".join(f"{word!r} in {name_count(count)}" for word, count in counts.items() if count)
        if said:
            notes.append(f"Missing values of '{column}': {said}.")
    return replace(loaded, splits=splits, notes=(*loaded.notes, *notes))


def _without(part: Dataset, column: str, counts: dict[str, int]) -> Dataset:
    """Take spellings out of a column of one split, and count them."""
    values = arrow_column(part, column)
    plain = pc.utf8_trim_whitespace(values).cast(pa.string())
    for item in pc.value_counts(plain.drop_null()).to_pylist():
        if item["values"] in counts:
            counts[item["values"]] += item["counts"]
    return replaced(part, column, without_words(values, counts))


def without_words(values: pa.Array, words: Iterable[str]) -> pa.Array:
    """Make words missing values.

    Args:
        values: Texts.
        words: The words, without blanks around them.
    """
    plain = pc.utf8_trim_whitespace(values).cast(pa.string())
    found = pc.is_in(plain, value_set=pa.array(list(words), pa.string()))
    return pc.if_else(found, pa.scalar(None, values.type), values)
