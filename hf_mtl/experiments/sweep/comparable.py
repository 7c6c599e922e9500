"""What the trials of an arm must have in common, so that the best of their scores says which is best."""

from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.evaluation import score_keys
from hf_mtl.experiments.sweep.arms import Arm
from hf_mtl.experiments.sweep.scored_rows import is_carved, scored_part
from hf_mtl.recipe import Recipe
from hf_mtl.tasks import Task

_OF_ROWS = ("type", "dataset", "stratify", "validation_fraction", "test_fraction")
"""Keys of a task that say which rows are scored; others of its rows are those of training alone."""
_OF_DATA = ("contamination", "fold", "beside")
_CARVED_BY = "data.carving_seed"
_LABELS = "labels"
_MOST_NAMES = 5


def unlike_mistakes(arm: Arm, metric: str) -> list[Mistake]:
    """Find searched keys whose values would have trials scored by other rows, labels or metrics.

    Args:
        arm: The arm.
        metric: The score that its trials are selected by.
    """
    own, found = scored_by(arm.recipe, metric), []
    for item in arm.dimensions:
        changed: dict[str, None] = {}
        for value, where in item.placed_corners():
            try:
                other = scored_by(arm.changed({item.key: (value, where)}), metric)
            except RecipeError:  # it has been said that this is no value of the key
                continue
            changed |= dict.fromkeys(_differing(own, other))
        if changed:
            found.append(_mistake(item.key, list(changed)[:_MOST_NAMES], str(item.where)))
    return found


def scored_by(recipe: Recipe, metric: str) -> dict[str, Any]:
    """Return the dotted keys of a recipe that decide over what its scores are of, with their plain values.

    Args:
        recipe: The recipe.
        metric: The score that is looked at.
    """
    found: dict[str, Any] = {f"data.{key}": value for key, value in _data(recipe)}
    folded = recipe.data.fold is not None
    for name, task in recipe.tasks.items():
        found |= {f"tasks.{name}.{key}": value for key, value in _task(task, folded)}
        if any(metric == f"{name}_{key}" for key, spec in score_keys(task) if spec is None):
            found |= {f"tasks.{name}.{key}": value for key, value in _loss(task)}
    if any(is_carved(task, folded) for task in recipe.tasks.values()):
        found[_CARVED_BY] = _carving_seed(recipe)
    return found


def _data(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    section = recipe.data.model_dump(mode="json")
    yield from ((key, section[key]) for key in _OF_DATA)


def _task(task: Task, folded: bool) -> Iterator[tuple[str, Any]]:
    plain = task.model_dump(mode="json")
    yield from ((key, plain[key]) for key in (*_OF_ROWS, *task.truth_keys))
    if not is_carved(task, folded):
        yield "dataset", scored_part(task)
        if _LABELS in task.truth_keys and plain[_LABELS] is None:  # they are found in rows of train too
            yield _LABELS, [None, plain["dataset"]]
    if task.weighted_metrics:
        yield "weight", plain["weight"]
    if task.tuned_by is not None:  # by the rows that the trial is then scored on
        yield task.tuned_by, plain[task.tuned_by]


def _loss(task: Task) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a task's type: each of them may make its loss another one."""
    plain = task.model_dump(mode="json")
    yield from ((key, value) for key, value in plain.items() if key not in Task.model_fields)


def _carving_seed(recipe: Recipe) -> Any:
    """Return the seed by which rows to score are carved."""
    arguments = recipe.training.settled()
    seeds = (recipe.data.carving_seed, arguments["data_seed"], arguments["seed"])
    return next(seed for seed in seeds if seed is not None)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Name the keys whose values differ, or which one of the two lacks."""
    nothing = object()
    names = dict.fromkeys([*one, *other])
    return [name for name in names if one.get(name, nothing) != other.get(name, nothing)]


def _mistake(key: str, changed: list[str], where: str) -> Mistake:
    others = [name for name in changed if name != key]
    what = f", as {', '.join(others)} would differ" if others else ""
    problem = f"cannot be searched: validation scores of its values could not be compared{what}"
    remedy = "Leave it out, or write an arm for each value: the trials of one arm are compared with each other alone."
    if others == [_CARVED_BY]:
        remedy = "Set data.carving_seed, so that all trials are scored by the same rows."
    elif len(others) == 1 and key.startswith(f"{others[0].removesuffix(_LABELS)}dataset.data_files."):
        remedy = f"Write {others[0]}, which would be looked for in the rows of train too."
    return Mistake(f"search.{key}", problem, remedy, where)
