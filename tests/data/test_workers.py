import multiprocessing
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from hf_mtl.data import workers as workers_module
from hf_mtl.data.workers import Crew, Workers, pack
from hf_mtl.errors import LostProcessError


class Doubling(Dataset[int]):
    def __getitem__(self, asked: int) -> int:
        return 2 * asked


def test_a_batch_comes_out_of_its_message_as_it_went_in() -> None:
    batch: dict[str, Any] = {
        "groups": [{"input_ids": torch.arange(6).reshape(2, 3), "cut": [(0, 0, 2)]}],
        "labels": {"score": torch.tensor([[0.1], [-0.0]], dtype=torch.float64), "none": torch.zeros(0, 2)},
        "mask": torch.tensor([True, False]),
        "step": 3,
    }
    found = workers_module.pickle.loads(pack(batch))
    assert repr(found) == repr(batch)
    assert found["labels"]["score"].dtype == torch.float64
    found["groups"][0]["input_ids"] += 1  # is its own memory, which can be written


def test_workers_make_what_is_asked_and_then_wait_for_more() -> None:
    crew: Crew[int, int] = Crew(Doubling(), Workers(2))
    assert list(crew.work([1, 2, 3])) == [2, 4, 6]
    workers = multiprocessing.active_children()
    dropped = crew.work(range(100))
    assert next(dropped) == 0
    assert list(crew.work([7, 8])) == [14, 16]
    assert multiprocessing.active_children() == workers
    crew.end()
    assert not multiprocessing.active_children()


def test_workers_that_nobody_has_ended_end_with_the_program() -> None:
    crew: Crew[int, int] = Crew(Doubling(), Workers(1))
    next(crew.work([1, 2]))
    assert multiprocessing.active_children()
    workers_module._end_all()
    assert not multiprocessing.active_children()


def test_workers_are_started_and_prefetch_as_asked() -> None:
    loader = Crew(Doubling(), Workers(2, prefetch=5, context="spawn"))._loader
    assert (loader.num_workers, loader.prefetch_factor) == (2, 5)
    assert loader.multiprocessing_context.get_start_method() == "spawn"


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="of the model"), workers_module.hearing_of_deaths(str):
        raise RuntimeError("of the model")
    with pytest.raises(LostProcessError, match="exited unexpectedly"), workers_module.hearing_of_deaths(str):
        raise RuntimeError("DataLoader worker (pid(s) 3) exited unexpectedly")
