import pytest

from hf_mtl.schedules import Run, build_schedule

TASKS = ["main", "b", "c"]


RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def test_feedback_takes_effect_at_the_next_window() -> None:
    schedule = build_schedule({"type": "mt2st_feedback", "main": "main", "patience": 1, "warmup_checks": 0}, TASKS)
    for loss in (1.0, 1.0):
        schedule.observe_evaluation(10, {"main": loss, "b": 5.0})
    assert schedule.effect(11, RUN).coefficients.tolist() == [1, 1, 1]
    schedule.begin_window(20, RUN)
    assert schedule.effect(20, RUN).coefficients.tolist() == [1, 0, 0]


def test_feedback_without_evaluations_follows_the_training_loss_window_by_window() -> None:
    spec = {"type": "mt2st_feedback", "main": "main", "signal": "training", "patience": 1, "min_delta": 0.0}
    schedule, multipliers = build_schedule(spec, TASKS), []
    assert schedule.tasks_watched() == []
    schedule.begin_window(0, RUN)  # nothing seen, nothing checked
    for window, loss in enumerate([2.0, 1.0, 1.0, 3.0, 3.0]):
        for step in range(5):
            schedule.observe_losses(5 * window + step, {"main": loss, "b": 0.0})
            schedule.observe_evaluation(step, {"main": 9.0})  # not what it follows
        schedule.begin_window(5 * window + 5, RUN)
        multipliers.append(schedule.effect(5 * window + 5, RUN).coefficients[1])
    assert multipliers == [1, 1, 1, 0, 0], "the average rises in the fourth window"


def test_feedback_decays_to_its_floor_and_then_drops() -> None:
    spec = {"type": "mt2st_feedback", "main": "main", "action": "decay", "patience": 1, "warmup_checks": 0}
    schedule = build_schedule({**spec, "factor": 0.1, "floor": 0.05}, TASKS)
    seen = []
    for step in range(4):
        schedule.observe_evaluation(step, {"main": 1.0})
        schedule.begin_window(step, RUN)
        seen.append(schedule.effect(step, RUN).coefficients[1])
    assert seen == pytest.approx([1.0, 0.1, 0.0, 0.0])
