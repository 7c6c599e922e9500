"""The data of a sweep, looked at before its first trial: what is wrong there would fail all of them."""

import json
from typing import Any

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.metric import OF_ALL
from hf_mtl.training.run.prepare import make_arguments, prepare


def refuse_unusable(sweep: Sweep) -> None:
    """Load the rows and the tokenizer of every arm that has its own, as its default trial will.

    Raises:
        UserError: If they cannot be used, or there are no validation rows for the score.
    """
    seen: set[str] = set()
    for arm in sweep.arms:
        sections = arm.recipe.to_dict()
        key = json.dumps([sections.get(name) for name in ("tasks", "data", "model")], sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        prepared: Any = prepare(arm.recipe, make_arguments(arm.recipe), tokenizer_folder=None)
        scored = prepared.split("validation")
        own = [name for name in arm.recipe.tasks if sweep.metric.startswith(f"{name}_")]
        if not scored or (sweep.metric not in OF_ALL and not any(name in scored for name in own)):
            remedy = "Name a split validation, or have one carved: validation_fraction of a task's dataset."
            raise RecipeError(Mistake("metric", f"no validation rows of {arm.name} for '{sweep.metric}'", remedy))
