"""What every registered aggregator keeps to; see `family` for the few that are exceptions."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_mtl.balancing import NonFiniteRows
from tests.balancing.aggregators.family import (
    BOUNDED,
    DESCENDING,
    LOSSES,
    MAIN,
    NAMES,
    PERMUTATIONS,
    ROUNDED,
    ROWS,
    P,
    T,
    build,
    draws_of,
    every_aggregator,
    has_option,
    is_gramian,
    looks_ahead,
    step,
)
from tests.balancing.aggregators.golden import cases, golden, random_rows, tensor

EDGES, SCALE = golden("aggregator_edge_cases"), golden("aggregator_scale")


@every_aggregator
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_direction_has_a_value_per_parameter_in_float32_at_least(name: str, dtype: torch.dtype) -> None:
    rows = ROWS.to(dtype)
    found = step(build(name), rows)
    assert found.shape == (P,)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert bool(torch.isfinite(found).all())
    exact = step(build(name), rows.double())
    assert torch.allclose(found.double(), exact, rtol=1e-3, atol=1e-3 * float(exact.norm()))


@every_aggregator
def test_the_rows_are_left_as_they_were(name: str) -> None:
    rows = ROWS.clone()
    step(build(name), rows)
    assert torch.equal(rows, ROWS)


@every_aggregator
def test_the_direction_is_the_callers_to_keep_and_to_change(name: str) -> None:
    rows, aggregator = ROWS.clone(), build(name)
    first = step(aggregator, rows)
    kept = first.clone()
    step(aggregator, 2 * rows)
    assert torch.equal(first, kept)
    remembered = {key: torch.as_tensor(value).clone() for key, value in aggregator.state_dict().items()}
    first.mul_(8)
    assert torch.equal(rows, ROWS)
    for key, value in aggregator.state_dict().items():
        assert torch.equal(torch.as_tensor(value), remembered[key])


@every_aggregator
@pytest.mark.parametrize("order", PERMUTATIONS)
def test_reordering_the_tasks_changes_nothing(name: str, order: list[int]) -> None:
    first, second = build(name), build(name, main=order.index(MAIN))
    for rows in (ROWS, random_rows(T, P, seed=2)):
        expected = step(first, rows, **draws_of(name))
        found = step(second, rows[order], LOSSES[order], **draws_of(name, order))
        assert torch.allclose(found, expected, rtol=1e-7, atol=1e-7 * float(expected.norm()))


@every_aggregator
@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_common_scale_of_the_rows_has_the_power_that_is_declared(
    name: str, scale: float, dtype: torch.dtype
) -> None:
    rows = ROWS.to(dtype)
    expected = step(build(name), rows, **draws_of(name)).double() * scale ** build(name).degree
    found = step(build(name), rows * scale, **draws_of(name)).double()
    # Float32 holds the scaled rows to 6e-8; near a conflict a solver magnifies that.
    tolerance = ROUNDED.get(name, 1e-8) if dtype == torch.float64 else 1e-4
    assert float((found - expected).norm()) <= tolerance * float(expected.norm())


@every_aggregator
def test_no_active_row_is_no_direction(name: str) -> None:
    aggregator = build(name)
    assert step(aggregator, torch.zeros(T, P)).tolist() == [0.0] * P
    assert aggregator.weights() is None or not aggregator.weights().any()  # type: ignore[union-attr]


@every_aggregator
def test_a_single_task_is_left_alone(name: str) -> None:
    rows, aggregator = ROWS[:1], build(name, tasks=1)
    expected = rows[0] * (4 / 3 if looks_ahead(aggregator) else 1.0)  # the gradient at its perturbed point
    assert torch.allclose(step(aggregator, rows), expected, rtol=1e-12)


@every_aggregator
@pytest.mark.parametrize("noise", [0.0, 1e-14])
def test_a_single_active_row_is_left_alone(name: str, noise: float) -> None:
    rows, aggregator = torch.zeros_like(ROWS), build(name)
    rows[2] = ROWS[2]
    expected = rows[2] * (4 / 3 if looks_ahead(aggregator) else 1.0)
    rows += noise * ROWS.flip(0) * (torch.arange(T) != 2)[:, None]
    assert torch.allclose(step(aggregator, rows), expected, rtol=1e-12)


@every_aggregator
def test_a_row_too_small_to_count_is_said_once_by_name(name: str, caplog: pytest.LogCaptureFixture) -> None:
    aggregator = build(name)
    aggregator.observe(seed=0, names=["a", "b", "c", "d"])
    step(aggregator, ROWS)
    absent = ROWS.clone()
    absent[2] = 0
    step(aggregator, absent)
    assert not caplog.records
    small = ROWS.clone()
    small[1] *= 1e-14
    for _ in range(2):
        step(aggregator, small)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "leaves out b: the gradient is at most 1e-12 of the largest" in said[0]


def test_aligned_mtl_says_whose_row_lies_among_the_components_that_it_drops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    aggregator = build("aligned_mtl", tasks=2)
    aggregator(tensor([[1.0, 0.0], [0.0, 1e-4]]))
    assert aggregator.weights().tolist()[1] == 0  # type: ignore[union-attr]
    assert "leaves out task 1: the gradient is at most 0.0005 of the largest" in caplog.text


@every_aggregator
def test_an_absent_task_is_as_if_it_were_not_there(name: str) -> None:
    rows, there = ROWS.clone(), [0, 2, 3]
    rows[1] = 0
    present = torch.tensor([True, False, True, True])
    draws = draws_of(name)
    fewer = {"orders": [[1, 2], [2, 0], [1, 0]]} if "orders" in draws else draws
    aggregator = build(name)
    found = step(aggregator, rows, present=present, **draws)
    expected = step(build(name, tasks=3, main=there.index(MAIN)), rows[there], LOSSES[there], **fewer)
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9 * float(expected.norm()))
    weights = aggregator.weights()
    assert weights is None or weights[1] == 0


@every_aggregator
@pytest.mark.parametrize("kind", ["duplicate", "opposite", "cancelling", "one_direction", "spread"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_degenerate_rows_have_a_finite_direction(name: str, kind: str, dtype: torch.dtype) -> None:
    row = ROWS[:1]
    rows = {
        "duplicate": torch.cat([row, row, ROWS[1:3]]),
        "opposite": torch.cat([row, -row, row, -row]),
        "cancelling": ROWS - ROWS.mean(dim=0),
        "one_direction": row * tensor([1.0, 2.0, 1e-3, 5.0])[:, None],
        "spread": ROWS * tensor([1e-6, 1.0, 1e6, 1e3])[:, None],
    }[kind].to(dtype)
    aggregator = build(name)
    for _ in range(3):
        found = step(aggregator, rows)
        assert bool(torch.isfinite(found).all())
        # None may blow rows up: the longest allowed are own scales, sqrt(m) and beyond by rounding.
        assert float(found.norm()) <= 20 * max(1.0, float(rows.norm(dim=1).max()))


@every_aggregator
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_rows_that_are_not_finite_are_refused_and_leave_no_trace(name: str, wrong: float) -> None:
    rows = ROWS.clone()
    rows[2, 1] = wrong
    aggregator, untouched = build(name), build(name)
    with pytest.raises(NonFiniteRows, match="gradient of task 2 is not finite") as raised:
        step(aggregator, rows)
    assert raised.value.tasks == (2,)
    assert torch.equal(step(aggregator, ROWS), step(untouched, ROWS))


@pytest.mark.parametrize("name", [name for name in NAMES if "losses" in build(name).needs])
def test_a_loss_that_is_not_finite_is_refused_unless_its_task_is_absent(name: str) -> None:
    losses = LOSSES.clone()
    losses[1] = torch.nan
    with pytest.raises(NonFiniteRows):
        step(build(name), ROWS, losses)
    rows = ROWS.clone()
    rows[1] = 0
    present = torch.tensor([True, False, True, True])
    assert bool(torch.isfinite(step(build(name), rows, losses, present=present)).all())
    with pytest.raises(ValueError, match=f"'{name}' needs losses="):
        build(name)(ROWS)


@pytest.mark.parametrize("name", [name for name in NAMES if is_gramian(name)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_direction_is_the_rows_combined_by_the_weights_of_the_gramian(name: str, dtype: torch.dtype) -> None:
    rows = ROWS.to(dtype)
    first, second = build(name), build(name)
    for _ in range(3):  # draws and state keep step
        weights = second.weights_from_gramian((rows @ rows.T), LOSSES)  # type: ignore[attr-defined]
        assert weights.dtype == dtype
        found = first(rows, LOSSES)
        tolerance = 1e-10 if dtype == torch.float64 else 1e-4
        assert torch.allclose(weights @ rows, found, rtol=tolerance, atol=tolerance * float(found.norm()))
        last = second.weights()
        assert last is not None
        assert torch.allclose(last.to(dtype), weights)


@pytest.mark.parametrize("name", [name for name in NAMES if has_option(name, "reduction")])
@pytest.mark.parametrize("absent", [0, 1])
def test_mean_reduction_divides_by_the_tasks_of_the_step(name: str, absent: int) -> None:
    rows = ROWS.clone()
    rows[:absent] = 0
    present = torch.arange(T) >= absent
    draws = draws_of(name)
    total = step(build(name), rows, present=present, **draws)
    mean = step(build(name, reduction="mean"), rows, present=present, **draws)
    assert torch.allclose(mean, total / (T - absent), rtol=1e-12)
    assert build(name).scale == "sum"


@every_aggregator
def test_coefficients_multiply_the_weights_and_not_the_rows(name: str) -> None:
    ones, zero = torch.ones(T), torch.zeros(T)
    gamma = tensor([0.5, 1.0, 0.0, 2.0])
    draws = draws_of(name)
    plain = step(build(name), ROWS, **draws)
    assert torch.allclose(step(build(name), ROWS, coefficients=ones, **draws), plain)
    assert not step(build(name), ROWS, coefficients=zero, **draws).any()
    aggregator = build(name)
    found = step(aggregator, ROWS, coefficients=gamma, **draws)
    if is_gramian(name):
        weights = aggregator.weights()
        assert weights is not None
        assert torch.allclose(found, (weights * gamma) @ ROWS)
    parts = [step(build(name), ROWS, coefficients=torch.eye(T)[t], **draws) for t in range(T)]
    assert torch.allclose(torch.stack(parts).sum(dim=0), plain, atol=1e-6)


@every_aggregator
@given(tasks=st.integers(2, 6), parameters=st.integers(1, 6), seed=st.integers(0, 10**6), digits=st.integers(0, 2))
def test_any_rows_have_a_finite_direction_of_bounded_length(
    name: str, tasks: int, parameters: int, seed: int, digits: int
) -> None:
    generator = np.random.default_rng(seed)
    rows = tensor(generator.normal(size=(tasks, parameters)).round(digits))  # coarse: ties, duplicates, zeros
    losses = tensor(generator.uniform(0.1, 3.0, size=tasks))
    found = step(build(name, tasks=tasks), rows, losses)
    assert bool(torch.isfinite(found).all())
    if name in BOUNDED:
        assert float(found.norm()) <= 2 * float(rows.norm(dim=1).max()) + 1e-12
    if name in DESCENDING:
        assert float(rows.mean(dim=0) @ found) >= -1e-6 * float(rows.norm() ** 2)


@cases(EDGES)
def test_golden_edge_cases(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    for name in case["inputs"]["methods"]:
        aggregator = build(name, tasks=len(rows))
        assert aggregator(rows).tolist() == pytest.approx(case["expected"]["gradient"], rel=1e-9, abs=1e-12)
        if aggregator.weights() is not None:
            found = aggregator.weights()
            assert found is not None
            assert found.tolist() == case["expected"]["weights"]


@cases(SCALE)
def test_golden_ratios_under_a_common_scale(case: dict[str, Any]) -> None:
    rows, factor = tensor(case["inputs"]["jacobian"]), case["inputs"]["factor"]
    for name, ratio in case["expected"]["gradient_ratio"].items():
        draws = {**draws_of(name), "uniforms": torch.full(rows.shape[1:], 0.5)}
        expected = build(name)(rows, **draws) * ratio
        found = build(name)(rows * factor, **draws)
        assert float((found - expected).norm()) <= SCALE["rtol"] * float(expected.norm())
