"""The arms of a study: every one an ordinary recipe, or one for each task, before anything is run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hf_mtl.errors import Mistake, RecipeError, UserError, known
from hf_mtl.experiments.arms import extended, laid_over, of_section
from hf_mtl.experiments.compare.beside import with_beside
from hf_mtl.experiments.compare.schema import GROUPS, SINGLE_TASK
from hf_mtl.experiments.compare.single_task import single_task_node
from hf_mtl.experiments.compare.some_tasks import some_tasks_node
from hf_mtl.experiments.identity import digest
from hf_mtl.plain import describe
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.plugins import Code

LENGTH = ("max_steps", "num_train_epochs", "max_flops", "max_backward_passes")
"""Keys of the training section that say how long a run is, which the budget does here."""

_OF_TRIALS = {
    "training.seed": "Write seeds: [...] in the study",
    "training.output_dir": "Write output_dir in the study",
    "training.push_to_hub": "A study pushes nothing; push a run of it with hf-mtl push",
}
_WITH_FOLDS = {**_OF_TRIALS, "data.fold": "folds and repeats of the study deal the rows out; leave it out"}


@dataclass(frozen=True)
class Part:
    """One recipe of an arm, and what it is of.

    Args:
        group: The tasks that it is of; empty: all.
        node: The merged recipe, with places.
        recipe: The same, validated.
        dropped: What the recipe of all tasks has and this has not, in words.
    """

    group: tuple[str, ...]
    node: Node
    recipe: Recipe
    dropped: tuple[str, ...] = ()

    @property
    def task(self) -> str | None:
        """Name the task that it is of alone, or its group, as streams are: with a plus sign; None: it is of all."""
        return "+".join(self.group) or None


@dataclass(frozen=True)
class Arm:
    """One of the ways to train that are compared.

    Args:
        name: Its name.
        parts: Its recipe, or that of each task or group.
        whole: Its recipe of all tasks.
    """

    name: str
    parts: tuple[Part, ...]
    whole: Part = field(repr=False)

    @property
    def is_single_task(self) -> bool:
        """Tell whether it trains each task alone."""
        return all(len(part.group) == 1 for part in self.parts)


def parse_arm(
    name: str, base: tuple[str, Origin], common: Node | None, given: Node, code: Code, folds: bool = False
) -> Arm:
    """Resolve an arm.

    Args:
        name: Its name.
        base: The base recipe as it is written, and where.
        common: The keys to replace in all arms; None: none.
        given: What the study says of the arm.
        code: Whether code that a recipe names may be run.
        folds: Whether the study deals the rows out in folds.

    Raises:
        RecipeError: With everything that is wrong.
    """
    mistakes: list[Mistake] = []
    keys, extends, single, groups = _read(given, mistakes)
    layers = (common.value if common is not None else {}, keys)
    node = laid_over(base, extends, layers, _WITH_FOLDS if folds else _OF_TRIALS, mistakes)
    recipe = recipe_of(node, code, before=mistakes)
    whole = Part((), node, recipe)
    if single:
        return Arm(name, tuple(_of_group(whole, [task], code) for task in recipe.trained_tasks), whole)
    if groups is None:
        return Arm(name, (whole,), whole)
    return Arm(name, tuple(_of_group(whole, group, code) for group in _checked(groups, recipe)), whole)


def _read(
    given: Node, mistakes: list[Mistake]
) -> tuple[dict[str, Node], list[tuple[str, Origin]], bool, Node | None]:
    """Return the keys that an arm replaces, the recipes that it extends, whether it trains each task alone, and the
    groups that it trains.
    """
    if not isinstance(given.value, dict):
        return {}, [], True, None
    keys = dict(given.value)
    groups = keys.pop(GROUPS, None)
    single = keys.pop(SINGLE_TASK, None)
    if single is not None and not isinstance(single.value, bool):
        problem = f"found {describe(single.plain())}"
        mistakes.append(Mistake(SINGLE_TASK, problem, "Allowed: true or false.", str(single.origin)))
    files = extended(keys.pop("extends", None), mistakes)
    alone = single is not None and single.value is True
    if alone and groups is not None:
        mistakes.append(Mistake(GROUPS, f"found beside {SINGLE_TASK}", "Give one of them.", str(groups.origin)))
    return keys, files, alone, groups


def _checked(groups: Node, recipe: Recipe) -> list[list[str]]:
    """Return the groups of an arm: a list, or the file of a proposal that `hf-mtl affinity` has written.

    Raises:
        RecipeError: If they are no groups of tasks of the recipe, or a task is in two of them.
    """
    given = groups.plain()
    if isinstance(given, str):
        return _proposed(absolute(groups), groups.origin, recipe)
    shaped = isinstance(given, list) and all(isinstance(group, list) and group for group in given) and given
    if not shaped:
        remedy = "Allowed: a list of lists of tasks, such as [[a, b], [c]], or the file of a proposal."
        raise RecipeError(Mistake(GROUPS, f"found {describe(given)}", remedy, str(groups.origin)))
    names = [str(name) for group in given for name in group]
    found = [
        Mistake(GROUPS, f"unknown task '{name}'", known(recipe.trained_tasks, name), str(groups.origin))
        for name in names
        if name not in recipe.trained_tasks
    ]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    found += [
        Mistake(GROUPS, f"{name} stands twice", "A task is in one group.", str(groups.origin)) for name in twice
    ]
    if found:
        raise RecipeError(found)
    return [list(group) for group in given]


def _proposed(file: str, origin: Origin, recipe: Recipe) -> list[list[str]]:
    from hf_mtl.experiments.affinity.proposal import read_proposal  # beside what takes seconds to import

    try:
        return read_proposal(file, recipe.trained_tasks)
    except UserError as error:
        raise RecipeError([replace(item, key=GROUPS, where=str(origin)) for item in error.mistakes]) from error


def absolute(file: Node) -> str:
    """Return the whole path of a file that is named relative to the one which names it.

    Args:
        file: Its name.
    """
    return os.path.normpath(os.path.join(file.origin.folder, os.path.expanduser(file.value)))


def _of_group(whole: Part, group: Sequence[str], code: Code) -> Part:
    if len(group) == 1:
        node, dropped = single_task_node(whole.node, group[0], whole.recipe)
    else:
        node, dropped = some_tasks_node(whole.node, group, whole.recipe)
    node = with_beside(node, group, whole.node.value["tasks"], whole.recipe)
    return Part(tuple(group), node, recipe_of(node, code), tuple(dropped))


def lengths_of(given: Node) -> list[tuple[str, Node]]:
    """Return the keys of an arm that say how long to train, dotted.

    Args:
        given: What the study says of the arm.
    """
    keys = given.value.items() if isinstance(given.value, dict) else ()
    inner = [pair for key, node in keys for pair in of_section("training", key, node).items()]
    return [(f"training.{name}", item) for name, item in inner if name in LENGTH]


def same_arm_mistakes(arms: Mapping[str, Arm]) -> list[Mistake]:
    """Find the arms that are wholly the same as one before them; those that share a part of their runs are not.

    Args:
        arms: The arms by name.
    """
    first: dict[str, str] = {}
    found = []
    for name, arm in arms.items():
        other = first.setdefault(_runs_of(arm), name)
        if other != name:
            remedy = f"Leave one out: it would train the runs of {other} again, and make Holm's correction stricter."
            found.append(Mistake(f"arms.{name}", f"is the same recipe as {other}", remedy))
    return found


def _runs_of(arm: Arm) -> str:
    """Return what tells the runs of an arm from those of others, in whatever order they are."""
    imbalance = arm.whole.recipe.data.imbalance  # decides over the rows of its parts too
    parts = sorted(digest(_settled(part.recipe)) for part in arm.parts)
    return digest([parts, None if imbalance is None else imbalance.model_dump(mode="json")])


def _settled(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe with its defaults, but for what the study decides."""
    plain = recipe.model_dump(mode="json")
    training = {key: value for key, value in plain["training"].items() if f"training.{key}" not in _OF_TRIALS}
    return {**plain, "training": training}


def told_of(error: RecipeError, name: str, file: str) -> list[Mistake]:
    """Return the mistakes of an arm, with its name where the study itself says them.

    Args:
        error: What is wrong with it.
        name: The arm's name.
        file: The study's file.
    """
    return [
        Mistake(f"arms.{name}.{item.key}".rstrip("."), item.problem, item.remedy, item.where)
        if item.where.partition(":")[0] in (file, "command line") or item.where.startswith(f"{file}:")
        else item
        for item in error.mistakes
    ]
