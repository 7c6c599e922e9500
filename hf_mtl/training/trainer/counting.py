"""A Trainer that counts the operations and the tokens of batches of packed rows."""

from typing import Any

import torch
from transformers import Trainer

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.batch import Packed
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.processes import Processes
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.trainer.cut_steps import Fed, micro_batches_of


class CountingTrainer(Trainer):
    """Counts the batches, and whatever runs the model beside the training passes.

    Args:
        args: Passed on.
        model: The model.
        kwargs: Passed on.

    Attributes:
        flops: The count of floating point operations, which others add theirs to.
    """

    args: MultiTaskTrainingArguments
    model: MultiTaskModel

    def __init__(self, *args: Any, model: MultiTaskModel, **kwargs: Any):
        self.flops = Flops(model)  # first: the Trainer sets `current_flos` while it is made
        super().__init__(*args, model=model, **kwargs)

    @property
    def current_flos(self) -> float:
        """The operations that the Trainer's state does not have yet: the Trainer's own count, and all others."""
        return self.flops.pending

    @current_flos.setter
    def current_flos(self, value: float) -> None:
        self.flops.pending = value

    def floating_point_ops(self, inputs: Fed) -> int:
        """Ask the model: the Trainer's own count wants one rectangle of token ids."""
        return sum(self.model.floating_point_ops(batch) for batch in micro_batches_of(inputs))

    def _track_num_input_tokens(self, inputs: Fed) -> None:
        """Count the tokens, padding too where ``include_num_input_tokens_seen`` says so."""
        if self.args.include_num_input_tokens_seen == "no":
            return
        # Where the encoder packs there is no padding to count.
        real = self.args.include_num_input_tokens_seen == "non_padding" or self.model.packs
        mine = sum(_tokens(batch["packed"], real) for batch in micro_batches_of(inputs))
        tokens = Processes.of(self.accelerator).reduce_sum(torch.tensor(mine, device=self.args.device))
        self.state.num_input_tokens_seen += int(tokens)


def _tokens(packed: Packed, real: bool) -> int:
    shapes = packed["rectangles"]["shapes"]
    return len(packed["input_ids"]) if real else sum(rows * length for rows, length in shapes)
