"""What a Trainer checks and prepares before its first step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_mtl.data.course import Course
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError, Mistake, UserError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.statistics import ClassWeights, TargetStatistics
from hf_mtl.schedules import Schedule, Schedules, build_schedule
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Regression, SequenceClassification

logger = get_logger(__name__)


def fit_statistics(model: MultiTaskModel, train: Mapping[str, EncodedSplit], refit: bool = False) -> None:
    """Give a new model the training statistics that its losses need.

    A model that has some keeps them, with a warning where they are far from those of its new rows.

    Args:
        model: The model.
        train: The training rows by task.
        refit: Whether a model that has some gets those of its new rows too.
    """
    for name, split in train.items():
        task, statistics = model.tasks[name], model.heads.of(name).statistics
        keep = statistics.is_fitted and not refit
        if isinstance(task, Regression) and isinstance(statistics, TargetStatistics):
            mean, std = _moments(split.labels)
            _check_digits(name, task, mean, std)
            if keep:
                _compare_targets(name, task, statistics, mean, std)
            else:
                model.set_target_statistics(name, mean.tolist(), std.tolist())
        elif isinstance(task, SequenceClassification) and isinstance(statistics, ClassWeights):
            weights = class_weights(name, task, split.labels)
            if keep:
                _compare_weights(name, task, statistics, weights, split.labels)
            else:
                model.set_class_weights(name, weights)


def _moments(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [D] of targets [n, D]."""
    # Of a constant such as 6.9 the mean is rounded, and the deviation from it is 1e-15, not 0.
    return targets.mean(axis=0), np.where(np.ptp(targets, axis=0) > 0, targets.std(axis=0), 0.0)


def _check_digits(name: str, task: Regression, mean: np.ndarray, std: np.ndarray) -> None:
    """Warn of targets that differ by hardly more than the numbers of float32, in which models learn and predict."""
    steps = np.spacing(np.abs(mean).astype(np.float32))
    for place in np.flatnonzero((std > 0) & (steps > std / 100)):
        if is_main_process():
            logger.warning(
                f"{name}: the targets '{task.label_columns[place]}' are around {mean[place]:g} with a standard "
                f"deviation of {std[place]:g}, and float32 has steps of {steps[place]:g} there. Subtract an offset."
            )


def _compare_targets(name: str, task: Regression, kept: TargetStatistics, mean: np.ndarray, std: np.ndarray) -> None:
    for place in kept.far_from(mean.tolist(), std.tolist()):
        _say_far(
            name,
            f"mean {kept.mean[place]:g} and the standard deviation {kept.std[place]:g} of "
            f"'{task.label_columns[place]}'",
            f"{mean[place]:g} and {std[place]:g}",
        )


def _compare_weights(
    name: str, task: SequenceClassification, kept: ClassWeights, weights: Sequence[float], labels: np.ndarray
) -> None:
    here = np.unique(labels)  # of other classes these rows say nothing
    for place in kept.far_from(weights):
        if place not in here:
            continue
        label = (task.label_names or [])[place]
        _say_far(name, f"loss weight {kept.weights[place]:.3g} of the class '{label}'", f"{weights[place]:.3g}")


def _say_far(name: str, kept: str, here: str) -> None:
    if is_main_process():
        logger.warning(
            f"{name}: the model keeps the {kept} from the rows that it was first trained on; these rows have {here}. "
            "Set training.refit_statistics to renew what it knows of its rows; predicted targets move with it."
        )


def target_statistics(model: MultiTaskModel) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of each standardised target, as the model keeps them, by task."""
    fitted = {name: model.heads.of(name).statistics for name in model.tasks}
    return {
        name: {"mean": found.mean.tolist(), "std": found.std.tolist()}
        for name, found in fitted.items()
        if isinstance(found, TargetStatistics)
    }


def class_weights(name: str, task: SequenceClassification, labels: np.ndarray) -> list[float]:
    """One weight per class in id order, scaled to a mean of 1 over the training rows.

    Balanced, a class without training rows weighs 1 too: its weight counts in validation losses alone.

    Raises:
        DataError: If weights are given for other classes than the task has, or make every training row count nothing.
    """
    counts = np.bincount(labels, minlength=task.num_outputs).astype(np.float64)
    given = task.class_weights
    if given == "balanced":
        weights = len(labels) / (len(counts) * np.maximum(counts, 1))
    else:
        weights = _given_weights(name, task.label_names or [], given)
    mean = float((weights * counts).sum() / counts.sum())
    if mean == 0:
        found = "weighs every class that has training rows 0"
        raise DataError(Mistake(f"tasks.{name}.class_weights", found, "Give a class with rows a weight above 0"))
    weights = weights / mean
    if given == "balanced":
        weights[counts == 0] = 1.0
    return weights.tolist()


def _given_weights(name: str, names: list[str], given: list[float] | dict[str, float] | None) -> np.ndarray:
    """The weights that a task gives its classes, in id order."""
    strangers = set(given) - set(names) if isinstance(given, dict) else set()
    values = [given.get(label, math.nan) for label in names] if isinstance(given, dict) else list(given or [])
    if strangers or len(values) != len(names) or not all(0 <= value < math.inf for value in values):
        raise DataError(
            Mistake(f"tasks.{name}.class_weights", f"found {given}", f"Give a weight >= 0 for each of {names}")
        )
    return np.array(values, dtype=np.float64)


def make_schedules(specs: Sequence[str | Mapping[str, Any]], tasks: list[str], course: Course) -> Schedules:
    """Build the schedules of a run.

    Args:
        specs: Schedules as a recipe writes them.
        tasks: The tasks.
        course: Knows the lengths of the run.

    Raises:
        UserError: If any of them cannot be built; the mistakes of all at once.
    """
    built: list[Schedule] = []
    mistakes: list[Mistake] = []
    for place, spec in enumerate(specs):
        try:
            built.append(build_schedule(spec, tasks, f"schedules.{place}"))
        except UserError as error:
            mistakes += error.mistakes
    if mistakes:
        raise UserError(mistakes)
    return Schedules(built, course)
