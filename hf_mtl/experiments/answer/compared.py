"""What was compared: the recipe of each arm as far as the study's file says it, and how each task is scored."""

from typing import Any

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.experiments.answer.trials import is_merged, is_single


def compared(found: Answer) -> dict[str, Any]:
    """Return the base recipe, what each arm sets, and the metrics and test rows of each task, as far as known.

    Args:
        found: The answer.
    """
    return {"base": list(found.question.base), "arms": _arms(found), "tasks": _tasks(found)}


def compared_lines(found: Answer) -> list[str]:
    """Say the same, a line for the base, each arm and each task.

    Args:
        found: The answer.
    """
    base, *common = found.question.base or ("",)
    replaced = f", with {', '.join(common)}" if common else ""
    lines = [f"The base recipe is {base}{replaced}."] if base else []
    lines += [f"{found.label(arm)}: {', '.join(said)}" for arm, said in _arms(found).items()]
    return [*lines, *(f"{task}: {_scored(said)}" for task, said in _tasks(found).items() if said)]


def _arms(found: Answer) -> dict[str, list[str]]:
    """Return what each arm sets, and of what was merged how."""
    apart = [arm for arm, units in found.trials.items() if is_single(units)]
    reference = found.question.reference
    single = reference if reference in apart else next(iter(apart), "single tasks")
    arms = {arm: list(said) for arm, said in found.question.sets.items()}
    merged = [arm for arm, units in found.trials.items() if is_merged(units)]
    return arms | {arm: [f"merged by {arm} out of the runs of {single}, without training"] for arm in merged}


def _tasks(found: Answer) -> dict[str, dict[str, Any]]:
    """Return of each task the metrics that its score is the mean of, and the numbers of its test rows."""
    every = [trial for units in found.trials.values() for trial in units.values()]
    tasks = {}
    for task in found.tasks:
        said = [trial.value("lower_is_better", task) for trial in every]
        directions: dict[str, bool] = next(filter(None, said), {})
        metrics = [name for name, lower in directions.items() if not lower]
        counts = {(trial.value("rows", task) or {}).get("test") for trial in every}
        rows = sorted(int(count) for count in counts if count)
        known = {"metrics": metrics, "test_rows": rows}
        tasks[task] = {name: value for name, value in known.items() if value}
    return tasks


def _scored(said: dict[str, Any]) -> str:
    metrics, rows = said.get("metrics", []), said.get("test_rows", [])
    mean = "the mean of " if len(metrics) > 1 else ""
    parts = [f"by {mean}{' and '.join(metrics)}"] if metrics else []
    if rows:
        least = f"{rows[0]:,} to " if len(rows) > 1 else ""
        parts.append(f"on {least}{name_count(rows[-1], 'test row')}")
    return f"scored {' '.join(parts)}"
