"""The lengths of a run, and what a resume may change of them."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from hf_mtl.data.course import Course
from hf_mtl.errors import RunError
from hf_mtl.processes import Processes


def arguments(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "max_steps": -1,
        "num_train_epochs": 1.5,
    }
    values["tokens_per_micro_batch"] = None
    return SimpleNamespace(**{**values, **changes})


def test_rows_steps_and_epochs_follow_from_the_arguments() -> None:
    course = Course(arguments(), {"a": 30, "b": 20}, Processes(world=2))
    assert (course.rows_per_step, course.steps_per_epoch, course.total_steps) == (16, 4, 6)
    assert (course.micro_batches, course.step) == (2, 0)
    assert Course(arguments(max_steps=3), {"a": 50}, Processes(world=2)).total_steps == 3


def test_a_run_keeps_its_rows_until_another_training_begins() -> None:
    args = arguments()
    course = Course(args, {"a": 50}, Processes())
    assert course.rows_per_step == 8
    args.gradient_accumulation_steps, args.num_train_epochs = 4, 4.0
    assert (course.rows_per_step, course.total_steps) == (8, 28), "its number of epochs is what the arguments say"
    course.begin()
    assert course.rows_per_step == 16


def test_a_run_that_goes_on_keeps_its_rows_and_the_micro_batches_follow_the_processes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    args = arguments(gradient_accumulation_steps=1)
    course = Course(args, {"a": 50}, Processes(world=2))
    with caplog.at_level(logging.WARNING):
        course.resume(8)
    assert not caplog.records, "the same rows"
    course.resume(32)
    assert (course.rows_per_step, args.gradient_accumulation_steps, course.steps_per_epoch) == (32, 4, 2)


def test_a_run_that_is_cut_by_tokens_goes_on_with_its_rows_and_without_accumulation() -> None:
    args = arguments(gradient_accumulation_steps=1, tokens_per_micro_batch=100)
    course = Course(args, {"a": 50}, Processes(world=2))
    course.resume(32)
    assert (course.rows_per_step, args.gradient_accumulation_steps, course.steps_per_epoch) == (32, 1, 2)


def test_fewer_rows_than_micro_batches_cannot_be_dealt() -> None:
    course = Course(arguments(), {"a": 50}, Processes(world=8))
    with pytest.raises(RunError, match="5 rows per step cannot be dealt to 8 processes"):
        course.resume(5)
