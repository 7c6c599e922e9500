"""How often each task is drawn: proportional, uniform, tempered, capped, annealed, learned."""

import inspect
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.data.learned_temperature import LearnedTemperature
from hf_mtl.errors import UserError, by_task_mistakes, huge_numbers, known

DEFAULT_TEMPERATURE = 2.0

Positive: TypeAlias = Annotated[float, Field(gt=0)]
Shape = Literal["linear", "cosine", "exponential"]


def annealed_temperature(
    progress: float,
    start: Positive = 1.0,
    end: Positive = 5.0,
    shape: Shape = "linear",
    begin: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    stop: Annotated[float, Field(gt=0, le=1)] = 1.0,
) -> float:
    """Temperature at a point of training.

    With x = clip((progress - begin) / (stop - begin), 0, 1): ``linear`` start + (end - start) x, ``cosine``
    end + (start - end)(1 + cos(pi x)) / 2, ``exponential`` start (end / start)^x.

    Args:
        progress: Optimizer step / total steps, in [0, 1].
        start: Temperature until ``begin``.
        end: Temperature from ``stop`` on.
        shape: ``linear``, ``cosine`` or ``exponential``.
        begin: Progress at which the change begins.
        stop: Progress at which it ends.

    Raises:
        UserError: If a temperature is not positive, the shape is unknown, or ``begin >= stop``.
    """
    if start <= 0 or end <= 0 or not 0 <= begin < stop <= 1:
        raise UserError("mixture.anneal: needs start > 0, end > 0 and 0 <= begin < stop <= 1")
    x = min(max((progress - begin) / (stop - begin), 0.0), 1.0)
    if shape == "linear":
        return start + (end - start) * x
    if shape == "cosine":
        return end + (start - end) * (1 + math.cos(math.pi * x)) / 2
    if shape == "exponential":
        return start * (end / start) ** x
    raise UserError(
        f"mixture.anneal.shape: unknown shape '{shape}'. {known(['linear', 'cosine', 'exponential'], shape)}"
    )


class Mixture:
    """Probability of each task, p_t proportional to min(n_t, cap)^(1/temperature).

    Temperature 1 is proportional to size, larger is more uniform, smaller favours the large tasks. (The
    few-task paper states the opposite direction; its formula is the one used here.)

    Args:
        sizes: Training rows of each task.
        temperature: A positive number, ``proportional`` (1), ``uniform`` (infinite), or one number per task:
            lowering a task's own temperature raises that task's share.
        cap: Count at most this many rows of a task.
        anneal: Move the temperature while training, in place of ``temperature``: ``{start, end, shape, begin,
            stop}`` as in `annealed_temperature`.
        learn: Learn one temperature per task while training, in place of ``temperature``: ``{objective, penalty, lr,
            every}`` as in `hf_mtl.data.learned_temperature.LearnedTemperature`; ``{}`` for its defaults.
        min_per_task: Rows that every task gets in every step.
        one_task_per_step: Draw one task per optimizer step, with its probability, in place of a mixed batch.

    Raises:
        UserError: If a size is not positive or an option is out of range.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        temperature: Positive | Literal["proportional", "uniform"] | dict[str, Positive] = DEFAULT_TEMPERATURE,
        cap: Annotated[int, Field(ge=1)] | None = None,
        anneal: dict[str, Any] | None = None,
        learn: dict[str, Any] | None = None,
        min_per_task: Annotated[int, Field(ge=0)] = 0,
        one_task_per_step: bool = False,
    ):
        empty = [name for name, size in sizes.items() if size < 1]
        if not sizes or empty:
            raise UserError(f"mixture: every task needs at least one training row; none in {empty or 'any task'}")
        given = {
            "temperature": temperature,
            "cap": cap,
            "anneal": anneal,
            "learn": learn,
            "min_per_task": min_per_task,
        }
        if huge := huge_numbers(given, "mixture"):
            raise UserError(huge)
        if cap is not None and cap < 1:
            raise UserError(f"mixture.cap: {cap} is not at least 1")
        if min_per_task < 0 or (min_per_task and one_task_per_step):
            raise UserError("mixture.min_per_task: must be at least 0, and 0 with one_task_per_step")
        self.sizes = dict(sizes)
        self.temperature = temperature
        self.cap = cap
        self.anneal = dict(anneal) if anneal is not None else None
        self.learner = self._make_learner(learn)
        self.min_per_task = min_per_task
        self.one_task_per_step = one_task_per_step
        flat = anneal is None and learn is None and bool(np.isinf(self._temperatures(0.0)).all())
        if cap is not None and flat:
            raise UserError("mixture.cap: does nothing where temperature draws all tasks alike; leave it out")
        self._temperatures(0.0)  # reports bad options now, not in the middle of a run

    def _make_learner(self, learn: dict[str, Any] | None) -> LearnedTemperature | None:
        if learn is None:
            return None
        if self.anneal is not None or self.temperature != DEFAULT_TEMPERATURE:
            raise UserError(
                "mixture.learn: takes the place of mixture.temperature and mixture.anneal; give one of them"
            )
        allowed = [name for name in inspect.signature(LearnedTemperature).parameters if name != "sizes"]
        for name in learn:
            if name not in allowed:
                raise UserError(f"mixture.learn: unknown key '{name}'. {known(allowed, name)}")
        capped = {name: size if self.cap is None else min(size, self.cap) for name, size in self.sizes.items()}
        return LearnedTemperature(capped, **learn)

    def _temperatures(self, progress: float) -> NDArray[np.float64]:
        if self.anneal is not None:
            if self.temperature != DEFAULT_TEMPERATURE:
                raise UserError("mixture.anneal: takes the place of mixture.temperature; give one of them")
            unknown = set(self.anneal) - {"start", "end", "shape", "begin", "stop"}
            if unknown:
                name = sorted(unknown)[0]
                keys = ["start", "end", "shape", "begin", "stop"]
                raise UserError(f"mixture.anneal: unknown key '{name}'. {known(keys, name)}")
            return np.full(len(self.sizes), annealed_temperature(progress, **self.anneal))
        if isinstance(self.temperature, str):
            named = {"proportional": 1.0, "uniform": np.inf}
            if self.temperature not in named:
                raise UserError(
                    f"mixture.temperature: unknown name '{self.temperature}'. {known(named, self.temperature)}"
                )
            return np.full(len(self.sizes), named[self.temperature])
        if isinstance(self.temperature, Mapping):
            if wrong := by_task_mistakes(self.temperature, "mixture.temperature", self.sizes):
                raise UserError(wrong)
            values = np.array([self.temperature[name] for name in self.sizes], dtype=np.float64)
        else:
            values = np.full(len(self.sizes), float(self.temperature))
        if not (values > 0).all():
            raise UserError(f"mixture.temperature: {self.temperature} is not positive")
        return values

    def temperature_at(self, progress: float) -> float:
        """The annealed temperature at a point of training; without annealing, the largest."""
        return float(self._temperatures(progress).max())

    def probabilities(self, progress: float = 0.0) -> dict[str, float]:
        """Probability of each task at a point of training; they sum to 1.

        Args:
            progress: Optimizer step / total steps, in [0, 1].
        """
        if self.learner is not None:
            return dict(zip(self.sizes, self.learner.probabilities().tolist(), strict=True))
        counts = np.array(list(self.sizes.values()), dtype=np.float64)
        if self.cap is not None:
            counts = np.minimum(counts, self.cap)
        # In log space: direct powers overflow for small temperatures.
        logits = np.log(counts) / self._temperatures(progress)
        weights = np.exp(logits - logits.max())
        return dict(zip(self.sizes, (weights / weights.sum()).tolist(), strict=True))
