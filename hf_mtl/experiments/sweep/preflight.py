"""The data and the models of a new sweep, looked at before its first trial."""

from collections.abc import Iterator

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.preflight import OF_ROWS, prepared_once
from hf_mtl.experiments.sweep.arms import Arm
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.metric import OF_ALL
from hf_mtl.recipe import Recipe


def refuse_unusable(sweep: Sweep) -> None:
    """Load the rows and the tokenizer of every arm and make its model, as its default trial will.

    Searched keys that decide over rows or models are tried at both ends, or with each choice.

    Args:
        sweep: The sweep.

    Raises:
        UserError: If they cannot be used, or there are no validation rows for the score.
    """
    arms = {f"arms.{arm.name}": arm for arm in sweep.arms}
    for key, prepared in prepared_once((key, recipe) for key, arm in arms.items() for recipe in _recipes(arm)):
        scored = prepared.split("validation")
        own = [name for name in arms[key].recipe.tasks if sweep.metric.startswith(f"{name}_")]
        if not scored or (sweep.metric not in OF_ALL and not any(name in scored for name in own)):
            remedy = "Name a split validation, or have one carved: validation_fraction of a task's dataset."
            problem = f"no validation rows of {arms[key].name} for '{sweep.metric}'"
            raise RecipeError(Mistake("metric", problem, remedy))


def _recipes(arm: Arm) -> Iterator[Recipe]:
    """Yield the recipe of an arm, and those of the ends of what is searched of its rows and its model."""
    yield arm.recipe
    for item in arm.dimensions:
        if item.key.split(".")[0] in OF_ROWS:
            yield from (arm.changed({item.key: corner}) for corner in item.placed_corners())
