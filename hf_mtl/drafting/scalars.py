"""Tasks whose label is one value of a row: classes, ranks, numbers; and columns of 1 and 0."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_mtl.drafting.columns import LABEL_NAMES, Column
from hf_mtl.drafting.guess import Guess, Texts, quoted
from hf_mtl.drafting.odd_values import said

_RARE = 0.05
_ORDERED_NAME = re.compile(
    r"(^|_)(stars?|ratings?|scores?|grades?|levels?|ranks?|severity|degree|intensity|likert|priority|quality"
    r"|difficulty|satisfaction|polarity)($|_)",
    re.I,
)
_SCALES = (
    ("very low", "low", "medium", "moderate", "high", "very high"),
    ("very bad", "bad", "poor", "ok", "okay", "fair", "good", "very good", "excellent"),
    ("never", "rarely", "seldom", "sometimes", "often", "always"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("none", "mild", "moderate", "severe"),
    ("easy", "medium", "hard"),
    ("minor", "major", "critical"),
    ("small", "medium", "large"),
)
_OF_CLASSES = ["f1_macro", "accuracy"]
_OF_NUMBERS = ["pearson", "mae"]


def scalar_guesses(labels: Sequence[Column], texts: Texts) -> list[Guess]:
    """Guess a task for each label column; columns of 1 and 0 are the labels of one task.

    Args:
        labels: Columns of the kinds ``truth``, ``classes``, ``whole`` and ``numbers``.
        texts: What the rows are read by.
    """
    binary = [column for column in labels if column.kind == "truth"]
    if len(binary) < 2:
        return [_of_one(column, texts) for column in labels]
    rest = [_of_one(column, texts) for column in labels if column.kind != "truth"]
    return [_of_binary(binary, texts), *rest]


def _base(column: Column, kind: str, why: str, texts: Texts, metrics: list[str]) -> Guess:
    keys = {"type": kind, "text": texts.key, "label": column.name, "metrics": metrics}
    return Guess(column.name, keys, {"type": why, "text": texts.why, "label": column.why}, texts.others)


def _with(guess: Guess, *others: str, instead: Sequence[Guess] = ()) -> Guess:
    return replace(guess, others=(*others, *guess.others), instead=tuple(instead))


def _without_words(column: Column, guess: Guess) -> Guess:
    """Leave out the rows that hold a word where the others hold a number."""
    if not column.odd:
        return guess
    are = "which are no numbers" if sum(column.odd.values()) > 1 else "which is no number"
    why = f"{said(column.odd)} in '{column.name}', {are}: by missing these rows have no label, and are left out"
    return replace(guess, source={"missing": {column.name: list(column.odd)}}, why={**guess.why, "dataset": why})


def _odd_class(column: Column) -> str:
    """Say what to do where a word among few numbers is no class."""
    missing = f"missing: {{{column.name}: {list(column.odd)}}}"
    ranks = column.distinct - len(column.odd) > 2
    then = "; then the numbers may be ranks, of ordinal_classification" if ranks else ""
    return f"Among numbers {said(column.odd)}. If that is no class, dataset: {missing} leaves these rows out{then}."


def _of_one(column: Column, texts: Texts) -> Guess:
    if column.kind == "numbers":
        guess = _without_words(column, _base(column, "regression", "its label is a number", texts, _OF_NUMBERS))
        return _with(guess, "If few numbers are ratings of a scale, ordinal_classification learns their order.")
    if column.kind == "whole":
        guess = _of_whole(column, texts)
        instead = [_without_words(column, other) for other in guess.instead]
        return replace(_without_words(column, guess), instead=tuple(instead))
    return _of_classes(column, texts)


def _of_classes(column: Column, texts: Texts) -> Guess:
    """Guess one class of several; of words that are a scale, their order."""
    shares, rare = _shares(column)
    why = f"its label is one class of several ({shares})"
    guess = _base(column, "sequence_classification", why, texts, _OF_CLASSES)
    notes = [rare] if rare else []
    joined = _joined(column)
    notes += [joined] if joined else []
    notes += [_odd_class(column)] if column.odd else []
    order = None if column.names else _scale(column)
    if order is None:
        return _with(guess, *notes)
    ordinal = _base(column, "ordinal_classification", f"its classes are a scale ({shares})", texts, _OF_RANKS)
    ordinal = ordinal.with_key("labels", order, "from the lowest to the highest")
    return _with(ordinal, "If they have no order: type: sequence_classification.", *notes, instead=[guess])


_OF_RANKS = ["quadratic_weighted_kappa", "mae"]


def _of_whole(column: Column, texts: Texts) -> Guess:
    """Guess what few whole numbers are: ids of classes, their names, or ranks."""
    ids = sorted(int(value) for value in pc.unique(column.values).drop_null().to_pylist() if value == value)
    shares, rare = _shares(column)
    notes = [rare] if rare else []
    ordinal = _base(
        column,
        "ordinal_classification",
        f"whole numbers in a column called '{column.name}' have an order ({shares})",
        texts,
        _OF_RANKS,
    )
    classes = _base(
        column, "sequence_classification", f"few whole numbers are classes ({shares})", texts, _OF_CLASSES
    )
    if ids != list(range(len(ids))):
        classes = classes.with_key(
            "labels", [str(number) for number in ids], "the numbers as they are; better names?"
        )
    number = _base(column, "regression", f"its label is a number ({shares})", texts, _OF_NUMBERS)
    label_like = column.name.lower() in LABEL_NAMES
    counted = ids == list(range(ids[0], ids[0] + len(ids)))
    if len(ids) > 2 and (_ORDERED_NAME.search(column.name) or (counted and ids[0] == 1 and not label_like)):
        other = "If the numbers have no order: type: sequence_classification, with labels: their names."
        more = "If their distances mean something: type: regression."
        return _with(ordinal, other, more, *notes, instead=[classes, number])
    names = (
        f"labels: [...] names the classes {', '.join(map(str, ids[:6]))}{', ...' if len(ids) > 6 else ''} in results."
    )
    order = "If the numbers have an order, as stars have: type: ordinal_classification."
    return _with(
        classes, *([names] if "labels" not in classes.keys else []), order, *notes, instead=[ordinal, number]
    )


def _of_binary(columns: Sequence[Column], texts: Texts) -> Guess:
    """Guess that columns of 1 and 0 are labels that a text may have several of."""
    names = [column.name for column in columns]
    why = f"{len(names)} columns hold 1 and 0: each says whether a text has that label"
    keys = {"type": "multi_label_classification", "text": texts.key, "label": names, "metrics": ["f1_macro"]}
    reasons = {"type": why, "text": texts.why}
    others = [f"If they have nothing to do with each other: a task for each, with label: {names[0]} and so on."]
    arrays = [column.values.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in columns]
    if (np.nansum(np.stack(arrays), axis=0) == 1).all():
        others.insert(
            0, "Every row has exactly one of them: they may be the classes of one task, which wants one column."
        )
    instead = [_of_classes(column, texts) for column in columns[:1]]
    return Guess("labels", keys, reasons, (*others, *texts.others), tuple(instead))


def _shares(column: Column) -> tuple[str, str]:
    """Return the classes with their shares, in words, and what to do about rare ones."""
    most = column.most(300)
    total = sum(count for _, count in most) or 1

    def name(value: Any) -> str:
        if column.names is not None and isinstance(value, int) and 0 <= value < len(column.names):
            return column.names[value]
        return f"{value:g}" if isinstance(value, float) else str(value)

    said = [f"{name(value):.30} {count / total:.0%}" for value, count in most[:6]]
    rare = [name(value) for value, count in most if count / total < _RARE]
    note = ""
    if rare and len(most) <= 20:
        are = "is" if len(rare) == 1 else "are"
        note = f"{quoted(rare[:5])} {are} rare: class_weights: balanced lets rare classes weigh more."
    return ", ".join([*said, *(["..."] if len(most) > 6 else [])]), note


def _scale(column: Column) -> list[str] | None:
    """Return the classes in their order where they are words of a scale."""
    words = {str(value).strip().lower(): str(value) for value, _ in column.most(50)}
    if len(words) < 3 or len(words) != column.distinct:
        return None
    scale = next((scale for scale in _SCALES if words.keys() <= set(scale)), None)
    return None if scale is None else [words[word] for word in scale if word in words]


def _joined(column: Column) -> str:
    """Say that values may be several labels with a sign between them."""
    if column.names is not None:
        return ""
    values = [str(value) for value, _ in column.most(300)]
    for sign in ("|", ";", ","):
        parts = {part.strip() for value in values for part in value.split(sign)}
        if sum(sign in value for value in values) * 5 > len(values) and len(parts) * 2 <= len(values) + 2:
            return (
                f"Values such as '{next(value for value in values if sign in value):.40}' may be several labels: "
                "a function of the dataset makes lists of them for multi_label_classification."
            )
    return ""
