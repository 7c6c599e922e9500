"""What tasks ask to be chosen after training: how their outputs become predictions."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from hf_mtl.data.processes import from_first
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.evaluation.outputs import broken_rows
from hf_mtl.inference.predict import SplitPredictions
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)


def tune_tasks(
    model: MultiTaskModel,
    splits: Mapping[str, EncodedSplit],
    predictions: Iterable[tuple[str, SplitPredictions | None]],
) -> dict[str, Any]:
    """Choose how outputs become predictions, and keep it in the model, on all processes together.

    A task whose outputs are not finite, as of a run that has diverged, keeps its defaults, with a warning.

    Args:
        model: The model, whose tasks ask for it.
        splits: The rows that are predicted, by task, with labels.
        predictions: What is predicted, one task after another, on the first process.

    Returns:
        What was chosen, by task.
    """
    found: dict[str, Any] = {}
    for name, prediction in predictions:
        value = from_first(partial(_tune, name, model.tasks[name], splits[name], prediction))
        if value is not None:
            model.set_decision(name, value)
            found[name] = value
    return found


def _tune(name: str, task: Task, split: EncodedSplit, prediction: SplitPredictions | None) -> Any:
    assert prediction is not None  # the first process has it
    outputs, labels = prediction.outputs[split.scored], split.scored_against[split.scored]
    if broken_rows(outputs):
        logger.warning(f"{name}: its outputs are not finite; {task.tuned_by} cannot be tuned.")
        return None
    value, notes = task.tuned(outputs, labels)
    for note in notes:
        logger.warning(f"{name}: {note}")
    return value
