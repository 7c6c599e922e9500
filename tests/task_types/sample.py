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


def samples() -> dict[str, Sample]:
    """The sample of every type of hf_mtl, which stands in the type's own test."""
    return {name: importlib.import_module(f"tests.task_types.test_{name}").SAMPLE for name in task_types()}
