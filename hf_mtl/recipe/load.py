"""Loading of recipes: a file, and what the command line adds to it, become a `Recipe`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.recipe.build import build_recipe
from hf_mtl.recipe.extends import read_extended
from hf_mtl.recipe.nodes import Node
from hf_mtl.recipe.overrides import apply_overrides
from hf_mtl.recipe.paths import resolve_paths
from hf_mtl.recipe.places import Places
from hf_mtl.recipe.plugins import Code
from hf_mtl.recipe.schema import Recipe
from hf_mtl.validation import MOST_MISTAKES


def load_recipe(
    path: str | Path, overrides: Iterable[str] = (), allow_code: bool = False, to_score: bool = False
) -> Recipe:
    """Load, merge and validate a recipe. No model is loaded, and no data is looked at.

    Args:
        path: A YAML file.
        overrides: ``key=value`` with dotted keys, which win over the file: ``training.learning_rate=1e-4``.
            An empty or null value removes a key.
        allow_code: Whether code that the recipe names may be run: plugins now, since their components are chosen by
            name; later functions of datasets, metric scripts, and metrics of users of the Hub. (Metrics that
            `evaluate` itself publishes need no such word.)
        to_score: Whether nothing is trained: tasks with other rows than the run had may be other streams than its
            mixture speaks of.

    Raises:
        RecipeError: With everything that is wrong, each mistake with the file and line that says it.
    """
    return _load(path, overrides, "allowed" if allow_code else "refused", to_score)


def read_recipe(path: str | Path) -> Recipe:
    """Load a recipe to compare it with another: code that it names is not refused, and must not be run.

    Args:
        path: A YAML file.

    Raises:
        RecipeError: As `load_recipe`.
    """
    return _load(path, (), "named")


def _load(path: str | Path, overrides: Iterable[str], code: Code, to_score: bool = False) -> Recipe:
    mistakes: list[Mistake] = []
    node = apply_overrides(read_extended(path, mistakes), overrides, mistakes)
    return recipe_of(node, code, to_score, mistakes)


def recipe_of(node: Node, code: Code = "refused", to_score: bool = False, before: Iterable[Mistake] = ()) -> Recipe:
    """Validate a merged recipe.

    Args:
        node: The recipe, with nothing left to extend.
        code: Whether code that it names may be run, or only named.
        to_score: As for `load_recipe`.
        before: What was found wrong when it was read.

    Raises:
        RecipeError: With everything that is wrong, each mistake with the place that says it.
    """
    mistakes = list(before)
    places = Places.of(node)
    recipe = build_recipe(resolve_paths(node).plain(), mistakes, code, to_score)
    if recipe is None or mistakes:
        raise RecipeError(_first([replace(item, where=item.where or places.locate(item.key)) for item in mistakes]))
    recipe._places = places
    recipe._allow_code = code == "allowed"
    return recipe


def _first(mistakes: list[Mistake]) -> list[Mistake]:
    """Keep as many mistakes as somebody reads, and count the others."""
    more = len(mistakes) - MOST_MISTAKES
    if more <= 0:
        return mistakes
    return [*mistakes[:MOST_MISTAKES], Mistake("", f"and {more:,} more mistakes")]
