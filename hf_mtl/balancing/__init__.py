"""Many losses or gradients -> one update. Add a method as one file in ``weightings/``, and one test."""

import importlib
import inspect
import pkgutil
from typing import Any

from hf_mtl.balancing import weightings
from hf_mtl.balancing.base import WEIGHTINGS, LossWeighting
from hf_mtl.balancing.exposure import DEFAULT_REDUCTION, Reduction, exposure
from hf_mtl.errors import Mistake, UserError, known

DEFAULT_WEIGHTING = "ew"

for _module in pkgutil.iter_modules(weightings.__path__):
    importlib.import_module(f"{weightings.__name__}.{_module.name}")


def available() -> dict[str, str]:
    """The registered methods: name -> family (``weighting``)."""
    return {name: "weighting" for name in sorted(WEIGHTINGS)}


def weighting_class(name: str) -> type[LossWeighting]:
    """The class behind a recipe name; its keyword arguments are the recipe options.

    Raises:
        UserError: If the name is unknown.
    """
    if name not in WEIGHTINGS:
        raise UserError(Mistake("balancing.weighting", f"unknown weighting '{name}'", known(WEIGHTINGS, name)))
    return WEIGHTINGS[name]


def build_weighting(name: str, num_tasks: int, **options: Any) -> LossWeighting:
    """Build a loss weighting.

    Args:
        name: Recipe name, such as ``uw``.
        num_tasks: Number of tasks T.
        options: The method's own options.

    Raises:
        UserError: If the name or an option is unknown, or a value is out of range.
    """
    cls = weighting_class(name)
    allowed = [option for option in inspect.signature(cls).parameters if option != "num_tasks"]
    unknown = [option for option in options if option not in allowed]
    if unknown:
        key = f"balancing.weighting.{unknown[0]}"
        raise UserError(Mistake(key, f"'{name}' has no option '{unknown[0]}'", known(allowed, unknown[0])))
    try:
        return cls(num_tasks=num_tasks, **options)
    except (TypeError, ValueError) as error:
        raise UserError(Mistake("balancing.weighting", f"'{name}': {error}")) from error


__all__ = [
    "DEFAULT_REDUCTION",
    "DEFAULT_WEIGHTING",
    "LossWeighting",
    "Reduction",
    "available",
    "build_weighting",
    "exposure",
    "weighting_class",
]
