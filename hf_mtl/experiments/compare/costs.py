"""The costs of a study's recipes: each is worked out once, by whichever worker needs it first, and kept."""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TypeAlias

from hf_mtl.errors import Mistake, UserError
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.arms import Part
from hf_mtl.experiments.compare.budget import TRIED, Allowance, allowance, within
from hf_mtl.experiments.compare.cost import Cost, cost_of
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.single_task import with_unit
from hf_mtl.experiments.compare.trials import Trial, with_trial
from hf_mtl.experiments.identity import digest, same_anywhere
from hf_mtl.experiments.results import Results
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.nodes import Node

_LOOK_EVERY_S = 0.5
_SHOWN = 12

Share: TypeAlias = Callable[[Cost | None], Allowance]
"""What a run may spend, given the cost of its recipe."""


class Costs:
    """What the recipes of a study take.

    Args:
        study: The study.
        say: Takes what is done.
    """

    def __init__(self, study: Study, say: Callable[[str], None] = lambda text: None):
        self.study = study
        self.say = say
        self.equal = study.file.budget.equal
        self._kept = Results(study.folder / "costs.jsonl")
        self._known: dict[str, Cost] = {}

    def base(self) -> Cost:
        """Return the cost of the base recipe, which is everybody's budget."""
        return self._first(self.study.base.whole, "the base recipe", self.equal in TRIED)

    def allowance(self, trial: Trial) -> Allowance:
        """Return what a trial may spend."""
        base, task = self.base(), trial.part.task

        def share(mine: Cost | None) -> Allowance:
            return allowance(self.equal, base, mine, trial.part.group)

        if self.equal == "steps":
            return share(None)
        # With as many steps as the base: which tokens a try sees does not depend on it.
        name = trial.arm.name if task is None else f"{trial.arm.name}, {task}"
        return share(self._first(trial.part, name, self.equal in TRIED, share))

    def node(self, trial: Trial, may: Allowance) -> Node:
        """Return the recipe of a trial within its budget."""
        group, imbalance = trial.part.group, trial.arm.whole.recipe.data.imbalance
        node = within(trial.node, may, bool(group))
        if not group or imbalance is None:
            return node
        unit = imbalance.unit
        if unit is None:  # as many as all tasks can give, of the rows of this seed and fold
            unit = self._of(trial.arm.whole, trial.arm.name, False, trial.seed, trial.fold).unit
        assert unit is not None  # where there is a ratio
        return with_unit(node, {name: imbalance.ratio[name] for name in group}, unit)

    def _first(self, part: Part, name: str, tried: bool, share: Share | None = None) -> Cost:
        """Return the cost of a recipe by the first seed and fold."""
        file = self.study.file
        return self._of(part, name, tried, file.seed_list[0], None if file.folds is None else 0, share)

    def _of(
        self, part: Part, name: str, tried: bool, seed: int, fold: int | None, share: Share | None = None
    ) -> Cost:
        """Return the cost of a recipe, which this process or another has worked out, or does now and says."""
        study = self.study
        node = with_trial(part.node, study.base.whole.node, study.file, seed, fold)
        identity = digest([same_anywhere(node, study.folder), tried])
        while identity not in self._known:
            with claim(study.folder / "claims" / f"cost-{identity[:_SHOWN]}") as mine:
                # Asked under the claim: before it another process may have been about to finish it.
                found = self._find(identity)
                if found is None and mine:
                    recipe = recipe_of(node, "allowed" if study.allow_code else "refused")
                    found = self._work_out(identity, recipe, name, tried)
                    self.say(f"{name}: {_in_words(found, share)}")
            if found is None:
                time.sleep(_LOOK_EVERY_S)
            else:
                self._known[identity] = found
        return self._known[identity]

    def _find(self, identity: str) -> Cost | None:
        kept = self._kept.find(identity=identity)
        return None if kept is None else Cost(**kept["cost"])

    def _work_out(self, identity: str, recipe: Recipe, name: str, tried: bool) -> Cost:
        folder = self.study.folder / "tries" / identity[:_SHOWN]
        cost = cost_of(recipe, tried, folder)
        with suppress(OSError):  # another worker is at a try of its own
            folder.parent.rmdir()
        self._kept.add({"identity": identity, "name": name, "cost": cost.to_dict()})
        return cost


def _in_words(cost: Cost, share: Share | None) -> str:
    written = f"{cost.steps:,} steps as it is written"
    said = written if share is None else f"{share(cost).steps:,} steps at this budget ({written})"
    if cost.flops_per_step is not None and cost.seconds_per_step is not None:
        said += f"; a step takes {cost.flops_per_step:.3g} FLOPs and {1000 * cost.seconds_per_step:.0f} ms here"
    return said


def refuse_untested(study: Study, tested: Collection[str]) -> None:
    """Refuse a study without test rows.

    Args:
        study: The study.
        tested: The tasks that have any.

    Raises:
        UserError: If there are none.
    """
    if not tested:
        problem = "no task has test rows, by which arms are compared"
        remedy = (
            "Set test_fraction for the tasks (in the study: set: {tasks.NAME.test_fraction: 0.2}), name a file of "
            "test rows in data_files, or give folds"
        )
        raise UserError(Mistake("base", problem, remedy, str(study.node.value["base"].origin)))


def untested(study: Study, costs: Costs) -> list[str]:
    """Return the tasks without test rows, on which nothing can be compared.

    Args:
        study: The study.
        costs: Knows the data of the base recipe.

    Raises:
        UserError: If no task has any.
    """
    tested = costs.base().tested
    refuse_untested(study, tested)
    return [task for task in study.tasks if task not in tested]


def has_test_rows(study: Study, costs: Costs, trial: Trial) -> bool:
    """Tell whether any task of a trial has test rows.

    Args:
        study: The study.
        costs: Knows the data of the base recipe.
        trial: The trial.
    """
    names = set(costs.base().tested)
    return bool(names & set(trial.part.group or names))
