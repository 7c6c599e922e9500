import pytest
import torch

from hf_mtl.modeling import memory


def test_a_cpus_memory_is_the_machines_and_a_gpus_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 80))
    assert memory.free_memory(torch.device("cuda")) == 7.0
    assert memory.free_memory(torch.device("cpu")) > 1e6
