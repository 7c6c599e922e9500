import pytest
import torch
from torch import nn

from hf_mtl.training.step.optimizer import add_balancing_group, split_groups


def parameters(number: int) -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(1)) for _ in range(number)]


def test_parameters_move_to_groups_that_differ_in_the_learning_rate_only() -> None:
    decayed, plain = parameters(3), parameters(2)
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.8, 0.9), eps=1e-5)
    split_groups(optimizer, [decayed[2], plain[0]], 0.5)
    found = [
        ([id(p) for p in group["params"]], group["lr"], group["weight_decay"]) for group in optimizer.param_groups
    ]
    assert found == [
        ([id(decayed[0]), id(decayed[1])], 1e-3, 0.1),
        ([id(plain[1])], 1e-3, 0.0),
        ([id(decayed[2])], 0.5, 0.1),
        ([id(plain[0])], 0.5, 0.0),
    ]
    assert all((group["betas"], group["eps"]) == ((0.8, 0.9), 1e-5) for group in optimizer.param_groups)


def test_a_group_that_is_left_empty_goes_away() -> None:
    mine = parameters(2)
    optimizer = torch.optim.SGD(mine, lr=0.1)
    split_groups(optimizer, mine, 0.5)
    assert [(len(group["params"]), group["lr"]) for group in optimizer.param_groups] == [(2, 0.5)]


def test_moving_nothing_changes_nothing() -> None:
    mine = parameters(2)
    optimizer = torch.optim.SGD(mine, lr=0.1)
    split_groups(optimizer, [], 0.5)
    assert [(group["params"], group["lr"]) for group in optimizer.param_groups] == [(mine, 0.1)]


def test_each_group_steps_with_its_own_rate() -> None:
    encoder, head, s = parameters(3)
    optimizer = torch.optim.SGD([encoder, head], lr=0.1, weight_decay=0.5)
    split_groups(optimizer, [head], 0.2)
    add_balancing_group(optimizer, [s], 0.3)
    for parameter in (encoder, head, s):
        parameter.grad = torch.ones(1)
    optimizer.step()
    # gradient 1 and decay 0.5, which balancing parameters do not have
    assert [p.item() for p in (encoder, head, s)] == pytest.approx([1 - 0.15, 1 - 0.3, 1 - 0.3])


def test_balancing_parameters_have_no_weight_decay() -> None:
    optimizer = torch.optim.AdamW(parameters(1), lr=0.1, weight_decay=0.5)
    add_balancing_group(optimizer, iter(parameters(1)), 0.3)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(0.1, 0.5), (0.3, 0.0)]


def test_without_balancing_parameters_there_is_no_group() -> None:
    optimizer = torch.optim.SGD(parameters(1), lr=0.1)
    add_balancing_group(optimizer, [], 0.3)
    assert len(optimizer.param_groups) == 1
