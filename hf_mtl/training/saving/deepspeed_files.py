"""Reads what DeepSpeed writes into a checkpoint: tensors and plain values, on as many processes."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from hf_mtl.errors import CheckpointError, Mistake, one_line

_FORCE, _NEVER = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_PARTS = "global_step*/*zero_pp_rank_*_optim_states.pt"


@contextlib.contextmanager
def as_weights_alone(checkpoint: Path) -> Iterator[None]:
    """Have torch make tensors and plain values of every pickle, also where DeepSpeed asks it to run what that says.

    Raises:
        CheckpointError: If a file holds anything else.
    """
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _NEVER)}
    os.environ[_FORCE] = "1"
    try:
        with torch.serialization.safe_globals(_plain_classes()):
            yield
    except UnpicklingError as error:
        problem = f"{checkpoint}: what DeepSpeed wrote cannot be read ({one_line(error)})"
        raise CheckpointError(Mistake("", problem, "Resume from another checkpoint")) from error
    finally:
        del os.environ[_FORCE]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def check_processes(checkpoint: Path, processes: int) -> None:
    """Refuse to go on from the optimizer's parts on another number of processes.

    Raises:
        CheckpointError: If there are more or fewer parts than processes.
    """
    parts = len(list(checkpoint.glob(_PARTS)))
    if parts != processes:
        problem = f"{checkpoint}: has the optimizer of DeepSpeed in {parts} parts, for {processes} processes"
        remedy = f"Resume on {parts} processes" if parts else "Resume as the run was begun"
        raise CheckpointError(Mistake("", problem, remedy))


def _plain_classes() -> list[Any]:
    """List the classes in its files that hold values and do nothing when they are made."""
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    return [DynamicLossScaler, LossScaler, ZeroStageEnum, fragment_address]
