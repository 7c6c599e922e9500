"""Budgets: how many steps a run may take so that all arms spend the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_mtl.arguments import LEAST_OFTEN
from hf_mtl.experiments.compare.arms import LENGTH
from hf_mtl.experiments.compare.cost import Cost
from hf_mtl.experiments.compare.schema import Budget
from hf_mtl.experiments.compare.single_task import as_node
from hf_mtl.recipe.nodes import Node

TRIED: tuple[Budget, ...] = ("flops", "seconds")
"""Budgets that need a try."""


@dataclass(frozen=True)
class Allowance:
    """What a run may spend.

    Args:
        equal: What is equal in all arms.
        amount: How much of it the run may spend.
        steps: The steps that this makes.
        base_steps: Steps of the base run.
        base_epochs: Its passes over all training rows.
    """

    equal: Budget
    amount: float
    steps: int
    base_steps: int
    base_epochs: float

    def sentence(self) -> str:
        """Say what it is, and what it makes."""
        unit = {"steps": "steps", "backward_passes": "backward passes", "flops": "FLOPs", "seconds": "seconds"}
        return f"budget: {self.amount:.4g} {unit[self.equal]}, which make {self.steps:,} steps"


def allowance(equal: Budget, base: Cost, mine: Cost | None, group: Sequence[str]) -> Allowance:
    """Work out what a run may spend: what the base run does, or the part of it that is for some tasks.

    Rows, as a mixture draws them, say what part of the steps and passes is a task's; operations and seconds go by its
    tokens.

    Args:
        equal: What is equal in all arms.
        base: The cost of the base recipe.
        mine: The cost of the run's recipe; None: that of the base, but for its length.
        group: The tasks that the run is of; empty: all.
    """
    mine = base if mine is None else mine
    of_base, of_mine = (_per_step(equal, cost) for cost in (base, mine))
    by = "tokens" if equal in TRIED else "rows"
    share = sum(base.share(task, by) for task in group) if group else 1.0
    amount = base.steps * of_base * share
    return Allowance(equal, amount, max(1, round(amount / of_mine)), base.steps, base.epochs)


def _per_step(equal: Budget, cost: Cost) -> float:
    found = {
        "steps": 1.0,
        "backward_passes": cost.passes_per_step,
        "flops": cost.flops_per_step,
        "seconds": cost.seconds_per_step,
    }[equal]
    assert found is not None  # of a cost that was tried
    return found


def within(recipe: Node, may: Allowance, alone: bool) -> Node:
    """Give a recipe its number of steps, and as many evaluations, checkpoints and records in them as the base has.

    Args:
        recipe: The recipe.
        may: What it may spend.
        alone: Whether it is of some tasks only, whose epochs are shorter than those of all tasks.
    """
    training = recipe.value.get("training")
    given: dict[str, Node] = {} if training is None or training.value is None else dict(training.value)
    place = recipe.origin if training is None else training.origin
    options = {key: node.plain() for key, node in given.items()}
    kept = {key: node for key, node in given.items() if key not in LENGTH}
    changes = {"max_steps": may.steps}
    if may.steps != may.base_steps or alone:
        changes |= _intervals(options, may, alone)
    new = {key: as_node(value, place) for key, value in changes.items()}
    return Node({**recipe.value, "training": Node({**kept, **new}, place)}, recipe.origin)


def _intervals(options: dict[str, Any], may: Allowance, alone: bool) -> dict[str, Any]:
    """Return what is said in steps, or in epochs of all tasks, for a run of another length."""
    scale = may.steps / may.base_steps
    changes: dict[str, Any] = {}
    for key in ("logging_steps", "warmup_steps"):
        if _counts_steps(options.get(key)):
            changes[key] = _scaled(options[key], scale)
    evaluated = options.get("eval_steps") or options.get("logging_steps") or LEAST_OFTEN
    saved = options.get("save_steps") or LEAST_OFTEN
    if alone and options.get("eval_strategy") == "epoch":
        changes["eval_strategy"] = "steps"
        changes["eval_steps"] = max(1, int(may.steps / max(1.0, may.base_epochs)))
    elif options.get("eval_strategy") == "steps" and _counts_steps(evaluated):
        changes["eval_steps"] = _scaled(evaluated, scale)
    if alone and options.get("save_strategy") == "epoch":
        changes["save_strategy"] = "steps"
        changes["save_steps"] = changes.get("eval_steps", max(1, int(may.steps / max(1.0, may.base_epochs))))
    elif options.get("save_strategy", "steps") == "steps" and _counts_steps(saved):
        times, rest = divmod(saved, evaluated) if _counts_steps(evaluated) else (0, 1)
        # A checkpoint is of an evaluated model, so that the best one can be kept.
        together = "eval_steps" in changes and times and not rest
        changes["save_steps"] = changes["eval_steps"] * times if together else _scaled(saved, scale)
    return changes


def _counts_steps(value: Any) -> bool:
    """Tell whether a number counts steps; below 1 it is a share of them."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1


def _scaled(steps: float, scale: float) -> int:
    """Round down: the last evaluation of as many as the base has is within the run."""
    return max(1, int(steps * scale + 1e-9))
