"""One process where several were asked for is a mistake."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from hf_mtl.errors import UserError
from hf_mtl.training import launch
from tests.training.trainers import make

SEVERAL = {"ACCELERATE_USE_CPU": "False", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


def said(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], world_size: int = 1) -> str:
    for name in (*launch.STARTED, *launch.MAYBE, *SEVERAL, "LOCAL_RANK", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    args: Any = SimpleNamespace(world_size=world_size)
    return "\n".join(map(str, launch.launch_mistakes(args)))


def test_accelerate_that_began_one_of_several_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = said(monkeypatch, SEVERAL)
    assert found.startswith("accelerate launch: was to start several processes, and started only this one")
    assert "--multi_gpu --num_processes N" in found


@pytest.mark.parametrize("name", launch.STARTED)
def test_processes_that_do_not_find_each_other_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert "the 2 processes that were launched" in said(monkeypatch, {name: "2"})


@pytest.mark.parametrize(
    ("environment", "world_size"),
    [
        ({}, 1),
        ({"ACCELERATE_USE_CPU": "true"}, 1),  # accelerate launch --num_processes 1
        ({"MASTER_ADDR": "node", "MASTER_PORT": "1"}, 1),  # of a cluster's job
        ({**SEVERAL, "WORLD_SIZE": "1", "RANK": "0"}, 1),
        ({**SEVERAL, "WORLD_SIZE": "2", "RANK": "0"}, 2),
        ({**SEVERAL, "PMI_SIZE": "2"}, 2),  # by mpirun, which accelerate starts where it has a hostfile
    ],
)
def test_a_process_that_is_meant_to_be_alone_and_several_that_are_there_are_fine(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], world_size: int
) -> None:
    assert said(monkeypatch, environment, world_size) == ""


def test_an_address_that_was_there_before_accelerate_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = [SimpleNamespace(environ=lambda: {"MASTER_PORT": "1", "MASTER_ADDR": "node"})]
    monkeypatch.setattr(psutil.Process, "parents", lambda _: parents)
    assert said(monkeypatch, SEVERAL) == ""


@pytest.mark.parametrize("name", launch.MAYBE)
def test_tasks_that_may_be_runs_of_their_own_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    launch.logger.warning_once.cache_clear()
    assert said(monkeypatch, {name: "4"}) == ""
    assert f"{name} is 4, and this process is a run of its own" in caplog.text


def test_a_trainer_in_python_refuses_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in SEVERAL.items():
        monkeypatch.setitem(os.environ, name, value)
    with pytest.raises(UserError, match="accelerate launch: was to start several processes"):
        make(tmp_path)
