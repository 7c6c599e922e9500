"""The callbacks that a recipe names."""

from transformers import TrainerCallback

from hf_mtl.callbacks import CALLBACKS
from hf_mtl.errors import Mistake, RecipeError, UserError
from hf_mtl.recipe import Recipe


def own_callbacks(recipe: Recipe) -> list[TrainerCallback]:
    """Build the callbacks of a recipe, in its order.

    Raises:
        RecipeError: If one refuses its options, or is no callback of a Trainer.
    """
    built = []
    for place, spec in enumerate(recipe.callbacks):
        key = f"callbacks.{place}"
        try:
            found = CALLBACKS.build(spec, key)
        except UserError as error:
            raise RecipeError(recipe.with_places(error.mistakes)) from error
        if not isinstance(found, TrainerCallback):
            problem = f"'{spec.chosen}' is a {type(found).__name__}"
            mistake = Mistake(key, problem, "Register subclasses of transformers.TrainerCallback")
            raise RecipeError(recipe.with_places([mistake]))
        built.append(found)
    return built
