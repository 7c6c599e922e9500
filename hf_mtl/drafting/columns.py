"""What kind of thing a column holds, by its name, its type and its first rows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset

from hf_mtl.data.blank import blank_texts
from hf_mtl.data.columns import arrow_column, flat_lists, is_list, is_text, null_mask, plain_values
from hf_mtl.data.missing_values import without_words
from hf_mtl.data.spelling import number_types
from hf_mtl.drafting.odd_values import mean_nothing, odd_values

Kind: TypeAlias = Literal[
    "empty",
    "constant",
    "id",
    "date",
    "truth",
    "classes",
    "whole",
    "numbers",
    "text",
    "words",
    "lists",
    "spelled lists",
    "spans",
    "answers",
    "token ids",
    "other",
]
"""``truth``: 0 and 1; ``whole``: few whole numbers; ``words``: few texts, many different; ``lists``: of anything."""

ROWS = 20_000
"""Rows of a split that are looked at."""
TEXT_NAMES = ("text", "sentence", "content", "review", "comment", "tweet", "body", "message", "document", "utterance")
LABEL_NAMES = ("label", "labels", "target", "targets", "class", "category", "gold")
_MOST_CLASSES = 200
_FEW_NUMBERS = 20
_ID_NAME = re.compile(r"(^|_)(id|ids|idx|index|uuid|guid|key|hash)$|^unnamed|^__index|[a-z]Id$", re.I)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.I)
_DATE_NAME = re.compile(r"(^|_)(date|time|datetime|timestamp|year|month|day|created|updated)(_at|_on|_utc)?$", re.I)
_DATE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d{1,2}:\d{2}.*)?\s*$"
_TOKEN_COLUMNS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Column:
    """A column as it looks.

    Args:
        name: Its name.
        kind: What it seems to hold.
        why: What speaks for that, as the end of a sentence.
        values: Its values in the first rows, numbers where a file without types spells numbers.
        distinct: How many of them are different.
        count: How many rows have one.
        rows: How many rows were looked at.
        names: The classes that the dataset declares, for values or for the elements of lists.
        words: Words of a text, on average.
        blank: Rows whose text is missing or has nothing to see.
        odd: Words in a column of numbers, with the number of their rows; no values, but in a column of ``classes``.
    """

    name: str
    kind: Kind
    why: str
    values: pa.Array
    distinct: int
    count: int
    rows: int
    names: list[str] | None = None
    words: float = 0.0
    blank: int = 0
    odd: Mapping[str, int] = field(default_factory=dict)

    def most(self, count: int = 5) -> list[Any]:
        """Return the most frequent values with the number of their rows."""
        found = pc.value_counts(self.values.drop_null()).to_pylist()
        return sorted(((item["values"], item["counts"]) for item in found), key=lambda item: -item[1])[:count]


def headless(columns: Mapping[str, Column]) -> str:
    """Say that the names of a csv file's columns look like a row of its data; empty if they do not.

    Args:
        columns: The columns of a file without types, by name.
    """
    usual = (*TEXT_NAMES, *LABEL_NAMES)
    if any(name.lower() in usual or _ID_NAME.search(name) for name in columns):
        return ""
    odd = [column.name for column in columns.values() if _is_like_its_values(column)]
    if not odd:
        return ""
    names = "name1, name2" if len(columns) == 2 else f"name1, ..., name{len(columns)}"
    return (
        f"Its first line names the columns, and '{odd[0]}' looks like a value and not like a name. If it is a row, "
        f"name them yourself, in dataset: header: [{names}]."
    )


def _is_like_its_values(column: Column) -> bool:
    if column.kind == "classes" and is_text(column.values.type):
        return column.name in pc.unique(column.values).to_pylist()
    return column.kind in ("truth", "whole", "numbers") and _NUMBER.fullmatch(column.name) is not None


def look_at(dataset: Dataset, spelled: bool) -> dict[str, Column]:
    """Look at every column of the first rows of a dataset.

    Args:
        dataset: The rows.
        spelled: Whether its columns are text because its file has no types.
    """
    first = dataset.select(range(min(ROWS, len(dataset))))
    return {name: _look(name, first, spelled) for name in first.column_names}


def _look(name: str, dataset: Dataset, spelled: bool) -> Column:
    values = plain_values(arrow_column(dataset, name))
    feature = getattr(dataset.features[name], "feature", dataset.features[name])
    names = list(feature.names) if isinstance(feature, ClassLabel) else None
    blank = 0
    odd: dict[str, int] = {}
    if is_text(values.type):
        nothing = pc.fill_null(blank_texts(values), True)
        blank = pc.sum(nothing).as_py() or 0
        values = pc.if_else(nothing, pa.scalar(None, values.type), values)
        if spelled:
            values, odd = _as_numbers(name, values)
    there = values.drop_null()
    if pa.types.is_floating(values.type):
        there = there.filter(pc.invert(pc.is_nan(there)))
    nested = is_list(values.type) or pa.types.is_struct(values.type) or isinstance(values.type, pa.BaseExtensionType)
    distinct = 0 if nested else len(pc.unique(there))
    kind, why, words = _kind(name, values, there, distinct, names, nested)
    return Column(name, kind, why, values, distinct, len(there), len(dataset), names, words, blank, odd)


def _as_numbers(name: str, values: pa.Array) -> tuple[pa.Array, dict[str, int]]:
    """Read the numbers that a file without types spells, as training reads them in a column of labels.

    Returns:
        The numbers, or the texts; and the words among them, which are no values where there are numbers.
    """
    numbers = _numbers(values)
    odd = odd_values(values) if numbers is None else {}
    if odd:
        numbers = _numbers(without_words(values, odd))
    if numbers is None:
        return values, {}
    there = numbers.drop_null()
    if not odd:
        return numbers, odd
    # Few numbers beside a word are classes, of which the word may be one; but of ranks n/a is none.
    kind = _number_kind(name, there, len(pc.unique(there)))[0]
    classes = kind == "truth" or (kind == "whole" and not mean_nothing(odd))
    return (values if classes else numbers), odd


def _numbers(values: pa.Array) -> pa.Array | None:
    """Read texts as numbers; None where they are none."""
    if null_mask(values).all():
        return None
    found = number_types({"train": values.cast(pa.string())}).get("train")
    if found is None or pa.types.is_boolean(found):
        return None
    plain = pc.replace_substring_regex(pc.utf8_trim_whitespace(values), r"^\+", "")
    return plain.cast(found)


def _kind(
    name: str, values: pa.Array, there: pa.Array, distinct: int, names: list[str] | None, nested: bool
) -> tuple[Kind, str, float]:
    """Return the kind of a column, what speaks for it, and the words of a text on average."""
    if name in _TOKEN_COLUMNS:
        return "token ids", "its name is that of a tokenizer's output", 0.0
    if not len(there):
        return "empty", "no row has a value", 0.0
    if nested:
        return (*_nested_kind(values), 0.0)
    if names is not None:
        return "classes", f"the dataset declares {len(names)} classes", 0.0
    if distinct == 1:
        return "constant", f"every row has {there[0].as_py()!r:.40}", 0.0
    if pa.types.is_temporal(values.type):
        return "date", f"its type is {values.type}", 0.0
    if pa.types.is_boolean(values.type):
        return "truth", "its values are true and false", 0.0
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return (*_number_kind(name, there, distinct), 0.0)
    if is_text(values.type):
        return _text_kind(name, there, distinct)
    return "other", f"its type is {values.type}", 0.0


def _nested_kind(values: pa.Array) -> tuple[Kind, str]:
    kind = values.type
    fields = _fields(kind)
    if {"text", "answer_start"} <= fields:
        return "answers", "its values have text and answer_start"
    if {"start", "end", "label"} <= fields:
        return "spans", "its values have start, end and label"
    if is_list(kind) and _is_scalar(kind.value_type):
        return "lists", "its values are lists"
    return "other", f"its type is {kind!s:.60}"


def _is_scalar(kind: pa.DataType) -> bool:
    """Tell whether a type is that of words or numbers."""
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return is_text(kind) or numbers or pa.types.is_null(kind)


def _fields(kind: pa.DataType) -> set[str]:
    """Return the fields of a mapping, or of the mappings in a list."""
    kind = kind.value_type if is_list(kind) else kind
    return {field.name for field in kind} if pa.types.is_struct(kind) else set()


def _number_kind(name: str, there: pa.Array, distinct: int) -> tuple[Kind, str]:
    numbers = there.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    whole = bool((numbers == np.floor(numbers)).all())
    low, high = float(numbers.min()), float(numbers.max())
    said = f"{distinct:,} different numbers from {low:g} to {high:g}"
    if _ID_NAME.search(name) and name.lower() not in LABEL_NAMES:
        return "id", f"it is called '{name}'"
    if whole and distinct == len(numbers) >= 10 and high - low == distinct - 1:
        return "id", "it counts the rows"
    if _DATE_NAME.search(name) and whole and (1900 <= low <= high <= 2100 or low > 1e8):
        return "date", f"it is called '{name}' and holds {said}"
    if whole and set(np.unique(numbers)) == {0.0, 1.0}:
        return "truth", "its values are 0 and 1"
    if whole and distinct <= _FEW_NUMBERS and distinct * 2 <= len(numbers):
        return "whole", said
    counted = whole and low == 0 and high == distinct - 1
    if counted and name.lower() in LABEL_NAMES and distinct <= min(_MOST_CLASSES, len(numbers) // 5):
        return "whole", f"{said}, none left out"
    return "numbers", said


def _text_kind(name: str, there: pa.Array, distinct: int) -> tuple[Kind, str, float]:
    words = float(pc.mean(pc.count_substring_regex(there, r"\S+")).as_py())
    longest = int(pc.max(pc.utf8_length(there)).as_py())
    count, lower = len(there), name.lower()
    if pc.all(pc.match_substring_regex(there, _DATE)).as_py():
        return "date", f"its values look like {there[0].as_py()!r:.30}", words
    if pc.all(pc.match_substring_regex(there, r"^\s*[\[{].*[\]}]\s*$")).as_py():
        return "spelled lists", f"its values are spelled as {there[0].as_py()!r:.40}", words
    if _ID_NAME.search(name) and lower not in LABEL_NAMES:
        return "id", f"it is called '{name}'", words
    few = distinct <= max(2, min(_MOST_CLASSES, count // 3)) and longest <= 60 and words <= 4
    if few and lower not in TEXT_NAMES:
        return "classes", f"{count:,} rows have {distinct:,} different values", words
    if lower in LABEL_NAMES and distinct * 2 <= count and longest <= 60:
        return "classes", f"it is called '{name}', and {count:,} rows have {distinct:,} different values", words
    if words >= 3 or lower in TEXT_NAMES:
        return "text", f"{words:.0f} words on average, {distinct:,} of {count:,} different", words
    if words < 1.2 and distinct == count >= 10:
        return "id", "every row has another word", words
    return "words", f"{distinct:,} of {count:,} values are different, of {words:.1f} words on average", words


def list_facts(column: Column) -> tuple[np.ndarray, pa.Array]:
    """Return how many elements each list of a column has, int64 [n], and the elements."""
    _, lengths, _, elements = flat_lists(column.values)
    return lengths, elements


def of_kind(columns: Mapping[str, Column], *kinds: Kind) -> list[Column]:
    """Return the columns of some kinds, in their order."""
    return [column for column in columns.values() if column.kind in kinds]
