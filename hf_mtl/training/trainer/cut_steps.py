"""Steps whose number of micro-batches follows their tokens, inside a training loop that knows one number for all.

The Trainer's loop counts its steps and epochs in micro-batches, as many in every step. So it is given a whole step as
one thing, a list of micro-batches, and accumulation 1; the list is gone through here, as the loop would.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeAlias

from torch import Tensor, nn
from transformers import Trainer

from hf_mtl.batch import Batch

Fed: TypeAlias = Batch | list[Batch]
"""What the loader hands out: a micro-batch, or all of a step where it is cut by tokens."""


def micro_batches_of(fed: Fed) -> list[Batch]:
    """Return the micro-batches in what the loader has handed out."""
    return fed if isinstance(fed, list) else [fed]


def train_in_turn(
    trainer: Trainer, model: nn.Module, batches: Sequence[Batch], one: Callable[[nn.Module, Batch], Tensor]
) -> Tensor:
    """Train on the micro-batches of one step, and add up what they return.

    Args:
        trainer: The Trainer.
        model: The model as the Trainer calls it, maybe DDP's.
        batches: The micro-batches.
        one: Runs forward and backward of one of them, as the Trainer does.
    """
    accelerator, losses = trainer.accelerator, []
    trainer.current_gradient_accumulation_steps = len(batches)  # what `one` divides by
    each = accelerator.gradient_state.plugin_kwargs.get("sync_each_batch", False)
    for batch in batches[:-1]:
        accelerator.gradient_state._set_sync_gradients(False)
        # The processes add up gradients once a step: all have as many micro-batches, and the last adds up.
        with nullcontext() if each else accelerator.no_sync(model=model):
            losses.append(one(model, batch))
        trainer.control = trainer.callback_handler.on_substep_end(trainer.args, trainer.state, trainer.control)
    accelerator.gradient_state._set_sync_gradients(True)
    losses.append(one(model, batches[-1]))
    total: Tensor = sum(losses[1:], losses[0])
    return total
