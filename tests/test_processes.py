"""A process that is alone needs nobody."""

import torch

from hf_mtl.processes import Processes


def test_a_process_alone_adds_up_and_gathers_its_own() -> None:
    alone, value = Processes(), torch.tensor([1.0, 2.0])
    assert (alone.rank, alone.world, alone.device) == (0, 1, torch.device("cpu"))
    assert alone.reduce_sum(value) is value
    assert alone.gather(value).tolist() == [[1.0, 2.0]]
