"""Columns of a file without types that are numbers but for a few words: n/a, -, unknown."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from hf_mtl.data.columns import name_count
from hf_mtl.data.spelling import no_numbers

_LEAST_NUMBERS = 20
_LEAST_SHARE = 0.9
_MOST_WORDS = 10
_OF_NOTHING = frozenset({"n/a", "na", "none", "null", "nan", "-", "?", "unknown", "missing", "empty"})


def odd_values(values: pa.Array) -> dict[str, int]:
    """Count the words of a column that is one of numbers but for them; empty where they are too many to say so.

    Args:
        values: Its texts.
    """
    found = words_in([values])
    given = len(values) - values.null_count
    numbers = given - sum(found.values())
    nearly_all = numbers >= max(_LEAST_NUMBERS, _LEAST_SHARE * given)
    return found if nearly_all and len(found) <= _MOST_WORDS else {}


def mean_nothing(words: Iterable[str]) -> bool:
    """Tell whether all words are usual spellings of a value that is not there.

    Args:
        words: Words, without blanks around them.
    """
    return _OF_NOTHING.issuperset(word.lower() for word in words)


def words_in(columns: Iterable[pa.Array]) -> dict[str, int]:
    """Count the texts that are no numbers, by text, the most frequent first.

    Args:
        columns: A column in parts.
    """
    found: Counter[str] = Counter()
    for values in columns:
        plain = pc.utf8_trim_whitespace(values.cast(pa.string()))
        odd = plain.filter(pc.fill_null(no_numbers(plain), False))
        found.update({item["values"]: item["counts"] for item in pc.value_counts(odd).to_pylist()})
    found.pop("", None)
    return dict(found.most_common())


def said(words: Mapping[str, int]) -> str:
    """Say how many rows hold which words.

    Args:
        words: Rows by word.
    """
    parts = [f"{name_count(count)} hold{'s' * (count == 1)} '{word:.30}'" for word, count in words.items()]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
