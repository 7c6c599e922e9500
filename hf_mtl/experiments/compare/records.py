"""The record of a trial, read from the folder of its run: a line of ``results.jsonl``."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_mtl.evaluation.aggregates import lower_is_better, task_score
from hf_mtl.experiments.compare.budget import Allowance
from hf_mtl.experiments.results import Record
from hf_mtl.foreign_json import read_object
from hf_mtl.recipe import Recipe
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.reporting.log_keys import is_task_loss
from hf_mtl.tasks import Task
from hf_mtl.training.folder.names import RESULTS
from hf_mtl.training.folder.run_data import DATA
from hf_mtl.training.folder.run_record import LOG

Scores = Mapping[str, Mapping[str, float | None]]
_COSINE = "gradient_cosine/"
_PASSES = "passes/"


def record_of(folder: Path, recipe: Recipe, may: Allowance) -> Record:
    """Read what a finished run has to say.

    Args:
        folder: The run's folder.
        recipe: Its recipe.
        may: What it may have spent.

    Returns:
        The record without its key. Values that are undefined are NaN, and null in the file.
    """
    results = read_object(folder / RESULTS)
    log = Log(read_jsonl(folder / LOG), recipe.tasks)
    tasks = dict(recipe.tasks)
    values = {"validation": results["tasks"], "test": results.get("test", {}).get("tasks", {})}
    spent = log.spent(results["trained_steps"])
    test_notes = results.get("test", {}).get("notes", [])
    notes = [*results["notes"], *test_notes, may.sentence()]
    if results["ended_by"] != "all_steps":
        share = results["trained_steps"] / may.steps
        notes.append(f"{results['ended_by']} ended the run: it spent {share:.0%} of the steps of its budget.")
    return {
        **values,
        "scores": {split: _scores(found, tasks) for split, found in values.items()},
        "lower_is_better": lower_is_better(tasks),
        "steps": results["trained_steps"],
        "step": results["step"],
        "ended_by": results["ended_by"],
        **spent,
        **_rows(folder),
        "passes": log.last(_PASSES),
        "curve": log.curve(),
        "train_losses": log.losses(),
        "weights": log.weights(),
        "aggregator": recipe.balancing.options().get("aggregator", {}).get("name"),
        "cosines": log.cosines(),
        "cosine_samples": log.cosine_samples(),
        "conflict_rate": log.mean("conflict_rate"),
        "contamination": _contamination(results),
        "baselines": baselines_of(results, tasks),
        "budget": {"equal": may.equal, "amount": may.amount, "steps": may.steps},
        "notes": notes,
        "test_notes": test_notes,  # those of them that are of test rows, which their words do not tell
    }


def _scores(values: Scores, tasks: Mapping[str, Task]) -> dict[str, float]:
    """Return the score of each task that was scored."""
    return {
        name: task_score({key: math.nan if value is None else value for key, value in found.items()}, tasks[name])
        for name, found in values.items()
        if name in tasks
    }


def _rows(folder: Path) -> dict[str, Any]:
    """Return the rows of each split, by task, and a digest of those that are test."""
    found = read_object(folder / DATA)["tasks"]
    return {
        "rows": {
            name: {split: int(part["rows"]) for split, part in splits.items()} for name, splits in found.items()
        },
        "test_rows": {name: splits["test"]["content"] for name, splits in found.items() if "test" in splits},
    }


def _contamination(results: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the test rows of each task that stand in training rows; None: nobody has looked.

    Of a row that stands in those of several tasks it is not known that it is one: each counts, up to all there are.
    """
    if "contamination" not in results:
        return None
    found: dict[str, int] = {}
    for overlap in results["contamination"]:
        if overlap["split"] == "test" and not overlap["dropped"]:
            name = overlap["task"]
            found[name] = min(overlap["rows"], found.get(name, 0) + overlap["found"])
    return found


def baselines_of(results: Mapping[str, Any], tasks: Mapping[str, Task]) -> dict[str, Any] | None:
    """Return the test scores of baselines, but for those of tasks that were scored on fewer rows than the run.

    Args:
        results: Those of the run.
        tasks: Its tasks.

    Returns:
        By baseline; None if none was asked for.
    """
    found = results.get("test", {}).get("baselines")
    if found is None:
        return None
    return {name: _baseline(item, tasks) for name, item in found.items()}


def _baseline(found: Mapping[str, Any], tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Return the scores of one baseline, and the tasks of which it saw fewer rows."""
    fewer = [task for task in tasks if task in found.get("sampled", ())]
    scores = _scores(found["tasks"], {task: tasks[task] for task in tasks if task not in fewer})
    return {"test": scores, **({"fewer_rows": fewer} if fewer else {})}


class Log:
    """The log of a run.

    Args:
        records: Its records, in order.
        tasks: The tasks of the run.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]], tasks: Mapping[str, Task]):
        self.tasks = tasks
        self.ends = [record for record in records if "train_runtime" in record]
        last = records.index(self.ends[-1]) if self.ends else len(records)
        self.trained = [record for record in records[:last] if "loss" in record]
        self.evaluated = [record for record in records[:last] if "eval_average" in record]

    def spent(self, steps: int) -> dict[str, float]:
        """Return what training has taken in all.

        Args:
            steps: Steps that were trained.
        """
        end = self.ends[-1] if self.ends else {}
        flops, seconds, passes = (end.get(key) for key in ("total_flos", "optimizer_runtime", "backward_passes"))
        return {
            "flops": self.at(steps, "flops") if flops is None else flops,
            # Ends of earlier versions do not say it; a run shorter than logging_steps says it nowhere else.
            "backward_passes": round(self.at(steps, "backward_passes")) if passes is None else passes,
            "seconds": self.at(steps, "optimizer_runtime") if seconds is None else seconds,
        }

    def at(self, step: int, key: str) -> float:
        """Return what was spent up to a step: between two records, and after the last one, in proportion to steps.

        Args:
            step: The step.
            key: What was spent.
        """
        points = [(0, 0.0), *((int(record["step"]), float(record[key])) for record in self.trained if key in record)]
        steps, values = (np.array(axis, dtype=np.float64) for axis in zip(*points, strict=True))
        if step > steps[-1] > 0:
            return float(values[-1] * step / steps[-1])
        return float(np.interp(step, steps, values))

    def curve(self) -> list[dict[str, Any]]:
        """Return every evaluation while training, with what was spent before it."""
        return [
            {
                "step": record["step"],
                "flops": self.at(record["step"], "flops"),
                "seconds": self.at(record["step"], "optimizer_runtime"),
                "scores": _scores(self._values(record), self.tasks),
                "losses": {name: record[f"eval_{name}_loss"] for name in self.tasks if f"eval_{name}_loss" in record},
            }
            for record in self.evaluated
        ]

    def _values(self, record: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
        found: dict[str, dict[str, float | None]] = {}
        for name, directions in lower_is_better(self.tasks).items():
            values = {key: record[f"eval_{name}_{key}"] for key in directions if f"eval_{name}_{key}" in record}
            if values:
                found[name] = values
        return found

    def losses(self) -> dict[str, float]:
        """Return the last training loss of each task."""
        found: dict[str, float] = {}
        for record in self.trained:
            found |= {key.removeprefix("loss/"): record[key] for key in record if is_task_loss(key)}
        return {name: value for name, value in found.items() if name in self.tasks}

    def weights(self) -> dict[str, float]:
        """Return the mean weight of each task's loss."""
        found = {name: self.mean(f"weight/{name}") for name in self.tasks}
        return {name: value for name, value in found.items() if value is not None}

    def last(self, prefix: str) -> dict[str, float]:
        """Return the last value of each task.

        Args:
            prefix: What the keys begin with.
        """
        found: dict[str, float] = {}
        for record in self.trained:
            found |= {key.removeprefix(prefix): value for key, value in record.items() if key.startswith(prefix)}
        return found

    def mean(self, key: str) -> float | None:
        """Return the mean of a value over the records that have it; None: none has."""
        values = [record[key] for record in self.trained if record.get(key) is not None]
        return float(np.mean(values)) if values else None

    def cosines(self) -> dict[str, float] | None:
        """Return the mean cosine of each pair of task gradients; None: none was measured."""
        keys = dict.fromkeys(key for record in self.trained for key in record if key.startswith(_COSINE))
        found = {key.removeprefix(_COSINE): mean for key in keys if (mean := self.mean(key)) is not None}
        return found or None

    def cosine_samples(self) -> int:
        """Return how many records say something of the cosines of task gradients."""
        return sum(any(key.startswith(_COSINE) for key in record) for record in self.trained)
