"""Spans of characters with labels, read, checked, and turned into tags of words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset
from numpy.typing import NDArray

from hf_mtl.data.columns import (
    arrow_column,
    flat_lists,
    is_list,
    is_text,
    name_count,
    name_rows,
    name_values,
    plain_values,
)
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.tag_schemes import OUTSIDE, Scheme, Tags, all_tags, scheme_of
from hf_mtl.data.word_tags import by_row
from hf_mtl.data.words import Words
from hf_mtl.errors import DataError, Mistake, known

_FIELDS = ("start", "end", "label")
_Field: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_], pa.Array]
_FORM = "A span is {start, end, label}: its first character, the one after its last, and its name."


@dataclass(frozen=True)
class Spans:
    """The spans of n texts, by row and then by their first character.

    Args:
        rows: The row of each span, int64 [m].
        absent: Rows without a list, bool [n].
        starts: First character in its text, int64 [m]; -1 where it has none.
        ends: The one after the last, int64 [m]; -1 where it has none.
        labels: Their labels; null where there is none.
        declared: The names that the dataset declares with a ClassLabel.
    """

    rows: NDArray[np.int64]
    absent: NDArray[np.bool_]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    labels: pa.Array
    declared: list[str] | None = None


def holds_spans(dataset: Dataset, column: str) -> bool:
    """Tell whether a column holds lists of spans, or mappings of lists, as `datasets` keeps sequences of mappings."""
    if column not in dataset.column_names:
        return False
    kind = dataset.features.arrow_schema.field(column).type
    if pa.types.is_struct(kind):
        return any(field.name in _FIELDS and is_list(field.type) for field in kind)
    return is_list(kind) and pa.types.is_struct(kind.value_type)


def read_spans(dataset: Dataset, column: str, name: str, split: str) -> Spans:
    """Read a column of lists of spans.

    Raises:
        DataError: If they have no start, end or label, or these are of other types or of other numbers.
    """
    key = f"tasks.{name}.label"
    fields, uneven = _fields(plain_values(arrow_column(dataset, column)))
    lacking = [field for field in _FIELDS if field not in fields]
    if lacking:
        has = ", ".join(sorted(fields))
        found = f"the spans in {split} column '{column}' have no {' and no '.join(lacking)}, only {has}"
        raise DataError(Mistake(key, found, _FORM))
    if uneven.any():
        found = (
            f"{split} has {name_count(int(uneven.sum()))} with other numbers of start, end and label in '{column}'"
        )
        raise DataError(Mistake(key, f"{found}: {name_rows(uneven)}", _FORM))
    rows, absent, _ = fields["start"]
    starts, ends, labels = (fields[field][2] for field in _FIELDS)
    integers = all(pa.types.is_integer(part.type) or pa.types.is_null(part.type) for part in (starts, ends))
    feature = dataset.features[column]
    feature = getattr(feature, "feature", feature)
    declared = feature["label"] if isinstance(feature, Mapping) else None
    declared = getattr(declared, "feature", declared)
    if isinstance(declared, ClassLabel):
        labels = pa.array(declared.names, pa.large_string()).take(
            pc.if_else(pc.greater_equal(labels, 0), labels, None)
        )
    if not integers or not (is_text(labels.type) or pa.types.is_null(labels.type)):
        kinds = ", ".join(f"{field} {fields[field][2].type}" for field in _FIELDS)
        raise DataError(Mistake(key, f"the spans in {split} column '{column}' hold {kinds}", _FORM))
    first, last = (_numbers(part) for part in (starts, ends))
    order = np.lexsort((last, first, rows))
    names = list(declared.names) if isinstance(declared, ClassLabel) else None
    labels = labels.cast(pa.large_string()).take(pa.array(order))
    return Spans(rows[order], absent, first[order], last[order], labels, names)


def _fields(column: pa.Array) -> tuple[dict[str, _Field], NDArray[np.bool_]]:
    """Take spans apart.

    Args:
        column: Lists of mappings, or mappings of lists.

    Returns:
        By field the row of each value, rows without a list, and the values; and rows with other numbers of values in
        one field than in another.
    """
    if not pa.types.is_struct(column.type):
        rows, _, absent, values = flat_lists(column)
        names = [field.name for field in values.type]
        parts = {name: (rows, absent, plain_values(pc.struct_field(values, name))) for name in names}
        return parts, np.zeros(len(column), dtype=bool)
    names = [field.name for field in column.type if is_list(field.type)]
    lists = {name: flat_lists(pc.struct_field(column, name)) for name in names}
    lengths = np.array([lists[name][1] for name in names if name in _FIELDS])
    uneven: NDArray[np.bool_] = (lengths != lengths[0]).any(axis=0)
    return {name: (rows, absent, values) for name, (rows, _, absent, values) in lists.items()}, uneven


def resolve_spans(
    labels: list[str] | int | None, scheme: Scheme | None, column: str, name: str, splits: Mapping[str, Dataset]
) -> list[str]:
    """Name the tags of texts with spans: those of the recipe's labels, of a ClassLabel, or of what is found.

    Args:
        labels: The recipe's: types of entities, or the tags themselves.
        scheme: The recipe's scheme; None: IOB2.
        column: The column of spans.
        name: The task's name.
        splits: The task's data.

    Raises:
        DataError: If there are no labels, or the recipe gives their number alone.
    """
    key, meant = f"tasks.{name}.labels", scheme or "iob2"
    if isinstance(labels, list):
        return labels if OUTSIDE in labels or scheme_of(labels) != "plain" else all_tags(labels, meant)
    if labels is not None:
        raise DataError(Mistake(key, f"labels is {labels}, and spans have names", "Leave it out, or name the types."))
    read = {split: read_spans(part, column, name, split) for split, part in splits.items()}
    train = read["train" if "train" in read else next(iter(read))]
    found = train.declared or sorted(
        set(chain.from_iterable(pc.unique(part.labels).drop_null().to_pylist() for part in read.values()))
    )
    if not found:
        raise DataError(Mistake(key, f"no span is in any list of column '{column}'", "Give labels."))
    return all_tags(found, meant)


def encode_spans(
    tags: Tags, words: Words, spans: Spans, where: tuple[str, str]
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Turn the spans of a split into tags of its words.

    A word of which any character is in a span belongs to it, and of two spans in one word to the first.

    Args:
        tags: The task's tags.
        words: The words of the split.
        spans: Its spans.
        where: The task's name, and the split's.

    Returns:
        Ids [n, W], `NO_CLASS` where there is no word; and rows without a list, bool [n].

    Raises:
        DataError: If spans are empty, outside of their texts, over each other or of unknown labels; all at once.
    """
    key, split = f"tasks.{where[0]}.label", where[1]
    mistakes = [*_tag_mistakes(tags, f"tasks.{where[0]}.labels"), *_mistakes(tags, words, spans, key, split)]
    if mistakes:
        raise DataError(mistakes)
    firsts, lasts, there, _ = _over_words(words, spans)
    types = _type_ids(tags, spans)[there]
    values = np.full(len(words.starts), tags.outside, dtype=np.int64)
    counts = (lasts - firsts + 1)[there]
    begins = np.repeat(np.cumsum(counts) - counts, counts)
    places = np.arange(int(counts.sum())) - begins + np.repeat(firsts[there], counts)
    values[places] = tags.ids[2, np.repeat(types, counts)]
    values[firsts[there]] = tags.ids[1, types]
    if tags.ids.shape[1] and tags.scheme in ("bioes", "bilou"):
        values[lasts[there]] = tags.ids[3, types]
        alone = there & (firsts == lasts)
        values[firsts[alone]] = tags.ids[4, _type_ids(tags, spans)[alone]]
    values[spans.absent[words.rows]] = NO_CLASS
    table = by_row(values, words.rows, words.counts, int(words.counts.max(initial=1)))
    return table.astype(np.int16), spans.absent


def span_notes(words: Words, spans: Spans, split: str) -> Iterator[str]:
    """Say how many spans cut a word, and how many have none of their own.

    Args:
        words: The words of a split.
        spans: Its spans, without mistakes.
        split: The split's name.
    """
    _, _, there, cut = _over_words(words, spans)
    if cut.any():
        verb = "begins or ends" if int(cut.sum()) == 1 else "begin or end"
        yield f"{name_count(int(cut.sum()), 'span')} of {split} {verb} inside a word, and the whole word is taken."
    if not there.all():
        lost = name_count(int((~there).sum()), "span")
        yield f"{lost} of {split} stood in a word that the span before has, and are lost."


def _over_words(
    words: Words, spans: Spans
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Find the first and last word of each span [m], whether it has any of its own, and whether it cuts one."""
    base = words.bases
    starts, ends = words.starts + base[words.rows], words.ends + base[words.rows]
    begin, stop = spans.starts + base[spans.rows], spans.ends + base[spans.rows]
    firsts = np.searchsorted(ends, begin, side="right")
    lasts = np.searchsorted(starts, stop, side="left") - 1
    cut = (starts[firsts] < begin) | (ends[lasts] > stop) if len(begin) else np.zeros(0, dtype=bool)
    if len(firsts) > 1:
        # A word goes to the first of the spans in it: a later one begins behind all before.
        firsts[1:] = np.maximum(firsts[1:], np.maximum.accumulate(lasts)[:-1] + 1)
    return firsts, lasts, firsts <= lasts, cut


def _type_ids(tags: Tags, spans: Spans) -> NDArray[np.int64]:
    """Return the number of each span's type, -1 for an unknown one."""
    found = pc.index_in(spans.labels, pa.array(tags.types, pa.large_string()), skip_nulls=True)
    ids: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return ids


def _tag_mistakes(tags: Tags, key: str) -> Iterator[Mistake]:
    """Find out whether the task's tags can say where spans are."""
    wanted = all_tags(tags.types or tags.names, "iob2" if tags.scheme in ("plain", "iob1") else tags.scheme)
    lacking = [tag for tag in wanted if tag not in tags.names]
    if tags.scheme == "plain" or lacking:
        found = f"the labels {name_values(tags.names, 20)} do not tell where spans begin and end"
        yield Mistake(key, found, f"Give the tags of every type: [{', '.join(wanted)}], or in a recipe the types.")


def _mistakes(tags: Tags, words: Words, spans: Spans, key: str, split: str) -> Iterator[Mistake]:
    rows = spans.rows
    lengths = np.diff(words.bases) - 1

    def say(bad: NDArray[np.bool_], what: str, remedy: str) -> Iterator[Mistake]:
        if bad.any():
            mask = np.zeros(len(words), dtype=bool)
            mask[rows[bad]] = True
            place = int(np.flatnonzero(bad)[0])
            shown = f"such as {spans.starts[place]} to {spans.ends[place]} ({spans.labels[place]})"
            yield Mistake(
                key, f"{split} has {name_count(int(bad.sum()), 'span')} {what}, {shown}: {name_rows(mask)}", remedy
            )

    outside = (spans.starts < 0) | (spans.ends > lengths[rows])
    empty = ~outside & (spans.ends <= spans.starts)
    yield from say(outside, "outside of the text", f"{_FORM} Characters are counted from 0.")
    yield from say(empty, "without a character", _FORM)
    if not (outside | empty).any():
        over = np.zeros(len(rows), dtype=bool)
        over[1:] = (rows[1:] == rows[:-1]) & (spans.starts[1:] < spans.ends[:-1])
        yield from say(over, "over another one", "A word has one tag: keep one of the two.")
        base = words.bases
        begin, stop = spans.starts + base[rows], spans.ends + base[rows]
        after = np.searchsorted(words.ends + base[words.rows], begin, side="right")
        until = np.searchsorted(words.starts + base[words.rows], stop, side="left") - 1
        yield from say(after > until, "over blanks alone", "Take them out.")
    unknown = _type_ids(tags, spans) < 0
    if unknown.any() and tags.types:
        strange = spans.labels.filter(pa.array(unknown)).to_pylist()
        found = f"{split} has {name_count(int(unknown.sum()), 'span')} of unknown labels {name_values(strange)}"
        mask = np.zeros(len(words), dtype=bool)
        mask[rows[unknown]] = True
        yield Mistake(key, f"{found} ({name_rows(mask)})", known(tags.types, str(strange[0]), "Labels"))


def _numbers(values: pa.Array) -> NDArray[np.int64]:
    found: NDArray[np.int64] = pc.fill_null(values.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return found
