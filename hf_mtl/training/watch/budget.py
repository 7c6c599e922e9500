"""The budget of a run: what it has spent, and when that is enough."""

import time
from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import TrainerControl, TrainerState

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.processes import Processes
from hf_mtl.training.step.flops import Flops


def limit_steps(args: MultiTaskTrainingArguments) -> None:
    """Turn a budget of backward passes into a number of steps, which is what the learning rate's schedule knows."""
    if args.max_backward_passes is not None:
        steps = args.max_backward_passes // args.gradient_accumulation_steps
        args.max_steps = min(args.max_steps, steps) if args.max_steps > 0 else steps


class Budget:
    """Counts backward passes, those through the encoder too, and stops a run that has used up its operations.

    It times the steps too: what a run spends in them, without evaluations and checkpoints.

    Args:
        encoder: The encoder: a step whose end finds all of it frozen has not passed backwards through it.
        flops: The count of floating point operations.
        processes: This process among the others.
    """

    def __init__(self, encoder: nn.Module, flops: Flops, processes: Processes):
        self.backward_passes = 0
        self.encoder_backward_passes = 0
        self.used_up = 0.0  # the operations after which it has stopped the run
        self.seconds = 0.0
        self._began = 0.0  # the step that runs
        self._encoder = encoder
        self._flops = flops
        self._processes = processes

    def begin(self, step: int) -> None:
        """Begin a training: a run from its beginning has spent nothing.

        Args:
            step: Steps that were trained before.
        """
        if step == 0:
            self.backward_passes = self.encoder_backward_passes = 0
            self.seconds = 0.0
        self.used_up = 0.0

    def begin_step(self) -> None:
        """Start the clock of a step."""
        self._began = time.perf_counter()

    def end_step(
        self, passes: int, args: MultiTaskTrainingArguments, state: TrainerState, control: TrainerControl
    ) -> None:
        """Count the step's micro-batches, and stop the run where it has spent what it may.

        Args:
            passes: The micro-batches of the step on each process.
            args: The training arguments.
            state: The state of the Trainer.
            control: Takes the order to stop.
        """
        trains = any(parameter.requires_grad for parameter in self._encoder.parameters())
        self.backward_passes += passes
        self.encoder_backward_passes += passes * trains
        self.seconds += time.perf_counter() - self._began
        if args.max_flops is not None and (spent := self._flops.total(state, self._processes)) >= args.max_flops:
            self.used_up = spent
            control.should_training_stop = True

    def allows_more(self, args: MultiTaskTrainingArguments) -> bool:
        """Tell whether it was this budget that stopped the run, and the arguments now allow more."""
        return self.used_up > 0 and (args.max_flops is None or args.max_flops > self.used_up)

    def record(self, state: TrainerState) -> dict[str, float]:
        """Say in a record of the log what was spent.

        Args:
            state: The state of the Trainer.
        """
        return {
            "backward_passes": self.backward_passes,
            "encoder_backward_passes": self.encoder_backward_passes,
            "flops": self._flops.total(state, self._processes),
            "optimizer_runtime": round(self.seconds, 4),  # of this process
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "backward_passes": self.backward_passes,
            "encoder_backward_passes": self.encoder_backward_passes,
            "used_up": self.used_up,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self.backward_passes = int(state["backward_passes"])
        self.encoder_backward_passes = int(state["encoder_backward_passes"])
        self.used_up = float(state["used_up"])
        self.seconds = float(state.get("seconds", 0.0))  # checkpoints of earlier versions have none
