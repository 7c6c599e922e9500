"""MT2ST adaptive auxiliary weights."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.schedules.base import Effect, FreedRows, Probe, Run, Schedule, register
from hf_mtl.signatures import OnlyWith

EPSILON = 1e-8


def inverse_weights(values: NDArray[np.float64], budget: float) -> NDArray[np.float64]:
    """Split ``budget`` in proportion to ``1 / (value + 1e-8)``: Eq. 13 of gradient norms, Eq. 15 of variances.

    Args:
        values: One value per auxiliary task, not negative [K].
        budget: Sum of the weights.
    """
    inverse = 1.0 / (values + EPSILON)
    return np.asarray(budget * inverse / inverse.sum())


def proportional_weights(values: NDArray[np.float64], budget: float) -> NDArray[np.float64]:
    """Split ``budget`` in proportion to the values, evenly if all are zero: Eq. 14 of Fisher traces.

    Args:
        values: One value per auxiliary task, not negative [K].
        budget: Sum of the weights.
    """
    total = values.sum()
    return budget * values / total if total > 0 else np.full(len(values), budget / len(values))


@register("mt2st_adaptive")
class MT2STAdaptive(Schedule):
    """Splits a budget of weight among the auxiliary tasks by what training shows of them.

    ``inverse_gradient_norm`` (Eq. 13; the primary task's norm cancels in it): tasks with small gradients of the
    shared parameters count more. ``fisher`` (Eq. 14): tasks with a large empirical Fisher trace (mean over single
    examples of the squared gradient norm) count more. ``variance`` (Eq. 15): tasks whose loss is steady count more;
    its variance is a moving one, as the paper's diffusion noise has no counterpart here. Until all tasks have been
    measured they share the budget evenly.

    Source: "MT2ST: Adaptive Multi-Task to Single-Task Learning", Eq. 13 to 15, normalised to the budget.

    Args:
        main: The primary task.
        signal: ``inverse_gradient_norm``, ``fisher`` or ``variance``.
        budget: Sum lambda of the auxiliary tasks' coefficients.
        every: Steps between two measurements of gradients.
        beta: Decay of the moving averages.
        freed_rows: What happens to the rows of a task whose coefficient is 0.
    """

    only_with: ClassVar[OnlyWith] = {"every": ("signal", ("inverse_gradient_norm", "fisher"))}

    def __init__(
        self,
        *,
        main: str,
        signal: Literal["inverse_gradient_norm", "fisher", "variance"] = "inverse_gradient_norm",
        budget: Annotated[float, Field(gt=0)] = 1.0,
        every: Annotated[int, Field(ge=1)] = 50,
        beta: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        freed_rows: FreedRows = "drop",
    ):
        self.main = main
        self.signal = signal
        self.budget = budget
        self.every = every
        self.beta = beta
        self.freed_rows: FreedRows = freed_rows
        self._means: dict[str, float] = {}
        self._squares: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._in_window: dict[str, float] = {}

    @property
    def probe(self) -> Probe | None:
        """The measurements that its signal needs."""
        kinds: dict[str, Probe] = {"inverse_gradient_norm": "gradient_norm", "fisher": "fisher"}
        return kinds.get(self.signal)

    def tasks_named(self) -> Sequence[str]:
        """Return the main task."""
        return [self.main]

    def summary(self, run: Run) -> str:
        """Tell what it follows."""
        return f"the tasks but {self.main} share a coefficient of {self.budget:g} by {self.signal.replace('_', ' ')}"

    def without_effect(self, run: Run) -> str:
        """Tell if the second measurement would come after the end."""
        once = self.probe is not None and self.every >= run.total_steps
        return f"measures once, before the first step, and then every {self.every:,} steps" if once else ""

    def probe_due(self, step: int, run: Run) -> Sequence[str]:
        """Return every auxiliary task, every ``every`` steps."""
        due = self.probe is not None and step % self.every == 0
        return [task for task in run.tasks if task != self.main] if due else []

    def observe_probe(self, step: int, values: Mapping[str, float]) -> None:
        """Average the measurements."""
        for task, value in values.items():
            self._average(task, value)

    def observe_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Follow the losses' mean and variance."""
        if self.signal == "variance":
            for task, value in losses.items():
                if task != self.main:
                    self._average(task, value)

    def _average(self, task: str, value: float) -> None:
        beta = self.beta
        self._means[task] = beta * self._means.get(task, 0.0) + (1 - beta) * value
        self._squares[task] = beta * self._squares.get(task, 0.0) + (1 - beta) * value**2
        self._counts[task] = self._counts.get(task, 0) + 1

    def weights(self, run: Run) -> dict[str, float]:
        """Return the auxiliary tasks' coefficients by what was observed so far."""
        tasks = [task for task in run.tasks if task != self.main]
        needed = 2 if self.signal == "variance" else 1
        if any(self._counts.get(task, 0) < needed for task in tasks):
            return dict.fromkeys(tasks, self.budget / max(len(tasks), 1))
        # The averages began at 0 and are too small until many values came: the correction of Adam.
        correction = np.array([1 - self.beta ** self._counts[task] for task in tasks])
        values = np.array([self._means[task] for task in tasks]) / correction
        if self.signal == "variance":
            squares = np.array([self._squares[task] for task in tasks]) / correction
            # A small difference of large numbers, which rounding may bring below 0.
            values = np.maximum(squares - values**2, 0.0)
        split = proportional_weights if self.signal == "fisher" else inverse_weights
        return dict(zip(tasks, split(values, self.budget).tolist(), strict=True))

    def begin_window(self, step: int, run: Run) -> None:
        """Let what was observed take effect."""
        self._in_window = self.weights(run)

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return 0: there is one phase, since nobody knows yet what will be measured."""
        return np.zeros_like(steps)

    def effect(self, step: int, run: Run) -> Effect:
        """Return the auxiliary tasks' coefficients of the window."""
        effect = Effect.none(len(run.tasks))
        if not self._in_window:
            return effect
        weights = np.array([self._in_window[run.tasks[place]] for place in run.others(self.main)])
        return effect.on_tasks(run.others(self.main), weights, self.freed_rows)

    def state_dict(self) -> dict[str, Any]:
        """Return the averages and the window's coefficients."""
        return {
            "means": dict(self._means),
            "squares": dict(self._squares),
            "counts": dict(self._counts),
            "in_window": dict(self._in_window),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self._means, self._squares = dict(state["means"]), dict(state["squares"])
        self._counts, self._in_window = dict(state["counts"]), dict(state["in_window"])
