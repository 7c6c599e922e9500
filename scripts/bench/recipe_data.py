"""The rows of a recipe for a program that makes its own models and Trainers of them."""

from collections.abc import Iterable
from pathlib import Path

from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.encode import encode_splits
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments, prepare
from hf_mtl.training.run.untrained import NOT_TRAINED


class RecipeData:
    """A recipe's data, tokenizer and encoder, loaded once.

    Args:
        recipe: The recipe.
        overrides: Keys of the recipe to replace, ``key=value``.
        allow_code: As for `load_recipe`.
    """

    def __init__(self, recipe: Path, overrides: Iterable[str] = (), allow_code: bool = False):
        self.recipe = load_recipe(recipe, overrides, allow_code)
        self._prepared = prepare(self.recipe, make_arguments(self.recipe, **NOT_TRAINED, use_cpu=True), None)
        self.tokenizer = self._prepared.tokenizer
        model = self._prepared.new_model()
        self.encoder = model.encoder
        self.tasks = model.tasks
        self.max_length = model.config.max_length

    def encode(self, split: str) -> dict[str, EncodedSplit]:
        """Tokenise a split of every task that has it."""
        return encode_splits(self._prepared.split(split), self.tasks, self.tokenizer, self.max_length, split)
