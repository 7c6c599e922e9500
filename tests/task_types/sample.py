"""What the contract test must know of a task type: a task, rows for it, and its loss by hand."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from hf_mtl.data.batch_sites import sites_of
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.encode import encode_splits
from hf_mtl.modeling.sites import in_place
from hf_mtl.tasks import Task, task_types
from tests import tiny


@dataclass(frozen=True)
class Sample:
    """A task type as its own test shows it.

    Args:
        task: A task whose outputs are known.
        rows: Rows with texts of the tiny world and labels that depend on them, so many of them.
        loss: The loss of each row in float64, from outputs [n, ..., C] and labels as the loss reads them.
        same: From the outputs of a model that is always right those of one that predicts the same everywhere; None:
            the outputs of the first row for all of them.
        answers: From predictions and references, both in the task's form, which rows are right, bool [n]; None: they
            are the same numbers, but where a reference is -100.
    """

    task: Task
    rows: Callable[[int], Dataset]
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]
    same: Callable[[np.ndarray], np.ndarray] | None = None
    answers: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    def encoded(self, count: int = 24) -> EncodedSplit:
        """Rows as they are trained on."""
        return encode_splits({"t": self.rows(count)}, {"t": self.task}, tiny.tokenizer(), None, "train")["t"]

    def outputs(self, count: int = 24) -> np.ndarray:
        """Random outputs for so many rows, [n, ..., C], with what stands where a row has no site."""
        split, random = self.encoded(count), np.random.default_rng(0)
        sites = sites_of(split, np.arange(count))
        if sites is None:
            return random.normal(size=(count, self.task.num_outputs)).astype(np.float32)
        values = torch.from_numpy(random.normal(size=(len(sites["places"]), self.task.num_outputs)))
        return in_place(values, sites, self.task.absent_output).numpy()

    def texts(self, rows: Dataset) -> list[Any]:
        """The texts of rows as baselines get them."""
        columns = [rows[column] for column in self.task.text_columns]
        return list(columns[0]) if len(columns) == 1 else list(zip(*columns, strict=True))


def texts(count: int) -> tuple[list[str], np.ndarray]:
    """Texts of the tiny world, and a number in [0, 1) that each depends on."""
    rows = tiny.rows("score", count)
    return rows["text"], np.argsort(np.argsort(rows["x"])) / count


def weighted(sample: Sample, **more: object) -> Sample:
    """The same task with a column of weights from 0.5 to 4."""

    def rows(count: int) -> Dataset:
        found = sample.rows(count)
        return found.add_column("w", (2.0 ** (np.arange(count) * 7 % 4 - 1)).tolist())

    return Sample(sample.task.model_copy(update={"weight": "w", **more}), rows, sample.loss)


def samples() -> dict[str, Sample]:
    """The samples of every type of hf_mtl, which stand in the type's own test: one, and its variants by name."""
    modules = {name: importlib.import_module(f"tests.task_types.test_{name}") for name in task_types()}
    variants = {
        f"{name}, {variant}": found
        for name, module in modules.items()
        for variant, found in getattr(module, "VARIANTS", {}).items()
    }
    return {**{name: module.SAMPLE for name, module in modules.items()}, **variants}
