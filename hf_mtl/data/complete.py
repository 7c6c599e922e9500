"""Steps from checked splits to those of a run: unlabelled rows out, validation and test carved, training rows drawn.

Each function adds a note of what it did to ``notes``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.carve import carve, draw
from hf_mtl.data.carving_words import words_of
from hf_mtl.data.columns import name_count, raise_all
from hf_mtl.data.draws import Draw
from hf_mtl.data.encoded import LabelledRows
from hf_mtl.data.section import FoldSpec
from hf_mtl.data.stratified import nested_rows, stratified_rows
from hf_mtl.data.text_keys import Keys
from hf_mtl.data.train_notes import class_counts, name_ids
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
    name: str,
    task: Task,
    rows: Mapping[str, LabelledRows],
    seed: int,
    notes: list[str],
    sides: Mapping[str, Keys] | None = None,
    fold: FoldSpec | None = None,
) -> dict[str, LabelledRows]:
    """Take out of train what the data has no split for: validation, and test where a fraction for it is given.

    Where a row goes depends on its text and the seed alone, so classes get their share on average only; but for tasks
    that are stratified, see `stratified_sides`.

    Args:
        name: The task's name.
        task: The task, resolved.
        rows: The splits that the data has, with the keys of train.
        seed: Seed of the draw.
        notes: Receives what was done.
        sides: The keys of the texts of each carved split; None: they go by their hashes.
        fold: The fold whose rows are test; None: there are no folds.

    Raises:
        DataError: If a split would be empty.
    """
    fractions = carved_fractions(task, rows) if fold is None else fold_fractions(task, fold)
    words = words_of(name, task, fractions, "by a hash of the text" if sides is None else "stratified", seed, fold)
    notes += words.unused(rows)
    train = rows["train"]
    if not fractions:
        return dict(rows)
    assert train.keys is not None
    places = train.keys.places
    if sides is None:
        chosen = carve(places, fractions, seed)
    else:
        chosen = {split: np.isin(places, sides[split]) for split in fractions}
    kept = ~np.logical_or.reduce(list(chosen.values()))
    if empty := [split for split, mask in {**chosen, "train": kept}.items() if not mask.any()]:
        # Rows of the same key stay together.
        raise_all([words.empty(empty, len(kept), len(np.unique(places)))])
    carved = {split: train.select(np.flatnonzero(mask)) for split, mask in chosen.items()}
    found = {**rows, **carved, "train": train.select(np.flatnonzero(kept))}
    for split, part in carved.items():
        notes.append(words.taken(split, len(part.dataset), len(kept)))
        lost = _lost_classes(task, train, part)
        if len(lost):
            notes.append(f"{name}: no row of class {name_ids(task, lost)} became {split}.")
    lost = _lost_classes(task, train, found["train"])
    if len(lost):
        counts = class_counts(task, train.labels)
        assert counts is not None  # the task has classes
        notes.append(words.moved_away(lost, int(counts[lost].sum())))
    return found


def fold_fractions(task: Task, fold: FoldSpec) -> dict[str, float]:
    """Return the share of all rows that are test in a fold, and of the others that are validation.

    Args:
        task: The task.
        fold: The fold.
    """
    return {"test": 1 / fold.of, **({"validation": task.validation_fraction} if task.validation_fraction else {})}


def carved_fractions(task: Task, rows: Collection[str]) -> dict[str, float]:
    """Return the share of train that each split gets which is to be carved.

    Args:
        task: The task.
        rows: The splits that the data has.
    """
    given = {"test": task.test_fraction, "validation": task.validation_fraction}
    return {split: share for split, share in given.items() if split not in rows and share}


def unused_stratify(name: str, task: Task, rows: Collection[str]) -> list[str]:
    """Say that `stratify` does nothing, where nothing is carved or drawn.

    Args:
        name: The task's name.
        task: The task.
        rows: The splits that the data has.
    """
    if not task.stratify or carved_fractions(task, rows) or task.max_rows is not None or task.train_fraction < 1:
        return []
    return [f"{name}: stratify is not used: no split is carved, and there is no max_rows or train_fraction."]


def _lost_classes(task: Task, before: LabelledRows, after: LabelledRows) -> np.ndarray:
    """Return the ids of the classes that had rows and have none any more."""
    had, has = class_counts(task, before.labels), class_counts(task, after.labels)
    return np.empty(0, dtype=np.int64) if had is None or has is None else np.flatnonzero((had > 0) & (has == 0))


@dataclass
class _Drawing:
    """Training rows of a task that become fewer.

    Args:
        name: The task's name.
        task: The task, resolved.
        train: Its training rows.
        seed: Seed of the draws.
        notes: Receives what was done.
        draws: Receives how many rows each key has left.
    """

    name: str
    task: Task
    train: LabelledRows
    seed: int
    notes: list[str]
    draws: list[Draw] = field(default_factory=list)

    def at_most(self, most: int) -> None:
        """Keep so many rows."""
        total = len(self.train.dataset)
        if self.task.stratify:
            strata = self.task.strata(self.train.labels.values)
            self._keep(stratified_rows(self.name, strata, most, self.seed), "max_rows", "max_rows")
        else:
            self._keep(draw(total, most, self.seed), "max_rows", "max_rows")

    def share(self, fraction: float) -> None:
        """Keep this share of the rows."""
        assert self.train.keys is not None
        strata = self.task.strata(self.train.labels.values) if self.task.stratify else None
        rows = nested_rows(self.train.keys.places, strata, fraction, self.seed)
        self._keep(rows, "train_fraction", f"train_fraction {fraction:g}")

    def _keep(self, rows: NDArray[np.int64], key: str, how: str) -> None:
        before, self.train = self.train, self.train.select(rows)
        self.draws.append(Draw(key, len(rows), len(before.dataset)))
        count, how = name_count(len(before.dataset), "train row"), how + ", stratified" * self.task.stratify
        self.notes.append(f"{self.name}: {len(rows):,} of {count} are used ({how}, seed {self.seed}).")
        lost = _lost_classes(self.task, before, self.train)
        if len(lost):
            remedy = "raise it" if self.task.stratify else "stratify: true keeps a row of each class"
            classes = name_ids(self.task, lost)
            self.notes.append(f"{self.name}: none of the rows that {key} drew is of class {classes}; {remedy}.")


def draw_rows(
    name: str, task: Task, train: LabelledRows, seed: int, notes: list[str]
) -> tuple[LabelledRows, tuple[Draw, ...]]:
    """Draw at most `max_rows` training rows, and of these `train_fraction`; by class if the task says `stratify`.

    Classes that are lost are said.

    Returns:
        The rows, and how many each key has left.
    """
    drawing = _Drawing(name, task, train, seed, notes)
    if task.max_rows is not None and task.max_rows < len(train.dataset):
        drawing.at_most(task.max_rows)
    if task.train_fraction < 1:
        drawing.share(task.train_fraction)
    return drawing.train, tuple(drawing.draws)
