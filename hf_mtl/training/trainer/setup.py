"""Statistics of the training rows, given to a model before its first step and to its metrics later."""

from collections.abc import Mapping

from hf_mtl.data.processes import is_main_process
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger

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
        statistics = model.heads.of(name).statistics
        keep = statistics.is_fitted and not refit
        for note in model.tasks[name].fit_statistics(name, statistics, split.labels, keep):
            if is_main_process():
                logger.warning(f"{name}: {note}")


def metric_statistics(model: MultiTaskModel) -> dict[str, dict[str, list[float]]]:
    """Collect what metrics may read of the training rows, as the model keeps it, of the tasks that have any."""
    found = {name: model.heads.of(name).statistics.for_metrics() for name in model.tasks}
    return {name: numbers for name, numbers in found.items() if numbers}
