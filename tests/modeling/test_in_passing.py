"""What is run on a model in passing leaves it as it was."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hf_mtl.modeling.in_passing import (
    RandomState,
    generators_put_back,
    in_passing,
    parts_put_back,
    plain_forward,
    uncompiled,
)

CPU = torch.device("cpu")


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))


@pytest.mark.parametrize("training", [False, True])
def test_every_part_gets_its_own_mode_back_also_after_an_error(training: bool) -> None:
    found = model().train()
    found[0].eval()

    def fail() -> None:
        with in_passing(found, training=training):
            assert [part.training for part in found.modules()] == [training] * 3
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert [part.training for part in found.modules()] == [True, False, True]


def test_gradients_are_put_back() -> None:
    found = model()
    found[0].weight.grad = kept = torch.ones(2, 2)
    with in_passing(found, keep_gradients=True):
        assert found[0].weight.grad is None
        found(torch.ones(1, 2)).sum().backward()
    assert found[0].weight.grad is kept
    assert found[0].bias.grad is None


def test_draws_are_repeated_and_then_go_on() -> None:
    found = model().train()
    random = RandomState(CPU)
    first = found(torch.ones(1, 2))
    after = torch.get_rng_state()
    with in_passing(found, training=True, random=random):
        assert torch.equal(found(torch.ones(1, 2)), first)
    assert torch.equal(after, torch.get_rng_state())


def test_a_plain_run_goes_around_the_autocast_that_accelerate_has_put_there() -> None:
    found: Any = model().eval()
    assert plain_forward(found) is found
    found._original_forward = found.forward
    found.forward = patched = lambda inputs: None
    assert plain_forward(found) is found._original_forward
    with in_passing(found, plain=True):
        assert found(torch.ones(1, 2)) is not None
    assert found.forward is patched


def test_no_generator_remembers_what_was_drawn() -> None:
    def draw() -> list[float]:
        return [float(torch.rand(())), float(np.random.rand()), random.random()]

    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    with generators_put_back(CPU):
        expected = draw()
    assert draw() == expected
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


def test_parts_that_are_replaced_come_back() -> None:
    found = model()
    before = {name: dict(vars(part)) for name, part in found.named_modules()}
    with parts_put_back(found):
        found[0], found[1].p, found.more = nn.Identity(), 0.9, nn.Linear(2, 2)
        found.register_buffer("mean", torch.zeros(1))
    assert {name: vars(part) for name, part in found.named_modules()} == before
    assert found(torch.ones(1, 2)).shape == (1, 2)


def test_what_is_compiled_in_place_can_be_called_as_if_it_were_not() -> None:
    found = model()
    found._compiled_call_impl = lambda inputs: "compiled"
    with uncompiled(found):
        assert isinstance(found(torch.ones(1, 2)), torch.Tensor)
    assert found(torch.ones(1, 2)) == "compiled"
    found._compiled_call_impl = None
    with uncompiled(found):
        found(torch.ones(1, 2))
