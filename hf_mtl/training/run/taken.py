"""Tasks of a recipe that are kept from its backbone: trained on, only scored, or not named at all."""

from collections.abc import Iterator, Mapping

from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.evaluation import Trust, foreign_mistakes
from hf_mtl.modeling.backbone import load_encoder_config
from hf_mtl.modeling.kept import Keep, Taken
from hf_mtl.recipe import Recipe
from hf_mtl.tasks import Task


def take_up(recipe: Recipe) -> Taken | None:
    """Return the tasks that a recipe keeps from its backbone; None: none.

    Raises:
        ModelError: If the backbone cannot be read, or has no such tasks.
    """
    section = recipe.model
    if not section.keep_tasks:
        return None
    return Keep(tuple(section.drop_tasks)).of(load_encoder_config(section.backbone))


def as_kept(recipe: Recipe, taken: Taken | None) -> Mapping[str, Task]:
    """Return the tasks of a recipe with what the backbone knows of those that it names again.

    Args:
        recipe: The recipe.
        taken: The tasks that it keeps.

    Raises:
        ModelError: If a task that is only scored is none of these, or is asked for otherwise than it was trained.
    """
    if taken is None:
        return recipe.tasks
    before = {new: taken.source.task_objects[old] for old, new in taken.names.items()}
    mistakes: list[Mistake] = []
    found = {}
    for name, task in recipe.tasks.items():
        found[name] = task
        if not task.is_scored_only:
            if name in before:
                found[name] = with_known_outputs(task, before[name])
        elif name not in before:
            problem = "leaves out the rows to train on, and the backbone has no such task to keep"
            mistakes.append(Mistake(f"tasks.{name}.dataset", problem, known(before, name)))
        else:
            mistakes += _other_keys(name, task, before[name], recipe.allow_code)
            found[name] = _as_it_was(task, before[name])
    if mistakes:
        raise ModelError(mistakes)
    return found


def with_known_outputs(task: Task, before: Task) -> Task:
    """Return a task with the outputs of the same task before, where they are left to the data."""
    known = task.label_names is not None or getattr(task, task.outputs_key) is not None
    if known or task.type != before.type:
        return task
    return task.model_copy(update={task.outputs_key: getattr(before, task.outputs_key)})


def _as_it_was(task: Task, before: Task) -> Task:
    """Return a task as it was trained, with other rows, and what the recipe says of reading and scoring them."""
    asked = task.model_fields_set & {"dataset", *task.scoring_keys, *task.length_keys}
    # Nothing of it is trained, so that the rate of its first run would say nothing, or contradict a task beside it.
    return before.model_copy(update={"head_learning_rate": None, **{key: getattr(task, key) for key in asked}})


def _other_keys(name: str, task: Task, before: Task, allow_code: bool) -> Iterator[Mistake]:
    """Find keys that say how a task is trained, with other values than it was trained with, and code of others."""
    if task.type != before.type:
        problem = f"is {task.type}, and the task that is kept is {before.type}"
        yield Mistake(f"tasks.{name}.type", problem, "Give that type")
        return
    for key in task.model_fields_set - {"type", "dataset", *task.scoring_keys, *task.length_keys}:
        if getattr(task, key) != getattr(before, key):
            problem = "is another than that of the task that is kept, which is not trained here"
            yield Mistake(f"tasks.{name}.{key}", problem, "Leave it out")
    if "metrics" not in task.model_fields_set:  # those that the file of the backbone names
        yield from foreign_mistakes({name: before}, Trust.of(allow_code, named_by_user=False))
