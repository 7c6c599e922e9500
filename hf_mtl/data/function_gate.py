"""Functions that sources name: who has to allow them. Nothing is imported here."""

from collections.abc import Mapping

from hf_mtl.errors import Mistake
from hf_mtl.tasks import DatasetSource, Task

_ALLOW = "If you trust it, say so: --allow-code on the command line, allow_code=True in Python."


def function_mistakes(tasks: Mapping[str, Task], allow_code: bool) -> list[Mistake]:
    """Find functions of sources that may not be run.

    Args:
        tasks: The tasks by name.
        allow_code: Whether the user allows code.
    """
    if allow_code:
        return []
    return [
        Mistake(
            f"{key}.function", f"'{source.function}' is code of your own or of others, which loading runs", _ALLOW
        )
        for name, task in tasks.items()
        for key, source in sources_of(name, task)
        if source.function is not None
    ]


def sources_of(name: str, task: Task) -> list[tuple[str, DatasetSource]]:
    """Return the sources of a task with their recipe keys.

    Args:
        name: The task's name.
        task: The task.
    """
    key = f"tasks.{name}.dataset"
    if isinstance(task.dataset, list):
        return [(f"{key}.{place}", source) for place, source in enumerate(task.dataset)]
    return [] if task.dataset is None else [(key, task.dataset)]
