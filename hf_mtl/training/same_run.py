"""A run is continued with the recipe that it was started with."""

from typing import Any

from hf_mtl.errors import Mistake, RunError
from hf_mtl.recipe import Recipe, load_recipe
from hf_mtl.training.run_folder import RunFolder

# What the order of the rows depends on; steps, batches per process and logging may change.
_TRAINING = ("seed", "data_seed", "window_steps")


def refuse_another_run(recipe: Recipe, folder: RunFolder) -> None:
    """Compare a recipe with the one that a run keeps. Where the data lies may have changed, and how long to train.

    Raises:
        RunError: If they differ in the model, the tasks, the mixture, the balancing or the seed; says in what.
    """
    if not folder.recipe.exists():
        return
    theirs = load_recipe(folder.recipe)
    here, there = _identity(recipe), _identity(theirs)
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    if keys:
        shown_here, shown_there = recipe.to_dict(), theirs.to_dict()
        remedy = f"Resume with {folder.recipe}, or start anew with --overwrite"
        mistakes = [
            Mistake(key, f"is {_shown(shown_here, key)}, the run has {_shown(shown_there, key)}", remedy)
            for key in keys
        ]
        raise RunError(recipe.with_places(mistakes))
    if list(recipe.tasks) != list(theirs.tasks):
        found = f"their order is {', '.join(recipe.tasks)}; the run has {', '.join(theirs.tasks)}"
        raise RunError(recipe.with_places([Mistake("tasks", found)]))


def _identity(recipe: Recipe) -> dict[str, Any]:
    """What must not change, with the defaults, by dotted key."""
    found: dict[str, Any] = {}
    for name in ("model", "mixture", "balancing"):
        values = getattr(recipe, name).model_dump(mode="json")
        found |= {f"{name}.{key}": value for key, value in values.items()}
    for name, task in recipe.tasks.items():
        values = task.model_dump(mode="json", exclude={"dataset"})
        found |= {f"tasks.{name}.{key}": value for key, value in values.items()}
    training = recipe.training.options()
    return found | {f"training.{key}": training.get(key) for key in _TRAINING}


def _shown(values: Any, key: str) -> str:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return "not set" if values is None else repr(values)
