"""What cannot be merged: said of a recipe before anything is trained, and of runs before anything is written."""

from collections.abc import Iterator, Sequence

from hf_mtl.errors import Mistake, RunError, known
from hf_mtl.experiments.merging.arithmetic import METHODS, scales_of
from hf_mtl.experiments.merging.parts import Parts
from hf_mtl.recipe import Recipe


def merging_mistakes(methods: Sequence[str], recipe: Recipe, key: str = "merging") -> Iterator[Mistake]:
    """Find out why the single-task runs of a recipe could not be merged, before they are trained.

    Args:
        methods: The methods that are asked for.
        recipe: The recipe.
        key: Where they are asked for.
    """
    for method in methods:
        if method not in METHODS:
            yield Mistake(key, f"unknown method '{method}'", known(METHODS, method))
    if methods and len(recipe.trained_tasks) < 2:
        yield Mistake(key, "there is one task, and nothing to merge it with", "Leave it out")
    if methods and recipe.model.keep_tasks:
        yield Mistake(key, "every single-task run would have the kept tasks too (model.keep_tasks)", "Leave one out")
    if methods and isinstance(recipe.model.tokenizer, dict):
        problem = "each single-task run would train a tokenizer of its own, on its own texts (model.tokenizer)"
        remedy = "Name the folder of one, such as a run's (model.tokenizer: runs/mine), or leave merging out"
        yield Mistake(key, problem, remedy)


def check_method(method: str) -> None:
    """Refuse a method that there is not.

    Raises:
        RunError: If there is no such method.
    """
    if method not in METHODS:
        raise RunError(Mistake("method", f"unknown method '{method}'", known(METHODS, method)))


def check_scale(method: str, parts: Parts) -> None:
    """Refuse a method that chooses by validation rows where there are none.

    Raises:
        RunError: If no task has any.
    """
    if len(scales_of(method)) > 1 and not any("validation" in part.rows for part in parts.parts):
        problem = f"{method} chooses how far to go on validation rows, and no task has any"
        raise RunError(Mistake("method", problem, "Name a split 'validation', or use average"))
