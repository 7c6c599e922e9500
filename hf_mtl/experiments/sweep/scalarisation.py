"""Fixed loss weights as a search: the fair contender of balancing methods.

A tuned weighted sum of the losses was found to match the balancing methods of its time, where both were given the
same trials: Xin et al., NeurIPS 2022, arXiv:2209.11379; Royer et al., NeurIPS 2023, arXiv:2310.08910 (scalarisation
at scale). A study that compares methods lacks its strongest simple contender without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hf_mtl.errors import Mistake, known
from hf_mtl.experiments.sweep.space import Range
from hf_mtl.recipe.nodes import Origin
from hf_mtl.validation import validate

KEY = "balancing.weighting"
WEIGHTED_SUMS = ("ew", "fixed")
"""Weightings whose weights are the same in every step."""
_SAME = 1e-6


class Weights(BaseModel):
    """Which loss weights are searched, log-uniformly; only their ratios count."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tasks: Literal["all"] | list[str] = Field("all", description="The tasks whose weights are searched, or all.")
    low: float = Field(0.1, gt=0, description="The smallest weight beside that of the task that they stand beside.")
    high: float = Field(10.0, gt=0, description="The largest.")


@dataclass(frozen=True)
class Scalarisation:
    """Weights of the tasks' losses, drawn log-uniformly; only their ratios count.

    One task is what the others are measured by, so that there is one dimension less than tasks. Where some tasks
    alone are searched, they are measured by all the others, which weigh alike.

    Args:
        tasks: All tasks, in their order.
        free: The tasks whose weights are drawn.
        low: The smallest ratio.
        high: The largest ratio.
        total: What the weights sum to: as much as those of the arm, so that the step size stays what it was.
        where: Where it was written.
    """

    tasks: tuple[str, ...]
    free: tuple[str, ...]
    low: float
    high: float
    total: float
    where: Origin

    @property
    def dimensions(self) -> tuple[Range, ...]:
        """Return the ratio of each free task to the tasks that are not."""
        return tuple(Range(name_of(task), self.where, self.low, self.high, log=True) for task in self.free)

    def weighting(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weighting of drawn ratios; equal ones are those of ``ew``.

        Args:
            drawn: Ratios by the names of the dimensions.
        """
        ratios = {task: float(drawn.get(name_of(task), 1.0)) for task in self.tasks}
        scale = self.total / sum(ratios.values())
        return {"name": "fixed", "weights": {task: ratio * scale for task, ratio in ratios.items()}}

    def drawn(self, weighting: Mapping[str, Any]) -> dict[str, float]:
        """Return the ratios that a recipe's weighting has: equal ones of ``ew``; nothing of what is no weighted sum.

        Args:
            weighting: The weighting as it is written, with its name.
        """
        weights = weighting.get("weights") if weighting.get("name") == "fixed" else None
        if weighting.get("name") == "ew":
            weights = dict.fromkeys(self.tasks, 1.0)
        if not isinstance(weights, Mapping) or set(weights) != set(self.tasks):
            return {}
        held = [weights[task] for task in self.tasks if task not in self.free]
        if max(held) > min(held) * (1 + _SAME):
            return {}
        return {name_of(task): weights[task] / held[0] for task in self.free}


def name_of(task: str) -> str:
    """Name the dimension of a task's weight."""
    return f"{KEY}.weights.{task}"


def parse_scalarisation(
    spec: Any, tasks: Sequence[str], weighting: Mapping[str, Any], where: Origin, mistakes: list[Mistake]
) -> Scalarisation | None:
    """Read what the file says of weights; None if it is not valid.

    Args:
        spec: ``{tasks, low, high}``, plain.
        tasks: The tasks that are trained, in their order.
        weighting: The weighting of the arm as it is written, with its name.
        where: Where it was written.
        mistakes: Receives everything that is wrong.
    """
    found: list[Mistake] = []
    parsed = validate(Weights, spec, ("scalarisation",), found)
    if parsed is not None:
        found += _unfit(parsed, tasks)
    mistakes.extend(found)
    if parsed is None or found:
        return None
    free = tuple(tasks[1:]) if parsed.tasks == "all" else tuple(task for task in tasks if task in parsed.tasks)
    free = free[1:] if len(free) == len(tasks) else free
    return Scalarisation(tuple(tasks), free, parsed.low, parsed.high, _total(weighting), where)


def _total(weighting: Mapping[str, Any]) -> float:
    """Return what the weights of an arm sum to: 1 of those that sum to nothing fixed."""
    weights = weighting.get("weights") if weighting.get("name") == "fixed" else None
    own = sum(weights.values()) if isinstance(weights, Mapping) else 1.0
    return float(weighting.get("weight_sum") or own)


def _unfit(spec: Weights, tasks: Sequence[str]) -> list[Mistake]:
    wrong = []
    if spec.low >= spec.high:
        problem = f"found low {spec.low:g} and high {spec.high:g}"
        wrong.append(Mistake("scalarisation", problem, "Allowed: high above low."))
    if len(tasks) < 2:
        wrong.append(Mistake("scalarisation", "there is one task", "Weights are those of two tasks or more."))
    if spec.tasks == "all":
        return wrong
    if not spec.tasks:
        wrong.append(Mistake("scalarisation.tasks", "is empty", "Allowed: all, or names of tasks."))
    for place, task in enumerate(spec.tasks):
        if task not in tasks:
            wrong.append(Mistake(f"scalarisation.tasks.{place}", f"unknown task '{task}'", known(tasks, task)))
    return wrong
