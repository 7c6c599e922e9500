"""Panels of the figure of a run, made from its log."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from hf_mtl.evaluation import available_metrics, greater_is_better
from hf_mtl.tasks import MetricSpec

Record = Mapping[str, Any]
SUMMARIES = ("average", "macro", "worst")
UNITS = ("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion")


class Points(NamedTuple):
    """The steps at which something was logged, and its values; nan is a gap."""

    steps: list[float]
    values: list[float]


class Panel(NamedTuple):
    """One panel: a line per task and lines of all tasks together, or the parts of the model.

    Args:
        title: What it shows.
        unit: Of its vertical axis.
        lines: Label and points of each task's line.
        summaries: Points of the lines of all tasks, by label.
        parts: Share of the steps before each record that froze a part of the model, by part.
        stepped: The values are means over the steps before each record.
        low: Where the vertical axis begins; None: anywhere.
        ticks: Ticks of a logarithmic vertical axis; empty: it is linear.
    """

    title: str
    unit: str
    lines: Mapping[str, tuple[str, Points]]
    summaries: Mapping[str, Points]
    parts: Mapping[str, Points]
    stepped: bool = False
    low: float | None = None
    ticks: tuple[float, ...] = ()


def log_tasks(log: Sequence[Record]) -> list[str]:
    """Names of the tasks that a log speaks of, in its order: those that are trained, then those only scored."""
    keys = dict.fromkeys(key for record in log for key in record)
    trained = [key.split("/")[1] for key in keys if key.startswith(("loss/", "weight/", "share/"))]
    losses = [key for key in keys if key.startswith("eval_") and key.endswith("_loss") and key != "eval_loss"]
    with_loss = [loss.removeprefix("eval_").removesuffix("_loss") for loss in losses]
    # A task has scores beside its loss, and a metric that is called a loss has none.
    scored = [name for name in with_loss if sum(key.startswith(f"eval_{name}_") for key in keys) > 1]
    return list(dict.fromkeys([*trained, *scored]))


def panels_of(log: Sequence[Record], tasks: Sequence[str]) -> list[Panel]:
    """Return the panels of a log; those with nothing to show are left out.

    Args:
        log: The records of a run.
        tasks: The tasks that it speaks of.
    """
    coefficients = _of_tasks(log, tasks, "coefficient/{}", absent=1.0)  # logged from the first that is not 1
    frozen = dict.fromkeys(key for record in log for key in record if key.startswith("frozen/"))
    parts = {key.removeprefix("frozen/").replace("_", " "): _points(log, key) for key in frozen}
    panels = [
        Panel("Training loss of each task", "loss", _of_tasks(log, tasks, "loss/{}", absent=math.nan), {}, {}),
        Panel(
            "KL divergence of each task's head from its prior", "nats", _of_tasks(log, tasks, "loss/{}/kl"), {}, {}
        ),
        Panel("Variance tau of each task's head", "tau", _of_tasks(log, tasks, "tau/{}"), {}, {}),
        Panel("Weight of each task's loss", "weight", _of_tasks(log, tasks, "weight/{}"), {}, {}, stepped=True),
        Panel(
            "Coefficient of each task by the schedules (0: it takes no part)",
            *("coefficient", coefficients, {}, {}),
            stepped=True,
        ),
        Panel(
            "Learned temperature of each task (lower: it is drawn more often)",
            *("temperature", _of_tasks(log, tasks, "temperature/{}"), {}, {}),
            stepped=True,
            ticks=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
        ),
        Panel(
            "Share of each task in the rows of a step",
            "% of rows",
            _in_percent(_of_tasks(log, tasks, "share/{}")),
            {},
            {},
            stepped=True,
            low=0.0,
        ),
        Panel("Parts of the model that are trained (blank: frozen)", "", {}, {}, parts),
        *([_cost(log)] if parts or coefficients else []),
        Panel("Scores on validation", "score", _scores(log, tasks), _summaries(log), {}),
    ]
    return [panel for panel in panels if panel.lines or panel.summaries or panel.parts]


def _of_tasks(
    log: Sequence[Record], tasks: Sequence[str], key: str, absent: float | None = None
) -> dict[str, tuple[str, Points]]:
    """Return the tasks' lines of one kind.

    Args:
        log: The records.
        tasks: The tasks.
        key: Key of a record, with a place for the task.
        absent: What a record of training means that lacks the key; None: nothing.
    """
    found = {task: key.format(task) for task in tasks if any(key.format(task) in record for record in log)}
    if absent is not None:
        filler = dict.fromkeys(found.values(), absent)
        log = [filler | dict(item) if _of_training(item) else item for item in log]
    return {task: (task, _points(log, name)) for task, name in found.items()}


def _in_percent(lines: Mapping[str, tuple[str, Points]]) -> dict[str, tuple[str, Points]]:
    return {
        task: (label, Points(points.steps, [100 * value for value in points.values]))
        for task, (label, points) in lines.items()
    }


def _of_training(record: Record) -> bool:
    return any(name.startswith(("loss/", "share/")) for name in record)


def _scores(log: Sequence[Record], tasks: Sequence[str]) -> dict[str, tuple[str, Points]]:
    keys = _score_keys(log, tasks)
    return {task: (f"{task} ({key.removeprefix(f'eval_{task}_')})", _points(log, key)) for task, key in keys.items()}


def _summaries(log: Sequence[Record]) -> dict[str, Points]:
    found = {name: _points(log, f"eval_{name}") for name in SUMMARIES}
    return {name: points for name, points in found.items() if points.steps}


def _cost(log: Sequence[Record]) -> Panel:
    """Make the panel of the operations of a step, which shows what dropped rows and frozen layers save."""
    records = [{"step": 0, "flops": 0.0}, *(record for record in log if "flops" in record)]
    spent = [
        (after["step"], (after["flops"] - before["flops"]) / (after["step"] - before["step"]))
        for before, after in pairwise(records)
        if after["step"] > before["step"]
    ]
    largest = max([1.0, *(cost for _, cost in spent)])
    thousands = min(int(math.log10(largest) / 3), len(UNITS) - 1)
    points = Points([step for step, _ in spent], [cost / 1000**thousands for _, cost in spent])
    title = "Floating point operations of a step"
    lines = {"all tasks": points} if spent else {}
    return Panel(title, UNITS[thousands], {}, lines, {}, stepped=True, low=0.0)


def _score_keys(log: Sequence[Record], tasks: Sequence[str]) -> dict[str, str]:
    """Return the first score of each task of which more is better."""
    worse = [name for name in available_metrics() if not greater_is_better(MetricSpec(name=name))]
    not_scores = ("loss", "runtime", "samples_per_second", "steps_per_second", *worse)
    found: dict[str, str] = {}
    for key in dict.fromkeys(key for record in log for key in record if key.startswith("eval_")):
        # The longest name that fits: a task may be called `emotion` and another `emotion_intensity`.
        task = max((name for name in tasks if key.startswith(f"eval_{name}_")), key=len, default=None)
        if task is not None and not key.removeprefix(f"eval_{task}_").startswith(not_scores):
            found.setdefault(task, key)
    return found


def _points(log: Sequence[Record], key: str) -> Points:
    # One value per step, in their order: what is scored once more after training is an earlier step's model.
    by_step = {record["step"]: record[key] for record in log if key in record}
    steps = sorted(by_step)
    return Points(steps, [math.nan if by_step[step] is None else float(by_step[step]) for step in steps])
