"""What turns checked splits into those of a run: unlabelled rows out, validation and test carved, `max_rows` drawn.

Each function says what it did by adding to ``notes``.
"""

from collections.abc import Mapping

import numpy as np

from hf_mtl.data.carve import carve, draw
from hf_mtl.data.check import absent_classes
from hf_mtl.data.columns import name_count, raise_all
from hf_mtl.data.encoded import LabelledRows
from hf_mtl.data.text_keys import Keys
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import Task


def drop_unlabelled(name: str, split: str, rows: LabelledRows, notes: list[str]) -> LabelledRows:
    """Leave out the rows without a label."""
    missing = rows.labels.missing
    if not missing.any():
        return rows
    verbs = "has no label and was dropped" if missing.sum() == 1 else "have no label and were dropped"
    notes.append(f"{name}: {int(missing.sum()):,} of {name_count(len(missing), f'{split} row')} {verbs}.")
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
        DataError: If a split would be empty, or a class without a training row.
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
    raise_all(_lost_classes(name, task, train, found["train"], fractions, seed))
    for split, part in carved.items():
        count = name_count(len(kept), "train row")
        notes.append(
            f"{name}: no {split} split, so {len(part.dataset):,} of {count} became {split} "
            f"({split}_fraction {fractions[split]:g}, by a hash of the text, seed {seed})."
        )
        if absent := _class_names(task, _without_rows(task, part)):
            notes.append(f"{name}: no row of class {absent} became {split}.")
    return found


def _wanted(name: str, task: Task, rows: Mapping[str, LabelledRows], notes: list[str]) -> dict[str, float]:
    """The share of train that each split gets; a fraction for a split that the data has is said to do nothing."""
    given = {"test": task.test_fraction, "validation": task.validation_fraction}
    for split in given:
        if split in rows and f"{split}_fraction" in task.model_fields_set:
            notes.append(f"{name}: the data has a {split} split, so {split}_fraction is not used.")
    return {split: share for split, share in given.items() if split not in rows and share is not None}


def _empty_splits(
    name: str, chosen: Mapping[str, np.ndarray], places: Keys, fractions: Mapping[str, float], seed: int
) -> list[Mistake]:
    """One mistake that names every split that no row falls to; rows with the same key in ``places`` stay together."""
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


def _lost_classes(
    name: str, task: Task, before: LabelledRows, train: LabelledRows, fractions: Mapping[str, float], seed: int
) -> list[Mistake]:
    """One mistake that names the classes whose rows have all left train."""
    lost = _without_rows(task, train)
    if not lost:
        return []
    count = name_count(int(np.isin(before.labels.values, lost).sum()))
    names, splits = _class_names(task, lost), " or ".join(fractions)
    found = f"no row of class {names} is left in train: {count} became {splits} (by a hash of the text, seed {seed})"
    remedy = (
        f"Give a {' and a '.join(fractions)} split, another training.data_seed, or leave the class out by a filter."
    )
    return [Mistake(f"tasks.{name}.{next(iter(fractions))}_fraction", found, remedy)]


def _without_rows(task: Task, rows: LabelledRows) -> list[int]:
    """The ids of the classes that no row has; a task without classes lacks none."""
    if getattr(task, "label_names", None) is None:
        return []
    return np.flatnonzero(np.bincount(rows.labels.values, minlength=task.num_outputs) == 0).tolist()


def _class_names(task: Task, ids: list[int]) -> str:
    names: list[str] = getattr(task, "label_names", None) or []
    return ", ".join(f"'{names[index]}'" for index in ids)


def limit_rows(name: str, task: Task, train: LabelledRows, seed: int, notes: list[str]) -> LabelledRows:
    """Draw at most `max_rows` training rows.

    Raises:
        DataError: If a class is not among the rows drawn.
    """
    total = len(train.dataset)
    if task.max_rows is None or task.max_rows >= total:
        return train
    drawn = train.select(draw(total, task.max_rows, seed))
    mistakes = absent_classes(name, task, drawn.labels, drawn=task.max_rows)
    if mistakes:
        raise DataError(mistakes)
    notes.append(f"{name}: {task.max_rows:,} of {name_count(total, 'train row')} are used (max_rows, seed {seed}).")
    return drawn


def constant_targets(name: str, task: Task, train: LabelledRows) -> list[str]:
    """A note per regression target that is the same in every training row."""
    values = train.labels.values
    if values.ndim == 1:
        return []
    return [
        f"{name}: the target '{column}' is {values[0, index]:g} in every train row; there is nothing to learn."
        for index, column in enumerate(task.label_columns)
        if np.ptp(values[:, index]) == 0
    ]
