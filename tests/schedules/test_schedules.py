"""What single schedules do, and how they compose."""

from typing import Any

import numpy as np
import pytest

from hf_mtl.errors import CheckpointError, UserError
from hf_mtl.schedules import SCHEDULES, Effect, Run, Schedules, build_schedule

TASKS = ["main", "b", "c"]
RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def effect(spec: dict[str, Any], step: int) -> Effect:
    return build_schedule(spec, TASKS).effect(step, RUN)


def coefficients(spec: dict[str, Any], *steps: int) -> list[list[float]]:
    return [effect(spec, step).coefficients.tolist() for step in steps]


def test_schedules_are_discovered() -> None:
    assert set(SCHEDULES.names()) == {
        "alternating",
        "enter",
        "leave",
        "mt2st_adaptive",
        "mt2st_diminish",
        "mt2st_feedback",
        "mt2st_switch",
        "warmup",
    }


def test_diminish_by_loss_fades_the_coefficient_and_by_sampling_the_participation() -> None:
    options = {"type": "mt2st_diminish", "main": "main", "gamma0": 0.5, "eta": 2.0}
    by_loss, by_sampling = effect(options, 50), effect({**options, "realise": "sampling"}, 50)
    share = np.exp(-2.0 * 0.5)
    assert by_loss.coefficients.tolist() == pytest.approx([1, 0.5 * share, 0.5 * share])
    assert by_loss.participation.tolist() == [1, 1, 1]
    assert by_sampling.coefficients.tolist() == [1, 0.5, 0.5]
    assert by_sampling.participation.tolist() == pytest.approx([1, share, share])
    # In expectation both weigh the same.
    np.testing.assert_allclose(by_loss.coefficients, by_sampling.coefficients * by_sampling.participation)


@pytest.mark.parametrize("realise", ["loss", "sampling"])
def test_diminish_drops_a_task_below_its_floor(realise: str) -> None:
    options = {"type": "mt2st_diminish", "main": "main", "eta": 10.0, "floor": 0.05, "realise": realise}
    assert coefficients(options, 29)[0][1] > 0
    assert coefficients(options, 30) == [[1, 0, 0]]


@pytest.mark.parametrize(("at", "first"), [(0.6, 60), (0.601, 61), ({"step": 7}, 7), ({"epoch": 2}, 40)])
def test_switch_happens_at_a_fraction_a_step_or_an_epoch(at: Any, first: int) -> None:
    options = {"type": "mt2st_switch", "main": "b", "at": at}
    assert coefficients(options, first - 1, first) == [[1, 1, 1], [0, 1, 0]]


def test_switch_freezes_and_scales_only_afterwards() -> None:
    options = {"type": "mt2st_switch", "main": "b", "freeze": 2, "lr_scale": 0.1}
    before, after = effect(options, 59), effect(options, 60)
    assert (before.frozen, before.learning_rate_scale) == (frozenset(), 1.0)
    assert (after.frozen, after.learning_rate_scale) == ({2}, 0.1)
    assert not after.redistributed.any()
    assert effect({**options, "freed_rows": "redistribute"}, 60).redistributed.tolist() == [True, False, True]


def test_tasks_enter_leave_and_warm_up() -> None:
    assert coefficients({"type": "enter", "task": "b", "at": 0.5}, 49, 50) == [[1, 0, 1], [1, 1, 1]]
    assert coefficients({"type": "leave", "task": "b", "at": 0.5}, 49, 50) == [[1, 1, 1], [1, 0, 1]]
    warm = coefficients({"type": "warmup", "task": "b", "at": {"step": 4}}, 0, 1, 3, 9)
    assert [step[1] for step in warm] == [0.25, 0.5, 1.0, 1.0]


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


@pytest.mark.parametrize(
    ("signal", "expected"),
    [("inverse_gradient_norm", [0.75, 0.25]), ("fisher", [0.25, 0.75])],
)
def test_adaptive_splits_its_budget_by_what_was_measured(signal: str, expected: list[float]) -> None:
    schedule = build_schedule({"type": "mt2st_adaptive", "main": "main", "signal": signal, "budget": 2.0}, TASKS)
    schedule.begin_window(0, RUN)
    assert schedule.effect(0, RUN).coefficients.tolist() == [1, 1, 1]
    assert schedule.probe_due(0, RUN) == ["b", "c"]
    assert schedule.probe_due(1, RUN) == []
    schedule.observe_probe(0, {"b": 1.0, "c": 3.0})
    schedule.begin_window(50, RUN)
    assert schedule.effect(50, RUN).coefficients.tolist() == pytest.approx([1, *(2 * w for w in expected)])


def test_adaptive_variance_prefers_the_steady_task_and_needs_no_probe() -> None:
    schedule = build_schedule({"type": "mt2st_adaptive", "main": "main", "signal": "variance"}, TASKS)
    assert schedule.probe_due(0, RUN) == []
    for step in range(40):
        schedule.observe_losses(step, {"main": 9.0, "b": 1.0 + 0.01 * (step % 2), "c": 1.0 + step % 2})
    schedule.begin_window(50, RUN)
    _, steady, restless = schedule.effect(50, RUN).coefficients
    assert steady > 100 * restless
    assert steady + restless == pytest.approx(1.0)


def together(*specs: dict[str, Any]) -> Schedules:
    return Schedules([build_schedule(spec, TASKS) for spec in specs], lambda: RUN)


def test_schedules_compose() -> None:
    both = together(
        {"type": "alternating", "period": 10},
        {"type": "mt2st_switch", "main": "main", "at": 0.5, "freeze": "embeddings", "lr_scale": 0.5},
        {"type": "warmup", "task": "b", "at": {"step": 100}},
    )
    early, late = both.effect(9), both.effect(70)
    assert early.frozen == {"encoder"}
    assert early.coefficients.tolist() == pytest.approx([1, 0.1, 1])
    assert late.frozen == {"heads", "embeddings"}
    assert late.coefficients.tolist() == [1, 0, 0]
    assert late.learning_rate_scale == 0.5


SUMMARIES: list[tuple[dict[str, Any], str]] = [
    ({"type": "alternating", "period": 20}, "20 steps of the heads, 20 of the encoder, in turn"),
    (
        {"type": "mt2st_switch", "main": "b", "freeze": 2, "lr_scale": 0.5},
        "b alone from step 60 on, 2 lowest layers frozen, learning rates x 0.5",
    ),
    ({"type": "mt2st_switch", "main": "b", "freeze": "embeddings"}, "b alone from step 60 on, embeddings frozen"),
    (
        {"type": "mt2st_diminish", "main": "b", "eta": 10.0},
        "the coefficients of all tasks but b fall until step 47, where they leave",
    ),
    (
        {"type": "mt2st_diminish", "main": "b", "eta": 2.0, "realise": "sampling"},
        "the participation of all tasks but b falls to 13.5% of their first value",
    ),
    ({"type": "enter", "task": "b", "at": {"epoch": 1}}, "b takes part from step 20 on"),
    ({"type": "leave", "task": "b", "at": 0.5}, "b leaves at step 50"),
    ({"type": "warmup", "task": "b", "at": 0.1}, "the coefficient of b rises to 1 until step 10"),
    (
        {"type": "mt2st_feedback", "main": "b", "action": "decay"},
        "all tasks but b count 0.5 times as much when its validation loss stops falling",
    ),
    ({"type": "mt2st_adaptive", "main": "b"}, "the tasks but b share a coefficient of 1 by inverse gradient norm"),
]


@pytest.mark.parametrize(("spec", "expected"), SUMMARIES, ids=[spec["type"] for spec, _ in SUMMARIES])
def test_a_schedule_says_in_a_line_what_it_will_do(spec: dict[str, Any], expected: str) -> None:
    assert build_schedule(spec, TASKS).summary(RUN) == expected


def test_the_step_that_diminish_names_is_the_first_without_the_other_tasks() -> None:
    options = {"type": "mt2st_diminish", "main": "main", "eta": 10.0}
    assert coefficients(options, 46)[0][1] > 0
    assert coefficients(options, 47) == [[1, 0, 0]]


STATEFUL: list[dict[str, Any]] = [
    {"type": "mt2st_feedback", "main": "main", "patience": 1, "warmup_checks": 0, "action": "decay"},
    {"type": "mt2st_adaptive", "main": "main"},
    {"type": "mt2st_adaptive", "main": "main", "signal": "variance"},
    {"type": "mt2st_feedback", "main": "main", "patience": 1, "signal": "training"},
]


@pytest.mark.parametrize("spec", STATEFUL)
def test_saved_and_restored_between_any_two_steps_nothing_changes(spec: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    steps = [(random.uniform(0.5, 2, 3), random.uniform(1, 3, 2)) for _ in range(30)]

    def play(interrupt: int | None) -> list[list[float]]:
        schedules, seen = together(spec), []
        for step, (losses, probes) in enumerate(steps):
            if step == interrupt:
                restored = together(spec)
                restored.load_state_dict(schedules.state_dict())
                schedules = restored
            if step % 5 == 0:
                schedules.begin_window(step)
            seen.append(schedules.effect(step).coefficients.tolist())
            named = dict(zip(TASKS, losses.tolist(), strict=True))
            schedules.observe_losses(step, named)
            schedules.observe_evaluation(step, named)
            for schedule, tasks in schedules.probes(step):
                schedule.observe_probe(step, dict(zip(tasks, probes.tolist(), strict=True)))
        return seen

    whole = play(None)
    assert len({tuple(row) for row in whole}) > 1
    for interrupt in (1, 7, 20):
        assert play(interrupt) == whole


def test_the_state_of_other_schedules_is_refused() -> None:
    with pytest.raises(CheckpointError, match="schedules are"):
        together(STATEFUL[0]).load_state_dict(together(STATEFUL[1]).state_dict())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mt2st_swich", "unknown schedule 'mt2st_swich'.*Did you mean 'mt2st_switch'"),
        ({"type": "mt2st_switch"}, "schedules.main: missing. The primary task."),
        ({"type": "mt2st_switch", "main": "mian"}, "schedules.main: unknown task 'mian'.*Did you mean 'main'"),
        ({"type": "mt2st_switch", "main": "main", "at": {}}, "schedules.at: found {}"),
        (
            {"type": "mt2st_switch", "main": "main", "at": {"step": 1, "epoch": 2}},
            "schedules.at: found {step: 1,",
        ),
        ({"type": "mt2st_switch", "main": "main", "at": 1.5}, "schedules.at: found 1.5"),
        ({"type": "mt2st_switch", "main": "main", "att": 0.5}, "schedules.att: unknown key 'att'.*Did you mean 'at'"),
        ({"type": "alternating", "period": 0}, "schedules.period: found 0"),
        ({"type": "enter", "task": "d", "at": 0.1}, "unknown task 'd'"),
        ({"main": "main"}, "Allowed: a name, or a mapping with type and its options"),
    ],
)
def test_wrong_schedules_say_what_is_allowed(spec: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_schedule(spec, TASKS)


def test_an_option_of_another_signal_is_refused() -> None:
    spec = {"type": "mt2st_adaptive", "main": "main", "signal": "variance", "every": 9}
    with pytest.raises(UserError, match=r"schedules\.every: does nothing with signal: variance"):
        build_schedule(spec, TASKS)
