"""Whole tensors of parts, and parts of whole ones."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from hf_mtl.errors import ModelError
from hf_mtl.modeling.sharded import (
    is_sharded,
    local,
    part_of,
    reshard,
    set_whole_optimizer_state,
    set_whole_weights,
    whole,
    whole_optimizer_state,
)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def sharded(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    mesh = torch.distributed.init_device_mesh("cpu", (1,))
    fully_shard(model, mesh=mesh)
    return model


def test_parts_and_whole_tensors_are_made_of_each_other() -> None:
    model = sharded()
    assert is_sharded(model)
    assert not is_sharded(nn.Linear(1, 1))
    weight = model[0].weight
    assert isinstance(weight, DTensor)
    full = whole(weight)
    assert not isinstance(full, DTensor)
    assert not isinstance(local(weight), DTensor)
    again = part_of(full, weight)
    assert isinstance(again, DTensor)
    assert torch.equal(whole(again), full)
    assert whole(full) is full
    assert part_of(full, full) is full


def test_a_forward_without_backward_leaves_whole_parameters_until_resharded() -> None:
    model = sharded()
    with torch.no_grad():
        model(torch.ones(1, 3))
    reshard(model)
    assert all(isinstance(parameter, DTensor) for parameter in model.parameters())


def test_whole_weights_are_taken_and_others_refused() -> None:
    model = sharded()
    weights = {name: torch.randn_like(whole(value)) for name, value in model.named_parameters()}
    set_whole_weights(model, weights)
    assert all(torch.equal(whole(value), weights[name]) for name, value in model.named_parameters())
    del weights["0.bias"]
    with pytest.raises(ModelError, match=r"weights of the model are missing: .*0\.bias"):
        set_whole_weights(model, weights)
    with pytest.raises(ModelError, match="has weights that the model lacks"):
        set_whole_weights(model, {**weights, "0.bias": torch.zeros(4), "2.bias": torch.zeros(1)})


def test_an_optimizer_goes_on_from_whole_moments_and_a_parameter_without_has_none() -> None:
    models = [sharded(), sharded()]
    optimizers = [torch.optim.AdamW(model.parameters(), lr=0.1) for model in models]

    def step(number: int) -> None:
        model = models[number]
        model(torch.ones(1, 3)).sum().backward()
        model[1].bias.grad = None
        optimizers[number].step()
        optimizers[number].zero_grad()

    step(0)
    saved = copy.deepcopy(whole_optimizer_state(optimizers[0]))  # a process that is alone has no other whole ones
    assert len(saved["state"]) == 3
    set_whole_weights(models[1], {name: whole(value) for name, value in models[0].named_parameters()})
    set_whole_optimizer_state(optimizers[1], saved)
    assert len(optimizers[1].state) == 3
    for number in (0, 1):
        step(number)
    pairs = zip(models[0].parameters(), models[1].parameters(), strict=True)
    assert all(torch.equal(whole(one), whole(other)) for one, other in pairs)
