"""Parameters of which every process holds a part (FSDP2): whole ones of parts, and parts of whole ones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from hf_mtl.modeling.loaded import check_weights


def is_sharded(model: nn.Module) -> bool:
    """Tell whether the processes hold a part of a model's parameters each."""
    return isinstance(model, FSDPModule)


def reshard(model: nn.Module) -> None:
    """Give up the whole parameters that a forward without a backward has left behind.

    The last forward's copies stay where FSDP expects a backward to come. What reads or writes parameters then would
    do so with the copies, which are thrown away.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def set_whole_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give each process its part of whole weights, which all of them have read.

    Raises:
        ModelError: If weights are missing, or are too many.
    """
    reshard(model)
    found: dict[str, Any] = dict(weights)
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    for tied in names.values():  # saved once, under one of its names
        known = [name for name in tied if name in found]
        found |= {name: found[known[0]] for name in tied if known}
    wanted = model.state_dict().keys()  # of what is missing torch would say nothing
    info = {"missing_keys": wanted - found.keys(), "unexpected_keys": found.keys() - wanted}
    check_weights(info, source="the checkpoint")
    set_model_state_dict(model, found, options=StateDictOptions(full_state_dict=True, strict=True))


def whole(value: Tensor) -> Tensor:
    """Put the parts of a tensor together on every process; all call this."""
    found: Tensor = value.full_tensor() if isinstance(value, DTensor) else value
    return found


def part_of(value: Tensor, like: Tensor) -> Tensor:
    """Return this process's part of a whole tensor, sharded as another of its shape is."""
    if not isinstance(like, DTensor):
        return value
    # No message: every process has the whole of it.
    place = value.detach().to(device=like.device)
    found: Tensor = distribute_tensor(place, like.device_mesh, like.placements, src_data_rank=None)
    return found


def local(value: Tensor) -> Tensor:
    """Return what this process holds of a tensor."""
    detached = value.detach()
    found: Tensor = detached.to_local() if isinstance(detached, DTensor) else detached
    return found


def whole_optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, object]:
    """Return an optimizer's state as that of whole parameters, on the CPU; all processes call this."""
    found = optimizer.state_dict()
    state = {
        number: {key: whole(value).cpu() if torch.is_tensor(value) else value for key, value in values.items()}
        for number, values in found["state"].items()
    }
    return {**found, "state": state}


def set_whole_optimizer_state(optimizer: torch.optim.Optimizer, saved: Mapping[str, object]) -> None:
    """Continue from what `whole_optimizer_state` returned, on each process with its part."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    state = {
        number: {
            key: part_of(value, parameters[number]) if _has_shape_of(value, parameters[number]) else value
            for key, value in values.items()
        }
        for number, values in saved["state"].items()  # type: ignore[attr-defined]
    }
    optimizer.load_state_dict({**saved, "state": state})


def _has_shape_of(value: object, parameter: Tensor) -> bool:
    """Tell moments, which are sharded as their parameter is, from a count of steps."""
    return torch.is_tensor(value) and value.shape == parameter.shape
