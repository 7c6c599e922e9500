"""Two runs compared row by row: a paired bootstrap over the test rows, so that one seed says something too.

It says what other rows would say of these two models, and nothing of other seeds.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation import Trust, headline_keys
from hf_mtl.evaluation.aggregates import task_score
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.experiments.answer.resampled import Resampled, resampled
from hf_mtl.experiments.evidence import RESAMPLES, Evidence, from_resamples
from hf_mtl.experiments.results import Record
from hf_mtl.reporting.atomic import replacing
from hf_mtl.training import evaluate_run
from hf_mtl.training.folder.run_record import RunRecord
from hf_mtl.training.scoring.kept_rows import TEST_ROWS, KeptRows, TaskRows, read_rows, write_rows

__all__ = ["Draws", "TaskRows", "bootstrap", "compare_rows", "draws", "keep_rows", "read", "write"]

SLOW_RESAMPLES = 500
"""Draws where each has to be scored by itself, of a metric that is not ours."""
_CELLS = 1 << 22
_SAME = 1e-6


class Draws(NamedTuple):
    """The differences of two runs on draws of the rows, in points.

    Args:
        plain: The difference on the rows as they are.
        found: That on each draw, [R].
        rows: Number of rows.
    """

    plain: float
    found: NDArray[np.float64]
    rows: int


def write(folder: Path, tasks: Mapping[str, TaskRows]) -> None:
    """Write the test rows of some tasks into a folder, whole or not at all; a run's record notes the file as its own.

    Args:
        folder: The folder of a run, or one that takes its place.
        tasks: The rows by task.
    """
    record, path = RunRecord(folder), folder / TEST_ROWS
    with record.replacing(TEST_ROWS) if record.begun else replacing(path) as temporary:
        write_rows(temporary, tasks)


def read(folder: Path) -> dict[str, TaskRows]:
    """Read the test rows in the folder of a run, by task.

    Raises:
        CheckpointError: If they are not there or cannot be read; names the file.
    """
    return read_rows(folder)


def keep_rows(folder: Path, allow_code: bool = False) -> dict[str, TaskRows]:
    """Read the test rows of a run, which is scored again where it has kept none.

    Args:
        folder: A run's folder with its final model. `run_recipe(..., test=True, keep_rows=True)` keeps the rows as it
            scores them, at no cost.
        allow_code: As for `evaluate_run`.
    """
    if not (folder / TEST_ROWS).exists():
        kept = KeptRows()
        evaluate_run(folder, split="test", allow_code=allow_code, listener=kept)
        write(folder, kept.tasks)
    return read(folder)


def bootstrap(
    ours: TaskRows, theirs: TaskRows, task: str, seed: int = 0, resamples: int = RESAMPLES, trust: Trust = Trust.OURS
) -> Evidence:
    """Judge the difference of two runs on a task by the rows that both were scored on.

    Args:
        ours: The rows of the run of which a positive difference speaks well.
        theirs: Those of the other run.
        task: The task's name.
        seed: Seed of the draws.
        resamples: How often rows are drawn.
        trust: Whose code the task's metrics may run.

    Raises:
        DataError: If the rows are not the same.
    """
    return from_resamples(*draws(ours, theirs, task, seed, resamples, trust))


def draws(
    ours: TaskRows, theirs: TaskRows, task: str, seed: int = 0, resamples: int = RESAMPLES, trust: Trust = Trust.OURS
) -> Draws:
    """Score two runs on draws of their rows; the arguments are those of `bootstrap`.

    A metric that is not one of ours is scored draw by draw, and on `SLOW_RESAMPLES` of them.

    Raises:
        DataError: If the rows are not the same.
    """
    _refuse_other_rows(ours, theirs, task)
    models = [ours, theirs]
    exact = [_task_score(rows, task, None, trust) for rows in models]
    plain = 100 * (exact[0] - exact[1])
    if math.isnan(plain):
        return Draws(plain, np.full(1, math.nan), len(ours))
    random = np.random.default_rng(seed)
    scorers = [_fast(rows, task, score) for rows, score in zip(models, exact, strict=True)]
    if None in scorers:
        drawn = random.integers(0, len(ours), (min(resamples, SLOW_RESAMPLES), len(ours)))
        values = [[_task_score(rows, task, each, trust) for each in drawn] for rows in models]
        return Draws(plain, 100 * np.subtract(*map(np.asarray, values)), len(ours))
    return Draws(plain, 100 * _differences(scorers, ours, random, resamples), len(ours))


def _differences(
    scorers: list[Any], rows: TaskRows, random: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    n, parts = len(rows), []
    weights = np.ones(n) if rows.weights is None else np.asarray(rows.weights, dtype=np.float64)
    size = max(1, _CELLS // n)
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        drawn = random.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        counts = np.bincount(drawn.reshape(-1), minlength=count * n).reshape(count, n) * weights
        parts.append(scorers[0](counts) - scorers[1](counts))
    return np.concatenate(parts)


def _fast(rows: TaskRows, task: str, score: float) -> Resampled | None:
    """Return the function that scores many draws at once; None where it would not be the task's own score."""
    keys = metric_keys(rows.task)
    parts = [resampled(rows, keys[key]) for key in headline_keys(rows.task)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None

    def scores(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.stack([part(counts) for part in known], axis=1)
        there = ~np.isnan(values)
        number = there.sum(axis=1)
        total = np.where(there, values, 0.0).sum(axis=1)
        return np.where(number > 0, total / np.where(number > 0, number, 1), math.nan)

    weights = np.ones(len(rows)) if rows.weights is None else np.asarray(rows.weights, dtype=np.float64)
    return scores if abs(float(scores(weights[None, :])[0]) - score) <= _SAME else None


def _task_score(rows: TaskRows, task: str, drawn: NDArray[np.int64] | None, trust: Trust) -> float:
    return task_score(rows.scores(task, drawn, trust), rows.task)


def _refuse_other_rows(ours: TaskRows, theirs: TaskRows, task: str) -> None:
    problem = None
    if len(ours) != len(theirs):
        problem = f"one run was scored on {len(ours):,} test rows and the other on {len(theirs):,}"
    elif not _same_labels(ours.labels, theirs.labels):
        problem = "the two runs were scored on test rows with other labels, or in another order"
    elif ours.task.metrics != theirs.task.metrics:
        problem = "the two runs were scored by other metrics"
    if problem is not None:
        raise DataError(Mistake(f"tasks.{task}", problem, "Compare runs of the same data"))


def _same_labels(ours: np.ndarray, theirs: np.ndarray) -> bool:
    if ours.dtype == object or theirs.dtype == object:
        pairs = zip(ours, theirs, strict=True)
        return all((mine.context, mine.spans) == (other.context, other.spans) for mine, other in pairs)
    return np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f" and theirs.dtype.kind == "f")


def compare_rows(
    ours: Mapping[str, Path],
    theirs: Mapping[str, Path],
    *,
    arm: str,
    against: str,
    seed: int,
    fold: int | None = None,
    allow_code: bool = False,
    resamples: int = RESAMPLES,
) -> list[Record]:
    """Compare two arms of one seed on every task row by row, and over all of their tasks.

    Args:
        ours: Folder of the run of each task: one folder for all tasks of a joint run, one each of single-task runs.
        theirs: Those of the reference.
        arm: The arm.
        against: The reference.
        seed: The seed of both.
        fold: The fold of both; None: there are none.
        allow_code: Whether metrics that are not ours may be run.
        resamples: How often rows are drawn.

    Returns:
        A record of kind ``rows`` for each task that both have, and one with ``task`` None for the mean over tasks,
        whose rows are drawn within each task. ``note`` says why there is no evidence.
    """
    key = {"kind": "rows", "arm": arm, "against": against, "seed": seed, "fold": fold}
    tasks = [name for name in theirs if name in ours]
    found: dict[str, Draws] = {}
    records: list[Record] = []
    for name in tasks:
        try:
            pair = [keep_rows(folders[name], allow_code)[name] for folders in (ours, theirs)]
            found[name] = draws(pair[0], pair[1], name, seed, resamples, Trust.of(allow_code))
        except DataError as error:
            records.append({**key, "task": name, "evidence": None, "note": str(error)})
            continue
        records.append(
            {**key, "task": name, "evidence": evidence_of(found[name]), "resamples": len(found[name].found)}
        )
    if tasks and len(found) == len(tasks) == len(theirs):
        records.append({**key, "task": None, **_overall(list(found.values()))})
    return records


def _overall(found: list[Draws]) -> dict[str, Any]:
    """Return the evidence of the mean over tasks; where tasks have fewer draws, of so many."""
    count = min(len(item.found) for item in found)
    mean = np.mean([item.found[:count] for item in found], axis=0)
    together = Draws(float(np.mean([item.plain for item in found])), mean, sum(item.rows for item in found))
    return {"evidence": evidence_of(together), "resamples": count}


def evidence_of(found: Draws) -> dict[str, Any]:
    """Give the evidence of some draws as JSON.

    Args:
        found: The draws.
    """
    return {key: value for key, value in from_resamples(*found)._asdict().items() if key != "spread"}
