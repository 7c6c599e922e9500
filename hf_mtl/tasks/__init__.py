"""Tasks: what every task has and answers. The types are in `hf_mtl.task_types`.

A task type is a subclass of `Task` that `register` is told of. The rooms ask it (`LearningAnswers`,
`ScoringAnswers`), and never what class it is.
"""

from hf_mtl.tasks.fields import DatasetSource, MetricSpec, RowFilter, without_paths
from hf_mtl.tasks.registry import TASK_TYPES, AnyTask, register, task_from_dict, task_types, unknown_type
from hf_mtl.tasks.task import Task

__all__ = [
    "TASK_TYPES",
    "AnyTask",
    "DatasetSource",
    "MetricSpec",
    "RowFilter",
    "Task",
    "register",
    "task_from_dict",
    "task_types",
    "unknown_type",
    "without_paths",
]
