"""The data of a new sweep, looked at before its first trial."""

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.preflight import prepared_once
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.metric import OF_ALL


def refuse_unusable(sweep: Sweep) -> None:
    """Load the rows and the tokenizer of every arm that has its own, as its default trial will.

    Args:
        sweep: The sweep.

    Raises:
        UserError: If they cannot be used, or there are no validation rows for the score.
    """
    arms = {f"arms.{arm.name}": arm for arm in sweep.arms}
    for key, prepared in prepared_once((key, arm.recipe) for key, arm in arms.items()):
        scored = prepared.split("validation")
        own = [name for name in arms[key].recipe.tasks if sweep.metric.startswith(f"{name}_")]
        if not scored or (sweep.metric not in OF_ALL and not any(name in scored for name in own)):
            remedy = "Name a split validation, or have one carved: validation_fraction of a task's dataset."
            problem = f"no validation rows of {arms[key].name} for '{sweep.metric}'"
            raise RecipeError(Mistake("metric", problem, remedy))
