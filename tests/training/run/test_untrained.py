from pathlib import Path

import pytest

from hf_mtl import load_recipe
from hf_mtl.errors import RecipeError
from hf_mtl.training.run.prepare import make_arguments
from hf_mtl.training.run.untrained import NOT_TRAINED, UNRECORDED
from tests.training import runs

STOPPING = {
    "eval_steps": 5,
    "save_steps": 5,
    "early_stopping_patience": 2,
    "early_stopping_threshold": 0.01,
    "load_best_model_at_end": True,
    "metric_for_best_model": "average",
    "greater_is_better": True,
}


def test_what_a_recipe_says_of_training_keeps_nobody_from_opening_it(tmp_path: Path) -> None:
    unusual = {"optim": "adamw_bnb_8bit", "lr_scheduler_type": "reduce_lr_on_plateau"}
    recipe = load_recipe(runs.write_recipe(tmp_path, **STOPPING, **unusual))
    args = make_arguments(recipe, **NOT_TRAINED)
    assert (args.eval_strategy, args.early_stopping_patience) == ("no", None)
    with pytest.raises(RecipeError, match="follows validation, and nothing is evaluated"):
        make_arguments(recipe, **{**NOT_TRAINED, "lr_scheduler_type": "reduce_lr_on_plateau"})


def test_a_try_keeps_nothing_and_does_not_stop_early(tmp_path: Path) -> None:
    args = make_arguments(load_recipe(runs.write_recipe(tmp_path, **STOPPING)), **UNRECORDED)
    assert (args.save_strategy, args.early_stopping_patience, args.eval_strategy) == ("no", None, "steps")
