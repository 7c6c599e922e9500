"""What DDP aborts at, where a head or a frozen part has nothing to do in a step, is refused before training."""

from pathlib import Path
from typing import Any

import pytest
from transformers.training_args import ParallelMode

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.errors import UserError
from hf_mtl.schedules import Run, Schedules, build_schedule
from hf_mtl.training.trainer.argument_effects import CHECKPOINTING
from hf_mtl.training.trainer.ddp_checks import check_ddp
from tests.training.trainers import make

OFF: dict[str, Any] = {"ddp_find_unused_parameters": False}
REENTRANT: dict[str, Any] = {CHECKPOINTING: True, f"{CHECKPOINTING}_kwargs": {"use_reentrant": True}}
KIND = f"{CHECKPOINTING}_kwargs.use_reentrant"
FREEZING = {"type": "mt2st_switch", "main": "topic", "at": 0.5, "freeze": "embeddings"}


@pytest.fixture
def distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MultiTaskTrainingArguments, "parallel_mode", ParallelMode.DISTRIBUTED)


def check(folder: Path, asked: dict[str, Any], tasks: int, through_ddp: bool, *specs: Any) -> list[str]:
    args = MultiTaskTrainingArguments(output_dir=str(folder), use_cpu=True, report_to="none", **asked)
    names = [f"task{number}" for number in range(tasks - 1)] + ["topic"]
    built = [build_schedule(spec, names, "schedules") for spec in specs]
    try:
        check_ddp(args, tasks, through_ddp, Schedules(built, lambda: Run(tuple(names), 10, 5)))
    except UserError as error:
        return [mistake.key.removeprefix("training.") for mistake in error.mistakes]
    return []


@pytest.mark.usefixtures("distributed")
@pytest.mark.parametrize(
    ("asked", "tasks", "refused"),
    [
        (OFF, 3, ["ddp_find_unused_parameters"]),
        (OFF, 1, []),
        (REENTRANT, 3, [KIND]),
        (REENTRANT, 1, []),
        ({**REENTRANT, **OFF}, 3, [KIND]),
        ({**REENTRANT, "ddp_find_unused_parameters": True}, 1, [KIND]),
        ({**OFF, CHECKPOINTING: True}, 3, ["ddp_find_unused_parameters"]),
        ({"ddp_find_unused_parameters": True}, 3, []),
    ],
)
def test_what_aborts_where_a_task_is_missing_is_refused(
    tmp_path: Path, asked: dict[str, Any], tasks: int, refused: list[str]
) -> None:
    assert check(tmp_path, asked, tasks, True) == refused
    assert check(tmp_path, asked, tasks, False) == []  # gradients of single tasks do not go through DDP


@pytest.mark.usefixtures("distributed")
def test_one_task_with_a_part_that_a_schedule_freezes_is_refused_too(tmp_path: Path) -> None:
    assert check(tmp_path, OFF, 2, True, FREEZING) == ["ddp_find_unused_parameters"]


def test_one_process_takes_them_all(tmp_path: Path) -> None:
    for asked in (OFF, REENTRANT):
        assert check(tmp_path, asked, 3, True) == []


@pytest.mark.usefixtures("distributed")
def test_the_trainer_asks_before_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training\.ddp_find_unused_parameters: is off: DDP aborts after a step in"):
        make(tmp_path, **OFF)
    make(tmp_path, balancing={"aggregator": "cagrad"}, **OFF)
