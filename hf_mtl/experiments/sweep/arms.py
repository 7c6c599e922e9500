"""The arms of a sweep: recipes with what is searched in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.sweep.scalarisation import KEY, WEIGHTED_SUMS, Scalarisation
from hf_mtl.experiments.sweep.space import Dimension
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.overrides import set_at
from hf_mtl.recipe.plugins import Code

_NOTHING = object()


@dataclass(frozen=True)
class Arm:
    """A recipe, and the keys that are searched in it.

    Args:
        name: Its name.
        node: The recipe as it was written, merged.
        recipe: The same, validated: what the default trial runs, but for its folder.
        dimensions: The keys that are searched one by one.
        scalarisation: The loss weights that are searched; None: none.
        replaced: The weighting that was written, where equal fixed weights are in its place; empty: none was.
    """

    name: str
    node: Node
    recipe: Recipe
    dimensions: tuple[Dimension, ...] = ()
    scalarisation: Scalarisation | None = None
    replaced: str = ""

    @property
    def space(self) -> tuple[Dimension, ...]:
        """Return all that a sampler draws."""
        return self.dimensions + (() if self.scalarisation is None else self.scalarisation.dimensions)

    def trial(self, drawn: Mapping[str, Any], folder: Path) -> Recipe:
        """Return the recipe of a trial.

        Args:
            drawn: What was drawn, by the names of the space; what is missing stays as the arm has it.
            folder: The folder of its run.

        Raises:
            RecipeError: If the values do not go together.
        """
        changes = self._changes({item.key: item.value(drawn[item.key]) for item in self.space if item.key in drawn})
        changes["training.output_dir"] = (str(folder), Origin("the sweep", ""))
        changes["training.disable_tqdm"] = (True, Origin("the sweep", ""))
        return self.changed(changes)

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe with values of searched keys, as the record of a trial has them.

        Args:
            values: Values by the names of the space; what is missing stays as the arm has it.

        Raises:
            RecipeError: If they do not go together.
        """
        return self.changed(self._changes(values))

    def _changes(self, values: Mapping[str, Any]) -> dict[str, tuple[Any, Origin]]:
        found = {item.key: (values[item.key], item.where) for item in self.dimensions if item.key in values}
        weights = self.scalarisation
        if weights is not None and any(item.key in values for item in weights.dimensions):
            found[KEY] = (weights.weighting(values), weights.where)
        return found

    def changed(self, changes: Mapping[str, tuple[Any, Origin]]) -> Recipe:
        """Return the recipe with other values, each with the place that says it.

        Raises:
            RecipeError: If they are not valid.
        """
        mistakes: list[Mistake] = []
        node = self.node
        for key, (value, where) in changes.items():
            node = set_at(node, key.split("."), _node(value, where), mistakes, key)
        return recipe_of(node, "allowed" if self.recipe.allow_code else "refused", before=mistakes)

    def of_weights(self) -> "Arm":
        """Return the arm with equal fixed weights, if weights are searched in it and its weighting is no fixed one.

        Its default would otherwise be another method than the one that is searched, and might be chosen.

        Raises:
            RecipeError: If the recipe does not take fixed weights.
        """
        weights, weighting = self.scalarisation, self.recipe.balancing.weighting
        if weights is None or weighting.chosen in WEIGHTED_SUMS:
            return self
        where = weights.where
        equal = set_at(self.node, KEY.split("."), _node(weights.weighting({}), where), [], KEY)
        code: Code = "allowed" if self.recipe.allow_code else "refused"
        return replace(self, node=equal, recipe=recipe_of(equal, code), replaced=weighting.chosen)

    def default(self) -> dict[str, Any]:
        """Return what a sampler would have drawn for the arm as it is, without values that are outside the space."""
        found = {item.key: item.drawn(value_in(self.recipe, item.key)) for item in self.dimensions}
        weights = self.scalarisation
        if weights is not None:
            ratios = weights.drawn(self.recipe.balancing.weighting.written())
            found |= {item.key: item.drawn(ratios.get(item.key)) for item in weights.dimensions}
            if any(found[item.key] is None for item in weights.dimensions):
                found |= dict.fromkeys((item.key for item in weights.dimensions), None)
        return {key: value for key, value in found.items() if value is not None}


def checked(arm: str, node: Node, allow_code: bool, mistakes: list[Mistake]) -> Recipe | None:
    """Validate the recipe of an arm; None if it is wrong.

    Args:
        arm: Its name, for what is not said of one key.
        node: The recipe.
        allow_code: Whether code that it names may be run.
        mistakes: Receives everything that is wrong.
    """
    try:
        recipe = recipe_of(node, "allowed" if allow_code else "refused")
    except RecipeError as error:
        mistakes.extend(item for item in error.mistakes if item not in mistakes)
        return None
    if recipe.training.options().get("push_to_hub"):
        remedy = "Leave it out, and push the run of the chosen trial: hf-mtl push."
        key = "training.push_to_hub"
        mistakes.append(Mistake(key, f"is on, and every trial of {arm} would be pushed", remedy, recipe.locate(key)))
    return recipe


def space_mistakes(arm: Arm) -> list[Mistake]:
    """Find the keys and values of the space that the arm's recipe does not take.

    Each key is tried at both ends, or with each choice, beside the arm's other values; the loss weights likewise.
    """
    found: dict[tuple[str, str], Mistake] = {}
    trials = [{item.key: corner} for item in arm.dimensions for corner in item.placed_corners()]
    if arm.scalarisation is not None:
        weights, where = arm.scalarisation, arm.scalarisation.where
        trials += [{KEY: (weights.weighting(dict.fromkeys(_names(weights), end)), where)} for end in _ends(weights)]
    for changes in trials:
        try:
            arm.changed(changes)
        except RecipeError as error:
            (key, (_, where)), *_ = changes.items()
            for item in error.mistakes:
                # The mistake may be said of another key, which does not go with this one.
                place = beside(item, key, str(where))
                found.setdefault((place.key, place.problem), place)
    return list(found.values())


def beside(mistake: Mistake, key: str, where: str) -> Mistake:
    """Say of a mistake of another key that a searched value brings it about.

    Args:
        mistake: The mistake.
        key: The searched key.
        where: The place of its value.
    """
    if mistake.where == where:
        return mistake
    return replace(mistake, where=where, problem=f"{mistake.problem}, with a value that is searched for {key}")


def _names(weights: Scalarisation) -> Sequence[str]:
    return [item.key for item in weights.dimensions]


def _ends(weights: Scalarisation) -> tuple[float, float]:
    return weights.low, weights.high


def value_in(recipe: Recipe, key: str) -> Any:
    """Return the plain value that a key has in a recipe, its default where nothing is set; None if it has none.

    Args:
        recipe: The recipe.
        key: The dotted key; a number is a place in a list.
    """
    found: Any = recipe
    for part in key.split("."):
        found = _below(found, part)
        if found is _NOTHING:
            return None
    return _plain(found)


def _plain(value: Any) -> Any:
    """Return what a file would say of a value: of a section, or an item of one, what was set."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _below(value: Any, part: str) -> Any:
    if isinstance(value, BaseModel):
        return getattr(value, part) if part in type(value).model_fields else _NOTHING
    if isinstance(value, Mapping):
        return value.get(part, _NOTHING)
    if isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    return _NOTHING


def _node(value: Any, where: Origin) -> Node:
    """Return a plain value as what one place says."""
    if isinstance(value, Mapping):
        return Node({key: _node(item, where) for key, item in value.items()}, where)
    if isinstance(value, (list, tuple)):
        return Node([_node(item, where) for item in value], where)
    return Node(value, where)
