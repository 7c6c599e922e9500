"""One temperature per classification task, so that its probabilities say how often it is right."""

from collections.abc import Iterable, Mapping

import numpy as np

from hf_mtl.data.processes import is_main_process
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.evaluation.calibration import TEMPERATURE_BOUNDS, fit_temperature
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger
from hf_mtl.tasks import SequenceClassification, Task
from hf_mtl.training.evaluate import SplitPredictions

logger = get_logger(__name__)


def has_temperature(task: Task) -> bool:
    """Whether a task has a softmax whose logits a temperature can divide."""
    return isinstance(task, SequenceClassification)


def forget_temperatures(model: MultiTaskModel, tasks: Iterable[str]) -> None:
    """Let a model give the logits of some tasks as they are."""
    for name in tasks:
        model.set_temperature(name, None)


def set_temperatures(
    model: MultiTaskModel, splits: Mapping[str, EncodedSplit], predictions: Mapping[str, SplitPredictions]
) -> dict[str, float]:
    """Fit a temperature for every task with a softmax, and store it in the model.

    A task whose logits are not finite, as of a run that has diverged, gets none, with a warning.

    Args:
        model: The model, which had no temperatures when it predicted.
        splits: The rows that were predicted, by task, with labels.
        predictions: What was predicted.

    Returns:
        The temperatures by task.
    """
    found: dict[str, float] = {}
    for name, prediction in predictions.items():
        if not np.isfinite(prediction.outputs).all():
            if is_main_process():
                logger.warning(f"{name}: its logits are not finite; it gets no temperature.")
            continue
        rows = splits[name].scored
        found[name] = fit_temperature(prediction.outputs[rows], splits[name].labels[rows])
        model.set_temperature(name, found[name])
        low, high = TEMPERATURE_BOUNDS
        if not low * 1.001 < found[name] < high / 1.001 and is_main_process():
            logger.warning(
                f"{name}: the best temperature is at the end of its range, {found[name]:.3g}: all of the "
                f"{len(rows)} rows are right, or most are wrong. Fit it on more rows."
            )
    return found
