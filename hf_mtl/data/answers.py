"""Answers that stand in a text: read from a column, and compared with the text at the place that they name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from datasets import Dataset

from hf_mtl.data.columns import arrow_column, name_count, name_rows, plain_values
from hf_mtl.errors import DataError, Mistake

NO_SPAN = -1
"""Where an answer begins and ends that is not there, in an array of those of many rows."""
Answer: TypeAlias = tuple[str, int]
"""The text of an answer, and at which character of its context it begins."""

_SHOWN = 3
_FORM = "Give {text: [...], answer_start: [...]}, or a list of {text, answer_start}; empty lists for no answer."


def encode_answers(columns: Sequence[str], name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Read where the answers of a split stand in their contexts.

    Args:
        columns: The column of contexts, and that of answers.
        name: The task's name.
        split: The split's name.
        dataset: Its rows.

    Returns:
        First character of each answer and the end, int64 [n, G, 2], each place once; `NO_SPAN` behind those of a row.
        And which rows have no label, bool [n]: their value is null.

    Raises:
        DataError: If values are no answers, or an answer does not stand where it says.
    """
    contexts, given = (plain_values(arrow_column(dataset, column)).to_pylist() for column in columns)
    missing = np.array([_is_null(value) for value in given], dtype=bool)
    key, read = f"tasks.{name}.label", [_read(value) for value in given]
    odd = np.array([answers is None for answers in read], dtype=bool) & ~missing
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        found = f"{split} has {name_count(int(odd.sum()))} in column '{columns[1]}' that are no answers"
        raise DataError(Mistake(key, f"{found}, such as {given[row]!r:.80}: {name_rows(odd)}", _FORM))
    rows = [_spans(context, answers or ()) for context, answers in zip(contexts, read, strict=True)]
    if mistakes := list(_misplaced(key, split, contexts, read)):
        raise DataError(mistakes)
    most = max((len(spans) for spans in rows), default=0)
    values = np.full((len(rows), max(1, most), 2), NO_SPAN, dtype=np.int64)
    for row, spans in enumerate(rows):
        values[row, : len(spans)] = np.array(spans).reshape(-1, 2)
    return values, missing


def spans_of(row: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the spans of a row that are there, from [G, 2]."""
    return tuple((int(start), int(end)) for start, end in row if start != NO_SPAN)


def without_answer(labels: np.ndarray) -> np.ndarray:
    """Tell which rows have no answer, bool [n], from spans [n, G, 2]."""
    found: np.ndarray = labels[:, 0, 0] == NO_SPAN
    return found


def _is_null(value: Any) -> bool:
    """Tell whether a row has no label; some files keep no null for a mapping, but one in each of its places."""
    return value is None or (isinstance(value, Mapping) and all(item is None for item in value.values()))


def _read(value: Any) -> list[Answer] | None:
    """Return the answers of a row; None where they are none."""
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        if isinstance(texts, str):  # a single one
            texts, starts = [texts], [starts]
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            return None
        pairs = list(zip(texts, starts, strict=True))
    elif isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        pairs = [(item.get("text"), item.get("answer_start")) for item in value]
    else:
        return None
    fits = all(isinstance(text, str) and _is_whole(start) for text, start in pairs)
    return [(text, int(start)) for text, start in pairs] if fits else None


def _is_whole(number: object) -> bool:
    # A column of JSON in which some numbers are null has fractions.
    return isinstance(number, (int, float)) and not isinstance(number, bool) and number == number // 1


def _spans(context: str | None, answers: Sequence[Answer]) -> list[tuple[int, int]]:
    """Return first character and end of the answers without blanks around them, each once."""
    found: dict[tuple[int, int], None] = {}
    for text, start in answers:
        first = start + len(text) - len(text.lstrip())
        found[first, first + len(text.strip())] = None
    return list(found) if context is not None else []


def _misplaced(
    key: str, split: str, contexts: Sequence[str | None], read: Sequence[Sequence[Answer] | None]
) -> Iterator[Mistake]:
    """Find answers without text, and those that do not stand where they say."""
    blank, elsewhere = np.zeros(len(read), dtype=bool), np.zeros(len(read), dtype=bool)
    examples: list[str] = []
    for row, (context, answers) in enumerate(zip(contexts, read, strict=True)):
        for text, start in answers or ():
            if context is None:
                continue  # a row without text has a mistake of its own
            if not text.strip():
                blank[row] = True
            elif start < 0 or not context.startswith(text, start):
                if not elsewhere[row] and len(examples) < _SHOWN:
                    examples.append(_nearest(row, context, text, start))
                elsewhere[row] = True
    if blank.any():
        found = f"{split} has {name_count(int(blank.sum()))} with an answer without text: {name_rows(blank)}"
        yield Mistake(key, found, "Give empty lists where there is no answer.")
    if elsewhere.any():
        found = f"{split} has {name_count(int(elsewhere.sum()))} whose answer does not stand at its answer_start"
        remedy = "Mend answer_start, a number of characters and not of bytes or tokens, counted from 0."
        yield Mistake(key, f"{found}, {name_rows(elsewhere)}: {'; '.join(examples)}", remedy)


def _nearest(row: int, context: str, text: str, start: int) -> str:
    """Say at which place an answer stands that is nearest to the one that it says."""
    places, place = [], context.find(text)
    while place >= 0:
        places.append(place)
        place = context.find(text, place + 1)
    shown = f"{text!r:.60} of row {row} is said to stand at {start}"
    if not places:
        return f"{shown} and stands nowhere in its context"
    return f"{shown} and stands at {min(places, key=lambda place: abs(place - start))}"
