"""What is said of rows that are taken out of train: for what the data has no split, or as a fold of all rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_mtl.data.columns import name_count
from hf_mtl.data.section import FoldSpec
from hf_mtl.data.train_notes import name_ids
from hf_mtl.errors import Mistake
from hf_mtl.tasks import Task


@dataclass(frozen=True)
class CarvingWords:
    """What is said of splits that are carved out of train.

    Args:
        name: The task's name.
        task: The task.
        fractions: The share of each carved split.
        how: By what rows were chosen.
        seed: The seed of the draw.
    """

    name: str
    task: Task
    fractions: Mapping[str, float]
    how: str
    seed: int

    @property
    def drawn(self) -> str:
        """Say how rows were chosen."""
        return f"{self.how}, seed {self.seed}"

    def unused(self, rows: Collection[str]) -> list[str]:
        """Say which fractions do nothing: those of splits that the data has.

        Args:
            rows: The splits that the data has.
        """
        return [
            f"{self.name}: the data has a {split} split, so {split}_fraction is not used."
            for split in ("test", "validation")
            if split in rows and f"{split}_fraction" in self.task.model_fields_set
        ]

    def taken(self, split: str, count: int, total: int) -> str:
        """Say how many rows became a split.

        Args:
            split: The split.
            count: Its rows.
            total: The rows that it was taken from.
        """
        share = f"{split}_fraction {self.fractions[split]:g}"
        given = name_count(total, "train row")
        return f"{self.name}: no {split} split, so {count:,} of {given} became {split} ({share}, {self.drawn})."

    def empty(self, splits: Sequence[str], total: int, distinct: int) -> Mistake:
        """Name the splits that no row falls to.

        Args:
            splits: The splits.
            total: All rows.
            distinct: How many different texts they have, which stay together.
        """
        key = next((f"{split}_fraction" for split in splits if split in self.fractions), None)
        key = key or f"{next(iter(self.fractions))}_fraction"
        shares = " and ".join(f"{split}_fraction {share:g}" for split, share in self.fractions.items())
        found = f"{_none_falls(splits, total, distinct, 'train row')} ({shares}, {self.drawn})"
        remedy = f"Change the fraction or data.carving_seed, or give a {' and a '.join(self.fractions)} split."
        return Mistake(f"tasks.{self.name}.{key}", found, remedy)

    def moved_away(self, lost: np.ndarray, count: int) -> str:
        """Say that no row of some classes is left in train.

        Args:
            lost: The ids of the classes.
            count: Their rows.
        """
        splits = " or ".join(self.fractions)
        return (
            f"{self.name}: no row of class {name_ids(self.task, lost)} is left in train: {name_count(count)} became "
            f"{splits} ({self.drawn}). Another data.carving_seed may keep some; with a {splits} split in the data "
            "all stay."
        )


@dataclass(frozen=True)
class FoldWords(CarvingWords):
    """What is said of a fold: its rows are test, and some of the others validation, whatever splits there were.

    Args:
        fold: The fold.
    """

    fold: FoldSpec

    @property
    def drawn(self) -> str:
        """Say how the rows of the fold were chosen."""
        return f"fold {self.fold.number} of {self.fold.of}, dealt out by seed {self.fold.seed}"

    def unused(self, rows: Collection[str]) -> list[str]:
        """Say that a share of test rows does nothing.

        Args:
            rows: The splits, of which there is one.
        """
        said = f"{self.name}: folds decide which rows are test, so test_fraction is not used."
        return [said] if "test_fraction" in self.task.model_fields_set else []

    def taken(self, split: str, count: int, total: int) -> str:
        """Say how many rows are in the fold, or of the others validation.

        Args:
            split: The split.
            count: Its rows.
            total: All rows.
        """
        if split == "test":
            return f"{self.name}: {count:,} of all {name_count(total)} are test ({self.drawn})."
        share = f"{split}_fraction {self.fractions[split]:g}"
        return f"{self.name}: {count:,} of the rows of the other folds are {split} ({share}, seed {self.seed})."

    def empty(self, splits: Sequence[str], total: int, distinct: int) -> Mistake:
        """Name the splits that no row falls to.

        Args:
            splits: The splits.
            total: All rows.
            distinct: How many different texts they have, which stay together.
        """
        found = f"{_none_falls(splits, total, distinct, 'row')} ({self.drawn})"
        if list(splits) == ["validation"]:
            remedy = "Raise the fraction, or change data.carving_seed."
            return Mistake(f"tasks.{self.name}.validation_fraction", found, remedy)
        return Mistake(f"tasks.{self.name}", found, "Deal out fewer folds, or give rows with more different texts.")

    def moved_away(self, lost: np.ndarray, count: int) -> str:
        """Say that no row of some classes is left in train.

        Args:
            lost: The ids of the classes.
            count: Their rows.
        """
        return (
            f"{self.name}: no row of class {name_ids(self.task, lost)} is left in train: {name_count(count)} became "
            f"{' or '.join(self.fractions)} ({self.drawn}). stratify: true deals the rows of each class out evenly."
        )


def words_of(
    name: str, task: Task, fractions: Mapping[str, float], how: str, seed: int, fold: FoldSpec | None
) -> CarvingWords:
    """Return the words of carved splits, or of a fold.

    Args:
        name: The task's name.
        task: The task.
        fractions: The share of each split.
        how: By what rows are chosen where there are no folds.
        seed: The seed of the draw.
        fold: The fold; None: there are no folds.
    """
    if fold is None:
        return CarvingWords(name, task, fractions, how, seed)
    return FoldWords(name, task, fractions, how, seed, fold)


def _none_falls(splits: Sequence[str], total: int, distinct: int, noun: str) -> str:
    count = name_count(total, noun)
    if distinct < total:
        count += f" with {name_count(distinct, 'different text')}"
    return f"of {count} none falls to {' or '.join(splits)}"
