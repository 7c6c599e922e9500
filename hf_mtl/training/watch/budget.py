"""What a run has spent, and when that is enough."""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.arguments import MultiTaskTrainingArguments


def limit_steps(args: MultiTaskTrainingArguments) -> None:
    """Turn a budget of backward passes into a number of steps, which is what the learning rate's schedule knows."""
    if args.max_backward_passes is not None:
        steps = args.max_backward_passes // args.gradient_accumulation_steps
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
        self.used_up = 0.0  # the operations after which it has stopped the run
        self._encoder_trains = encoder_trains
        self._flops = flops

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A run from its beginning has spent nothing."""
        if state.global_step == 0:
            self.backward_passes = self.encoder_backward_passes = 0
        self.used_up = 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the step's micro-batches."""
        self.backward_passes += args.gradient_accumulation_steps
        self.encoder_backward_passes += args.gradient_accumulation_steps * self._encoder_trains()
        limit = getattr(args, "max_flops", None)
        if limit is not None and (spent := self._flops()) >= limit:
            self.used_up = spent
            control.should_training_stop = True

    def allows_more(self, args: MultiTaskTrainingArguments) -> bool:
        """Whether it was this budget that stopped the run, and the arguments now allow more."""
        return self.used_up > 0 and (args.max_flops is None or args.max_flops > self.used_up)

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
            "used_up": self.used_up,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self.backward_passes = int(state["backward_passes"])
        self.encoder_backward_passes = int(state["encoder_backward_passes"])
        self.used_up = float(state["used_up"])
