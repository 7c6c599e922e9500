"""Labels that say which of a row's choices is right: by its place, its name or its text."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.choice_lists import choice_counts, choice_lists
from hf_mtl.data.class_values import ClassValues, read_class_values
from hf_mtl.data.columns import name_count, name_rows, name_values
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.errors import DataError, Mistake

Form: TypeAlias = Literal["index", "numbers", "letters", "text"] | list[str]
"""How a label column says which choice is right, see `FORMS`; a list names the choices by their place."""

FORMS = {
    "index": "0 is the first choice",
    "numbers": "1 is the first choice",
    "letters": "A is the first choice",
    "text": "a label is the text of the right choice",
}
_WHOLE = re.compile(r"\s*(\d{1,9})(\.0*)?\s*")
_LETTER = re.compile(r"\s*([A-Za-z])\s*")
_UNLABELLED = r"^\s*-(1|100)(\.0*)?\s*$"  # how GLUE and SWAG mark rows without a label, also in texts of a csv file
_GIVE = (
    "Give labels: index (0 is the first choice), numbers (1 is), letters (A is), text (the text of the right "
    "choice), or a list of names."
)


class ChoiceLabels(NamedTuple):
    """A label column beside the choices of its rows.

    Args:
        read: The column.
        lists: The choices of each row.
    """

    read: ClassValues
    lists: pa.Array

    @property
    def counted(self) -> bool:
        """Tell whether the labels are numbers or ids, and no words."""
        return self.read.texts is None or (self.read.names is not None and _is_in_order(self.read.names))

    def spelled(self) -> pa.Array:
        """Return the labels as texts, null where missing."""
        if self.read.texts is not None and not self.counted:
            return self.read.texts.cast(pa.large_string())
        numbers = zip(self.read.numbers.tolist(), self.read.missing.tolist(), strict=True)
        return pa.array([None if missing else f"{number:.9g}" for number, missing in numbers], pa.large_string())


def read_choice_labels(
    dataset: Dataset, column: str, choices: str | Sequence[str], name: str, split: str
) -> ChoiceLabels:
    """Read a label column and the choices of its rows.

    Raises:
        DataError: If the column is of a type that holds no labels.
    """
    return ChoiceLabels(
        read_class_values(dataset, column, split, f"tasks.{name}.label"), choice_lists(dataset, choices)
    )


def find_form(splits: Mapping[str, ChoiceLabels], column: str, key: str) -> Form:
    """Find out how labels say which choice is right, by all of them.

    Args:
        splits: The labels by split.
        column: The label column.
        key: Recipe key that says it.

    Raises:
        DataError: If the labels do not tell.
    """
    splits = {split: _known(found, split) for split, found in splits.items()}
    values = sorted({text for found in splits.values() for text in found.spelled().drop_null().unique().to_pylist()})
    if not values or all(found.counted and found.read.names is not None for found in splits.values()):
        return "index"
    if not any(found.counted for found in splits.values()):
        if all((_by_text(found) >= 0)[~found.read.missing].all() for found in splits.values()):
            return "text"
        if all(_LETTER.fullmatch(text) or _WHOLE.fullmatch(text) for text in values) and any(
            map(_LETTER.fullmatch, values)
        ):
            return "letters"
        if all(found.read.truth for found in splits.values()):
            return "index"
    if not all(map(_WHOLE.fullmatch, values)):
        shown = name_values(values)
        raise DataError(Mistake(key, f"the labels of '{column}' are {shown}, none of their rows' choices", _GIVE))
    if 0 in map(_whole, values):
        return "index"
    if any((_by_number(found) == choice_counts(found.lists)).any() for found in splits.values()):
        return "numbers"  # as places from 0 on this would be one too many
    if all(found.counted for found in splits.values()):
        return "index"
    shown = name_values(values)
    problem = f"the labels of '{column}' are {shown}, which does not tell whether the first choice is 0 or 1"
    raise DataError(Mistake(key, problem, _GIVE))


def encode_choice_labels(
    form: Form | None, found: ChoiceLabels, key: str, split: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Turn labels into places of the right choices.

    Args:
        form: How a label says it; None: numbers are places from 0 on, and texts are a mistake.
        found: The labels and the choices.
        key: Recipe key of the label column.
        split: The split's name.

    Returns:
        The places from 0 on, int64 [n] (`NO_CLASS` where missing), and which are missing, bool [n].

    Raises:
        DataError: If a label is none of its row's choices.
    """
    if form is None and not found.counted:
        raise DataError(Mistake(key, f"{split} has labels that are texts", _GIVE))
    found = _known(found, split, form)
    missing = found.read.missing
    places = _places("index" if form is None else form, found)
    counts = choice_counts(found.lists)
    wrong = ~missing & ((places < 0) | (places >= counts))
    if wrong.any():
        values = name_values(found.spelled().filter(pa.array(wrong)).slice(0, 1000).to_pylist())
        problem = f"{split} has {name_count(int(wrong.sum()))} whose label is none of their choices: {values}"
        remedy = _remedy(form)
        if (places[wrong] >= counts[wrong]).all():  # read in the right way, and more than there are
            remedy += " Or name all of them in choices."
        raise DataError(Mistake(key, f"{problem} ({name_rows(wrong)})", remedy))
    return np.where(missing, NO_CLASS, places).astype(np.int64), missing


def _known(found: ChoiceLabels, split: str, form: Form | None = None) -> ChoiceLabels:
    """Take the ids that stand for no label out of rows to predict; what names or is one of the choices stays."""
    if split != "test":
        return found
    spelled = found.spelled()
    marked = pc.fill_null(pc.match_substring_regex(spelled, _UNLABELLED), False).to_numpy(zero_copy_only=False)
    if isinstance(form, list):
        marked = marked & ~pc.is_in(spelled, pa.array(form, spelled.type)).to_numpy(zero_copy_only=False)
    elif form == "text" or (form is None and not found.counted):
        marked = marked & (_by_text(found) < 0)
    texts = found.read.texts
    if texts is not None:
        texts = pc.if_else(pa.array(marked), pa.scalar(None, texts.type), texts)
    return found._replace(read=replace(found.read, texts=texts, missing=found.read.missing | marked))


def _remedy(form: Form | None) -> str:
    if isinstance(form, list):
        return f"The choices are called {', '.join(form)}, in their order."
    read = "index" if form is None else form
    return f"labels is {read}: {FORMS[read]}. {_GIVE}"


def _places(form: Form, found: ChoiceLabels) -> NDArray[np.int64]:
    """Return the place that each label names, -1 for none; there may be no choice."""
    if isinstance(form, list):
        # The names of a ClassLabel count, and not its ids, which `spelled` may give.
        words = found.spelled() if found.read.texts is None else found.read.texts.cast(pa.large_string())
        texts = pc.utf8_trim_whitespace(words)
        named = pc.index_in(texts, value_set=pa.array([name.strip() for name in form], texts.type))
        places: NDArray[np.int64] = pc.fill_null(named, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        return places
    if form == "text":
        return _by_text(found)
    if (found.counted and found.read.names is not None) or (found.read.truth and form == "index"):
        return np.where(found.read.missing, -1, found.read.numbers).astype(np.int64)  # however they are called
    if form == "letters":
        return _by_word(found, lambda text: _letter(text) if _LETTER.fullmatch(text) else _whole(text) - 1)
    return _by_number(found) - (form == "numbers")


def _by_number(found: ChoiceLabels) -> NDArray[np.int64]:
    return _by_word(found, _whole)


def _by_word(found: ChoiceLabels, place: Callable[[str], int]) -> NDArray[np.int64]:
    """Return what a function makes of each label, asked once for each that there is; -1 where missing."""
    coded = found.spelled().dictionary_encode()
    of_word = np.array([*(max(-1, place(text)) for text in coded.dictionary.to_pylist()), -1], dtype=np.int64)
    picked: NDArray[np.int64] = of_word[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)]
    return picked


def _whole(text: str) -> int:
    match = _WHOLE.fullmatch(text)
    return -1 if match is None else int(match.group(1))


def _letter(text: str) -> int:
    return ord(text.strip().lower()) - ord("a")


def _by_text(found: ChoiceLabels) -> NDArray[np.int64]:
    """Return the place of the first choice that has the label's text, -1 where none has."""
    lists, labels = found.lists, pc.utf8_trim_whitespace(found.spelled())
    rows = pc.list_parent_indices(lists)
    same = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(lists.values), labels.take(rows)), False)
    hits = np.flatnonzero(same.to_numpy(zero_copy_only=False))
    of_row = rows.to_numpy()[hits]
    places = np.full(len(lists), -1, dtype=np.int64)
    # The last one assigned stays: backwards, the first.
    places[of_row[::-1]] = (hits - lists.offsets.to_numpy()[of_row])[::-1]
    return places


def _is_in_order(names: Sequence[str]) -> bool:
    """Tell whether the ids of a ClassLabel are places: its names, where they say a place, are in their order."""
    said = [_letter(name) if _LETTER.fullmatch(name) else _whole(name) for name in names]
    return -1 in said or said == sorted(said)
