"""Schedules in a run: they tell the plan which tasks take part, freeze parameters, and scale learning rates."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from transformers import TrainingArguments

from hf_mtl.data.learners.base import Learner
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.roster import Roster
from hf_mtl.data.steps import StepSource
from hf_mtl.evaluation import headline_keys
from hf_mtl.evaluation.keys import first_scores
from hf_mtl.schedules import ParameterGroup, Schedules, Stop
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.schedules.best_heads import BestHeads
from hf_mtl.training.schedules.frozen_groups import FrozenGroups, group_name
from hf_mtl.training.schedules.probes import Prober
from hf_mtl.training.schedules.schedule_checks import planned_evaluations
from hf_mtl.training.step.optimizer import ForOneStep
from hf_mtl.training.step.result import StepResult
from hf_mtl.training.watch.signals import TaskSignals

logger = get_logger(__name__)


def roster_of(schedules: Schedules, start: int, steps: int) -> Roster:
    """Return what schedules do to the tasks in the steps of a window.

    Args:
        schedules: The schedules.
        start: First step of the window.
        steps: Its steps.
    """
    effects = [schedules.effect(step) for step in range(start, start + steps)]
    coefficients = np.stack([effect.coefficients for effect in effects])
    participation = np.stack([effect.participation for effect in effects])
    redistributed = np.stack([effect.redistributed for effect in effects])
    return Roster(coefficients, participation, redistributed)


ENOUGH_EVALUATIONS = 10


class Scheduling:
    """Carries out what schedules say of a step, and tells them what they want to know.

    Args:
        schedules: The schedules.
        prober: Measures gradients of the model.
        learner: What learns the mixture by the same losses, or by gradients; None: nothing does.
        tasks: The tasks by name, to read evaluations by.
        signals: Logs ``frozen/<group>``, the share of steps that froze it, and ``temperature/<task>``.
    """

    def __init__(
        self,
        schedules: Schedules,
        prober: Prober,
        learner: Learner | None,
        tasks: Mapping[str, Task],
        signals: TaskSignals,
    ):
        self.schedules = schedules
        self.prober = prober
        self.learner = learner
        self.tasks = dict(tasks)
        self.signals = signals
        self.steps: StepSource | None = None  # the plan of the training, which begins anew with it
        self._groups: FrozenGroups | None = None
        self._rates = ForOneStep("lr")
        self.rate_scale = 1.0
        self._heads = BestHeads(prober.model.heads, self.tasks, prober.model.private_adapters)
        self._gone: list[str] = []  # tasks that have stopped and left, whose heads are as at their best

    @property
    def frozen(self) -> frozenset[ParameterGroup]:
        """The groups that this step does not train."""
        return frozenset() if self._groups is None else self._groups.frozen

    def begin(self, args: TrainingArguments, step: int) -> None:
        """Note what is trainable: the optimizer and DDP are made with all of it.

        Args:
            args: The training arguments.
            step: Steps that were trained before.
        """
        self._groups = FrozenGroups(self.prober.model)
        if step == 0:  # later, the checkpoint has it
            if self.learner is not None:
                self.learner.from_validation = planned_evaluations(args, self.schedules.run) >= ENOUGH_EVALUATIONS
            self.measure(0)

    def begin_step(self, step: int, optimizer: Optimizer | None = None) -> None:
        """Freeze what a step does not train, and put back the best heads of tasks that have left before it.

        Args:
            step: The step, from 0.
            optimizer: The optimizer.
        """
        assert self._groups is not None
        effect = self.schedules.effect(step)
        self._groups.apply(effect.frozen)
        self.rate_scale = effect.learning_rate_scale
        gone = self.schedules.gone(step)
        for task in gone:
            if task not in self._gone:
                self._heads.restore(task, optimizer)
                self._say(task, step)
        self._gone = gone

    def _say(self, task: str, step: int) -> None:
        best = self.schedules.stopped[task].best_step or 0
        if is_main_process():
            its_head = f", and its head is that of step {best:,} again" if task in self._heads else ""
            logger.warning(
                f"{task} takes no part from step {step + 1:,} on: it got no better after step {best:,}{its_head}."
            )

    def end(self, best_step: int | None, optimizer: Optimizer | None) -> dict[str, Stop]:
        """Put back the best heads of all tasks that have stopped, when training has ended.

        Args:
            best_step: The step whose model was loaded as the best one, which keeps the heads that were scored; None:
                the model is that of the last step.
            optimizer: The optimizer.

        Returns:
            The tasks that have stopped.
        """
        stopped = self.schedules.stopped
        for task in stopped if best_step is None else ():
            self._heads.restore(task, optimizer)
        return stopped

    @property
    def is_training(self) -> bool:
        """Whether a training is under way."""
        return self._groups is not None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the schedules, and the heads of tasks as they were at their best."""
        return {**self.schedules.state_dict(), **self._heads.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self.schedules.load_state_dict(state)
        self._heads.load_state_dict({key: value for key, value in state.items() if torch.is_tensor(value)})
        self._gone = []

    def before_update(self, optimizer: Optimizer | None) -> None:
        """Scale the learning rates for this step."""
        if self.rate_scale != 1.0:
            self._rates.change(optimizer, lambda rate: rate * self.rate_scale)

    def after_update(self, optimizer: Optimizer | None) -> None:
        """Give the scheduler of the learning rate back what it had set."""
        self._rates.put_back(optimizer)
        frozen = {group: float(group in self.frozen) for group in self.schedules.groups}
        self.signals.observe_gauges({f"frozen/{group_name(key)}": torch.tensor(frozen[key]) for key in frozen})

    def observe_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tell the schedules the validation losses that are finite, of evaluations that the run itself makes.

        Args:
            step: Steps that are trained.
            metrics: What the Trainer logs of the evaluation.
        """
        if self._groups is None:  # not training
            return
        losses = _finite(metrics, {task: f"eval_{task}_loss" for task in self.tasks})
        self.schedules.observe_evaluation(step, losses)
        for task in self.schedules.observe_scores(step, first_scores(self.tasks, metrics)):
            self._heads.keep(task)
        if self.learner is not None:
            keys = {name: f"eval_{name}_{headline_keys(task)[0]}" for name, task in self.tasks.items()}
            self.learner.observe_evaluation(losses, _finite(metrics, keys))

    def observe_losses(self, step: int, result: StepResult) -> None:
        """Tell the schedules and the learned temperatures the losses of a step that are finite.

        Args:
            step: The step.
            result: What it saw.
        """
        result = result.on_host
        values = zip(self.tasks, result.losses.tolist(), result.present.tolist(), strict=True)
        present = {task: loss for task, loss, is_present in values if is_present and math.isfinite(loss)}
        self.schedules.observe_losses(step, present)
        if self.learner is not None:
            self.learner.observe_losses(present)
            gauges = self.learner.gauges()
            self.signals.observe_gauges({name: torch.tensor(value) for name, value in gauges.items()})

    def rest(self) -> None:
        """Leave nothing frozen, and have no effect on anything until training begins (again)."""
        if self._groups is not None:
            self._groups.apply(())
        self._groups, self._rates, self.rate_scale = None, ForOneStep("lr"), 1.0

    def measure(self, step: int) -> None:
        """Measure what is due before a step, which may begin a window.

        Args:
            step: The step, from 0.
        """
        assert self._groups is not None
        for schedule, tasks in self.schedules.probes(step):
            assert schedule.probe is not None
            with self._groups.thawed():
                schedule.observe_probe(step, self.prober.measure(schedule.probe, tasks, step))
        if self.learner is not None and self.learner.looks_before(step):
            self._look(self.learner, step)

    def _look(self, learner: Learner, step: int) -> None:
        """Tell a learner the gradients of the tasks that took part in the step before this one."""
        assert self._groups is not None
        assert self.steps is not None
        effect = self.schedules.effect(step - 1)
        # The head of a task that sits out may not have learned anything, and its gradient says nothing of the task.
        taking_part = (effect.coefficients > 0) & (effect.participation > 0)
        tasks = [task for task, is_there in zip(self.tasks, taking_part.tolist(), strict=True) if is_there]
        rows = {task: self.steps.coming_rows(task, step, learner.rows_of_look) for task in tasks}
        with self._groups.thawed():
            looks = self.prober.look({task: mine[: len(mine) // 2 * 2] for task, mine in rows.items()})
        learner.observe_gradients(looks, self.steps.planner.rows_per_step)


def _finite(metrics: Mapping[str, float], keys: Mapping[str, str]) -> dict[str, float]:
    """Return the values of some keys, by task; one that is not finite would stay in a mean, or as the best, for
    ever.
    """
    return {task: metrics[key] for task, key in keys.items() if math.isfinite(metrics.get(key, math.nan))}
