"""The arms of a study: every one an ordinary recipe, or one for each task, before anything is run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.compare.schema import SINGLE_TASK
from hf_mtl.experiments.compare.single_task import single_task_node
from hf_mtl.plain import describe
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.extends import read_together
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.overrides import set_at
from hf_mtl.recipe.plugins import Code

LENGTH = ("max_steps", "num_train_epochs", "max_flops", "max_backward_passes")
"""Keys of the training section that say how long a run is, which the budget does here."""

_OF_TRIALS = {
    "seed": "Write seeds: [...] in the study",
    "output_dir": "Write output_dir in the study",
    "push_to_hub": "A study pushes nothing; push a run of it with hf-mtl push",
}


@dataclass(frozen=True)
class Part:
    """One recipe of an arm, and what it is of.

    Args:
        task: The task that it is of alone; None: it is of all.
        node: The merged recipe, with places.
        recipe: The same, validated.
        dropped: What the recipe of all tasks has and this has not, in words.
    """

    task: str | None
    node: Node
    recipe: Recipe
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """One of the ways to train that are compared.

    Args:
        name: Its name.
        parts: Its recipe, or that of each task.
        whole: Its recipe of all tasks.
    """

    name: str
    parts: tuple[Part, ...]
    whole: Part = field(repr=False)

    @property
    def is_single_task(self) -> bool:
        """Tell whether it trains each task alone."""
        return self.parts[0].task is not None


def parse_arm(name: str, base: tuple[str, Origin], common: Node | None, given: Node, code: Code) -> Arm:
    """Resolve an arm.

    Args:
        name: Its name.
        base: The base recipe as it is written, and where.
        common: The keys to replace in all arms; None: none.
        given: What the study says of the arm.
        code: Whether code that a recipe names may be run.

    Raises:
        RecipeError: With everything that is wrong.
    """
    mistakes: list[Mistake] = []
    keys, extends, single = _read(given, mistakes)
    node = read_together([base, *extends], mistakes)
    for part in (common.value if common is not None else {}, keys):
        node = replace_keys(node, part, mistakes)
    recipe = recipe_of(node, code, before=mistakes)
    whole = Part(None, node, recipe)
    parts = tuple(_alone(whole, task, code) for task in recipe.trained_tasks) if single else (whole,)
    return Arm(name, parts, whole)


def _read(given: Node, mistakes: list[Mistake]) -> tuple[dict[str, Node], list[tuple[str, Origin]], bool]:
    """Return the keys that an arm replaces, the recipes that it extends, and whether it trains each task alone."""
    if not isinstance(given.value, dict):
        return {}, [], True
    keys = dict(given.value)
    single = keys.pop(SINGLE_TASK, None)
    if single is not None and not isinstance(single.value, bool):
        problem = f"found {describe(single.plain())}"
        mistakes.append(Mistake(SINGLE_TASK, problem, "Allowed: true or false.", str(single.origin)))
    extends = keys.pop("extends", None)
    files: list[tuple[str, Origin]] = []
    for item in [] if extends is None else extends.value if isinstance(extends.value, list) else [extends]:
        if isinstance(item.value, str):
            files.append((item.value, item.origin))
        else:
            remedy = "Allowed: a file, or a list of files."
            mistakes.append(Mistake("extends", f"found {describe(item.plain())}", remedy, str(item.origin)))
    return keys, files, single is not None and single.value is True


def _alone(whole: Part, task: str, code: Code) -> Part:
    node, dropped = single_task_node(whole.node, task, whole.recipe)
    return Part(task, node, recipe_of(node, code), tuple(dropped))


def replace_keys(recipe: Node, keys: Mapping[str, Node], mistakes: list[Mistake]) -> Node:
    """Lay dotted or nested keys over a recipe.

    Args:
        recipe: The merged recipe.
        keys: The keys.
        mistakes: Receives the keys that cannot be replaced.
    """
    for key, node in keys.items():
        parts = key.split(".")
        if not all(parts):
            problem = f"found {describe(key)}"
            mistakes.append(Mistake("", problem, "Write key: value, dotted or nested.", str(node.origin)))
            continue
        mistakes.extend(_refused(key, node))
        recipe = set_at(recipe, parts, node, mistakes, key)
    return recipe


def _refused(key: str, node: Node) -> list[Mistake]:
    """Find keys that the study decides for all of its runs."""
    section, _, rest = key.partition(".")
    if section != "training":
        return []
    given: dict[str, Any] = {rest: node} if rest else node.value if isinstance(node.value, dict) else {}
    return [
        Mistake(f"training.{name}", "is what the study decides for every run", remedy, str(item.origin))
        for name, item in given.items()
        if (remedy := _OF_TRIALS.get(name)) is not None
    ]


def lengths_of(given: Node) -> list[tuple[str, Node]]:
    """Return the keys of an arm that say how long to train, dotted.

    Args:
        given: What the study says of the arm.
    """
    found = []
    for key, node in given.value.items() if isinstance(given.value, dict) else ():
        section, _, rest = key.partition(".")
        if section == "training":
            inner = {rest: node} if rest else node.value if isinstance(node.value, dict) else {}
            found += [(f"training.{name}", item) for name, item in inner.items() if name in LENGTH]
    return found


def told_of(error: RecipeError, name: str, file: str) -> list[Mistake]:
    """Return the mistakes of an arm, with its name where the study itself says them.

    Args:
        error: What is wrong with it.
        name: The arm's name.
        file: The study's file.
    """
    return [
        Mistake(f"arms.{name}.{item.key}".rstrip("."), item.problem, item.remedy, item.where)
        if item.where.partition(":")[0] == file or item.where.startswith(f"{file}:")
        else item
        for item in error.mistakes
    ]
