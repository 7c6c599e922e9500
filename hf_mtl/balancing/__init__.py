"""Many losses or gradients -> one update.

Add a method as one file in ``weightings/`` or ``aggregators/``, and one test.
"""

from typing import Any

from hf_mtl.balancing.aggregator import AGGREGATORS, GradientAggregator, NonFiniteRows
from hf_mtl.balancing.base import WEIGHTINGS, LossWeighting
from hf_mtl.balancing.exposure import DEFAULT_EXPOSURE, Exposure, exposures
from hf_mtl.balancing.gradient_options import GradientOptions
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.inner_products import combine, gramian, gramian_of, room
from hf_mtl.balancing.needs import Conflict, FromGramian, LookAhead, Teleporting
from hf_mtl.balancing.section import (
    DEFAULT_EXACT_ACCUMULATION,
    DEFAULT_WEIGHTING,
    OF_GRADIENTS,
    UPPER,
    Facts,
    Spec,
    State,
    make,
    mistakes,
    parse,
)


def available() -> dict[str, str]:
    """Return the registered methods: name -> family (``weighting`` or ``aggregator``)."""
    kinds = (WEIGHTINGS, AGGREGATORS)
    return dict(sorted((name, kind.word) for kind in kinds for name in kind.names()))


def build_weighting(name: str, num_tasks: int, **options: Any) -> LossWeighting:
    """Build a loss weighting.

    Args:
        name: Recipe name, such as ``uw``.
        num_tasks: Number of tasks T.
        options: The method's own options; ``task_types`` too, which a run says by itself.

    Raises:
        UserError: If the name or an option is unknown, or a value is out of range; all mistakes at once.
    """
    told = {key: options.pop(key) for key in WEIGHTINGS.told if key in options}
    return WEIGHTINGS.build({WEIGHTINGS.field: name, **options}, num_tasks=num_tasks, **told)


def build_aggregator(name: str, num_tasks: int, **options: Any) -> GradientAggregator:
    """Build a gradient aggregator.

    Args:
        name: Recipe name, such as ``pcgrad``.
        num_tasks: Number of tasks T.
        options: The method's own options; ``tasks`` too, their names, for an option that names some. Random methods
            take their seed by ``observe(seed=)``.

    Raises:
        UserError: If the name or an option is unknown, or a value is out of range; all mistakes at once.
    """
    told = {key: options.pop(key) for key in AGGREGATORS.told if key in options}
    return AGGREGATORS.build({AGGREGATORS.field: name, **options}, num_tasks=num_tasks, **told)


__all__ = [
    "AGGREGATORS",
    "DEFAULT_EXACT_ACCUMULATION",
    "DEFAULT_EXPOSURE",
    "DEFAULT_WEIGHTING",
    "OF_GRADIENTS",
    "UPPER",
    "WEIGHTINGS",
    "Conflict",
    "Exposure",
    "Facts",
    "FromGramian",
    "GradientAggregator",
    "GradientOptions",
    "GramianAggregator",
    "LookAhead",
    "LossWeighting",
    "NonFiniteRows",
    "Spec",
    "State",
    "Teleporting",
    "available",
    "build_aggregator",
    "build_weighting",
    "combine",
    "exposures",
    "gramian",
    "gramian_of",
    "make",
    "mistakes",
    "parse",
    "room",
]
