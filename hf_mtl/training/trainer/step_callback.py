"""Lists in order everything that happens around an optimizer step beside the update of the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.arguments import LEAST_OFTEN
from hf_mtl.data.course import Course
from hf_mtl.modeling.task_heads import TaskHeads
from hf_mtl.processes import Processes
from hf_mtl.training.schedules.scheduling import Scheduling
from hf_mtl.training.step.absent_tasks import AbsentTasks
from hf_mtl.training.step.beside_optimizer import BesideOptimizer
from hf_mtl.training.step.deepspeed_copies import copies_follow
from hf_mtl.training.step.loss_scaler import LossScaler
from hf_mtl.training.step.result import StepResult
from hf_mtl.training.step.step_maker import StepMaker
from hf_mtl.training.step.task_gradients import TaskGradients
from hf_mtl.training.step.teleportation import Teleportation
from hf_mtl.training.watch.balance_watch import BalanceWatch
from hf_mtl.training.watch.budget import Budget
from hf_mtl.training.watch.conflicts import ConflictLog, SampledConflicts
from hf_mtl.training.watch.finite import FiniteWatch
from hf_mtl.training.watch.signals import TaskSignals


@dataclass(eq=False)
class StepCallback(TrainerCallback):
    """Lists what happens after a backward, around an update, and when a step has ended.

    What changes the model, or runs it, comes before what counts operations.

    Args:
        course: Is told where an epoch begins.
        steps: Knows the step that runs.
        heads: The model's heads, which close every step.
        absent: Holds what is learned of absent tasks.
        scheduling: Carries out the schedules.
        scaler: Knows whether an update was left out.
        processes: This process among the others.
        finite: Watches whether numbers are numbers.
        signals: Collects what is logged of the tasks.
        balance: Watches what the weighting does.
        conflicts: Collects what is logged of task gradients.
        budget: Counts what is spent.
        beside: Trains what the weighting learns, where the model's optimizer cannot.
        gradients: Forms the gradients of single tasks, where a method wants them.
        teleportation: Searches other points, where the aggregator does.
        samples: Measures conflicts, where nothing else does.
    """

    course: Course
    steps: StepMaker
    heads: TaskHeads
    absent: AbsentTasks
    scheduling: Scheduling
    scaler: LossScaler
    processes: Processes
    finite: FiniteWatch
    signals: TaskSignals
    balance: BalanceWatch
    conflicts: ConflictLog
    budget: Budget
    beside: BesideOptimizer | None = None
    gradients: TaskGradients | None = None
    teleportation: Teleportation | None = None
    samples: SampledConflicts | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin a training, perhaps after one that broke off in the middle of a step."""
        self.balance.begin()
        self.heads.abandon_step()
        self.scheduling.begin(args, state.global_step)
        self.budget.begin(state.global_step)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say where the epoch begins: the loader is about to ask."""
        self.course.step = state.global_step

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Start the clock, and freeze what the step does not train."""
        self.budget.begin_step()
        if self.teleportation is not None:
            self.teleportation.begin_step()
        self.scheduling.begin_step(state.global_step, optimizer)

    def after_backward(self, result: StepResult, step: int) -> None:
        """Note what the step saw, before its gradients are clipped.

        Args:
            result: What it saw.
            step: The step, from 0.
        """
        self.finite.observe(step + 1, result)
        self.signals.observe(result)
        self.balance.observe(result)
        if self.gradients is not None:
            self.gradients.record(self.conflicts.observe)
        self.scheduling.observe_losses(step, result)

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember what the update must not change, and change what holds for this update alone."""
        if self.teleportation is not None:
            self.teleportation.before_update(optimizer)
        self.absent.before_update(optimizer if self.beside is None else self.beside.inner)
        self.scheduling.before_update(optimizer)

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Put back what was changed for the update, and let all that learns beside the model take its own step."""
        if self.teleportation is not None:
            self.teleportation.after_update(optimizer)
        if self.beside is not None and not self.scaler.skipped_update:
            self.beside.step(optimizer)
        self.absent.after_update()
        if self.steps.current is not None:
            # With the parameters as the update left them: heads and weighting come to their ranges below.
            self.steps.current.tell_losses_after(self.scaler.skipped_update)
        self.absent.objective.weighting.after_step()
        with copies_follow(self.heads.parameters()):
            self.heads.end_step(self.processes.reduce_sum)
        self.signals.observe_gauges(self.heads.gauges())
        self.scheduling.after_update(optimizer)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Run what looks at the model between two steps, and count it."""
        if self.teleportation is not None and self.steps.current is not None:
            self.teleportation.end_step(state, self.steps.current.batches, args.learning_rate, optimizer)
        if self.samples is not None:
            self.samples.end_step(state.global_step)
        self.scheduling.measure(state.global_step)
        passes = 0 if self.steps.current is None else len(self.steps.current.batches)
        self.budget.end_step(passes, args, state, control)  # the last: it sees the operations of all others

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell the schedules how the tasks do on validation; training ends when all of them have stopped."""
        self.scheduling.observe_evaluation(state.global_step, metrics or {})
        schedules = self.scheduling.schedules
        if self.scheduling.is_training and schedules.everyone_has_stopped(state.global_step):
            control.should_training_stop = schedules.ended = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave nothing frozen."""
        self.scheduling.rest()


class LogStepsCallback(TrainerCallback):
    """Has the run log, evaluate and save as often as its arguments say, also where it is resumed.

    Where they do not say how often to log, records are spread over the run: short runs have a log too.
    """

    RECORDS = 20

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the steps between two records, evaluations and checkpoints."""
        state.compute_steps(args, state.max_steps)  # the Trainer leaves a resumed run those of its checkpoint
        if args.logging_steps is None:
            state.logging_steps = min(LEAST_OFTEN, max(1, state.max_steps // self.RECORDS))
