"""Operations are counted by whoever runs the model, and added up over the processes."""

from transformers import TrainerState

from hf_mtl.modeling.parameters import training_flops
from hf_mtl.processes import Processes
from hf_mtl.training.step.flops import Flops
from tests.training.step.parts import micro_batches, parts


def test_forward_backward_and_one_more_backward_are_counted() -> None:
    made = parts()
    (batch,) = micro_batches(made.rows, [[2, 1, 1]])
    forward, both = (training_flops(made.model.encoder, batch, backward) for backward in (False, True))
    flops = Flops(made.model)
    flops.count(batch, backward=False)
    assert flops.pending == forward > 0
    flops.count(batch, backward=True)
    flops.count_backward(batch)
    assert flops.pending == 2 * both


def test_the_total_is_that_of_the_state_and_of_all_processes_since() -> None:
    flops = Flops(None)
    flops.pending = 5
    two = Processes(world=2, reduce_sum=lambda tensor: 2 * tensor)
    assert flops.total(TrainerState(total_flos=100.0), two) == 110.0
