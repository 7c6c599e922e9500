"""A Trainer that a signal stops at the end of a step, and that goes on from there as if nothing had been."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.trainer_callback import TrainerControl

from hf_mtl.data.workers import hearing_of_deaths
from hf_mtl.inference.predict import EvaluationLeft
from hf_mtl.processes import Processes
from hf_mtl.training.checkpoint import Stateful
from hf_mtl.training.interruption import Interruption, can_take_signals
from hf_mtl.training.saving.staged import StagedTrainer
from hf_mtl.training.together import what_is_left
from hf_mtl.training.trainer.unfinished import Unfinished


class StoppableTrainer(StagedTrainer):
    """Writes a checkpoint when all processes have agreed to stop; what was due in its step is done after a resume.

    Evaluations can be long, and whoever sends SIGTERM may wait for half a minute only. So a stop does not wait for
    one: it is put off, or left where it is under way, and the checkpoint says so.
    """

    control: TrainerControl
    _ended_step: int = -1  # the step whose end the Trainer has asked about last

    def __init__(self, **kwargs: Any):
        self.interruption, self.unfinished = Interruption(), Unfinished()
        super().__init__(**kwargs)
        self.processes = Processes.of(self.accelerator)

    def stateful(self) -> dict[str, Stateful]:
        """Name everything that remembers and that the Trainer does not save itself."""
        return {**super().stateful(), "unfinished": self.unfinished}

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Do as the Trainer does; where processes stop, only the record is written now, and a checkpoint.

        Raises:
            Stopped: With the checkpoint; not after the last step, where it is raised once training has ended.
        """
        control, step = self.control, self.state.global_step
        last = control.should_training_stop or step >= self.state.max_steps
        due = self._due_now(*args, **kwargs)
        # What the end of an epoch brings comes after all that the step brings, a checkpoint among it.
        self.unfinished.due = {**due, "evaluate": False, "save": False} if due["epoch_ends"] and not last else {}
        if self.interruption.agreed and not last:
            control.should_evaluate = control.should_save = False
        try:
            super()._maybe_log_save_evaluate(*args, **kwargs)
        except EvaluationLeft:
            self.interruption.agreed = True
        self.unfinished.due = due if self.interruption.agreed and not last else {}
        if self.interruption.agreed:
            if not last and not due["save"]:
                self.unfinished.out_of_turn.append(step)
            self._stop(last, *args[2:4])

    def _stop(self, last: bool, model: nn.Module, trial: Any) -> None:
        self._save_checkpoint(model, trial)
        self.control = self.callback_handler.on_save(self.args, self.state, self.control)
        if not last:
            step = self.state.global_step
            folder = Path(str(self.args.output_dir)) / f"checkpoint-{step}"
            raise self.interruption.stopped(
                f"after step {step:,} of {self.state.max_steps:,}; the checkpoint is {folder}"
            )

    def _due_now(
        self, loss: Any, grad_norm: Any, *args: Any, learning_rate: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return what is to be done at the end of the step, and what a record needs that is due when its epoch
        ends.
        """
        step = self.state.global_step
        asked_again = step == self._ended_step  # as the Trainer does when the epoch has ended
        self._ended_step = step
        return {
            "evaluate": self.control.should_evaluate,
            "save": self.control.should_save,
            "epoch_ends": float(self.state.epoch).is_integer() and not asked_again,
            "grad_norm": grad_norm,
            "learning_rate": learning_rate,
        }

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save as the Trainer does, with the losses of a record that is not due yet."""
        self.unfinished.note_losses(self, self.processes.world)
        if not self.interruption.agreed:
            self.unfinished.take_turn(self.state.global_step)
        super()._save_checkpoint(model, trial)

    def _name_best(self, run: Path) -> None:
        """Name the best of those that an unstopped run has: it has no checkpoints that only a signal had written."""
        if self.state.best_global_step not in self.unfinished.out_of_turn:
            super()._name_best(run)

    def _evaluate(self, trial: Any, ignore_keys_for_eval: Any, skip_scheduler: bool = False) -> dict[str, float]:
        """Evaluate as the Trainer does; not for ``eval_on_start`` (the last argument) of a run that is resumed.

        Early stopping and schedules would see that step twice.
        """
        if skip_scheduler and self.state.global_step > 0:
            return {}
        found: dict[str, float] = super()._evaluate(trial, ignore_keys_for_eval, skip_scheduler)
        return found

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Push as the Trainer does; not when it stops, since there is no time to wait for it."""
        if not self.interruption.agreed:
            super()._push_from_checkpoint(checkpoint_folder)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Run an epoch once the step of the checkpoint is done with; there may be no step after it."""
        due = self.unfinished.resume(self, self.processes.rank, self.processes.world)
        if due:
            self._load_rng_state(kwargs["resume_from_checkpoint"])  # for a checkpoint that is written here
            names = ("model", "trial", "epoch", "ignore_keys_for_eval", "start_time")
            self._finish_step(due, *(kwargs[name] for name in names))
        if not (due and self.control.should_training_stop):
            super()._run_epoch(*args, **kwargs)

    def _finish_step(self, due: dict[str, Any], *common: Any) -> None:
        """Evaluate and save what was put off.

        Args:
            due: What was.
            common: What the Trainer passes on to `_maybe_log_save_evaluate` in every step.
        """
        self.control.should_evaluate, self.control.should_save = due["evaluate"], due["save"]
        if due["epoch_ends"]:
            self.unfinished.due = {**due, "evaluate": False, "save": False}
        super()._maybe_log_save_evaluate(self._tr_loss, None, *common)
        self.unfinished.due = {}
        if due["epoch_ends"] or self.control.should_training_stop:
            self.control = self.callback_handler.on_epoch_end(self.args, self.state, self.control)
            rate = due["learning_rate"]
            super()._maybe_log_save_evaluate(self._tr_loss, due["grad_norm"], *common, learning_rate=rate)

    def end_workers(self) -> None:
        """End the processes that work for a training, which may have ended before they had."""

    @contextmanager
    def _answering_signals(self) -> Iterator[None]:
        """Stop at a step's end when a signal of a recipe's run has come, or with enable_jit_checkpoint SIGTERM."""
        self._ended_step = -1
        with ExitStack() as stack:
            stack.callback(setattr, self, "interruption", self.interruption)
            if self.args.enable_jit_checkpoint and not self.interruption.active and can_take_signals():
                again = "Go on with trainer.train(resume_from_checkpoint=True)."
                self.interruption = Interruption("after the last step", again)
                stack.enter_context(self.interruption.taking([signal.SIGTERM]))
            stack.enter_context(self.interruption.deferring("in training"))
            stack.callback(setattr, self, "is_in_train", False)
            stack.callback(self.end_workers)
            stack.enter_context(hearing_of_deaths(lambda: what_is_left(Path(str(self.args.output_dir)))))
            try:
                yield
            except EvaluationLeft:  # before the first step, or of a step whose checkpoint says that it is due
                raise self.interruption.stopped(f"at step {self.state.global_step:,}") from None

    def _stop_after_the_last_step(self) -> None:
        """Stop, on all processes, when a signal has come too late for a step's end."""
        mine = torch.tensor(float(self.interruption.received is not None), device=self.args.device)
        if float(self.processes.reduce_sum(mine)) > 0:
            raise self.interruption.stopped(self.interruption.place)
