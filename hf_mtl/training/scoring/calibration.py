"""One temperature per classification task, so that its probabilities say how often it is right."""

from collections.abc import Iterable, Mapping
from functools import partial

from hf_mtl.data.processes import from_first
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.evaluation.calibration import TEMPERATURE_BOUNDS, calibration_temperature
from hf_mtl.evaluation.outputs import broken_rows
from hf_mtl.inference.predict import SplitPredictions
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)


def forget_calibration(model: MultiTaskModel, tasks: Iterable[str]) -> None:
    """Let a model give the logits of some tasks as they are."""
    for name in tasks:
        model.set_calibration_temperature(name, None)


def calibrate_tasks(
    model: MultiTaskModel,
    splits: Mapping[str, EncodedSplit],
    predictions: Iterable[tuple[str, SplitPredictions | None]],
) -> dict[str, float]:
    """Fit a temperature for every task with a softmax, and store it in the model, on all processes together.

    A task whose logits are not finite, as of a run that has diverged, gets none, with a warning.

    Args:
        model: The model, which has no temperatures when it predicts.
        splits: The rows that are predicted, by task, with labels.
        predictions: What is predicted, one task after another, on the first process.

    Returns:
        The temperatures by task.
    """
    found: dict[str, float] = {}
    for name, prediction in predictions:
        temperature = from_first(partial(_fit, model.tasks[name], name, splits[name], prediction))
        if temperature is not None:
            model.set_calibration_temperature(name, temperature)
            found[name] = temperature
    return found


def _fit(task: Task, name: str, split: EncodedSplit, prediction: SplitPredictions | None) -> float | None:
    assert prediction is not None  # the first process has it
    logits, labels = prediction.outputs, split.scored_against
    if broken_rows(logits):
        logger.warning(f"{name}: its logits are not finite; it gets no temperature.")
        return None
    if split.missing is not None:
        logits, labels = logits[split.scored], labels[split.scored]
    logits, labels = task.in_softmax(logits, labels)
    found = calibration_temperature(logits, labels)
    low, high = TEMPERATURE_BOUNDS
    if not low * 1.001 < found < high / 1.001:
        logger.warning(
            f"{name}: the best temperature is at the end of its range, {found:.3g}: all of the "
            f"{len(labels)} rows are right, or most are wrong. Fit it on more rows."
        )
    return found
