"""The arms that a sweep's file describes: its base recipe, what each replaces in it, and what is searched."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.arms import extended, laid_over, name_mistakes
from hf_mtl.experiments.sweep.arms import Arm, checked, space_mistakes
from hf_mtl.experiments.sweep.scalarisation import KEY, Scalarisation, parse_scalarisation
from hf_mtl.experiments.sweep.space import Dimension, parse_dimension
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.nodes import Node, Origin

ONLY_ARM = "base"
"""Name of the arm of a sweep that names none."""

_OF_AN_ARM = ("extends", "search", "scalarisation")
_DECIDED = {"training.output_dir": "Write output_dir in the sweep."}
_NOT_SEARCHED = {"training.output_dir": "has one value for each trial", "training.push_to_hub": "is off in trials"}


def read_arms(file: Node, allow_code: bool, mistakes: list[Mistake]) -> list[Arm]:
    """Return the arms of a file, without those whose recipes are wrong.

    An arm is the base recipe, over which come the recipes that the arm extends, what the file sets for all arms, and
    what the arm sets.

    Args:
        file: The file, whose keys and their types are as `SweepFile` has them.
        allow_code: Whether code that the recipes name may be run.
        mistakes: Receives everything that is wrong.
    """
    given = _section(file, "arms") or {ONLY_ARM: Node(None, file.origin)}
    found = []
    for name, node in given.items():
        own = Node({}, node.origin) if node.value is None else node
        wrong = name_mistakes(name, node)
        try:
            arm = None if wrong else _arm(name, _laid(file, own, wrong), (file, own), allow_code, wrong)
        except RecipeError as error:
            wrong, arm = [*wrong, *error.mistakes], None
        mistakes += wrong
        if arm is not None:
            found.append(arm)
    return found


def _section(node: Node, key: str) -> dict[str, Node]:
    found = node.value.get(key)
    return {} if found is None or not isinstance(found.value, dict) else found.value


def _laid(file: Node, own: Node, mistakes: list[Mistake]) -> Node:
    """Lay over the base recipe what an arm changes."""
    base = file.value["base"]
    keys = {key: node for key, node in own.value.items() if key not in _OF_AN_ARM}
    extends = extended(own.value.get("extends"), mistakes)
    return laid_over((base.value, base.origin), extends, (_section(file, "set"), keys), _DECIDED, mistakes)


def _arm(name: str, node: Node, sections: tuple[Node, Node], allow_code: bool, mistakes: list[Mistake]) -> Arm | None:
    """Return an arm with what the file and the arm itself search, as far as that is valid; None without a recipe."""
    recipe = checked(name, node, allow_code, mistakes)
    dimensions = tuple(_dimensions(sections, mistakes))
    if recipe is None:
        return None
    arm = Arm(name, node, recipe, dimensions, _weights(recipe, sections, mistakes)).of_weights()
    nothing = not arm.space and not mistakes
    mistakes += _overlapping(arm) or space_mistakes(arm)
    if nothing:
        remedy = "Give search: {training.learning_rate: {low: 1e-5, high: 1e-3, log: true}}, or scalarisation: {}."
        mistakes.append(Mistake("search", f"nothing is searched in {name}", remedy, str(sections[0].origin)))
    return arm


def _dimensions(sections: Sequence[Node], mistakes: list[Mistake]) -> Iterator[Dimension]:
    """Yield what is searched; of a key that the file and the arm search the arm's values count."""
    found: dict[str, Node] = {}
    for section in sections:
        found |= _searched(_section(section, "search"))
    for key, spec in found.items():
        if key in _NOT_SEARCHED:
            problem = f"cannot be searched: it {_NOT_SEARCHED[key]}"
            mistakes.append(Mistake(f"search.{key}", problem, "Leave it out.", str(spec.origin)))
            continue
        wrong: list[Mistake] = []
        dimension = parse_dimension(key, spec.plain(), spec.origin, wrong)
        below = {f"search.{key}.{part}": str(node.origin) for part, node in _parts(spec).items()}
        mistakes += [replace(item, where=below.get(item.key, str(spec.origin))) for item in wrong]
        if dimension is not None:
            yield replace(dimension, places=_corner_places(spec))


def _parts(spec: Node) -> dict[str, Node]:
    return spec.value if isinstance(spec.value, dict) else {}


def _corner_places(spec: Node) -> tuple[Origin, ...]:
    """Return where the ends of a range, or the choices, were written."""
    parts = _parts(spec)
    nodes = parts["choices"].value if "choices" in parts else [parts["low"], parts["high"]]
    return tuple(node.origin for node in nodes)


def _searched(section: dict[str, Node]) -> dict[str, Node]:
    """Return the values of each searched key; one that stands twice, as with an override, has those of both."""
    found: dict[str, Node] = {}
    for key, node in _specs(section):
        both = key in found and isinstance(found[key].value, dict) and isinstance(node.value, dict)
        found[key] = Node({**found[key].value, **node.value}, found[key].origin) if both else node
    return found


def _specs(section: dict[str, Node], above: str = "") -> Iterator[tuple[str, Node]]:
    """Yield the searched keys, which may be nested or dotted, with the values of each."""
    for part, node in section.items():
        key = f"{above}.{part}" if above else part
        below = node.value if isinstance(node.value, dict) else {}
        if below and all(isinstance(item.value, dict) for item in below.values()):
            yield from _specs(below, key)
        else:
            yield key, node


def _weights(recipe: Recipe, sections: Sequence[Node], mistakes: list[Mistake]) -> Scalarisation | None:
    """Return the loss weights that are searched; what the arm says of them counts, if it says anything."""
    given = [node for section in sections if (node := section.value.get("scalarisation")) is not None]
    if not given or given[-1].value is None:
        return None
    where = given[-1].origin
    wrong: list[Mistake] = []
    weighting: dict[str, Any] = recipe.balancing.weighting.written()
    found = parse_scalarisation(given[-1].plain(), list(recipe.trained_tasks), weighting, where, wrong)
    mistakes += [replace(item, where=str(where)) for item in wrong]
    return found


def _overlapping(arm: Arm) -> list[Mistake]:
    """Find searched keys of which one holds the other."""
    keys = {item.key: item.where for item in arm.dimensions}
    pairs = [(key, other) for key in keys for other in keys if key.startswith(f"{other}.")]
    found = [
        Mistake(f"search.{key}", f"lies within {other}, which is searched too", "Search one.", str(keys[key]))
        for key, other in pairs
    ]
    if arm.scalarisation is not None:
        problem = f"is searched beside scalarisation, which sets {KEY}"
        inside = [key for key in keys if key == KEY or key.startswith(f"{KEY}.")]
        found += [Mistake(f"search.{key}", problem, "Leave one of them out.", str(keys[key])) for key in inside]
    return found
