"""What a run has spent, and when that is enough."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.arguments import MultiTaskTrainingArguments


def limit_steps(args: MultiTaskTrainingArguments) -> None:
    """Turn a budget of backward passes into a number of steps, which is what the learning rate's schedule knows."""
    if args.max_backward_passes is not None:
        steps = math.ceil(args.max_backward_passes / args.gradient_accumulation_steps)
        args.max_steps = min(args.max_steps, steps) if args.max_steps > 0 else steps


class Budget(TrainerCallback):
    """Counts backward passes, those through the encoder too, and stops a run that has used up its operations.

    Args:
        encoder_trains: Answers whether the step that ends has trained any of the encoder.
        flops: Answers the floating point operations so far, over all processes.
    """

    def __init__(self, encoder_trains: Callable[[], bool], flops: Callable[[], float]):
        self.backward_passes = 0
        self.encoder_backward_passes = 0
        self._encoder_trains = encoder_trains
        self._flops = flops

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the step's micro-batches."""
        self.backward_passes += args.gradient_accumulation_steps
        self.encoder_backward_passes += args.gradient_accumulation_steps * self._encoder_trains()
        limit = getattr(args, "max_flops", None)
        if limit is not None and self._flops() >= limit:
            control.should_training_stop = True

    def record(self) -> dict[str, float]:
        """What a log record says of it."""
        return {
            "backward_passes": self.backward_passes,
            "encoder_backward_passes": self.encoder_backward_passes,
            "flops": self._flops(),
        }

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {
            "backward_passes": self.backward_passes,
            "encoder_backward_passes": self.encoder_backward_passes,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self.backward_passes = int(state["backward_passes"])
        self.encoder_backward_passes = int(state["encoder_backward_passes"])
