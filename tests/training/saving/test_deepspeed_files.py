"""What DeepSpeed writes is read as tensors and plain values, and on as many processes."""

import os
from pathlib import Path

import pytest
import torch

from hf_mtl.errors import CheckpointError
from hf_mtl.training.saving import deepspeed_files
from hf_mtl.training.saving.deepspeed_files import as_weights_alone, check_processes
from tests.test_security import Trap

FORCE, NEVER = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


class Plain:
    """Values that are known to do nothing."""

    def __init__(self) -> None:
        self.scale = 2.0


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepspeed_files, "_plain_classes", lambda: [Plain])


def test_a_pickle_runs_nothing_whatever_its_reader_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEVER, "1")
    torch.save({"state": Trap(tmp_path / "made")}, tmp_path / "trap.pt")
    with pytest.raises(CheckpointError, match="what DeepSpeed wrote cannot be read"), as_weights_alone(tmp_path):
        torch.load(tmp_path / "trap.pt", weights_only=False)
    assert not (tmp_path / "made").exists()
    assert (os.environ.get(FORCE), os.environ[NEVER]) == (None, "1")


def test_its_plain_classes_are_read(tmp_path: Path) -> None:
    torch.save({"scaler": Plain(), "moment": torch.ones(2)}, tmp_path / "state.pt")
    with as_weights_alone(tmp_path):
        found = torch.load(tmp_path / "state.pt", weights_only=False)
    assert found["scaler"].scale == 2.0
    assert FORCE not in os.environ


@pytest.mark.parametrize(("parts", "remedy"), [(3, "Resume on 3 processes"), (0, "Resume as the run was begun")])
def test_another_number_of_processes_is_refused(tmp_path: Path, parts: int, remedy: str) -> None:
    (tmp_path / "global_step4").mkdir()
    for rank in range(parts):
        (tmp_path / "global_step4" / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt").touch()
    with pytest.raises(CheckpointError, match=f"in {parts} parts, for 2 processes. {remedy}"):
        check_processes(tmp_path, 2)
    if parts:
        check_processes(tmp_path, parts)
