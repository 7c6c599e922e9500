"""What is run on a model in passing leaves it as it was."""

from typing import Any

import pytest
import torch
from torch import nn

from hf_mtl.modeling.in_passing import RandomState, in_passing, plain_forward

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
