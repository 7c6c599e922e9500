"""Passes on the bare model beside DDP: the next step goes on as if there had been none."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from hf_mtl.training.step.beside import forget_passes_beside
from hf_mtl.training.trainer import step_trainer
from tests.training.beside_worker import courses
from tests.training.trainers import make

ROOT = Path(__file__).parents[3]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one process, which is enough for a DDP."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def ddp_after_a_pass_beside(tmp_path: Path, step_begins: str = "") -> DistributedDataParallel:
    """A DDP whose bare model saw every task, and that then trains one of them."""
    trainer = make(tmp_path)
    wrapped = DistributedDataParallel(trainer.model, find_unused_parameters=True)
    tasks = np.arange(3)
    every = trainer.train_collator()(tasks, tasks)
    one = trainer.train_collator()(tasks[:1], tasks[:1])
    for batch in (every, one):
        batch.pop("plan", None)
    torch.stack([rows.sum() for rows in trainer.model(**every).row_losses.values()]).sum().backward()
    trainer.model.zero_grad()
    if step_begins:
        forget_passes_beside(torch.compile(wrapped) if step_begins == "compiled" else wrapped)
    wrapped(**one).row_losses["topic"].sum().backward()
    return wrapped


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("step_begins", ["plain", "compiled"])
def test_a_step_of_one_task_follows_a_pass_of_all(tmp_path: Path, step_begins: str) -> None:
    model = ddp_after_a_pass_beside(tmp_path, step_begins).module
    had = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert any("topic" in name for name in had)
    assert not any("mood" in name for name in had)


@pytest.mark.usefixtures("alone")
def test_without_the_door_ddp_aborts(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="undefined, but still allreduced"):
        ddp_after_a_pass_beside(tmp_path)


def test_every_step_begins_at_the_door_and_no_micro_batch_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    monkeypatch.setattr(step_trainer, "forget_passes_beside", lambda _: steps.append(trainer.state.global_step))
    trainer = make(tmp_path, max_steps=3, gradient_accumulation_steps=2)
    trainer.train()
    assert steps == [0, 1, 2]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of every course on two processes, all of them in one launch."""
    output = tmp_path_factory.mktemp("beside") / "outcomes.json"
    worker = ROOT / "tests/training/beside_worker.py"
    subprocess.run(
        [*(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"), worker, output],
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=output.parent,
    )
    found: dict[str, str] = json.loads(output.read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", courses())
def test_two_processes_take_passes_beside_steps_in_which_one_lacks_a_task(
    outcomes: dict[str, str], name: str
) -> None:
    assert outcomes.get(name, "never ended") == "fine"
