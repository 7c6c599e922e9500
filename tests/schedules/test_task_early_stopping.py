import json
import math
from typing import Any

import pytest

from hf_mtl.errors import UserError
from hf_mtl.schedules import Facts, Run, Schedules, Stop, build_schedule, mistakes, parse
from hf_mtl.schedules.task_early_stopping import TaskEarlyStopping

TASKS = ["a", "b", "c"]
RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def stopping(**options: Any) -> TaskEarlyStopping:
    found = build_schedule({"type": "task_early_stopping", **options}, TASKS)
    assert isinstance(found, TaskEarlyStopping)
    return found


def check(schedule: TaskEarlyStopping | Schedules, step: int, **scores: float) -> list[str]:
    """Train all tasks that are scored, and score them."""
    schedule.observe_losses(step - 1, dict.fromkeys(scores, 1.0))
    return list(schedule.observe_scores(step, scores))


def test_a_task_leaves_at_the_window_after_so_many_checks_without_improvement() -> None:
    schedule = stopping(patience=2)
    assert [check(schedule, 10 * turn, a=score) for turn, score in enumerate([0.5, 0.4, 0.6, 0.6, 0.5])] == [
        *(["a"], [], ["a"]),  # the third is better, and the count begins anew
        *([], []),
    ]
    assert schedule.stops() == {"a": Stop(step=40, best_step=20)}
    assert schedule.effect(41, RUN).coefficients.tolist() == [1, 1, 1]
    schedule.begin_window(50, RUN)
    effect = schedule.effect(50, RUN)
    assert (effect.coefficients.tolist(), effect.redistributed.tolist()) == ([0, 1, 1], [True, False, False])
    assert check(schedule, 60, a=9.0) == [], "who has stopped does not come back"


@pytest.mark.parametrize(("threshold", "better"), [(0.0, True), (0.25, False), (0.2, True)])
def test_better_is_better_by_more_than_the_threshold(threshold: float, better: bool) -> None:
    schedule = stopping(patience=1, threshold=threshold)
    check(schedule, 1, a=0.5)
    assert bool(check(schedule, 2, a=0.75)) is better
    assert bool(schedule.stops()) is not better


def test_a_score_that_is_not_defined_is_no_better() -> None:
    schedule = stopping(patience=2)
    check(schedule, 1, a=math.nan, b=0.5)
    assert check(schedule, 2, a=0.1, b=math.nan) == ["a"]
    check(schedule, 3, a=0.2, b=math.nan)
    assert schedule.stops() == {"b": Stop(step=3, best_step=1)}
    never = stopping(patience=1)
    check(never, 1, a=math.nan)
    assert never.stops() == {"a": Stop(step=1, best_step=None)}


def test_evaluations_of_a_task_that_was_not_trained_in_between_are_no_checks() -> None:
    schedule = stopping(patience=1)
    for step in range(3):
        assert schedule.observe_scores(step, {"a": 0.5}) == []
    check(schedule, 3, a=0.5)
    for step in range(4, 7):
        schedule.observe_scores(step, {"a": 0.1})
    assert schedule.stops() == {}
    check(schedule, 8, a=0.1)
    assert list(schedule.stops()) == ["a"]


def test_only_the_tasks_that_are_named_stop_and_rows_may_be_dropped() -> None:
    schedule = stopping(patience=1, tasks=["b"], freed_rows="drop")
    for step in (1, 2):
        check(schedule, step, a=0.5, b=0.5)
    schedule.begin_window(3, RUN)
    effect = schedule.effect(3, RUN)
    assert (effect.coefficients.tolist(), effect.redistributed.any()) == ([1, 0, 1], False)
    assert schedule.tasks_named() == schedule.tasks_watched() == ["b"]


def test_its_state_goes_through_json_to_the_same_decisions() -> None:
    first, scores = stopping(patience=2), [0.5, 0.1, 0.3, 0.7]
    check(first, 1, a=0.5, b=0.5)
    check(first, 2, a=0.4, b=0.6)
    first.observe_losses(2, {"a": 1.0})  # of which no evaluation has come yet
    first.begin_window(2, RUN)
    second = stopping(patience=2)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for step, score in enumerate(scores, start=3):
        found = [list(one.observe_scores(step, {"a": score, "b": score})) for one in (first, second)]
        assert found[0] == found[1]
        for one in (first, second):
            one.observe_losses(step, {"a": 1.0, "b": 1.0})
            one.begin_window(step, RUN)
    assert first.stops() == second.stops() != {}
    assert first.state_dict() == second.state_dict()


# ---- Together with other schedules ----


def together(*others: dict[str, Any], **options: Any) -> Schedules:
    specs = [*others, {"type": "task_early_stopping", "patience": 1, **options}]
    return Schedules([build_schedule(spec, TASKS) for spec in specs], RUN)


def stop(schedules: Schedules, *names: str) -> None:
    for step in (4, 5):
        check(schedules, step, **dict.fromkeys(names, 0.5))
    schedules.begin_window(6)


def test_training_ends_when_everyone_has_stopped() -> None:
    schedules = together()
    assert not schedules.everyone_has_stopped(0)
    stop(schedules, "a", "b")
    assert (schedules.gone(6), schedules.everyone_has_stopped(6)) == (["a", "b"], False)
    stop(schedules, "c")
    assert schedules.everyone_has_stopped(6)


def test_those_that_have_stopped_go_on_while_others_are_still_to_come() -> None:
    enter = {"type": "enter", "task": "c", "at": {"step": 50}}
    schedules = together(enter)
    stop(schedules, "a", "b")
    assert schedules.effect(6).coefficients.tolist() == [1, 1, 0]
    assert (schedules.gone(6), schedules.everyone_has_stopped(6)) == ([], False)
    assert schedules.effect(50).coefficients.tolist() == [0, 0, 1]
    assert (schedules.gone(50), schedules.everyone_has_stopped(50)) == (["a", "b"], False)


def test_tasks_that_left_by_another_schedule_do_not_keep_training_going() -> None:
    leave = {"type": "leave", "task": "c", "at": {"step": 5}}
    schedules = together(leave)
    stop(schedules, "a", "b")
    assert schedules.everyone_has_stopped(6)
    assert not schedules.everyone_has_stopped(3), "c was still there"


def test_the_end_is_in_the_state() -> None:
    schedules, again = together(), together()
    schedules.ended = True
    again.load_state_dict(json.loads(json.dumps(schedules.state_dict())))
    assert again.ended


# ---- Mistakes ----


def found(spec: list[Any], **facts: Any) -> list[str]:
    wrong: list[Any] = []
    return [str(item) for item in [*mistakes(parse(spec, wrong), Facts(TASKS, **facts)), *wrong]]


def test_what_it_cannot_do_is_refused() -> None:
    spec = {"type": "task_early_stopping"}
    assert found([spec]) == found([spec], evaluated=["a"]) == []
    assert found([spec], evaluated=[]) == [
        "schedules.0: 'task_early_stopping' follows validation metrics, and nothing is evaluated. Set "
        "training.eval_strategy, with eval_steps that the run reaches, and give the tasks validation splits."
    ]
    assert found([{**spec, "tasks": ["b"]}], evaluated=["a"]) == [
        "schedules.0: 'task_early_stopping' follows the first metric of 'b', which is never evaluated. Set "
        "training.eval_strategy, with eval_steps that the run reaches, and give the task a validation split."
    ]
    assert found([{**spec, "tasks": ["a", "bb"]}])[0].startswith("schedules.0.tasks: unknown task 'bb'.")
    assert found([{**spec, "tasks": ["a"]}, {**spec, "tasks": ["b"], "patience": 1}]) == []
    for first, second in (({}, {"tasks": ["b"]}), ({"tasks": ["a", "b"]}, {"tasks": ["b"]}), ({}, {})):
        assert found([{**spec, **first}, {**spec, **second}])[0].startswith(
            "schedules.1: 'task_early_stopping' may stop "
        )
    for option in ({"patience": 0}, {"threshold": -1.0}, {"tasks": []}, {"freed_rows": "keep"}):
        with pytest.raises(UserError, match=f"schedules.{next(iter(option))}"):
            stopping(**option)


def test_it_says_what_it_will_do() -> None:
    assert stopping().summary(RUN) == "a task leaves when its first metric has not got better in 3 evaluations"
    assert stopping(tasks=["a", "b"], patience=1).summary(RUN).startswith("a or b leaves when ")
    assert stopping(patience=1).summary(RUN).endswith("in 1 evaluation")
