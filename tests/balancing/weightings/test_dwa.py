import math
import warnings
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, doubles, reloaded

GOLDEN = Golden("dwa")
PARTLY = torch.tensor([True, False])


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("case", GOLDEN.cases)
def test_weights_of_every_window_equal_the_golden_ones(case: dict[str, Any], steps: int, restore: bool) -> None:
    averages = case["inputs"]["epoch_average_losses"]
    options = {"temperature": case["inputs"]["temperature"], "window_steps": steps}
    weighting = build_weighting("dwa", num_tasks=len(averages[0]), **options)
    for average, expected in zip(averages, case["expected"]["weights_used_in_epoch"], strict=True):
        for step in range(steps):  # losses whose mean is the window's
            weighting = reloaded(weighting, **options) if restore else weighting
            weighting(doubles(average) * (1 + 0.5 * (step - (steps - 1) / 2)))
            GOLDEN.same(weighting.weights(), expected)


def test_a_window_is_an_epoch_unless_said() -> None:
    weighting, other = build_weighting("dwa", num_tasks=2), build_weighting("dwa", num_tasks=2, window_steps=2)
    weighting.observe(steps_per_epoch=2)
    for losses in ([1.0, 2.0], [3.0, 1.0], [0.5, 1.0], [0.5, 2.0], [1.0, 1.0]):
        weighting(doubles(losses))
        other(doubles(losses))
        assert torch.equal(weighting.weights(), other.weights())
    assert weighting.weights().tolist() == pytest.approx((2 * torch.softmax(doubles([0.125, 0.5]), 0)).tolist())


def test_an_epoch_of_unknown_length_is_said_once() -> None:
    weighting = build_weighting("dwa", num_tasks=2)
    with pytest.warns(UserWarning, match="'dwa' does not know how long an epoch is"):
        weighting(doubles([1.0, 2.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weighting(doubles([1.0, 2.0]))
    assert weighting.weights().tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("window_steps", "total", "said"), [(None, 8, 1), (None, 9, 0), (3, 6, 1), (3, 7, 0)])
def test_a_run_of_fewer_than_three_windows_is_said_once(
    window_steps: int | None, total: int, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    weighting = build_weighting("dwa", num_tasks=2, window_steps=window_steps)
    for _ in range(2):
        weighting.observe(steps_per_epoch=4, total_steps=total)
    warmed = 8 if window_steps is None else 6
    assert [record.getMessage() for record in caplog.records] == [
        f"The run ends after {total} steps, and the weighting 'dwa' begins after {warmed}: its weights stay equal. "
        "Train for three windows, or set window_steps."
    ] * said
    for step in range(total):
        weighting(doubles([1.0, 1.0 + step]))
    assert (weighting.weights().tolist() == [1.0, 1.0]) == bool(said)  # those of the last step


def test_a_window_without_a_tasks_rows_leaves_its_means() -> None:
    weighting = build_weighting("dwa", num_tasks=2, window_steps=1)
    weighting(doubles([1.0, 4.0]))
    weighting(doubles([1.0, 2.0]))
    weighting(doubles([3.0, math.nan]), PARTLY)
    weighting(doubles([3.0, math.nan]), PARTLY)
    expected = 2 * torch.softmax(doubles([3.0, 0.5]) / 2, 0)  # 3 / 1, and still 2 / 4
    assert weighting.weights().tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("older", [0.0, 1e-13])
def test_a_ratio_to_almost_nothing_is_one(older: float) -> None:
    weighting = build_weighting("dwa", num_tasks=2, window_steps=1)
    for losses in ([older, 1.0], [5.0, 1.0], [1.0, 1.0]):
        weighting(doubles(losses))
    assert weighting.weights().tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 0.0}, "temperature: found 0.0. Allowed: "),
        ({"window_steps": 0}, "window_steps: found 0. Allowed: "),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"balancing.weighting.{said}"):
        build_weighting("dwa", num_tasks=2, **options)
