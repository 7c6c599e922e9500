"""The base class of schedules: a step and what was seen so far in, task coefficients and frozen groups out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hf_mtl.components import Kind

FreedRows: TypeAlias = Literal["drop", "redistribute"]
Probe: TypeAlias = Literal["gradient_norm", "fisher"]
STRETCHES = 2_000
"""Parts of a run, each of which a schedule without phases is looked at in."""

_OBSERVES = ("observe_losses", "observe_evaluation", "observe_scores", "observe_probe")

# An int: so many layers from the bottom, with the embeddings.
ParameterGroup: TypeAlias = Literal["encoder", "heads", "embeddings"] | int


@dataclass(frozen=True)
class Run:
    """Facts of a run that a schedule may use.

    Args:
        tasks: Task names, in task order.
        total_steps: Optimizer steps of the run.
        steps_per_epoch: Optimizer steps of an epoch.
    """

    tasks: tuple[str, ...]
    total_steps: int
    steps_per_epoch: int

    def index(self, task: str) -> int:
        """Return the place of a task among the tasks."""
        return self.tasks.index(task)

    def others(self, task: str) -> NDArray[np.int64]:
        """Return the places of all tasks but one."""
        return _others(self.tasks, task)


@lru_cache
def _others(tasks: tuple[str, ...], task: str) -> NDArray[np.int64]:
    return np.array([index for index, name in enumerate(tasks) if name != task], dtype=np.int64)


@dataclass(frozen=True)
class Effect:
    """Effect of schedules on one optimizer step.

    Args:
        coefficients: gamma_t, which multiplies the task's part of the objective, [T]. 0: the task is absent.
        participation: Probability that the task takes part in the step, [T].
        redistributed: Whether the rows of an absent task go to the others, [T]; otherwise the step shrinks.
        frozen: Parameter groups that the step does not train.
        learning_rate_scale: Factor of every learning rate.
    """

    coefficients: NDArray[np.float64]
    participation: NDArray[np.float64]
    redistributed: NDArray[np.bool_]
    frozen: frozenset[ParameterGroup] = field(default_factory=frozenset)
    learning_rate_scale: float = 1.0

    @classmethod
    def none(cls, tasks: int) -> "Effect":
        """Return the effect of no schedule."""
        return cls(np.ones(tasks), np.ones(tasks), np.zeros(tasks, dtype=bool))

    def on_tasks(
        self,
        places: int | NDArray[np.int64],
        coefficients: float | NDArray[np.float64],
        freed_rows: FreedRows,
        participation: float = 1.0,
    ) -> "Effect":
        """Return this effect, with the coefficients and the participation of some tasks multiplied.

        Args:
            places: Their places; none twice.
            coefficients: The factor of all of them, or one for each.
            freed_rows: What happens to their rows where they are absent.
            participation: The factor of their probability to take part.
        """
        gamma, shares, redistributed = self.coefficients.copy(), self.participation.copy(), self.redistributed.copy()
        gamma[places] *= coefficients
        shares[places] *= participation
        redistributed[places] |= freed_rows == "redistribute"
        return replace(self, coefficients=gamma, participation=shares, redistributed=redistributed)

    def __and__(self, other: "Effect") -> "Effect":
        """Join two effects: coefficients, probabilities, learning rates multiply; what either freezes is frozen."""
        return Effect(
            self.coefficients * other.coefficients,
            self.participation * other.participation,
            self.redistributed | other.redistributed,
            self.frozen | other.frozen,
            self.learning_rate_scale * other.learning_rate_scale,
        )


@dataclass(frozen=True)
class Stop:
    """The evaluation after which a task has stopped for good.

    Args:
        step: Steps that were trained by then.
        best_step: Steps that were trained at its best evaluation; None: its metric was never defined.
    """

    step: int
    best_step: int | None


class Schedule:
    """Maps a step, and what it has observed, to an `Effect`. A subclass's keyword arguments are its recipe options.

    Register with ``@register("my_schedule")`` in a module of this package; nothing else is needed.
    One that only follows the step overrides `effect`. One that learns from signals overrides `observe_...`, and
    `begin_window`, in which what was observed takes effect: within a window of steps nothing may change, because its
    rows have been planned.
    """

    name: ClassVar[str] = ""
    stops_tasks: ClassVar[bool] = False
    """Whether it takes tasks out for good, each when it is done; it gives way in steps that would have no task."""

    @property
    def follows_evaluations(self) -> bool:
        """Whether what evaluations show moves it."""
        return bool(self.tasks_watched())

    @property
    def probe(self) -> Probe | None:
        """The measurements for `observe_probe`: norms of gradients, or empirical Fisher traces; None: none."""
        return None

    def tasks_named(self) -> Sequence[str]:
        """Return the tasks that its options name, which must exist."""
        return ()

    def tasks_watched(self) -> Sequence[str]:
        """Return the tasks without whose validation loss it can do nothing."""
        return ()

    def groups(self) -> Sequence[ParameterGroup]:
        """Return the parameter groups that it freezes in some steps."""
        return ()

    def summary(self, run: Run) -> str:
        """Return what it will do in a run, in one line."""
        watches = any(getattr(type(self), name) is not getattr(Schedule, name) for name in _OBSERVES)
        return "follows what training shows" if watches else "follows the step"

    def without_effect(self, run: Run) -> str:
        """Tell why it does nothing in a run of this length, or not all that it says; empty where it does."""
        return ""

    def effect(self, step: int, run: Run) -> Effect:
        """Return its effect on an optimizer step.

        Args:
            step: The step, from 0; in the window that began last, or before it ends.
            run: The run.
        """
        return Effect.none(len(run.tasks))

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return the phase of each step: in a phase the same tasks take part, and the same groups are frozen.

        A whole run can then be checked before it begins, at one step of each phase. For a schedule that does not
        override this method, `STRETCHES` steps are checked, or all steps of a shorter run. A coefficient may change
        within a phase, though not to 0 or from it.

        Args:
            steps: Steps of the run, ascending.
            run: The run.
        """
        if type(self).effect is Schedule.effect:
            return np.zeros_like(steps)
        return steps * STRETCHES // max(run.total_steps, STRETCHES)

    def begin_window(self, step: int, run: Run) -> None:
        """Let what was observed before this step take effect."""

    def observe_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Learn the training losses of the tasks that a step had."""

    def observe_evaluation(self, step: int, losses: Mapping[str, float]) -> None:
        """Learn the validation losses of the tasks."""

    def observe_scores(self, step: int, scores: Mapping[str, float]) -> Sequence[str]:
        """Learn the tasks' first metrics on validation, turned so that more is better; NaN where undefined.

        Returns:
            The tasks whose heads are to be kept as they are now, as what they go back to when they are stopped.
        """
        return ()

    def stops(self) -> Mapping[str, "Stop"]:
        """Return the tasks that it takes out for good, with what decided it."""
        return {}

    def probe_due(self, step: int, run: Run) -> Sequence[str]:
        """Return the tasks whose `probe` it wants to be told before this step; empty: none.

        A probe comes before the window that begins with the step.
        """
        return ()

    def observe_probe(self, step: int, values: Mapping[str, float]) -> None:
        """Learn the probed values of the tasks that `probe_due` named."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state with which a resumed run goes on; JSON and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""


SCHEDULES: Kind[Schedule] = Kind("schedule", "schedules", "hf_mtl.schedules", field="type")
register = SCHEDULES.register
