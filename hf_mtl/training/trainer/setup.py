"""Statistics of the training rows, given to a model before its first step and to its metrics later."""

from collections.abc import Collection, Mapping

from hf_mtl.data.processes import is_main_process
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.resting import rest_heads, resting_layers
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


def rest_kept(model: MultiTaskModel, trained: Collection[str]) -> None:
    """Leave the heads of tasks that were taken over, and have no rows here, as they are.

    Args:
        model: The model, before anything asks what of it is trained.
        trained: The tasks that have training rows.

    Raises:
        ModelError: If a head that rests has a learning rate of its own.
    """
    rest_heads(model, trained)
    mistakes = []
    for name, idle in resting_layers(model, trained).items():
        others, is_its_own = ", ".join(idle), idle[0] in model.heads.tasks_of(name)
        what = f"its head, which is that of {others} too," if is_its_own else f"what its head shares with {others}"
        if is_main_process():
            logger.warning(f"{name}: {what} is not trained, as {others} was kept and has no training rows.")
        if is_its_own and model.tasks[name].head_learning_rate is not None:
            problem = f"the head is that of {others} too, which was kept and has no training rows: it is not trained"
            remedy = f"Leave it out, or leave out {others} with model.drop_tasks"
            mistakes.append(Mistake(f"tasks.{name}.head_learning_rate", problem, remedy))
    if mistakes:
        raise ModelError(mistakes)


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
