"""The values that a search may give to a recipe key."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from hf_mtl.errors import Mistake
from hf_mtl.plain import describe
from hf_mtl.recipe.nodes import Origin
from hf_mtl.validation import validate

if TYPE_CHECKING:
    from optuna.trial import Trial

_CLOSE = 1e-9


class Values(BaseModel):
    """The values of a key: a range, or choices."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: int | float | None = Field(None, description="The smallest value.")
    high: int | float | None = Field(None, description="The largest value.")
    log: bool = Field(False, description="Draw the logarithm uniformly.")
    step: int | float | None = Field(None, gt=0, description="Distance of neighbouring values.")
    choices: list[Any] | None = Field(None, description="The values, of any kind.")


@dataclass(frozen=True)
class Dimension(ABC):
    """A recipe key and the values that it may have.

    Args:
        key: The dotted key, which is also the name of the study's parameter.
        where: Where its values were written.
        places: Where each of its corners was, as an override may have put one of them there; empty: all with the key.
    """

    key: str
    where: Origin
    places: tuple[Origin, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def suggest(self, trial: "Trial") -> Any:
        """Have a trial draw a value; one that it has drawn before stays."""

    @abstractmethod
    def corners(self) -> list[Any]:
        """Return the values that must be valid before anything is run."""

    def placed_corners(self) -> list[tuple[Any, Origin]]:
        """Return the corners, each with where it was written."""
        corners = self.corners()
        return list(zip(corners, self.places or [self.where] * len(corners), strict=True))

    @abstractmethod
    def value(self, drawn: Any) -> Any:
        """Return the recipe's value of what a sampler drew."""

    @abstractmethod
    def drawn(self, value: Any) -> Any:
        """Return what a sampler would have drawn for a recipe's value; None where it cannot draw it."""


@dataclass(frozen=True)
class Range(Dimension):
    """Numbers between two ends; whole numbers where all that is written is whole.

    Args:
        low: The smallest.
        high: The largest.
        log: Draw the logarithm uniformly.
        step: Distance of neighbours; None: none, or 1 of whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Tell whether the values are whole numbers."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    def suggest(self, trial: "Trial") -> Any:
        """Draw a whole or another number."""
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.key, float(self.low), float(self.high), step=self.step, log=self.log)

    def corners(self) -> list[Any]:
        """Return both ends, in the kind of number that is drawn."""
        return [self.low, self.high] if self.whole else [float(self.low), float(self.high)]

    def value(self, drawn: Any) -> Any:
        """Return the number itself."""
        return drawn

    def drawn(self, value: Any) -> Any:
        """Return a number of the range; None for what is none, or between its steps."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return None
        if self.whole and value != int(value):
            return None
        if self.step is not None and not _divides(self.step, value - self.low):
            return None
        return int(value) if self.whole else float(value)

    def __str__(self) -> str:
        kind = " whole" if self.whole else ""
        step = f", step {self.step:g}" if self.step is not None else ""
        return f"{self.low:g} to {self.high:g}{kind}{', log' if self.log else ''}{step}"


@dataclass(frozen=True)
class Choice(Dimension):
    """Values to choose from, of any kind that a recipe can hold.

    Args:
        choices: The values.
    """

    choices: tuple[Any, ...]

    def suggest(self, trial: "Trial") -> Any:
        """Draw a label, since a study knows no lists or mappings."""
        return trial.suggest_categorical(self.key, tuple(map(label, self.choices)))

    def corners(self) -> list[Any]:
        """Return every choice."""
        return list(self.choices)

    def value(self, drawn: Any) -> Any:
        """Return the choice of a label."""
        return next(choice for choice in self.choices if label(choice) == drawn)

    def drawn(self, value: Any) -> Any:
        """Return the label of a choice; of a thing without options its name will do."""
        same = (choice for choice in self.choices if _canonical(choice) == _canonical(value))
        return next(map(label, same), None)

    def __str__(self) -> str:
        return ", ".join(describe(choice).strip("'") for choice in self.choices)


def label(value: Any) -> str:
    """Write a choice as a study keeps it: JSON, and text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def parse_dimension(key: str, spec: Any, where: Origin, mistakes: list[Mistake]) -> Dimension | None:
    """Read the values of a key; None if they are not valid.

    Args:
        key: The dotted recipe key.
        spec: ``{low, high, log, step}`` or ``{choices}``, plain.
        where: Where that was written.
        mistakes: Receives everything that is wrong.
    """
    found: list[Mistake] = []
    parsed = validate(Values, spec, ("search", key), found)
    if parsed is not None:
        found += [Mistake(f"search.{key}{part}", *said) for part, *said in _unfit(parsed)]
    mistakes.extend(found)
    if parsed is None or found:
        return None
    if parsed.choices is not None:
        return Choice(key, where, tuple(parsed.choices))
    assert parsed.low is not None
    assert parsed.high is not None
    return Range(key, where, parsed.low, parsed.high, parsed.log, parsed.step)


def _unfit(spec: Values) -> list[tuple[str, str, str]]:
    """Find parts that do not go together: which, what is wrong, what to do."""
    both = "Give {low: ..., high: ...}, or {choices: [...]}."
    if spec.choices is not None:
        given = spec.model_fields_set - {"choices"}
        labels = [label(choice) for choice in spec.choices]
        twice = next((choice for choice in labels if labels.count(choice) > 1), None)
        wrong = [(f".{name}", "does nothing beside choices", both) for name in sorted(given)]
        wrong += [(".choices", "is empty", both)] if not labels else []
        return wrong + ([(".choices", f"has '{twice}' more than once", "Keep one.")] if twice is not None else [])
    absent = [name for name in ("low", "high") if getattr(spec, name) is None]
    if absent:
        return [(f".{name}", "missing", both) for name in absent]
    return _unfit_range(spec)


def _unfit_range(spec: Values) -> list[tuple[str, str, str]]:
    low, high = spec.low or 0, spec.high or 0
    if low >= high:
        return [("", f"found low {low:g} and high {high:g}", "Allowed: high above low.")]
    wrong = []
    if spec.log and low <= 0:
        wrong.append((".low", f"found {low:g} with log: true", "Allowed: more than 0."))
    if spec.log and spec.step is not None:
        wrong.append((".step", "found with log: true", "Give one of them."))
    if spec.step is not None and not _divides(spec.step, high - low):
        wrong.append((".step", f"found {spec.step:g}", f"Allowed: a part of high - low, {high - low:g}."))
    return wrong


def _divides(step: float, length: float) -> bool:
    count = length / step
    return math.isclose(count, round(count), abs_tol=_CLOSE)


def _canonical(value: Any) -> str:
    """Return a label that is the same for a thing that is chosen by name alone and for its name."""
    return label(_by_name(value))


def _by_name(value: Any) -> Any:
    if isinstance(value, list):
        return [_by_name(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    alone = len(value) == 1 and next(iter(value)) in ("name", "type")
    return next(iter(value.values())) if alone else {key: _by_name(item) for key, item in value.items()}
