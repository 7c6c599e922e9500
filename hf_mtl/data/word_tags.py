"""Tags of words: lists of names or ids, checked against the words and the scheme."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset
from numpy.typing import NDArray

from hf_mtl.data.class_names import check_number, numbered_names
from hf_mtl.data.columns import (
    COUNTED,
    arrow_column,
    flat_lists,
    is_list,
    is_text,
    name_count,
    name_rows,
    name_values,
    plain_values,
    say_type,
)
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.tag_schemes import Scheme, Tags, all_tags, scheme_of, types_in
from hf_mtl.data.words import Words
from hf_mtl.errors import DataError, Mistake, known, name_classes

_FORMS = (
    "A list has a tag for each word: its name, or the id of a name in labels; None or -100: not known. A text with "
    "spans has a list of {start, end, label}."
)


@dataclass(frozen=True)
class TagLists:
    """A column of lists of tags.

    Args:
        rows: The row of each tag, in order, int64 [m].
        lengths: Tags of each row, int64 [n].
        absent: Rows without a list, bool [n].
        texts: The tags as names, null where not known; None: they are numbers.
        numbers: The tags as numbers, `NO_CLASS` where not known, float64 [m]; None: they are names.
        declared: The names that the dataset declares with a ClassLabel.
    """

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    absent: NDArray[np.bool_]
    texts: pa.Array | None = None
    numbers: NDArray[np.float64] | None = None
    declared: list[str] | None = None


def read_tags(dataset: Dataset, column: str, name: str, split: str) -> TagLists:
    """Read a column of lists of tags.

    Raises:
        DataError: If it holds no lists, or lists of something else.
    """
    array, key = plain_values(arrow_column(dataset, column)), f"tasks.{name}.label"
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(pa.string()))
    if not is_list(array.type):
        raise DataError(Mistake(key, f"{split} column '{column}' holds {say_type(array)}, and no lists", _FORMS))
    rows, lengths, absent, values = flat_lists(array)
    feature = getattr(dataset.features[column], "feature", None)
    if is_text(values.type) or pa.types.is_null(values.type):
        return TagLists(rows, lengths, absent, texts=values.cast(pa.large_string()))
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise DataError(Mistake(key, f"{split} column '{column}' holds lists of {say_type(values)}", _FORMS))
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    numbers = np.where(np.isnan(numbers), NO_CLASS, numbers)
    if not isinstance(feature, ClassLabel):
        return TagLists(rows, lengths, absent, numbers=numbers)
    numbers = np.where(numbers == -1, NO_CLASS, numbers)  # how the Hub marks what has no class
    outside = (numbers != NO_CLASS) & ~((numbers >= 0) & (numbers < len(feature.names)))
    if outside.any():
        found = f"{split} column '{column}' has ids outside 0..{len(feature.names) - 1}"
        raise DataError(Mistake(key, f"{found}: {_values(numbers[outside])} ({_some_rows(rows, outside)})"))
    ids = pa.array(numbers.astype(np.int64), mask=numbers == NO_CLASS)
    texts = pa.array(feature.names, pa.large_string()).take(ids)
    return TagLists(rows, lengths, absent, texts=texts, declared=list(feature.names))


def resolve_tags(
    labels: list[str] | int | None, scheme: Scheme | None, column: str, name: str, splits: Mapping[str, Dataset]
) -> list[str]:
    """Name the tags: as the recipe does, else as a ClassLabel, else as they are found.

    Of found tags with a scheme all of each type are taken, whether or not the data have them.

    Args:
        labels: The recipe's: names, or their number.
        scheme: The recipe's scheme.
        column: The column of tags.
        name: The task's name.
        splits: The task's data. Tags that train lacks are found in splits that share one with it.

    Raises:
        DataError: If the data do not tell the tags, or contradict their number.
    """
    if isinstance(labels, list):
        return labels
    read = {split: read_tags(part, column, name, split) for split, part in splits.items()}
    train, key = read["train" if "train" in read else next(iter(read))], f"tasks.{name}.labels"
    found = train.declared or _found(train, read)
    if found is None and labels is None:
        remedy = "Give labels: the names of the tags in the order of their ids, such as [O, B-PER, I-PER]."
        raise DataError(Mistake(key, f"the tags in the train column '{column}' are ids without names", remedy))
    if found is None:
        return numbered_names(labels or 0)
    if not found:
        raise DataError(Mistake(key, f"no tag is in any list of the train column '{column}'", "Give labels."))
    meant = scheme or scheme_of(found)
    if train.declared is None and meant != "plain":
        found = all_tags(types_in(found), meant) if scheme_fits(found) else found
    check_number(labels, found, key)
    return found


def scheme_fits(names: list[str]) -> bool:
    """Tell whether all names but O have a prefix."""
    return all(name == "O" or name[1:2] == "-" for name in names)


def _found(train: TagLists, read: Mapping[str, TagLists]) -> list[str] | None:
    """Return the tags in the data, sorted; None: they are ids."""
    if train.texts is None:
        return None
    sets = [set(pc.unique(lists.texts).drop_null().to_pylist()) for lists in read.values() if lists.texts is not None]
    own = set(pc.unique(train.texts).drop_null().to_pylist())
    return sorted(own.union(*(names for names in sets if names & own)))


def encode_tags(
    tags: Tags, words: Words, lists: TagLists, repair: bool, where: tuple[str, str]
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Turn the tags of a split into ids, one for each word.

    Args:
        tags: The task's tags.
        words: The words of the split.
        lists: Its tags.
        repair: Whether tags that break their scheme are mended.
        where: The task's name, and the split's.

    Returns:
        Ids [n, W], `NO_CLASS` where there is no word or its tag is not known; and rows without a tag, bool [n].

    Raises:
        DataError: If a row has another number of tags than of words, or tags are unknown or break the scheme; all of
            it at once.
    """
    key, split = f"tasks.{where[0]}.label", where[1]
    ids, mistakes = _ids(tags, lists, key, split)
    wrong = ~lists.absent & (lists.lengths != words.counts)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        found = (
            f"{split} has {name_count(int(wrong.sum()))} with another number of tags than of words: "
            f"{name_rows(wrong)}; row {row} has {lists.lengths[row]} tags and {words.counts[row]} words"
        )
        mistakes.append(Mistake(key, found, _FORMS))
    if mistakes:
        raise DataError(mistakes)
    table = by_row(ids, lists.rows, lists.lengths, int(words.counts.max(initial=1)))
    iob1 = tags.scheme == "iob1"
    table = tags.mended(table) if iob1 else _settled(tags, table, words.counts, repair, (key, split))
    return table.astype(np.int16), (table == NO_CLASS).all(axis=1)


def by_row(
    values: NDArray[np.int64], rows: NDArray[np.int64], lengths: NDArray[np.int64], wide: int
) -> NDArray[np.int64]:
    """Write the values of rows, end to end, as a table [n, W], `NO_CLASS` behind the last of each."""
    table = np.full((len(lengths), max(1, wide)), NO_CLASS, dtype=np.int64)
    table[rows, np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)] = values
    return table


def _settled(
    tags: Tags, table: NDArray[np.int64], counts: NDArray[np.int64], repair: bool, where: tuple[str, str]
) -> NDArray[np.int64]:
    """Refuse or mend tags that break the scheme."""
    broken = tags.broken(table, counts)
    if not broken.any():
        return table
    key, split = where
    mended = tags.mended(table)
    if repair and (mended[broken] >= 0).all():
        return np.where(broken, mended, table)
    rows, (row, word) = np.asarray(broken.any(axis=1)), np.argwhere(broken)[0]
    shown = " ".join(tags.names[tag] for tag in table[row, max(0, word - 1) : word + 2] if tag != NO_CLASS)
    found = (
        f"{split} has {name_count(int(rows.sum()))} with {name_count(int(broken.sum()), 'tag')} that break "
        f"{tags.scheme}: {name_rows(rows)}; row {row} has '{shown}' around word {word}, {COUNTED}"
    )
    if repair:
        remedy = "They cannot be repaired, for labels lacks the tags: give B- and I- (E-, S-) of every type."
    elif tags.is_iob1(table):
        remedy = "They look like IOB1, where I- may begin an entity: write scheme: iob1, and they are converted."
    else:
        remedy = "Correct them, or write invalid_tags: repair: the same entities as conlleval reads, in right tags."
    raise DataError(Mistake(key, found, remedy))


def broken_note(tags: Tags, lists: TagLists, words: Words, split: str) -> Iterator[str]:
    """Say how many tags of a split are repaired.

    Args:
        tags: The task's tags.
        lists: The tags as they are given, without mistakes.
        words: The words.
        split: The split's name.
    """
    if tags.scheme in ("plain", "iob1"):
        return
    ids, _ = _ids(tags, lists, "", split)
    table = by_row(ids, lists.rows, lists.lengths, int(words.counts.max(initial=1)))
    broken = tags.broken(table, words.counts)
    if broken.any():
        count, rows = name_count(int(broken.sum()), "tag"), name_count(int(broken.any(axis=1).sum()))
        yield f"{count} in {rows} of {split} broke {tags.scheme} and are repaired."


def _ids(tags: Tags, lists: TagLists, key: str, split: str) -> tuple[NDArray[np.int64], list[Mistake]]:
    names = list(tags.names)
    if lists.texts is not None:
        unknown = pc.is_null(lists.texts).to_numpy(zero_copy_only=False)
        found = pc.fill_null(pc.index_in(lists.texts, pa.array(names, pa.large_string())), -1)
        ids = np.where(unknown, NO_CLASS, found.to_numpy(zero_copy_only=False).astype(np.int64))
        bad = ids == -1
        if not bad.any():
            return ids, []
        strange = lists.texts.filter(pa.array(bad)).to_pylist()
        problem = f"{split} has {_count(lists.rows, bad)} with unknown tags {name_values(strange)}"
        return ids, [
            Mistake(key, f"{problem} ({_some_rows(lists.rows, bad)})", known(names, str(strange[0]), "Tags"))
        ]
    assert lists.numbers is not None
    numbers = lists.numbers
    bad = (numbers != NO_CLASS) & ~((numbers >= 0) & (numbers < len(names)) & (numbers == np.floor(numbers)))
    if not bad.any():
        return numbers.astype(np.int64), []
    problem = f"{split} has {_count(lists.rows, bad)} with ids outside 0..{len(names) - 1}: {_values(numbers[bad])}"
    remedy = f"{len(names)} tags: {name_classes(names)}. None or {NO_CLASS}: not known."
    return numbers.astype(np.int64), [Mistake(key, f"{problem} ({_some_rows(lists.rows, bad)})", remedy)]


def _count(rows: NDArray[np.int64], bad: NDArray[np.bool_]) -> str:
    return name_count(len(np.unique(rows[bad])))


def _some_rows(rows: NDArray[np.int64], bad: NDArray[np.bool_]) -> str:
    mask = np.zeros(int(rows.max()) + 1, dtype=bool)
    mask[rows[bad]] = True
    return name_rows(mask)


def _values(numbers: NDArray[np.float64]) -> str:
    return name_values([int(number) if number == np.floor(number) else number for number in numbers.tolist()])
