"""Checks that a task's metrics can score it, before anything is loaded."""

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from hf_mtl.errors import Mistake, known
from hf_mtl.evaluation.foreign import Trust, needed_trust
from hf_mtl.evaluation.keys import metric_keys, score_keys
from hf_mtl.evaluation.registry import LOOK_ALIKE, METRICS, direction_unknown, suited_metrics, without_weights
from hf_mtl.tasks import MetricSpec, Task


def check_metrics(tasks: Mapping[str, Task]) -> list[Mistake]:
    """List everything that is wrong with the metrics of the tasks; an id of `evaluate` is not looked up.

    Args:
        tasks: The tasks by name. Classes that are not known yet are not checked.
    """
    found = [mistake for name, task in tasks.items() for mistake in _of_task(f"tasks.{name}.metrics", task)]
    return [*found, *_of_two_tasks(tasks)]


def _of_two_tasks(tasks: Mapping[str, Task]) -> Iterator[Mistake]:
    """Scores of two tasks that have one name in the results of an evaluation."""
    owners: dict[str, str] = {}
    for name, task in tasks.items():
        for key in sorted({f"{name}_{key}" for key, _ in score_keys(task)}):
            if key in owners:
                problem = f"the score 'eval_{key}' is also one of the task '{owners[key]}'"
                yield Mistake(f"tasks.{name}", problem, "Rename one of the tasks.")
            owners.setdefault(key, name)


def _of_task(key: str, task: Task) -> Iterator[Mistake]:
    if task.weighted_metrics and task.tuned_by is not None:
        problem = f"{task.tuned_by}: tuned beside weighted_metrics: true"
        yield Mistake(key, problem, f"Rows weigh the same where {task.tuned_by} are tuned: leave out one of the two")
    for spec in task.metrics:
        yield from _of_metric(key, task, spec)
    if len(metric_keys(task)) < len(task.metrics):
        yield Mistake(key, "the same metric twice", "Name each metric once; several f1 differ in their labels")
    elif len(set(task.label_columns)) == len(task.label_columns):
        for name, count in Counter(name for name, _ in score_keys(task)).items():
            if count > 1:
                yield Mistake(key, f"{count} scores are called '{name}'", "Leave out a metric, or rename a column")
    if not any(_higher_is_better(spec) for spec in task.metrics):
        better = ", ".join(name for name in suited_metrics(task) if METRICS[name].greater_is_better)
        examples = f", such as: {better}" if better else ""
        found = ", ".join(spec.name for spec in task.metrics) or "none"
        yield Mistake(
            key,
            f"no metric of which more is better, found: {found}",
            f"The task's score needs one{examples}",
        )


def _higher_is_better(spec: MetricSpec) -> bool:
    # A metric whose direction is unknown has its own mistake; one is enough.
    return METRICS[spec.name].greater_is_better if spec.name in METRICS else spec.greater_is_better is not False


def _of_metric(key: str, task: Task, spec: MetricSpec) -> Iterator[Mistake]:
    entry = METRICS.get(spec.name)
    if entry is None:
        if spec.greater_is_better is None:
            yield direction_unknown(key, spec)
        elif _looks_misspelt(spec.name):
            yield Mistake(key, f"unknown metric '{spec.name}'", known(METRICS, spec.name))
    elif not entry.scores(task.outputs_are):
        problem = f"the metric '{spec.name}' cannot score a task of type {task.type}"
        yield Mistake(key, problem, known(suited_metrics(task), spec.name, what=f"Metrics of {task.type}"))
    elif spec.greater_is_better not in (None, entry.greater_is_better):
        direction = "more" if entry.greater_is_better else "less"
        yield Mistake(
            key, f"greater_is_better: {spec.greater_is_better} for '{spec.name}'", f"Here {direction} is better"
        )
    if task.weighted_metrics and (mistake := without_weights(key, spec)):
        yield mistake
    yield from task.metric_mistakes(key, spec)
    if spec.labels is not None and spec.name != "f1":
        yield Mistake(key, f"labels given for '{spec.name}'", "Only f1 takes labels")


def _looks_misspelt(name: str) -> bool:
    """Tell whether an id that could be one of `evaluate` is nearly the name of a metric of ours."""
    is_id = needed_trust(name) == Trust.CANONICAL and name not in LOOK_ALIKE
    return is_id and bool(get_close_matches(name, METRICS, n=1, cutoff=0.75))


def f1_mistakes(key: str, spec: MetricSpec, names: list[str]) -> Iterator[Mistake]:
    """Find what is wrong with the classes that an f1 averages over.

    Args:
        key: Recipe key of the task's metrics.
        spec: The f1.
        names: Class names in id order.
    """
    if spec.labels is None and len(names) != 2:
        remedy = f"Write {{name: f1, labels: [...]}} with some of: {', '.join(names)}; or use f1_macro"
        yield Mistake(key, f"f1 without labels, and {len(names)} classes", remedy)
    elif spec.labels == []:
        yield Mistake(key, "f1 with an empty list of labels", known(names, "", what="Classes"))
    for label in spec.labels or []:
        if isinstance(label, str) and label not in names:
            yield Mistake(key, f"f1: unknown class '{label}'", known(names, label, what="Classes"))
        elif isinstance(label, int) and not 0 <= label < len(names):
            yield Mistake(key, f"f1: class id {label}", f"Class ids go from 0 to {len(names) - 1}")
    known_ids = [label for label in spec.labels or [] if isinstance(label, str) or 0 <= label < len(names)]
    chosen = Counter(label if isinstance(label, str) else names[label] for label in known_ids)
    for name in [name for name, count in chosen.items() if count > 1]:
        yield Mistake(key, f"f1: the class '{name}' twice", "Name each class once")
