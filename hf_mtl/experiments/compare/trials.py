"""The trials of a study: arm by seed by fold, and by task where an arm trains each alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from hf_mtl.experiments.compare.arms import Arm, Part
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.schema import StudyFile
from hf_mtl.experiments.compare.single_task import as_node
from hf_mtl.experiments.identity import digest, same_anywhere
from hf_mtl.experiments.results import Record
from hf_mtl.recipe.nodes import Node

OF_EVERY_TRIAL = {"push_to_hub": False, "disable_tqdm": True}

_LONGEST = 100
"""Letters of the name of a folder, as for names of tasks."""


@dataclass(frozen=True)
class Trial:
    """One run of a study.

    Args:
        arm: The arm.
        part: Its recipe.
        seed: The seed.
        fold: The fold, counted through all repeats; None: there are none.
        study: What the study's file says.
        base: The recipe whose budget it has.
    """

    arm: Arm
    part: Part
    seed: int
    fold: int | None
    study: StudyFile
    base: Part

    @property
    def key(self) -> Record:
        """Return what tells its record from others."""
        return {"arm": self.arm.name, "seed": self.seed, "task": self.part.task, "fold": self.fold}

    @property
    def name(self) -> str:
        """Name it in words."""
        fold = "" if self.fold is None else f" fold {self.fold}"
        task = "" if self.part.task is None else f" {self.part.task}"
        return f"{self.arm.name} seed {self.seed}{fold}{task}"

    @property
    def place(self) -> Path:
        """Return its folder, within that of the study."""
        fold = "" if self.fold is None else f"-fold-{self.fold}"
        place = Path("runs") / self.arm.name / f"seed-{self.seed}{fold}"
        return place if self.part.task is None else place / _short(self.part.task)

    @property
    def claim(self) -> str:
        """Return the name of the file that stands for it."""
        return ",".join(self.place.parts[1:])  # no name has a comma

    @cached_property
    def node(self) -> Node:
        """The recipe with seed and fold, and as long as the base's."""
        return with_trial(self.part.node, self.base.node, self.study, self.seed, self.fold)

    @cached_property
    def identity(self) -> str:
        """What it is the outcome of: another identity is another run, wherever it lies and however fast it was."""
        whole = {
            "recipe": same_anywhere(self.node, Path(self.study.output_dir)),
            "budget": self.study.budget.equal,
            # The base's length, and what else decides over what its run spends.
            "base": same_anywhere(
                with_trial(self.base.node, self.base.node, self.study, 0, None), Path(self.study.output_dir)
            ),
        }
        imbalance = self.arm.whole.recipe.data.imbalance
        if self.part.group and imbalance is not None:
            # A part of the tasks has its rows by the ratio of all, which its own recipe does not say yet.
            whole["imbalance"] = imbalance.model_dump(mode="json")
        return digest(whole)


def _short(name: str) -> str:
    """Return a name that a folder can have, also of a group of many tasks."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}-{digest(name)[:8]}"


def trials_of(study: Study) -> list[Trial]:
    """List the trials of a study, seed by seed, so that a study that breaks off has whole seeds.

    Args:
        study: The study.
    """
    return list(_trials(study))


def _trials(study: Study) -> Iterator[Trial]:
    folds = [None] if study.file.folds is None else list(range(study.file.folds * study.file.repeats))
    for seed in study.file.seed_list:
        for fold in folds:
            for arm in study.arms.values():
                for part in arm.parts:
                    yield Trial(arm, part, seed, fold, study.file, study.base.whole)


def with_trial(recipe: Node, base: Node, study: StudyFile, seed: int, fold: int | None) -> Node:
    """Give a recipe the seed and the fold of a trial.

    Validation and test rows that are carved are the same for all seeds: otherwise the rows of one seed to score would
    be training rows of another, and seeds no repetitions of each other. They are those of the base trained by
    itself, or in a sweep, so that what was chosen there was not chosen by test rows of here.

    Args:
        recipe: The merged recipe.
        base: That of the base.
        study: What the study's file says.
        seed: The seed.
        fold: The fold; None: there are none.
    """
    node = _with(recipe, "training", {"seed": seed, **OF_EVERY_TRIAL})
    if not (_said(recipe, "training", "data_seed") or _said(recipe, "data", "carving_seed")):
        own = _said(base, "training", "seed")
        node = _with(node, "data", {"carving_seed": TrainingArguments.seed if own is None else own.value})
    if fold is None or study.folds is None:
        return node
    repeat, number = divmod(fold, study.folds)
    return _with(node, "data", {"fold": {"of": study.folds, "number": number, "seed": repeat}})


def in_folder(recipe: Node, folder: Path) -> Node:
    """Give a recipe the folder of its run."""
    return _with(recipe, "training", {"output_dir": str(folder)})


def _said(recipe: Node, section: str, key: str) -> Node | None:
    there = recipe.value.get(section)
    node = there.value.get(key) if there is not None and there.value else None
    return None if node is None or node.value is None else node


def _with(recipe: Node, section: str, changes: dict[str, Any]) -> Node:
    there = recipe.value.get(section)
    kept = {} if there is None or there.value is None else there.value
    place = recipe.origin if there is None else there.origin
    new = {key: as_node(value, place) for key, value in changes.items()}
    return Node({**recipe.value, section: Node({**kept, **new}, place)}, recipe.origin)
