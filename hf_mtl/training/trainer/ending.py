"""The end of a run: its reason, and the step whose model is left."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.schedules import Stop
from hf_mtl.training.trainer.step_callback import StepCallback
from hf_mtl.training.watch.budget import Budget

EndedBy = Literal["all_steps", "early_stopping", "task_early_stopping", "max_flops", "callback"]


@dataclass(frozen=True)
class Ending:
    """The end of a run.

    Args:
        step: The step whose model is left: the best one's, or the last.
        trained_steps: Steps that were trained.
        planned_steps: Steps that were to be trained.
        ended_by: Why no more were: all of them were, early stopping of the run or of all its tasks, a budget, or
            another callback.
        skipped_steps: Steps that left the weights as they were, because gradients were not finite.
        watched: The score that decides which model is the best, and its best value; None: nothing decides.
        keeps_best: Whether the best model was to be kept, rather than the last.
        best_step: The step whose model is the best; it may have no checkpoint. None: nothing decides.
        stopped: The tasks that have stopped before.
    """

    step: int
    trained_steps: int
    planned_steps: int
    ended_by: EndedBy
    skipped_steps: int = 0
    watched: tuple[str, float | None] | None = None
    keeps_best: bool = False
    best_step: int | None = None
    stopped: Mapping[str, Stop] = field(default_factory=dict)

    @classmethod
    def of(
        cls, state: TrainerState, args: MultiTaskTrainingArguments, step: int | None = None, **facts: Any
    ) -> "Ending":
        """Read how a run ended from the state of its Trainer.

        Args:
            state: The state of the Trainer.
            args: The training arguments.
            step: The step whose model was loaded in the end; None: none was.
            facts: What neither of them knows: ``planned_steps``, ``ended_by``, ``skipped_steps`` and ``stopped``.
        """
        metric = args.metric_for_best_model
        return cls(
            step=state.global_step if step is None else step,
            trained_steps=state.global_step,
            keeps_best=args.load_best_model_at_end,
            best_step=state.best_global_step,
            watched=None if metric is None else (metric.removeprefix("eval_"), state.best_metric),
            **facts,
        )

    def to_dict(self) -> dict[str, Any]:
        """Put it as ``results.json`` has it."""
        skipped = {"skipped_steps": self.skipped_steps} if self.skipped_steps else {}
        stopped = {task: asdict(stop) for task, stop in self.stopped.items()}
        return {
            "step": self.step,
            "trained_steps": self.trained_steps,
            "planned_steps": self.planned_steps,
            "ended_by": self.ended_by,
            **skipped,
            **({"stopped_tasks": stopped} if stopped else {}),
        }

    def sentences(self) -> list[str]:
        """Return what a user would not expect: an early end, too many steps, an older model, skipped steps."""
        found = []
        if self.ended_by != "all_steps":
            metric = "the score" if self.watched is None else self.watched[0]
            why = {
                "early_stopping": f"early stopping, as {metric} did not get better",
                "task_early_stopping": "every task had stopped getting better",
                "max_flops": "max_flops was reached",
                "callback": "a callback asked for it",
            }[self.ended_by]
            found.append(f"Training ended after step {self.trained_steps:,} of {self.planned_steps:,}: {why}.")
        elif self.trained_steps > self.planned_steps:
            asked = f"{self.planned_steps:,} asked for last"
            found.append(f"{self.trained_steps:,} steps were trained before, more than the {asked}.")
        if self.keeps_best and self.best_step not in (None, self.step):
            found.append(
                f"The model of step {self.step:,} is kept; that of step {self.best_step:,} was the best one"
                f"{self._best_score()}, but its checkpoint was never saved or is gone: save as often as you evaluate."
            )
        elif self.step != self.trained_steps:
            found.append(f"The model of step {self.step:,} is kept: the best one{self._best_score()}.")
        elif self.ended_by == "early_stopping" and not self.keeps_best:
            found.append("The model of the last step is kept; load_best_model_at_end=true keeps the best one.")
        elif self.keeps_best and self.watched is not None and not math.isfinite(self.watched[1] or 0.0):
            found.append(f"{self.watched[0]} was undefined in every evaluation, so the last step's model is kept.")
        for task, stop in self.stopped.items():
            since = "and was never scored" if stop.best_step is None else f"no better than at step {stop.best_step:,}"
            found.append(f"{task} had stopped after step {stop.step:,}, {since}.")
        if self.skipped_steps:
            found.append(
                f"{self.skipped_steps:,} of {self.trained_steps:,} steps were skipped: gradients were not finite."
            )
        return found

    def _best_score(self) -> str:
        if self.watched is None or self.watched[1] is None:
            return ""
        return f", {self.watched[0]} {self.watched[1]:.4f}"


def stays_stopped(budget: Budget, args: MultiTaskTrainingArguments, callbacks: Sequence[TrainerCallback]) -> bool:
    """Tell whether a run that was told to stop would be told so again at once, were it to go on.

    A time limit, or whatever else a callback of the user's goes by, begins anew with the process.

    Args:
        budget: Its budget, as its checkpoint has it.
        args: The arguments that it would go on with.
        callbacks: Its callbacks, as its checkpoint has them.
    """
    if budget.used_up > 0:
        return not budget.allows_more(args)
    return _is_impatient(callbacks) or _all_stopped(callbacks)


def ended_by(trained: int, planned: int, out_of_flops: bool, callbacks: Sequence[TrainerCallback]) -> EndedBy:
    """Say why a run trained no more steps.

    Args:
        trained: Steps that were trained.
        planned: Steps that were to be trained.
        out_of_flops: Whether ``max_flops`` has stopped it.
        callbacks: Its callbacks, of which early stopping knows whether it has run out of patience.
    """
    if trained >= planned:
        return "all_steps"
    if out_of_flops:
        return "max_flops"
    if _all_stopped(callbacks):
        return "task_early_stopping"
    return "early_stopping" if _is_impatient(callbacks) else "callback"


def _all_stopped(callbacks: Iterable[TrainerCallback]) -> bool:
    return any(item.scheduling.schedules.ended for item in callbacks if isinstance(item, StepCallback))


def _is_impatient(callbacks: Iterable[TrainerCallback]) -> bool:
    stoppers = [item for item in callbacks if isinstance(item, EarlyStoppingCallback)]
    return any(item.early_stopping_patience_counter >= item.early_stopping_patience for item in stoppers)
