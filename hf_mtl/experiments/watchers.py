"""Callbacks of a study's runs: go back to the best evaluation, follow the curve, give up what is behind."""

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.training.trainer.trainer import MultiTaskTrainer

Point = Mapping[str, float]
Metrics = Mapping[str, float] | None


class Watcher(TrainerCallback):
    """Callback that looks at its Trainer. Whoever makes the two sets ``trainer``."""

    trainer: MultiTaskTrainer


class KeepBest(TrainerCallback):
    """Keeps the trained parameters of the best evaluation in memory, and puts them back at the end.

    Args:
        model: The model.
        metric: Key of an evaluation, of which more is better.
    """

    def __init__(self, model: nn.Module, metric: str):
        self.metric = metric
        # As training begins: schedules freeze and thaw parameters later.
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._best: dict[str, Tensor] = {}
        self._value: float | None = None

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Metrics = None,
        **_: Any,
    ) -> None:
        """Compare, and copy what is trained."""
        value = (metrics or {}).get(self.metric)
        if value is not None and (self._value is None or value > self._value):
            self._value = value
            self._best = {name: copy.deepcopy(p.detach()) for name, p in self._trained.items()}

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Go back to the best evaluation."""
        with torch.no_grad():
            for name, parameter in self._best.items():
                self._trained[name].copy_(parameter)


class LearningCurve(Watcher):
    """Follows how good a run was at each evaluation, and what it had spent by then.

    ``points`` are ``{step, score, loss, flops, seconds}``: seconds of optimizer steps alone, without evaluations.

    Args:
        metric: Key of the score.
        loss: Key of the loss.
    """

    def __init__(self, metric: str, loss: str):
        self.metric = metric
        self.loss = loss
        self.points: list[Point] = []
        self._seconds = 0.0
        self._began = 0.0

    @property
    def best(self) -> Point:
        """Return the evaluation with the highest score, the first of equal ones."""
        return max(self.points, key=lambda point: point["score"])

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop the clock."""
        self._seconds += time.perf_counter() - self._began

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Metrics = None,
        **_: Any,
    ) -> None:
        """Add a point."""
        values = metrics or {}
        if self.metric in values:
            flops = self.trainer.budget.record(state)["flops"]
            spent = {"flops": flops, "seconds": round(self._seconds, 3)}
            scores = {"score": values[self.metric], "loss": values[self.loss]}
            self.points.append({"step": state.global_step, **scores, **spent})


class GiveUp(TrainerCallback):
    """Stops a trial that is behind a better one at a given evaluation.

    Args:
        metric: Key of an evaluation, of which more is better.
        rival: Value of the better trial at each of its evaluations.
        evaluation: The evaluation that decides, from 1.
    """

    def __init__(self, metric: str, rival: Sequence[float], evaluation: int):
        self.metric = metric
        self.rival = rival
        self.evaluation = evaluation
        self._seen = 0

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Metrics = None,
        **_: Any,
    ) -> None:
        """Compare, and stop."""
        value = (metrics or {}).get(self.metric)
        if value is None:
            return
        self._seen += 1
        if self._seen == self.evaluation <= len(self.rival) and value < self.rival[self._seen - 1]:
            control.should_training_stop = True
