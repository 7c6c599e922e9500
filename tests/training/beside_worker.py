"""Train the tiny world with everything that takes passes beside the step; started by `test_beside`.

Usage: beside_worker.py OUTPUT.json [COURSE...], on several processes. Each outcome is written when it is known.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hf_mtl.balancing import available
from hf_mtl.schedules import SCHEDULES
from tests.training.partition_worker import train

STEPS = 12
PHASES = {"type": "alternating", "period": 3}
EVERY_STEP = {"log_every": 1}

OPTIONS: dict[str, dict[str, Any]] = {
    "fixed": {"weights": [0.3, 1.0, 2.0]},
    "gradnorm_scaling": {"every": 3},
    "stch": {"warmup_epochs": 0},
    "cost": {"start_epoch": 0},
    "ngdiff": {"signs": [1, 1, -1]},
    "pcd": {"main": "topic"},
}
"""Options with which a few steps pass through everything that a method does."""

OF_SCHEDULES: dict[str, dict[str, Any]] = {
    "alternating": {"period": 2},
    "enter": {"task": "mood", "at": {"step": 4}},
    "leave": {"task": "mood", "at": {"step": 4}},
    "mt2st_adaptive": {"main": "topic", "every": 2},
    "mt2st_diminish": {"main": "topic"},
    "mt2st_feedback": {"main": "topic", "signal": "training"},
    "mt2st_switch": {"main": "topic", "at": {"step": 6}},
    "task_early_stopping": {"patience": 1, "threshold": 0.9},
    "warmup": {"task": "mood", "at": {"step": 4}},
}


def courses() -> dict[str, dict[str, Any]]:
    """A short run with every registered method, in phases, and with every schedule; samples wherever there are any.

    In phases the steps of the heads go through DDP, whatever the method does in those of the encoder.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, family in available().items():
        section = {family: {"name": name, **OPTIONS.get(name, {})}, "gradients": EVERY_STEP}
        found[name] = {"balancing": section, "schedules": [PHASES]}
        if family == "weighting":
            found[f"{name} in every step"] = {"balancing": section}
    for name in SCHEDULES.names():
        spec = {"type": name, **OF_SCHEDULES.get(name, {})}
        course = {"balancing": {"weighting": "uw", "gradients": EVERY_STEP}, "schedules": [spec]}
        watched = {"evaluated": True, "eval_strategy": "steps", "eval_steps": 2}
        found[f"schedule {name}"] = {**course, **watched} if name == "task_early_stopping" else course
    learn = {"learn": {"every": 2, "lr": 2.0}}
    found["learned temperatures"] = {"balancing": {"weighting": "uw", "gradients": EVERY_STEP}, "mixture": learn}
    looks = {"learn": {"objective": "pike", "every": 2}}
    found["gradients looked at"] = {"balancing": {"weighting": "uw", "gradients": EVERY_STEP}, "mixture": looks}
    found["tasks one by one"] = {"balancing": {"gradients": {**EVERY_STEP, "layout": "split"}}}
    found["four micro-batches"] = {"balancing": {"gradients": EVERY_STEP}, "accumulation": 4}
    # Once 'mood' is left alone with its few rows, some process has none at all.
    alone = [{"type": "mt2st_switch", "main": "mood", "at": {"step": 4}}]
    for name in ("ew", "gradnorm_scaling", "cagrad", "sam_mtl"):
        course = found[name]
        found[f"{name} where a process has no rows"] = {**course, "schedules": alone, "per_device": 1}
    return found


def run(course: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Every parameter after a course, two rows at a time: in every step some process has no row of some task."""
    options = {"mixture": {"temperature": 1.0}, "window_steps": 2, "logging_steps": 1, **course}
    found, _ = train(
        options.pop("per_device", 2),
        options.pop("accumulation", 1),
        optim="sgd",
        weighting="ew",
        layout="packed",
        steps=STEPS,
        output_dir=tempfile.mkdtemp(),
        **options,
    )
    return {name: value for name, value in found.items() if not name.startswith("before/")}


def unsampled(course: Mapping[str, Any]) -> dict[str, Any]:
    """The same course without samples of conflicts."""
    section = course["balancing"]
    return {**course, "balancing": {**section, "gradients": {**section["gradients"], "log_every": 0}}}


def processes_agree(found: Mapping[str, torch.Tensor]) -> bool:
    """Whether all processes came to the same bits."""
    everyone: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyone, dict(found))
    return all(same_bits(one, found) for one in everyone)


def same_bits(found: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Whether two runs are one."""
    return found.keys() == other.keys() and all(
        torch.equal(value.nan_to_num(), other[key].nan_to_num()) for key, value in found.items()
    )


def outcome(course: Mapping[str, Any]) -> str:
    """What became of a course, in a word."""
    found = run(course)
    if not all(bool(torch.isfinite(value).all()) for value in found.values()):
        return "not finite"
    if not processes_agree(found):
        return "apart"
    if "aggregator" not in course["balancing"] and not same_bits(run(unsampled(course)), found):
        return "changed by samples"
    return "fine"


def main(output: Path, *names: str) -> None:
    every, outcomes = courses(), {}
    for name in names or every:
        # A process that fails ends the launch: the others would wait for it.
        outcomes[name] = outcome(every[name])
        if torch.distributed.get_rank() == 0:
            output.write_text(json.dumps(outcomes))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
