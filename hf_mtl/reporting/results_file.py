"""Results of a run, read and checked: what prints and compares them can rely on their shape."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_mtl.errors import CheckpointError, Mistake
from hf_mtl.evaluation import score_keys
from hf_mtl.foreign_json import read_object
from hf_mtl.tasks import Task

_REMEDY = "Remove it, and --resume goes on from the last checkpoint"
_NUMBERS = ("average", "macro", "worst", "loss")


def read_results(path: Path) -> dict[str, Any]:
    """Return what ``results.json`` of a run holds.

    Raises:
        CheckpointError: If it is damaged, or is no run's results; names the file.
    """
    results = read_object(path, _REMEDY)
    parts = {"": results, **({} if results.get("test") is None else {"test.": results["test"]})}
    for place, part in parts.items():
        wrong = _unlike_scores(part)
        if wrong is None:
            baselines = part.get("baselines") or {}
            wrong = next((f"baselines.{name}" for name, found in baselines.items() if _unlike_scores(found)), None)
        if wrong is not None:
            problem = f"{path}: holds no results of a run ({place}{wrong} is not what one writes)"
            raise CheckpointError(Mistake("", problem, _REMEDY))
    return results


def logged_results(record: Mapping[str, Any], tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Return the scores of an evaluation on validation, as results have them, from its record in a log.

    Args:
        record: The record, with a key ``eval_<task>_<metric>`` for each score.
        tasks: The tasks; of those that were not scored nothing is returned.
    """
    scores = {}
    for name, task in tasks.items():
        found = {key: record.get(f"eval_{name}_{key}") for key, _ in score_keys(task)}
        scores[name] = {key: value for key, value in found.items() if value is not None}
    together = {key: record[f"eval_{key}"] for key in _NUMBERS if f"eval_{key}" in record}
    return {"split": "validation", "tasks": {name: found for name, found in scores.items() if found}, **together}


def _unlike_scores(part: Any) -> str | None:
    """Return the first key whose value is not as among the scores of a split; None: there is none."""
    if not isinstance(part, dict) or not isinstance(part.get("tasks"), dict):
        return "tasks"
    for task, scores in part["tasks"].items():
        if not isinstance(scores, dict) or not all(map(_is_score, scores.values())):
            return f"tasks.{task}"
    notes = part.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        return "notes"
    if not isinstance(part.get("baselines") or {}, dict):
        return "baselines"
    return next((key for key in _NUMBERS if not _is_score(part.get(key))), None)


def _is_score(value: Any) -> bool:
    """Tell whether a value is a number that a score can be, or null, for one that is undefined."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (number and abs(value) < 1e300)
