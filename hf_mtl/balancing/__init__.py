"""Many losses or gradients -> one update.

Add a method as one file in ``weightings/`` or ``aggregators/``, and one test.
"""

import inspect
from typing import Any, TypeVar

from hf_mtl.balancing.aggregator import (
    AGGREGATORS,
    Conflict,
    FromGramian,
    GradientAggregator,
    LookAhead,
    NonFiniteRows,
    Teleporting,
)
from hf_mtl.balancing.base import WEIGHTINGS, LossWeighting
from hf_mtl.balancing.exposure import DEFAULT_REDUCTION, Reduction, exposure
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.inner_products import combine, gramian
from hf_mtl.discovery import import_modules
from hf_mtl.errors import Mistake, UserError, huge_numbers, idle_options, known

DEFAULT_WEIGHTING = "ew"
DEFAULT_EXACT_ACCUMULATION = True
"""Whether a weighting that needs the step's losses first gets those of all micro-batches, for one more forward."""

Method = TypeVar("Method", LossWeighting, GradientAggregator)

import_modules("hf_mtl.balancing.weightings")
import_modules("hf_mtl.balancing.aggregators")


def available() -> dict[str, str]:
    """The registered methods: name -> family (``weighting`` or ``aggregator``)."""
    families = {**dict.fromkeys(WEIGHTINGS, "weighting"), **dict.fromkeys(AGGREGATORS, "aggregator")}
    return dict(sorted(families.items()))


def weighting_class(name: str) -> type[LossWeighting]:
    """The class behind a weighting's recipe name; its keyword arguments are the recipe options.

    Raises:
        UserError: If the name is unknown.
    """
    return _class(WEIGHTINGS, name, "weighting")


def aggregator_class(name: str) -> type[GradientAggregator]:
    """The class behind an aggregator's recipe name; its keyword arguments are the recipe options.

    Raises:
        UserError: If the name is unknown.
    """
    return _class(AGGREGATORS, name, "aggregator")


def unknown_method(family: str, name: str) -> Mistake:
    """The mistake of a name that is no method of a family; says so where it is one of the other.

    Args:
        family: ``weighting`` or ``aggregator``.
        name: The name.
    """
    hint = known((method for method, found in available().items() if found == family), name)
    if name in available():
        hint += f" '{name}' is of the other family and belongs under balancing.{available()[name]}."
    return Mistake(f"balancing.{family}", f"unknown {family} '{name}'", hint)


def build_weighting(name: str, num_tasks: int, **options: Any) -> LossWeighting:
    """Build a loss weighting.

    Args:
        name: Recipe name, such as ``uw``.
        num_tasks: Number of tasks T.
        options: The method's own options.

    Raises:
        UserError: If the name or an option is unknown, or a value is out of range.
    """
    return _build(weighting_class(name), num_tasks, options, "weighting")


def build_aggregator(name: str, num_tasks: int, **options: Any) -> GradientAggregator:
    """Build a gradient aggregator.

    Args:
        name: Recipe name, such as ``pcgrad``.
        num_tasks: Number of tasks T.
        options: The method's own options. Random methods take their seed by ``observe(seed=)``.

    Raises:
        UserError: If the name or an option is unknown, or a value is out of range.
    """
    return _build(aggregator_class(name), num_tasks, options, "aggregator")


def _class(registry: dict[str, type[Method]], name: str, family: str) -> type[Method]:
    if name not in registry:
        raise UserError(unknown_method(family, name))
    return registry[name]


def _build(cls: type[Method], num_tasks: int, options: dict[str, Any], family: str) -> Method:
    allowed = [option for option in inspect.signature(cls).parameters if option != "num_tasks"]
    unknown = [option for option in options if option not in allowed]
    if unknown:
        key = f"balancing.{family}.{unknown[0]}"
        raise UserError(Mistake(key, f"'{cls.name}' has no option '{unknown[0]}'", known(allowed, unknown[0])))
    if huge := huge_numbers(options, f"balancing.{family}"):
        raise UserError(huge)
    defaults = {option: found.default for option, found in inspect.signature(cls).parameters.items()}
    if idle := idle_options(getattr(cls, "only_with", {}), options, defaults, f"balancing.{family}"):
        raise UserError(idle)
    try:
        return cls(num_tasks=num_tasks, **options)
    except (TypeError, ValueError) as error:
        raise UserError(Mistake(f"balancing.{family}", f"'{cls.name}': {error}")) from error


__all__ = [
    "DEFAULT_EXACT_ACCUMULATION",
    "DEFAULT_REDUCTION",
    "DEFAULT_WEIGHTING",
    "Conflict",
    "FromGramian",
    "GradientAggregator",
    "GramianAggregator",
    "LookAhead",
    "LossWeighting",
    "NonFiniteRows",
    "Reduction",
    "Teleporting",
    "aggregator_class",
    "available",
    "build_aggregator",
    "build_weighting",
    "combine",
    "exposure",
    "gramian",
    "unknown_method",
    "weighting_class",
]
