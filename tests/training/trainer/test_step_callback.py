"""What happens around a step happens in its order, without a Trainer."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from transformers import TrainerControl, TrainerState

from hf_mtl.training.trainer.step_callback import StepCallback
from tests.courses import FixedCourse

PARTS = ("steps", "heads", "absent", "scheduling", "scaler", "processes", "finite", "signals", "balance", "conflicts")
OPTIONAL = ("budget", "gradients", "teleportation", "samples")


@pytest.fixture
def parts() -> MagicMock:
    """All parts as one object that notes what is asked of them, in order."""
    return MagicMock()


def callback(parts: MagicMock, **changes: Any) -> StepCallback:
    return StepCallback(FixedCourse(9), **{name: getattr(parts, name) for name in (*PARTS, *OPTIONAL)} | changes)


def asked(parts: MagicMock) -> list[str]:
    return [call[0] for call in parts.mock_calls if "()" not in call[0] and "__" not in call[0]]


def test_a_budget_sees_the_operations_of_all_others(parts: MagicMock) -> None:
    state = TrainerState(global_step=4)
    callback(parts).on_step_end(MagicMock(), state, TrainerControl())
    assert asked(parts) == ["teleportation.end_step", "samples.end_step", "scheduling.measure", "budget.end_step"]


def test_what_a_step_saw_goes_to_the_log_before_schedules_follow_it(parts: MagicMock) -> None:
    callback(parts).after_backward(MagicMock(), 4)
    names = ["finite.observe", "signals.observe", "balance.observe", "gradients.record", "scheduling.observe_losses"]
    assert asked(parts) == names


def test_losses_after_the_update_are_found_before_parameters_come_to_their_range(parts: MagicMock) -> None:
    found = callback(parts)
    found.on_pre_optimizer_step(MagicMock(), TrainerState(), TrainerControl())
    found.on_optimizer_step(MagicMock(), TrainerState(), TrainerControl())
    assert asked(parts) == [
        "teleportation.before_update",
        "absent.before_update",
        "scheduling.before_update",
        "teleportation.after_update",
        "absent.after_update",
        "steps.current.tell_losses_after",
        "absent.objective.weighting.after_step",
        "heads.parameters",
        "heads.end_step",
        "heads.gauges",
        "signals.observe_gauges",
        "scheduling.after_update",
    ]


def test_an_epoch_begins_at_the_step_of_the_run(parts: MagicMock) -> None:
    found = callback(parts)
    found.on_epoch_begin(MagicMock(), TrainerState(global_step=7), TrainerControl())
    assert found.course.step == 7


def test_parts_that_a_run_does_not_have_are_left_out(parts: MagicMock) -> None:
    found = callback(parts, gradients=None, teleportation=None, samples=None)
    state = TrainerState(global_step=1)
    found.on_step_begin(MagicMock(), state, TrainerControl())
    found.after_backward(MagicMock(), 0)
    found.on_step_end(MagicMock(), state, TrainerControl())
    assert asked(parts)[-2:] == ["scheduling.measure", "budget.end_step"]
