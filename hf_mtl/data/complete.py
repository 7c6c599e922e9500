"""Steps from checked splits to those of a run: unlabelled rows out, validation and test carved, `max_rows` drawn.

Each function adds a note of what it did to ``notes``.
"""

from collections.abc import Mapping

import numpy as np

from hf_mtl.data.carve import carve, draw
from hf_mtl.data.columns import name_count, raise_all
from hf_mtl.data.encoded import LabelledRows
from hf_mtl.data.stratified import stratified_rows
from hf_mtl.data.text_keys import Keys
from hf_mtl.data.train_notes import class_counts, name_ids
from hf_mtl.errors import Mistake
from hf_mtl.tasks import Task


def drop_unlabelled(name: str, split: str, rows: LabelledRows, notes: list[str]) -> LabelledRows:
    """Leave out the rows without a label, and those of weight 0."""
    missing, weightless = rows.labels.missing, rows.labels.weightless
    if not missing.any():
        return rows
    for what, count in (("no label", int(missing.sum()) - weightless), ("weight 0", weightless)):
        verbs = f"has {what} and was dropped" if count == 1 else f"have {what} and were dropped"
        if count:
            notes.append(f"{name}: {count:,} of {name_count(len(missing), f'{split} row')} {verbs}.")
    return rows.select(np.flatnonzero(~missing))


def carve_splits(
    name: str, task: Task, rows: Mapping[str, LabelledRows], seed: int, notes: list[str]
) -> dict[str, LabelledRows]:
    """Take out of train what the data has no split for: validation, and test where a fraction for it is given.

    Where a row goes depends on its text and the seed alone, so classes get their share on average only.

    Args:
        name: The task's name.
        task: The task, resolved.
        rows: The splits that the data has, with the keys of train.
        seed: Seed of the draw.
        notes: Receives what was done.

    Raises:
        DataError: If a split would be empty.
    """
    fractions = _wanted(name, task, rows, notes)
    train = rows["train"]
    if not fractions:
        return dict(rows)
    assert train.keys is not None
    chosen = carve(train.keys.places, fractions, seed)
    kept = ~np.logical_or.reduce(list(chosen.values()))
    raise_all(_empty_splits(name, {**chosen, "train": kept}, train.keys.places, fractions, seed))
    carved = {split: train.select(np.flatnonzero(mask)) for split, mask in chosen.items()}
    found = {**rows, **carved, "train": train.select(np.flatnonzero(kept))}
    for split, part in carved.items():
        count = name_count(len(kept), "train row")
        notes.append(
            f"{name}: no {split} split, so {len(part.dataset):,} of {count} became {split} "
            f"({split}_fraction {fractions[split]:g}, by a hash of the text, seed {seed})."
        )
        lost = _lost_classes(task, train, part)
        if len(lost):
            notes.append(f"{name}: no row of class {name_ids(task, lost)} became {split}.")
    lost = _lost_classes(task, train, found["train"])
    if len(lost):
        notes.append(_moved_away(name, task, lost, train, " or ".join(fractions), seed))
    return found


def _wanted(name: str, task: Task, rows: Mapping[str, LabelledRows], notes: list[str]) -> dict[str, float]:
    """Return the share of train that each split gets; a fraction for a split that the data has is said to do
    nothing.
    """
    given = {"test": task.test_fraction, "validation": task.validation_fraction}
    for split in given:
        if split in rows and f"{split}_fraction" in task.model_fields_set:
            notes.append(f"{name}: the data has a {split} split, so {split}_fraction is not used.")
    return {split: share for split, share in given.items() if split not in rows and share}


def _empty_splits(
    name: str, chosen: Mapping[str, np.ndarray], places: Keys, fractions: Mapping[str, float], seed: int
) -> list[Mistake]:
    """Name every split that no row falls to, in one mistake; rows of the same key in ``places`` stay together."""
    empty = [split for split, mask in chosen.items() if not mask.any()]
    if not empty:
        return []
    key = next((f"{split}_fraction" for split in empty if split in fractions), next(iter(fractions)) + "_fraction")
    shares = " and ".join(f"{split}_fraction {share:g}" for split, share in fractions.items())
    count, distinct = name_count(len(chosen["train"]), "train row"), len(np.unique(places))
    if distinct < len(chosen["train"]):
        count += f" with {name_count(distinct, 'different text')}"
    found = f"of {count} none falls to {' or '.join(empty)} ({shares}, by a hash of the text, seed {seed})"
    remedy = f"Change the fraction or training.data_seed, or give a {' and a '.join(fractions)} split."
    return [Mistake(f"tasks.{name}.{key}", found, remedy)]


def _lost_classes(task: Task, before: LabelledRows, after: LabelledRows) -> np.ndarray:
    """Return the ids of the classes that had rows and have none any more."""
    had, has = class_counts(task, before.labels), class_counts(task, after.labels)
    return np.empty(0, dtype=np.int64) if had is None or has is None else np.flatnonzero((had > 0) & (has == 0))


def _moved_away(name: str, task: Task, lost: np.ndarray, before: LabelledRows, splits: str, seed: int) -> str:
    counts = class_counts(task, before.labels)
    assert counts is not None  # the task has classes
    count = name_count(int(counts[lost].sum()))
    return (
        f"{name}: no row of class {name_ids(task, lost)} is left in train: {count} became {splits} (by a hash of the "
        f"text, seed {seed}). Another training.data_seed may keep some; with a {splits} split in the data all stay."
    )


def limit_rows(name: str, task: Task, train: LabelledRows, seed: int, notes: list[str]) -> LabelledRows:
    """Draw at most `max_rows` training rows, by class if the task says `stratify`. Classes that are lost are said."""
    total = len(train.dataset)
    if task.max_rows is None or task.max_rows >= total:
        if task.stratify and task.max_rows is None:
            notes.append(f"{name}: stratify draws max_rows by class, and there is no max_rows; it is not used.")
        return train
    if task.stratify:
        strata = task.strata(train.labels.values)
        rows, how = stratified_rows(name, strata, task.max_rows, seed), "max_rows, stratified"
    else:
        rows, how = draw(total, task.max_rows, seed), "max_rows"
    drawn = train.select(rows)
    notes.append(f"{name}: {task.max_rows:,} of {name_count(total, 'train row')} are used ({how}, seed {seed}).")
    lost = _lost_classes(task, train, drawn)
    if len(lost):
        remedy = "raise it" if task.stratify else "stratify: true keeps a row of each class"
        notes.append(f"{name}: none of the rows that max_rows drew is of class {name_ids(task, lost)}; {remedy}.")
    return drawn
