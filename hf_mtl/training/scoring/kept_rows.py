"""The rows that a run was scored on, kept with what the scores read of them: other scores can be made of fewer rows.

A file of safetensors holds an array of outputs and one of labels for each task, and what else there is to know as
JSON; nothing in it is pickled.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hf_mtl.data.asked_contexts import AskedContext
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import CheckpointError, Mistake
from hf_mtl.evaluation import Trust, score_task
from hf_mtl.file_modes import give_usual_modes
from hf_mtl.inference.predict import SplitPredictions
from hf_mtl.tasks import Task, task_from_dict
from hf_mtl.tasks.scoring import Outputs
from hf_mtl.training.folder.names import TEST_ROWS

_FORMAT = "1"


class Scored(NamedTuple):
    """The rows of a task as they are scored.

    Args:
        task: The task.
        split: Its rows.
        prediction: What was predicted, for all of them.
        statistics: What metrics may read of the training rows.
    """

    task: Task
    split: EncodedSplit
    prediction: SplitPredictions
    statistics: Mapping[str, Any] | None


Listener = Callable[[str, Scored], None]
"""Takes the rows of one task after another, with its name, on the first process."""


@dataclass(frozen=True, eq=False)
class TaskRows:
    """The n scored rows of a task: those that have a label.

    Args:
        task: The task, as it was scored.
        outputs: What the scores read, float32 [n, K], or the outputs of the head, [n, ..., C].
        labels: What they compare with, [n, ...]; of extracted answers an object for each row.
        weights: Weight of each row in the metrics, [n]; None: all weigh the same.
        statistics: What metrics may read of the training rows.
        is_compact: Whether ``outputs`` is what `Task.compact` keeps.
    """

    task: Task
    outputs: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None
    statistics: Mapping[str, Any] = field(default_factory=dict)
    is_compact: bool = False

    def __len__(self) -> int:
        return len(self.outputs)

    @classmethod
    def of(cls, scored: Scored) -> "TaskRows":
        """Keep the rows that have a label."""
        task, split, prediction, statistics = scored
        rows = split.scored
        weights = None if split.weights is None else split.weights[rows]
        compact = prediction.read is not None
        return cls(
            task, prediction.outputs[rows], split.scored_against[rows], weights, dict(statistics or {}), compact
        )

    def read(self, rows: np.ndarray | None = None) -> Outputs:
        """Return what is scored of some rows.

        Args:
            rows: Their numbers, which may repeat, [m]; None: all.
        """
        kept = self.outputs if rows is None else self.outputs[rows]
        places = (self.outputs.shape[1] - 1,)  # of tags alone, one for each word; other types do not look at it
        compact = self.task.compact(places) if self.is_compact else None
        return self.task.outputs_of(kept) if compact is None else compact.read(kept)

    def scores(self, name: str, rows: np.ndarray | None = None, trust: Trust = Trust.CANONICAL) -> dict[str, float]:
        """Score some rows as the task is scored.

        Args:
            name: The task's name.
            rows: The numbers of the rows, which may repeat, [m]; None: all.
            trust: Whose code the metrics may run.
        """
        chosen = slice(None) if rows is None else rows
        weights = None if self.weights is None else self.weights[chosen]
        return score_task(self.task, name, self.read(rows), self.labels[chosen], self.statistics, trust, weights)


class KeptRows:
    """A listener that keeps the rows of every task.

    Attributes:
        tasks: The rows by task.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, TaskRows] = {}

    def __call__(self, name: str, scored: Scored) -> None:
        """Keep the rows of a task."""
        self.tasks[name] = TaskRows.of(scored)


def write_rows(path: Path, tasks: Mapping[str, TaskRows]) -> None:
    """Write the rows of some tasks into a file.

    Args:
        path: The file.
        tasks: The rows by task.
    """
    arrays: dict[str, np.ndarray] = {}
    about = []
    for number, (name, rows) in enumerate(tasks.items()):
        entry: dict[str, Any] = {"name": name, "task": rows.task.for_config(), "statistics": _listed(rows.statistics)}
        arrays[f"{number}.outputs"] = np.ascontiguousarray(rows.outputs)
        if rows.weights is not None:
            arrays[f"{number}.weights"] = np.ascontiguousarray(rows.weights)
        if rows.labels.dtype == object:
            arrays[f"{number}.asked"] = _as_bytes([_plain(row) for row in rows.labels])
        else:
            arrays[f"{number}.labels"] = np.ascontiguousarray(rows.labels)
        about.append({**entry, "is_compact": rows.is_compact})
    save_file(arrays, path, metadata={"format": _FORMAT, "program": "hf_mtl", "tasks": json.dumps(about)})
    give_usual_modes([path])


def read_rows(path: Path) -> dict[str, TaskRows]:
    """Read what `write_rows` has written.

    Args:
        path: The file, or the folder of a run that holds it.

    Raises:
        CheckpointError: If it is not there or cannot be read; names the file.
    """
    file = path / TEST_ROWS if path.is_dir() else path
    try:
        with safe_open(file, framework="numpy") as found:
            about = json.loads((found.metadata() or {})["tasks"])
            arrays = {key: found.get_tensor(key) for key in found.keys()}  # noqa: SIM118 - no mapping
        return {entry["name"]: _rows_of(arrays, number, entry) for number, entry in enumerate(about)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        missing = not file.exists()
        problem = f"{file}: {'is not there' if missing else f'is damaged ({error})'}"
        remedy = "Score the run again with keep_rows, or leave its bootstrap over rows out"
        raise CheckpointError(Mistake("", problem, remedy)) from error


def _rows_of(arrays: Mapping[str, np.ndarray], number: int, entry: Mapping[str, Any]) -> TaskRows:
    asked = arrays.get(f"{number}.asked")
    labels = arrays[f"{number}.labels"] if asked is None else _asked(asked)
    return TaskRows(
        task_from_dict(entry["task"]),
        arrays[f"{number}.outputs"],
        labels,
        arrays.get(f"{number}.weights"),
        entry["statistics"],
        bool(entry["is_compact"]),
    )


def _as_bytes(value: Any) -> np.ndarray:
    """Put JSON into an array of bytes: the header of a file is no place for texts."""
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def _plain(row: Any) -> dict[str, Any]:
    """Return an `AskedContext` as JSON."""
    windows = [window.tolist() for window in row.windows]
    return {"context": row.context, "spans": [list(span) for span in row.spans], "windows": windows}


def _asked(text: np.ndarray) -> np.ndarray:
    rows = json.loads(text.tobytes())
    found = np.empty(len(rows), dtype=object)
    for number, row in enumerate(rows):
        spans = tuple((int(start), int(end)) for start, end in row["spans"])
        windows = tuple(np.array(window, dtype=np.int32).reshape(-1, 2) for window in row["windows"])
        found[number] = AskedContext(row["context"], spans, windows)
    return found


def _listed(statistics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: np.asarray(value).tolist() for key, value in statistics.items()}
