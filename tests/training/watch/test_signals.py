import math
from pathlib import Path

import pytest
import torch

from hf_mtl.training.checkpoint import restore, save_state
from hf_mtl.training.step.result import StepResult
from hf_mtl.training.watch.signals import TaskSignals

SIZES = {"a": 10, "b": 4}


def step(
    losses: list[float], counts: list[int], weights: list[float] | None = None, masses: list[float] | None = None
) -> StepResult:
    facts = (losses, counts, masses or counts, weights or [0.5, 0.5], [1, 1])
    as_tensor = [torch.tensor(values, dtype=torch.float64) for values in facts]
    unused = torch.zeros(len(SIZES))
    return StepResult(*as_tensor, factors=unused, unweighted=unused)


def test_a_step_whose_rows_of_a_task_have_no_mass_says_nothing_of_its_loss_and_counts_its_rows() -> None:
    signals = TaskSignals(SIZES)
    signals.observe(step([1.0, 0.0], [4, 4], masses=[9.0, 0.0]))
    assert "loss/b" not in signals.flush()
    signals.observe(step([3.0, 5.0], [4, 4], masses=[9.0, 2.0]))
    record = signals.flush()
    assert (record["loss/b"], record["share/b"], record["passes/b"]) == (5.0, 0.5, 2.0)


def test_a_record_averages_over_the_steps_that_had_the_task() -> None:
    signals = TaskSignals(SIZES)
    signals.observe(step([1.0, 0.0], [8, 0], [0.2, 0.8]))
    signals.observe(step([3.0, 5.0], [6, 2], [0.4, 0.6]))
    record = signals.flush()
    assert record["loss/a"] == 2.0
    assert record["loss/b"] == 5.0
    assert (record["weight/a"], record["weight/b"]) == pytest.approx((0.3, 0.7))
    assert (record["share/a"], record["share/b"]) == pytest.approx((14 / 16, 2 / 16))
    assert (record["passes/a"], record["passes/b"]) == pytest.approx((1.4, 0.5))


def test_the_next_record_starts_anew_and_passes_go_on() -> None:
    signals = TaskSignals(SIZES)
    signals.observe(step([1.0, 9.0], [5, 3]))
    signals.flush()
    signals.observe(step([2.0, 0.0], [8, 0], [0.1, 0.9]))
    record = signals.flush()
    assert (record["loss/a"], record["weight/a"], record["share/a"]) == (2.0, 0.1, 1.0)
    assert (record["passes/a"], record["passes/b"]) == pytest.approx((1.3, 0.75))


def test_a_task_without_rows_since_the_last_record_reports_no_loss() -> None:
    signals = TaskSignals(SIZES)
    signals.observe(step([1.0, 2.0], [5, 3]))
    signals.flush()
    signals.observe(step([1.0, 0.0], [8, 0]))
    record = signals.flush()
    assert "loss/b" not in record
    assert "relative_loss/b" not in record
    assert record["share/b"] == 0.0


def test_there_is_no_record_without_steps() -> None:
    signals = TaskSignals(SIZES)
    assert signals.flush() == {}
    signals.observe(step([1.0, 1.0], [1, 1]))
    assert signals.flush() != {}
    assert signals.flush() == {}


def test_the_relative_loss_is_the_corrected_moving_average_over_the_first_mean() -> None:
    signals = TaskSignals(SIZES, beta=0.5, reference_steps=2)
    losses = [4.0, 2.0, 1.0]
    for loss in losses:
        signals.observe(step([loss, 0.0], [1, 0]))
    average = (0.5 * 1.0 + 0.25 * 2.0 + 0.125 * 4.0) / (0.5 + 0.25 + 0.125)
    assert signals.flush()["relative_loss/a"] == pytest.approx(average / 3.0)


def test_a_constant_loss_has_relative_loss_one() -> None:
    signals = TaskSignals(SIZES)
    for _ in range(30):
        signals.observe(step([0.7, 0.0], [1, 0]))
    assert float(signals.relative_losses()[0]) == pytest.approx(1.0)
    assert math.isnan(float(signals.relative_losses()[1]))


def test_steps_without_a_task_do_not_move_its_signal() -> None:
    signals, without = TaskSignals(SIZES), TaskSignals(SIZES)
    for loss in (3.0, 1.0):
        signals.observe(step([1.0, loss], [1, 1]))
        signals.observe(step([1.0, 0.0], [2, 0]))
        without.observe(step([1.0, loss], [1, 1]))
    assert float(signals.relative_losses()[1]) == float(without.relative_losses()[1])


def test_only_the_first_steps_with_the_task_make_the_reference() -> None:
    signals = TaskSignals(SIZES, reference_steps=3)
    for loss in (1.0, 2.0, 6.0, 100.0):
        signals.observe(step([0.0, 0.0], [1, 0]))
        signals.observe(step([0.0, loss], [0, 1]))
    assert float(signals.reference[1]) == pytest.approx(3.0)


def test_a_reference_of_zero_does_not_divide_by_zero() -> None:
    signals = TaskSignals(SIZES, reference_steps=1)
    signals.observe(step([0.0, 0.0], [1, 1]))
    assert signals.relative_losses().tolist() == [0.0, 0.0]


def test_restored_signals_continue_as_the_uninterrupted_ones(tmp_path: Path) -> None:
    """In the middle of a record too, with penalties and gauges."""

    def run(signals: TaskSignals, losses: range) -> None:
        for loss in losses:
            result = step([float(loss), loss / 2], [1, loss % 2])
            result.penalties = {("a", "kl"): torch.tensor(loss / 3, dtype=torch.float64)}
            signals.observe(result)
            signals.observe_gauges({"tau/b": torch.tensor(loss / 7)})

    uninterrupted, first, second = TaskSignals(SIZES), TaskSignals(SIZES), TaskSignals(SIZES)
    run(uninterrupted, range(1, 31))
    run(first, range(1, 13))
    save_state(tmp_path / "state", {"signals": first})
    restore(tmp_path / "state", {"signals": second})
    run(second, range(13, 31))
    record = uninterrupted.flush()
    assert second.flush() == record
    assert record["passes/a"] == 3.0
    assert {"loss/a/kl", "tau/b"} <= record.keys()


def test_coefficients_are_logged_from_the_first_that_is_not_one() -> None:
    signals = TaskSignals(SIZES)
    signals.observe(step([1.0, 0.0], [8, 0]))  # no row of b by chance: no schedule's doing
    assert "coefficient/b" not in signals.flush()
    for gamma in (1.0, 0.5, 0.0):
        result = step([1.0, 0.0], [8, 0])
        result.coefficients = torch.tensor([1.0, gamma], dtype=torch.float64)
        signals.observe(result)
    record = signals.flush()
    assert (record["coefficient/a"], record["coefficient/b"]) == (1.0, 0.5)
    signals.observe(step([1.0, 2.0], [4, 4]))
    assert signals.flush()["coefficient/b"] == 1.0


def test_a_loss_that_is_not_finite_shows_once_and_stays_out_of_the_averages() -> None:
    signals, without = TaskSignals(SIZES), TaskSignals(SIZES)
    for losses in ([1.0, 2.0], [math.nan, 1.0], [3.0, math.inf]):
        signals.observe(step(losses, [4, 4]))
    assert math.isnan(signals.flush()["loss/a"])
    for losses, counts in (([1.0, 2.0], [4, 4]), ([0.0, 1.0], [0, 4]), ([3.0, 0.0], [4, 0])):
        without.observe(step(losses, counts))
    assert torch.equal(signals.relative_losses(), without.relative_losses())
