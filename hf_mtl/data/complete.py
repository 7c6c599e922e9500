"""What turns checked splits into those of a run: unlabelled rows out, validation carved, `max_rows` drawn.

Each function says what it did by adding to ``notes``.
"""

import numpy as np

from hf_mtl.data.carve import carve, draw, quintiles
from hf_mtl.data.check import absent_classes
from hf_mtl.data.columns import name_count
from hf_mtl.data.encoded import LabelledRows
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


def carve_validation(
    name: str, task: Task, train: LabelledRows, seed: int, notes: list[str]
) -> tuple[LabelledRows, LabelledRows]:
    """Take validation rows out of train: stratified by class, or by fifths of the targets.

    Returns:
        Train and validation.

    Raises:
        DataError: If train is too small to give any.
    """
    values = train.labels.values
    by_class = values.ndim == 1
    strata = values if by_class else quintiles(values)
    chosen = carve(strata, task.validation_fraction, seed, keep_one=by_class)
    if not chosen.any() or chosen.all():
        found = f"no validation split, and {name_count(len(chosen), 'train row')} cannot give one"
        raise DataError(Mistake(f"tasks.{name}.dataset", found, "Give a validation split."))
    how = "class" if by_class else "fifths of the target"
    notes.append(
        f"{name}: no validation split, so {int(chosen.sum()):,} of {name_count(len(chosen), 'train row')} "
        f"became validation (stratified by {how}, seed {seed})."
    )
    return train.select(np.flatnonzero(~chosen)), train.select(np.flatnonzero(chosen))


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
