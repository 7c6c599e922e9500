"""A Trainer that watches its run: stops one that has diverged, and says how one began anew and how it ended."""

import math
from pathlib import Path
from typing import Any

from torch import nn

from hf_mtl.shown import get_logger
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.scoring.own_metrics import plain
from hf_mtl.training.trainer.beginning import Beginning
from hf_mtl.training.trainer.ending import Ending, ended_by
from hf_mtl.training.trainer.stoppable_trainer import StoppableTrainer
from hf_mtl.training.watch.budget import Budget
from hf_mtl.training.watch.conflicts import ConflictLog
from hf_mtl.training.watch.finite import FiniteWatch
from hf_mtl.training.watch.signals import TaskSignals

logger = get_logger(__name__)


class WatchedTrainer(StoppableTrainer):
    """What is looked at around the steps of a run: whether its numbers are numbers, how it begins, how it ended."""

    finite: FiniteWatch
    signals: TaskSignals
    conflicts: ConflictLog
    budget: Budget
    ending: Ending | None
    _best_step: int | None
    _beginning: Beginning
    _makes_optimizer: bool

    def _weights(self) -> list[tuple[str, nn.Parameter]]:
        """Everything that is trained, by name."""
        balancing = [(f"weighting.{name}", value) for name, value in self.weighting.named_parameters()]
        return [*self.model.named_parameters(), *balancing]

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """As the Trainer's, once it is sure that there is something to log, save or evaluate."""
        control, step = self.control, self.state.global_step
        last = control.should_training_stop or step >= self.state.max_steps
        undecided = self._by_gradients and self.task_gradients is not None and self.task_gradients.skipped
        skipped = undecided or self.accelerator.optimizer_step_was_skipped
        self.finite.observe_update(step, skipped, scaled=self.accelerator.scaler is not None)
        if last or control.should_log or control.should_evaluate or control.should_save:
            self.finite.check(step, last)
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As the Trainer's; weights that are not finite are never written, nor is a good checkpoint rotated away."""
        self.finite.check(self.state.global_step)
        super()._save_checkpoint(model, trial)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """As the Trainer's, which takes an undefined score for one that is no better, and says so once."""
        better = super()._determine_best_metric(plain(metrics), trial)  # its best value is saved
        watched = (self.args.metric_for_best_model or "").removeprefix("eval_")
        if math.isnan(metrics.get(f"eval_{watched}", 0.0)) and self.is_world_process_zero():
            logger.warning_once(
                f"{watched} is undefined (nan) at step {self.state.global_step}, which counts as no better, for the "
                "best model and for early stopping."
            )
        return better

    def _end(self) -> None:
        """Note how the run ended, and say what nobody would expect of it."""
        trained, planned, metric = self.state.global_step, self.total_steps, self.args.metric_for_best_model
        self.ending = Ending(
            step=trained if self._best_step is None else self._best_step,
            trained_steps=trained,
            planned_steps=planned,
            ended_by=ended_by(trained, planned, self.budget.used_up > 0, self.callback_handler.callbacks),
            skipped_steps=0 if self.task_gradients is None else self.task_gradients.skipped_steps,
            keeps_best=self.args.load_best_model_at_end,
            best_step=self.state.best_global_step,
            watched=None if metric is None else (metric.removeprefix("eval_"), self.state.best_metric),
        )
        if self.tells_notes and self.is_world_process_zero() and (said := self.ending.sentences()):
            logger.warning(" ".join(said))

    def _load_best_model(self) -> None:
        """As the Trainer's, which keeps the last step's model where the best checkpoint is gone."""
        super()._load_best_model()
        best = Path(str(self.state.best_model_checkpoint))
        if best.is_dir():
            self._best_step = checkpoints.step_of(best)

    def _forget_unlogged(self) -> None:
        """Drop what a training before has counted since its last record."""
        self.signals.flush()
        self.conflicts.flush()
        self.current_flos = 0

    def _to_begin_anew(self) -> dict[str, checkpoints.Stateful]:
        """What remembers from one training to the next; steps and arguments are each one's own."""
        scaler = self.accelerator.scaler
        parts = {name: part for name, part in self.stateful().items() if name not in ("steps", "identity")}
        return parts if scaler is None else {**parts, "scaler": scaler}

    def _begin_anew(self) -> None:
        """Give everything that remembers the state before the first training, and make a new optimizer."""
        self._beginning.restore(self._to_begin_anew())
        if self._makes_optimizer:
            self.optimizer = None
        elif self.is_world_process_zero():
            logger.warning(
                "The optimizer that was given to the Trainer goes on with what it remembers; to begin anew, give "
                "a new one to a new Trainer."
            )
