"""Checks, and undoes, what accelerate does to a model before it is trained."""

from torch import nn

from hf_mtl.errors import Mistake, RunError
from hf_mtl.modeling.sharded import is_sharded
from hf_mtl.processes import Processes
from hf_mtl.training.step.beside import without_compilation


def unprepare(model: nn.Module) -> None:
    """Take back what an accelerator did to a model: the autocast around its forward, and the mark of being ready.

    A model with the mark is not prepared again. After an evaluation in Hugging Face's Trainer it would train without
    DDP, every process its own copy; after a training in another Trainer, in that one's precision.

    Args:
        model: The model itself, not what it is wrapped in.
    """
    own = vars(model)
    own.pop("_is_accelerate_prepared", None)
    original = own.pop("_original_forward", None)
    if original is None:
        return
    own.pop("forward", None)
    if getattr(original, "__func__", None) is not type(model).forward:  # somebody had patched it before
        model.forward = original


def check_wrapped(model: nn.Module, wrapped: nn.Module, processes: Processes) -> None:
    """Refuse to train on several processes a model that nothing keeps the same on all of them.

    Args:
        model: The model itself.
        wrapped: The model as it is called in training.
        processes: This process among the others.

    Raises:
        RunError: If it is the bare model.
    """
    world = processes.world
    if world > 1 and without_compilation(wrapped) is model and not is_sharded(model):
        found = f"is not wrapped for the {world} processes of this run: each would train a model of its own"
        remedy = "Build the model anew, prepare it with no Accelerator of your own, and freeze not all of it"
        raise RunError(Mistake("model", found, remedy))
