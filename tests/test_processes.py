"""A process that is alone needs nobody."""

import torch

from hf_mtl.processes import Processes


def test_a_process_alone_adds_up_and_gathers_its_own() -> None:
    alone, value = Processes(), torch.tensor([1.0, 2.0])
    assert (alone.rank, alone.world, alone.device) == (0, 1, torch.device("cpu"))
    assert alone.reduce_sum(value) is value
    assert alone.gather(value).tolist() == [[1.0, 2.0]]


def test_a_fact_holds_anywhere_if_it_holds_on_one_process() -> None:
    here, asked = [True, False, False], []

    def reduce_sum(flags: torch.Tensor) -> torch.Tensor:
        asked.append(flags)
        return flags + torch.tensor([1.0, 0.0, 1.0])

    assert Processes().anywhere(here, torch.device("meta")) == here  # which nothing can be read from
    several = Processes(world=2, reduce_sum=reduce_sum)
    assert several.anywhere(here, torch.device("cpu")) == [True, False, True]
    assert len(asked) == 1
