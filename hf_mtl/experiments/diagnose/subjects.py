"""Runs that are looked into, and the rows that all of them read."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from datasets import Dataset

from hf_mtl.data.carve import draw
from hf_mtl.data.collate import Collator
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import Mistake, UserError
from hf_mtl.inference.layer_features import LayerReader
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.encoded import Pooling
from hf_mtl.tasks import Task
from hf_mtl.training.run.opened_run import OpenedRun, opened_run
from hf_mtl.training.trainer.row_encoder import RowEncoder
from hf_mtl.training.trainer.scoring_overrides import scoring_tasks


@dataclass(frozen=True, eq=False)
class TaskRows:
    """Rows of one task, which every run reads.

    Args:
        task: The task, as the first run that has it scores it.
        owner: The number of this run.
        scored: Rows of the split that was asked for.
        train: Training rows, for probes; None: there are none.
    """

    task: Task
    owner: int
    scored: Dataset
    train: Dataset | None


@dataclass(frozen=True, eq=False)
class Subject:
    """A run that is looked into.

    Args:
        name: What it is called.
        opened: The run.
        encoder: Encodes rows for its model.
    """

    name: str
    opened: OpenedRun
    encoder: RowEncoder

    @property
    def model(self) -> MultiTaskModel:
        """The model of the run."""
        return self.opened.model

    @property
    def layers(self) -> int:
        """Layers of its encoder, the embeddings not counted."""
        return int(getattr(self.model.encoder.config, "num_hidden_layers", 12))

    @property
    def reader(self) -> LayerReader:
        """What runs rows through its encoder."""
        pooling = cast(Pooling, self.model.config.pooling)
        return LayerReader(self.model, self.encoder.eval_limit(self.opened.prepared.args), pooling)

    def encode(self, name: str, task: Task, rows: Dataset, split: str) -> EncodedSplit:
        """Encode rows of any run's task; those of test without a label are left out.

        Args:
            name: The task's name.
            task: The task.
            rows: The rows.
            split: Where they are from.
        """
        found = self.encoder.encode({name: rows}, {name: task}, split)[name]
        return found if found.missing is None else found.select(found.scored)

    def collator(self, name: str, split: EncodedSplit) -> Collator:
        """Make what makes batches of a split."""
        return self.encoder.collator({name: split.filled()}, self.opened.prepared.args)

    def facts(self) -> dict[str, Any]:
        """Give what a diagnosis says of the run."""
        return {
            "name": self.name,
            "path": str(self.opened.model_path),
            "tasks": list(self.model.tasks),
            "layers": self.layers,
            "hidden_size": int(self.model.config.hidden_size),
            "pooling": self.model.config.pooling,
        }


@contextmanager
def opened_subjects(
    paths: Sequence[str], overrides: Sequence[str], allow_code: bool = False
) -> Iterator[list[Subject]]:
    """Open runs, one beside the other.

    Args:
        paths: Folders of runs or checkpoints, Hub ids, or recipes.
        overrides: ``key=value`` that replace keys of their recipes.
        allow_code: Whether code that a recipe names may be run.

    Raises:
        UserError: If one is not there or cannot be read, or is given twice.
    """
    names = run_names(paths)
    with ExitStack() as stack:
        subjects = []
        for path, name in zip(paths, names, strict=True):
            opened = stack.enter_context(opened_run(path, overrides, allow_code))
            opened.model.to(opened.prepared.args.device)
            subjects.append(Subject(name, opened, RowEncoder(opened.model, opened.prepared.tokenizer)))
        yield subjects


def run_names(paths: Sequence[str]) -> list[str]:
    """Call each run by its path below the folder that all lie in, and one of the Hub by its id.

    Args:
        paths: The paths and ids, as they were given.

    Raises:
        UserError: If one is given twice.
    """
    whole = [Path(path).resolve() if Path(path).exists() else Path(path) for path in paths]
    if twice := [path for number, path in enumerate(paths) if whole[number] in whole[:number]]:
        raise UserError(Mistake("RUN", f"{twice[0]} is given twice", "Give each run, or checkpoint, once"))
    here = [path for path in whole if path.is_absolute()]
    common = os.path.commonpath([path.parent for path in here]) if here else ""
    return [path.relative_to(common).as_posix() if path in here else path.as_posix() for path in whole]


def shared_rows(subjects: Sequence[Subject], split: str, most: int) -> dict[str, TaskRows]:
    """Draw the rows of every task, from the first run that has it: seeded, and so the same every time.

    Args:
        subjects: The runs.
        split: The split of the rows that are compared.
        most: The most rows of a task, and the most training rows.

    Raises:
        UserError: If no task has such a split.
    """
    found: dict[str, TaskRows] = {}
    for number, subject in enumerate(subjects):
        prepared, opened = subject.opened.prepared, subject.opened
        tasks = scoring_tasks(opened.run, opened.recipe, subject.model.tasks)
        train: Mapping[str, Dataset] = prepared.split("train")
        for name, rows in prepared.split(split).items():
            if name not in found and name in tasks:
                drawn = None if name not in train else _drawn(train[name], most)
                found[name] = TaskRows(tasks[name], number, _drawn(rows, most), drawn)
    if not found:
        places = ", ".join(subject.name for subject in subjects)
        raise UserError(f"{places}: no task has a split '{split}' with rows that have a label")
    return found


def _drawn(rows: Dataset, most: int) -> Dataset:
    return rows if len(rows) <= most else rows.select(draw(len(rows), most, seed=0))
