"""A run that has ended, and whether it is to train on."""

import copy
import math
from pathlib import Path
from typing import Any

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, RunError
from hf_mtl.inference import manifest
from hf_mtl.recipe import Recipe, read_recipe
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.run.same_run import refuse_another_run
from hf_mtl.training.watch.budget import limit_steps


def is_to_go_on(recipe: Recipe, args: MultiTaskTrainingArguments, folder: RunFolder) -> bool:
    """Tell whether a recipe, with which a finished run is resumed, lets it train on.

    It does if it is longer now, or if what ended the run early no longer holds: more patience, a larger budget, or
    a callback, of which this process has others.

    Raises:
        RunError: If the recipe is another run's, or the run is to be longer and has no checkpoint to go on from.
    """
    refuse_another_run(recipe, folder)
    results = folder.results()
    if "ended_by" not in results or not folder.recipe.exists():
        return False
    newest = next(iter(checkpoints.checkpoints(folder.path)), None)
    if results["ended_by"] == "callback" and newest is None:
        return False  # nothing was asked for that cannot be done
    if results["ended_by"] != "all_steps":
        longer = _is_lifted(results["ended_by"], recipe, folder)
    else:
        total = _total_steps(args, newest)
        longer = total > results["planned_steps"] if total else _has_more_epochs(recipe, folder)
    if longer and newest is None:
        problem = f"{folder.path} is finished, and no checkpoint was kept to train on from"
        raise RunError(Mistake("training.output_dir", problem, "Start it anew with --overwrite"))
    return longer


def _is_lifted(ended_by: str, recipe: Recipe, folder: RunFolder) -> bool:
    """Tell whether what ended a run early no longer holds."""
    if ended_by == "task_early_stopping":
        return False  # its schedules are those of the run
    limit = {"early_stopping": "early_stopping_patience", "max_flops": "max_flops"}.get(ended_by)
    if limit is None:
        return True
    here, there = (item.training.options().get(limit) for item in (recipe, read_recipe(folder.recipe)))
    return here is None or (there is not None and here > there)


def _total_steps(args: MultiTaskTrainingArguments, newest: Path | None) -> int:
    """Return the steps of the run that the arguments ask for; 0 where only a checkpoint could tell, and there is
    none.
    """
    limited = copy.copy(args)
    limit_steps(limited)
    if limited.max_steps > 0 or newest is None:
        found: int = max(limited.max_steps, 0)
        return found
    path = newest / manifest.STATE_FILE
    with checkpoints.reading(path, "the state of the run"):
        plan: dict[str, Any] = checkpoints.load_state(path)["steps"]["identity"]
        per_epoch = math.ceil(sum(plan["tasks"].values()) / plan["rows_per_step"])
    found = math.ceil(limited.num_train_epochs * per_epoch)
    return found


def _has_more_epochs(recipe: Recipe, folder: RunFolder) -> bool:
    here, there = (item.training.options() for item in (recipe, read_recipe(folder.recipe)))
    default = 3.0
    return bool(here.get("num_train_epochs", default) > there.get("num_train_epochs", default))
