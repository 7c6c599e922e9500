"""The losses of a step, found beside the pass that trains."""

import pytest
import torch

from hf_mtl.modeling.in_passing import RandomState
from tests.training.step.parts import CPU, NAMES, micro_batches, parts


@pytest.mark.parametrize("one_by_one", [False, True])
def test_losses_are_over_all_micro_batches_and_nothing_is_left_of_the_pass(one_by_one: bool) -> None:
    made = parts()
    layout = "split" if one_by_one else "mixed"
    (whole,) = micro_batches(made.rows, [[4, 2, 3]], layout)
    made.model.eval()
    outputs = made.model(**{key: value for key, value in whole.items() if key != "plan"}).row_losses
    expected = [float(outputs[name].detach().double().mean()) for name in NAMES]
    halves = micro_batches(made.rows, [[1, 2, 0], [3, 0, 3]], layout)
    found = made.loss_pass(halves, RandomState(CPU), one_by_one)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert not found.requires_grad
    assert not made.model.training
    assert made.flops.pending > 0


def test_dropout_is_that_of_the_pass_that_trained() -> None:
    made = parts(dropout=0.5)
    batches = micro_batches(made.rows, [[4, 2, 3]])
    torch.manual_seed(1)
    random = RandomState(CPU)
    made.model.train()
    outputs = made.model(**{key: value for key, value in batches[0].items() if key != "plan"}).row_losses
    after = torch.get_rng_state()
    found = made.loss_pass(batches, random, one_by_one=False)
    assert found.tolist() == pytest.approx([float(outputs[name].detach().mean()) for name in NAMES], rel=1e-6)
    assert torch.equal(after, torch.get_rng_state())
