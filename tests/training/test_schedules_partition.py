"""Schedules on several processes: the run of one process, and after a resume the same bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl.data.learners.pike import PiKE
from tests.modeling.families import some_fast
from tests.training.partition_worker import train
from tests.training.test_partition import Parameters, train_on_processes, updates

SWITCH = {"type": "mt2st_switch", "main": "topic", "at": {"step": 9}}  # in the middle of a window of 6
PHASES = {"type": "alternating", "period": 4}
COURSES: dict[str, dict[str, Any]] = {
    "a switch": {"schedules": [SWITCH], "steps": 14},
    "phases and a switch": {"schedules": [PHASES, SWITCH], "steps": 14},
    "a task left alone with a few rows": {"schedules": [{**SWITCH, "main": "mood", "at": {"step": 3}}], "steps": 10},
    "measured gradients": {"schedules": [{"type": "mt2st_adaptive", "main": "topic", "every": 6}], "steps": 14},
    # The first move is at step 24, when every task has been seen in 20 steps.
    # Looks in phases of the heads and of the encoder, and after the other tasks have left.
    "gradients looked at": {
        "schedules": [PHASES, {**SWITCH, "at": {"step": 15}}],
        "mixture": {"learn": {"objective": "pike", "every": 5, "zeta1": 0.5, "zeta2": 0.5}},
        "steps": 22,
    },
    "tasks that stop early": {
        "schedules": [{"type": "task_early_stopping", "patience": 1}],
        "steps": 16,
        "evaluated": True,
        "eval_strategy": "steps",
        "eval_steps": 2,
    },
    "learned temperatures": {"schedules": [PHASES], "mixture": {"learn": {"every": 6, "lr": 2.0}}, "steps": 28},
}


def assert_same_run(found: Parameters, reference: Parameters) -> None:
    """All parameters together: a schedule may leave single ones with updates of the size of float32's rounding."""
    names = list(updates(reference))
    moved, expected = (torch.cat([updates(run)[name].flatten() for name in names]) for run in (found, reference))
    assert (moved - expected).norm() / expected.norm() < 1e-5  # measured: 3e-7
    for key in ("after/log_tau", "after/log_w"):
        if key in reference:
            torch.testing.assert_close(found[key], reference[key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", some_fast(COURSES, "phases and a switch", "learned temperatures"))
def test_accumulation_does_not_change_a_scheduled_run(name: str) -> None:
    reference, trainer = train(32, 1, "sgd", "uw", layout="padded", **COURSES[name])
    found, _ = train(2, 16, "sgd", "uw", layout="packed", **COURSES[name])
    assert_same_run(found, reference)
    if name == "learned temperatures":
        assert (updates(reference)["log_tau"].abs() > 1e-3).all()
    if name == "tasks that stop early":
        assert any(stop.step < 12 for stop in trainer.schedules.stopped.values())
    if isinstance(trainer.mixture.learner, PiKE):
        learner = trainer.mixture.learner
        assert (np.abs(learner.log_w - learner.anchor) > 1e-2).all()
        assert learner.looks.tolist() == [4, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("name", COURSES)
def test_processes_do_not_change_a_scheduled_run(tmp_path: Path, name: str) -> None:
    reference, _ = train(32, 1, "sgd", "uw", layout="packed", **COURSES[name])
    # Two rows at a time: after the switch some processes have micro-batches without rows.
    for per_device, accumulation in [(16, 1), (2, 8)]:
        found = train_on_processes(tmp_path, 2, per_device, accumulation, "sgd", "uw", "packed", **COURSES[name])
        assert_same_run(found, reference)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["vip", "vmtl", "stl_cnn"])
def test_heads_of_all_kinds_bear_micro_batches_without_rows(tmp_path: Path, head: str) -> None:
    options: dict[str, Any] = {"schedules": [{**SWITCH, "main": "mood", "at": {"step": 2}}], "steps": 6}
    reference, _ = train(32, 1, "sgd", "uw", layout="packed", head=head, **options)
    found = train_on_processes(tmp_path, 2, 1, 16, "sgd", "uw", "packed", head=head, **options)
    assert_same_run(found, reference)


@pytest.mark.slow
def test_two_processes_resumed_in_a_phase_and_a_window_go_on_in_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "schedules": [PHASES, {**SWITCH, "at": {"step": 27}}],
        "mixture": {"learn": {"every": 6, "lr": 2.0}},
        "steps": 32,
        "save_strategy": "steps",
        "save_steps": 13,  # 13 and 26: in a phase, in a window, before and after the temperatures move
        "activation_checkpointing": True,
    }
    runs = []
    for name, resume in (("whole", None), ("resumed", "checkpoint-26"), ("early", "checkpoint-13")):
        folder = tmp_path / name
        folder.mkdir()
        more = {"output_dir": str(folder / "run"), "resume": resume and str(tmp_path / "whole" / "run" / resume)}
        runs.append(train_on_processes(folder, 2, 8, 2, "adamw_torch", "uw", "packed", **options, **more))
    after = [{key: value for key, value in run.items() if key.startswith("after/")} for run in runs]
    assert after[0]["after/log_tau"].abs().max() > 1e-3
    for other in after[1:]:
        assert other.keys() == after[0].keys()
        assert all(torch.equal(value, other[key]) for key, value in after[0].items())
