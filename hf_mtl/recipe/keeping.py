"""Keys of a recipe that take over the tasks of a trained model, checked before that model is looked at."""

from collections.abc import Iterator, Mapping

from hf_mtl.errors import Mistake
from hf_mtl.recipe.schema import ModelSection
from hf_mtl.tasks import Task

_OF_TRAINING_ROWS = ("max_rows", "stratify", "validation_fraction", "test_fraction")


def keeping_mistakes(model: ModelSection | None, tasks: Mapping[str, Task | None]) -> Iterator[Mistake]:
    """Find what does not go with keeping tasks, or only with it.

    Args:
        model: The model section; None: nothing is known of it.
        tasks: The tasks by name; None for one of which nothing can be said.
    """
    scored = {name: task for name, task in tasks.items() if task is not None and task.is_scored_only}
    if model is not None:
        yield from _of_model(model)
        if not model.keep_tasks:
            yield from map(_not_kept, scored)
    if scored and len(scored) == len(tasks):
        remedy = "Give one that is trained, or score the run as it is with hf-mtl evaluate."
        yield Mistake("tasks", "none has rows to train on", remedy)
    for name, task in scored.items():
        for key in _OF_TRAINING_ROWS:
            if key in task.model_fields_set:
                problem = "is about training rows, and the dataset leaves them out (splits: {train: null})"
                yield Mistake(f"tasks.{name}.{key}", problem, "Leave one of them out.")


def _of_model(model: ModelSection) -> Iterator[Mistake]:
    if model.drop_tasks and not model.keep_tasks:
        problem = "no task is kept that could be dropped"
        yield Mistake("model.drop_tasks", problem, "Leave it out, or set model.keep_tasks: true too.")
    if not model.keep_tasks:
        return
    if isinstance(model.backbone, dict):
        remedy = "Name the folder or the Hub id of a model of hf_mtl, such as a run's folder, or leave it out."
        yield Mistake("model.keep_tasks", "the backbone is an inline config, which has no heads to keep", remedy)
    if model.tokenizer is not None:
        problem = "is given, and the heads that are kept were trained with the backbone's own"
        yield Mistake("model.tokenizer", problem, "Leave it out.")


def _not_kept(name: str) -> Mistake:
    problem = "leaves out the rows to train on (splits: {train: null}), which only a task that is kept can do without"
    remedy = "Name its split, or take the task over with model.keep_tasks: true."
    return Mistake(f"tasks.{name}.dataset", problem, remedy)
