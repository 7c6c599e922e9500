"""A run is continued with the recipe and the rows that it was started with."""

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hf_mtl.data.learners.base import LEARNERS
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.errors import Mistake, RunError, name_classes
from hf_mtl.inference import manifest
from hf_mtl.recipe import Recipe, read_recipe
from hf_mtl.schedules import build_schedule
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.folder.names import RECIPE
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.trainer.run_terms import ROWS, changed, staying, with_what_may_change

NOT_COMPARED = {
    "tasks.*.dataset": "the rows are compared themselves, wherever they lie",
    "balancing.gradients": "how they are formed and recorded changes nothing but rounding",
}
"""The keys of a recipe beside ``training`` that may change in a resumed run, and why."""

_PLACES = ("output_dir", "hub_model_id", "hub_token", "hub_private_repo", "hub_revision")


def refuse_another_run(recipe: Recipe, folder: RunFolder) -> None:
    """Compare a recipe with the one that a run keeps. Where the data lies may have changed, and how long to train.

    Raises:
        RunError: If they differ in anything that makes another run; says in what, and what may change. Or if the
            kept one was edited, and would be replaced.
    """
    if not folder.recipe.exists():
        return
    theirs = read_recipe(folder.recipe)
    mistakes = with_what_may_change(list(_differences(recipe, theirs, folder)))
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
        RunError: If any task has other rows, says of which, and how many there were; or other names of classes.
    """
    if not folder.data.exists:
        return
    remedy = f"Give the run's own rows back, or start anew with --overwrite: {folder.path} was begun with others."
    mistakes = [
        Mistake(f"tasks.{name}.dataset", f"the {split} rows changed since the run began ({difference})", remedy)
        for name, split, difference in folder.data.changes(data, ("train", "validation"))
    ]
    for name, item in data.items():
        # The same class ids may mean something else, as under another map of labels.
        then, now = folder.data.labels(name), item.task.label_names
        if None not in (then, now) and then != now:
            problem = f"are {name_classes(now or [])}; the run has {name_classes(then or [])}"
            mistakes.append(Mistake(f"tasks.{name}.labels", problem, remedy))
    if mistakes:
        raise RunError(recipe.with_places(mistakes))


def refuse_other_steps(recipe: Recipe, start: Path, processes: int) -> None:
    """Compare the rows of a step with those of a checkpoint's run; other processes may make them up otherwise.

    Args:
        recipe: The recipe.
        start: The checkpoint, which is whole.
        processes: How many processes there are now.

    Raises:
        RunError: If the recipe gives another number of rows per step.
    """
    path = start / manifest.STATE_FILE
    saved = checkpoints.load_state(path)
    with checkpoints.reading(path, "the state of the run"):
        rows, asked = int(saved["steps"]["identity"]["rows_per_step"]), int(saved["identity"]["rows_of_process"])
    options = recipe.training.options()
    mine = math.prod(options.get(key, default) for key, default in zip(ROWS, (8, 1), strict=True))
    if mine not in (asked, rows / processes):
        found = f"gives, with accumulation, {mine * processes} rows per step; the run has {rows}"
        remedy = "Set it and gradient_accumulation_steps to values that give the run's rows on these processes"
        raise RunError(recipe.with_places([Mistake(f"training.{ROWS[0]}", found, remedy)]))


def ignored_keys(recipe: Recipe, folder: RunFolder) -> list[str]:
    """Return the keys that a recipe gives another value than a finished run's has, though it may be the same run.

    Where it lies is none of them, nor where it is pushed: a finished run may still be.
    """
    if not folder.recipe.exists():
        return []
    theirs = read_recipe(folder.recipe)
    here, there = recipe.training.options(), theirs.training.options()
    keys = dict.fromkeys([*there, *here])
    found = [f"training.{key}" for key in keys if key not in _PLACES and here.get(key) != there.get(key)]
    if recipe.balancing.gradients != theirs.balancing.gradients:
        found.append("balancing.gradients")
    others = [name for name in recipe.tasks if recipe.tasks[name].dataset != theirs.tasks[name].dataset]
    return [*found, *(f"tasks.{name}.dataset" for name in others)]


def _differences(recipe: Recipe, theirs: Recipe, folder: RunFolder) -> Iterator[Mistake]:
    remedy = f"Resume with {folder.recipe}, or start anew with --overwrite."
    here, there = list(recipe.tasks), list(theirs.tasks)
    if here != there:
        yield Mistake("tasks", f"are {', '.join(here)}; the run has {', '.join(there)}", remedy)
    mine, other = identity_of_recipe(recipe), identity_of_recipe(theirs)
    for key, _, _ in changed(mine, other):
        if key in mine and key in other:
            shown = [_shown(item.to_dict(), key) for item in (recipe, theirs)]
            yield Mistake(key, f"is {shown[0]}, in the run it is {shown[1]}", remedy)


def identity_of_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return what must not change, with the defaults, by dotted key."""
    found: dict[str, Any] = {}
    for name in ("model", "data", "mixture", "balancing"):
        values = getattr(recipe, name).model_dump(mode="json")
        found |= {f"{name}.{key}": value for key, value in values.items()}
    for name, task in recipe.tasks.items():
        values = task.model_dump(mode="json")
        found |= {f"tasks.{name}.{key}": value for key, value in values.items()}
    found = {key: value for key, value in found.items() if not any(fnmatch(key, may) for may in NOT_COMPARED)}
    found["schedules"] = [item.model_dump(mode="json") for item in recipe.schedules]
    training = staying(recipe.training.options(), _follows_evaluations(recipe))
    return found | {f"training.{key}": value for key, value in training.items()}


def _follows_evaluations(recipe: Recipe) -> bool:
    """Tell whether what the evaluations show moves the training: then they are a part of the run."""
    learn = recipe.mixture.settled()["learn"]
    by_losses = learn is not None and LEARNERS[learn.chosen].follows_losses
    built = [build_schedule(item, list(recipe.trained_tasks)) for item in recipe.schedules]
    return by_losses or any(schedule.tasks_watched() for schedule in built)


def _anywhere(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe without where its run lies."""
    found = recipe.to_dict()
    return {**found, "training": {**found.get("training", {}), "output_dir": None}}


def _shown(values: Any, key: str) -> str:
    """Return the value as it is written, without defaults."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return "not set" if values is None else repr(values)
