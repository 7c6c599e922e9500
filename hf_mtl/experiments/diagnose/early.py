"""What the first tenth of training says about its end, from the logs of runs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_mtl.evaluation import headline_keys
from hf_mtl.experiments.diagnose.subjects import Subject
from hf_mtl.experiments.statistics import Correlation, early_signal_correlation
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.tasks import Task

EARLY = 0.1
"""Share of the steps that count as early."""
FEWEST = 5
"""Points of which both numbers are known, below which a correlation is not given."""
TOGETHER = ("average", "macro", "worst")
Record = Mapping[str, Any]


def early_signals(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Compare what a log says early with the scores at its end: over the tasks of each run, and over the runs.

    Args:
        subjects: The runs; those without a log, such as models of the Hub, are left out.

    Returns:
        ``share`` of the steps that is early; ``runs``: of each log its ``steps``, and by task the last early score
        (``score``; NaN where the first evaluation, at ``step``, is later), the training loss (``loss``), by how much
        of itself it has ``fall``en, and the ``final`` score; ``tasks``: for each signal its correlation with the
        final score over all tasks of all runs;
        ``together``: likewise over runs, of average, macro and worst.
    """
    logs: dict[str, dict[str, Any]] = {}
    seen: set[Path] = set()
    for subject in subjects:
        path = subject.opened.recipe_path.parent / "log.jsonl"
        if path.is_file() and path.resolve() not in seen:  # checkpoints of one run have one log
            seen.add(path.resolve())
            if (found := log_signals(read_jsonl(path), subject.model.tasks)) is not None:
                logs[_run_name(subject, subjects)] = found
    points = [signals for log in logs.values() for signals in log["tasks"].values()]
    return {
        "share": EARLY,
        "runs": logs,
        "tasks": {key: correlation(points, key) for key in ("score", "loss", "fall")},
        "together": {
            key: correlation([log["together"][key] for log in logs.values() if key in log["together"]], "score")
            for key in TOGETHER
        },
    }


def _run_name(subject: Subject, subjects: Sequence[Subject]) -> str:
    """Call a log as the run is called that has it, where a checkpoint of it is looked into too."""
    folder = subject.opened.recipe_path.parent
    return next((other.name for other in subjects if other.opened.model_path == folder), subject.name)


def correlation(points: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """Correlate a signal with the final score over the points where both are known; NaN where these are too few.

    Args:
        points: What is known of each task of each run, or of each run.
        key: The signal.
    """
    known = [(point[key], point["final"]) for point in points if math.isfinite(point[key] + point["final"])]
    if len(known) < FEWEST:
        return Correlation(math.nan, math.nan, len(known))._asdict()
    early, final = zip(*known, strict=True)
    return early_signal_correlation(early, final, FEWEST)._asdict()


def log_signals(log: Sequence[Record], tasks: Mapping[str, Task]) -> dict[str, Any] | None:
    """Find the early signals and the final scores in a log.

    Args:
        log: Its records.
        tasks: The tasks of the run.

    Returns:
        ``steps``, ``tasks`` and ``together``; None where it holds no two evaluations, which no signal comes before.
    """
    keys = {name: f"eval_{name}_{headline_keys(task)[0]}" for name, task in tasks.items()}
    scored = [record for record in log if any(key in record for key in keys.values())]
    steps = max((record["step"] for record in log), default=0)
    if len({record["step"] for record in scored}) < 2:
        return None
    # The last evaluation of the early steps; where there is none, the scores of the first of all are not early.
    first = min(scored, key=lambda record: record["step"])
    early = next((record for record in reversed(scored) if record["step"] <= EARLY * steps), {"step": first["step"]})
    final = max(scored, key=lambda record: record["step"])
    together = {
        key: {"score": _number(early, f"eval_{key}"), "final": _number(final, f"eval_{key}")}
        for key in TOGETHER
        if f"eval_{key}" in final
    }
    by_task = {
        name: {
            "step": early["step"],
            "score": _number(early, key),
            **_losses(log, name, EARLY * steps),
            "final": _number(final, key),
        }
        for name, key in keys.items()
        if key in final
    }
    return {"steps": steps, "tasks": by_task, "together": together}


def _losses(log: Sequence[Record], task: str, last: float) -> dict[str, float]:
    """Return the last early training loss of a task, and what share of its first has gone by then; NaN without."""
    losses = [(record["step"], record[f"loss/{task}"]) for record in log if record.get(f"loss/{task}") is not None]
    early = [loss for step, loss in losses if step <= last]
    if not early:
        return {"loss": math.nan, "fall": math.nan}
    fall = 1 - early[-1] / early[0] if len(early) > 1 and early[0] > 0 else math.nan
    return {"loss": float(early[-1]), "fall": float(fall)}


def _number(record: Record, key: str) -> float:
    value = record.get(key)
    return math.nan if value is None else float(value)
