"""Facts of every balancing method, read from its class; the table of methods is made of them."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic_core import PydanticUndefined

from hf_mtl.balancing.aggregator import AGGREGATORS, GradientAggregator
from hf_mtl.balancing.base import WEIGHTINGS, LossWeighting
from hf_mtl.components import Kind
from hf_mtl.errors import Mistake, UserError, known

Family = Literal["weighting", "aggregator"]
FAMILIES: tuple[Family, ...] = get_args(Family)

REQUIRED = inspect.Parameter.empty
"""The default of an option that must be given."""

NEEDS = {
    "losses": "the step's task losses; a weighting has them before the backward",
    "losses_after": "the losses of the same rows after the update",
    "norms": "the norm of each task's gradient of the shared parameters in `scope`",
    "gramian": "the inner products of the task gradients",
    "jacobian": "the task gradients themselves, T x P numbers",
    "second_backward": "task gradients at other parameters than the step's",
    "adapter_training": "a training phase of its own",
}
"""What methods need, in words; in this order."""


@dataclass(frozen=True)
class MethodFacts:
    """One row of the table of methods.

    Args:
        name: Recipe name.
        family: Weighting or aggregator.
        source: The paper.
        options: Default of each option, `REQUIRED` where there is none.
        needs: What a step must hand over, with the default options; see `NEEDS`.
        cost: What it costs beside equal weighting.
        scale: Of an aggregator: ``sum``, ``mean``, its ``own`` or ``the base's``; of a weighting: ``additive``, a sum
            over tasks with their exposure, or ``joint``, where each present task is seen once.
        sums_to: What the weights of a weighting sum to: ``1``, ``T`` or nothing fixed (``own``); None: an aggregator.
        doc: The docstring of its class.
    """

    name: str
    family: Family
    source: str
    options: Mapping[str, Any]
    needs: tuple[str, ...]
    cost: str
    scale: str
    sums_to: str | None
    doc: str


def catalogue(family: Family) -> list[MethodFacts]:
    """Return the facts of every method of a family, by name."""
    kind = WEIGHTINGS if family == "weighting" else AGGREGATORS
    return [_facts(kind, name) for name in kind.names()]


def method_facts(name: str) -> MethodFacts:
    """Return the facts of one method of either family.

    Raises:
        UserError: If the name is unknown.
    """
    for kind in (WEIGHTINGS, AGGREGATORS):
        if name in kind:
            return _facts(kind, name)
    names = [*WEIGHTINGS.names(), *AGGREGATORS.names()]
    also = {**WEIGHTINGS.other_names(), **AGGREGATORS.other_names()}
    raise UserError(Mistake("", f"unknown method '{name}'", known(names, name, also=also)))


def shared_options(methods: Iterable[MethodFacts]) -> dict[str, Any]:
    """Return the options that all methods have, with the same default."""
    first, *others = methods
    return {
        option: default
        for option, default in first.options.items()
        if all(option in other.options and other.options[option] == default for other in others)
    }


def _facts(kind: Kind[LossWeighting] | Kind[GradientAggregator], name: str) -> MethodFacts:
    cls = kind[name]
    sums_to: str | None = None
    if issubclass(cls, LossWeighting):
        family, scale, sums_to = FAMILIES[0], "additive" if cls.additive else "joint", cls.sums_to
    else:
        family, scale = FAMILIES[1], cls.scale
    return MethodFacts(
        name=cls.name,
        family=family,
        source=cls.source,
        options=_defaults(kind, name),
        needs=tuple(need for need in NEEDS if need in cls.needs),
        cost=cls.cost,
        scale=scale,
        sums_to=sums_to,
        doc=inspect.cleandoc(cls.__doc__ or ""),
    )


def _defaults(kind: Kind[LossWeighting] | Kind[GradientAggregator], name: str) -> dict[str, Any]:
    """Return the default of each option of a method; `REQUIRED`: there is none."""
    fields = kind.options(name).model_fields
    return {
        option: REQUIRED if field.default is PydanticUndefined else field.default
        for option, field in fields.items()
        if option != kind.field
    }
