"""A run is continued with the recipe and the rows that it was started with."""

from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.data.loaded import LoadedTask
from hf_mtl.errors import Mistake, RunError
from hf_mtl.recipe import Recipe, read_recipe
from hf_mtl.training.run_folder import RECIPE, RunFolder

# What the rows depend on, and what a checkpoint brings back whatever the arguments say. Steps, batches per process
# and logging may change.
_TRAINING = (
    "seed",
    "data_seed",
    "window_steps",
    "optim",
    "learning_rate",
    "head_learning_rate",
    "balancing_learning_rate",
    "weight_decay",
)
_PLACES = ("output_dir", "hub_model_id", "hub_token", "hub_private_repo", "hub_revision")


def refuse_another_run(recipe: Recipe, folder: RunFolder) -> None:
    """Compare a recipe with the one that a run keeps. Where the data lies may have changed, and how long to train.

    Raises:
        RunError: If they differ in the model, tasks, mixture, balancing, seed or optimizer; says in what. Or if the
            kept one was edited, and would be replaced.
    """
    if not folder.recipe.exists():
        return
    theirs = read_recipe(folder.recipe)
    mistakes = list(_differences(recipe, theirs, folder))
    if mistakes:
        raise RunError(recipe.with_places(mistakes))
    edited = not folder.is_finished and not folder.record.is_own(RECIPE)
    if edited and _anywhere(recipe) != _anywhere(theirs):
        problem = f"{folder.recipe}: was edited since the run wrote it, and this recipe would take its place"
        remedy = "Resume with it, or move it away"
        raise RunError(Mistake("training.output_dir", problem, remedy))


def refuse_other_rows(recipe: Recipe, folder: RunFolder, data: Mapping[str, LoadedTask]) -> None:
    """Compare the rows to train and to watch with those that a run keeps a record of. Its test rows may change.

    Raises:
        RunError: If any task has other rows; says of which, and how many there were.
    """
    if not folder.data.exists:
        return
    remedy = f"Give the run's own rows back, or start anew with --overwrite: {folder.path} was begun with others."
    mistakes = [
        Mistake(f"tasks.{name}.dataset", f"the {split} rows changed since the run began ({difference})", remedy)
        for name, split, difference in folder.data.changes(data, ("train", "validation"))
    ]
    if mistakes:
        raise RunError(recipe.with_places(mistakes))


def changed_training(recipe: Recipe, folder: RunFolder) -> list[str]:
    """The keys of ``training`` that a recipe gives another value than a run's has.

    Where it lies is none of them, nor where it is pushed: a finished run may still be.
    """
    if not folder.recipe.exists():
        return []
    here, there = recipe.training.options(), read_recipe(folder.recipe).training.options()
    keys = dict.fromkeys([*there, *here])
    return [f"training.{key}" for key in keys if key not in _PLACES and here.get(key) != there.get(key)]


def _differences(recipe: Recipe, theirs: Recipe, folder: RunFolder) -> Iterator[Mistake]:
    remedy = f"Resume with {folder.recipe}, or start anew with --overwrite."
    here, there = list(recipe.tasks), list(theirs.tasks)
    if here != there:
        yield Mistake("tasks", f"are {', '.join(here)}; the run has {', '.join(there)}", remedy)
    mine, other = _identity(recipe), _identity(theirs)
    for key, value in mine.items():
        if key in other and value != other[key]:
            shown = [_shown(item.to_dict(), key) for item in (recipe, theirs)]
            yield Mistake(key, f"is {shown[0]}, in the run it is {shown[1]}", remedy)


def _identity(recipe: Recipe) -> dict[str, Any]:
    """What must not change, with the defaults, by dotted key."""
    found: dict[str, Any] = {}
    for name in ("model", "mixture", "balancing"):
        values = getattr(recipe, name).model_dump(mode="json")
        found |= {f"{name}.{key}": value for key, value in values.items()}
    found.pop("balancing.gradients")  # how they are formed and recorded changes nothing but rounding
    for name, task in recipe.tasks.items():
        values = task.model_dump(mode="json", exclude={"dataset"})
        found |= {f"tasks.{name}.{key}": value for key, value in values.items()}
    found["schedules"] = [item.model_dump(mode="json") for item in recipe.schedules]
    training = recipe.training.options()
    return found | {f"training.{key}": training.get(key) for key in _TRAINING}


def _anywhere(recipe: Recipe) -> dict[str, Any]:
    """The recipe without where its run lies."""
    found = recipe.to_dict()
    return {**found, "training": {**found.get("training", {}), "output_dir": None}}


def _shown(values: Any, key: str) -> str:
    """The value as it is written, without defaults."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return "not set" if values is None else repr(values)
