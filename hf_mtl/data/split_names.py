"""Names of splits: those of a dataset become train, validation and test, or are not wanted."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.tasks import DatasetSource

SPLITS = ("train", "validation", "test")
_ALIASES = {"train": ("training",), "validation": ("dev", "val", "valid"), "test": ("testing",)}
_Found = TypeVar("_Found")


def split_of(word: str) -> str | None:
    """Return our name for a split, by ours or a usual alias; None for another word."""
    return next((ours for ours, aliases in _ALIASES.items() if word in (ours, *aliases)), None)


def rows_needed(split: str) -> str:
    """Return what to do about a split without rows, by our name for it or the data's."""
    ours = split_of(split) or "train"
    return "Every split needs rows." + ("" if ours == "train" else f" splits: {{{ours}: null}} leaves it out.")


def name_splits(source: DatasetSource, found: Iterable[str], key: str) -> dict[str, str]:
    """Say which split is train, validation and test: by the source's names, then ours, then usual aliases.

    Args:
        source: What names splits, or leaves them out with null.
        found: The splits that its data has.
        key: Recipe key of the source.

    Returns:
        The data's names by ours.

    Raises:
        DataError: If a name is unknown, or no split is left.
    """
    splits, given = list(found), _given(source)
    wrong = [
        Mistake(
            f"{key}.splits.{ours}", f"'{source.path}' has no split '{theirs}'", known(splits, theirs, "Its splits")
        )
        for ours, theirs in given.items()
        if theirs not in splits
    ]
    if wrong:
        raise DataError(wrong)
    names = dict(given)
    for ours in SPLITS:
        theirs = None if ours in source.splits else _usual(source, ours, splits)
        if theirs is not None:
            names[ours] = theirs
    if not names:
        problem = f"'{source.path}' has no split train, validation or test"
        if None in source.splits.values():
            problem += " that splits does not leave out"
        remedy = f"Its splits: {', '.join(splits) or 'none'}. Name them with splits: {{train: ...}}."
        raise DataError(Mistake(key, problem, remedy))
    return {ours: names[ours] for ours in SPLITS if ours in names}


def left_out(source: DatasetSource, found: Iterable[str]) -> dict[str, str]:
    """Return the splits of the data that the source does not want, their names by ours."""
    splits = list(found)
    unwanted = [str(ours) for ours, theirs in source.splits.items() if theirs is None]
    return {ours: theirs for ours in unwanted if (theirs := _usual(source, ours, splits))}


def wanted(source: DatasetSource, files: Mapping[Any, _Found]) -> dict[Any, _Found]:
    """Return the files of the splits that are wanted: the others need not be there, nor readable."""
    unwanted = set(left_out(source, files).values())
    return {split: item for split, item in files.items() if split not in unwanted}


def left_out_notes(source: DatasetSource, found: Iterable[str]) -> tuple[str, ...]:
    """Return a note on each split of the data that the source does not want."""
    return tuple(
        f"the split '{theirs}' is left out (splits: {{{ours}: null}})."
        for ours, theirs in left_out(source, found).items()
    )


def unused_notes(source: DatasetSource, found: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return notes on the splits that are not used, whose rows nobody would miss.

    Args:
        source: What names splits.
        found: The splits that its data has.
        names: Those that are used, by our names.
    """
    splits = list(found)
    notes = left_out_notes(source, splits)
    unused = [f"'{split}'" for split in splits if split not in {*names.values(), *left_out(source, splits).values()}]
    if not unused:
        return notes
    which = f"the split {unused[0]} is" if len(unused) == 1 else f"the splits {', '.join(unused)} are"
    return (*notes, f"{which} not used; splits: {{train: ..., validation: ..., test: ...}} says which is which.")


def _given(source: DatasetSource) -> dict[str, str]:
    return {str(ours): theirs for ours, theirs in source.splits.items() if theirs is not None}


def _usual(source: DatasetSource, ours: str, splits: Iterable[str]) -> str | None:
    """Return the split that is called so, or by a usual alias."""
    # A split that was given a name is not found a second time under its own.
    claimed = set(_given(source).values())
    names = (ours, *_ALIASES[ours])
    return next((name for name in names if name in splits and name not in claimed), None)
