"""What the contract test must know of a task type: a task, rows for it, and its loss by hand."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from hf_mtl.tasks import Task, task_types
from tests import tiny


@dataclass(frozen=True)
class Sample:
    """A task type as its own test shows it.

    Args:
        task: A task whose outputs are known.
        rows: Rows with texts of the tiny world and labels that depend on them, so many of them.
        loss: The loss of each row in float64, from outputs [n, C] and labels as the task encodes them.
    """

    task: Task
    rows: Callable[[int], Dataset]
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]


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
