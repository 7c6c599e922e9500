import pytest

from hf_mtl.errors import UserError
from hf_mtl.schedules import Run, build_schedule

TASKS = ["main", "b", "c"]


RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


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


def test_an_option_of_another_signal_is_refused() -> None:
    spec = {"type": "mt2st_adaptive", "main": "main", "signal": "variance", "every": 9}
    with pytest.raises(UserError, match=r"schedules\.every: does nothing with signal: variance"):
        build_schedule(spec, TASKS)
