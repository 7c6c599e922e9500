"""Keys of tasks that say which rows are read, where nothing reads any: the rows are given in Python."""

from collections.abc import Mapping

from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)


def say_idle_keys(tasks: Mapping[str, Task]) -> None:
    """Warn of keys that do nothing for a task without a dataset: what is given to a Trainer is trained on whole.

    Args:
        tasks: The tasks by name.
    """
    for name, task in tasks.items() if isinstance(tasks, Mapping) else ():
        if not isinstance(task, Task):
            continue  # which is told of, where the model's config is made
        fields = type(task).model_fields
        keys = [key for key in task.row_keys if key in fields and getattr(task, key) != fields[key].default]
        if keys and task.dataset is None:
            logger.warning_once(
                f"tasks.{name}: {', '.join(keys)}: for rows of a dataset that the task names, and it names none. Of "
                "rows that are given in Python all are used. Draw them with Dataset.select, or name the "
                "dataset and load it with hf_mtl.data.load.load_task."
            )
