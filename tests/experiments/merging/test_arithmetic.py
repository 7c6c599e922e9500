"""Merging by hand-made numbers, and what must hold for any."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hf_mtl.experiments.merging.arithmetic import (
    METHODS,
    agreeing_mean,
    average,
    moved,
    scales_of,
    task_arithmetic,
    ties,
)

Weights = dict[str, Tensor]
NUMBERS = st.floats(-8, 8, width=32).filter(lambda number: number == 0 or abs(number) > 1e-3)
VECTORS = st.lists(NUMBERS, min_size=10, max_size=10)


def encoder(*values: float, **more: list[float]) -> Weights:
    return {"w": torch.tensor(values), **{name: torch.tensor(numbers) for name, numbers in more.items()}}


def split(values: list[float]) -> Weights:
    """Ten numbers as two weights."""
    return {"a": torch.tensor(values[:4]).reshape(2, 2), "b": torch.tensor(values[4:])}


def flat(weights: Weights) -> list[float]:
    return [value for name in sorted(weights) for value in weights[name].flatten().tolist()]


def test_average_is_the_mean_of_the_encoders() -> None:
    begin, one, two = encoder(1.0, 2.0), encoder(3.0, 2.0), encoder(0.0, 4.0)
    assert moved(begin, average(begin, [one, two]), 1.0)["w"].tolist() == [1.5, 3.0]


def test_task_arithmetic_adds_what_each_task_learned() -> None:
    begin, one, two = encoder(1.0, 2.0), encoder(3.0, 2.0), encoder(0.0, 4.0)
    assert task_arithmetic(begin, [one, two])["w"].tolist() == [1.0, 2.0]
    assert moved(begin, task_arithmetic(begin, [one, two]), 0.5)["w"].tolist() == [1.5, 3.0]


def test_ties_trims_elects_and_averages_what_agrees() -> None:
    begin = encoder(*[0.0] * 10)
    one = encoder(5.0, 4.0, 3.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    two = encoder(3.0, -6.0, -0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)
    three = encoder(0.3, -1.0, 0.3, 0.3, 0.3, 0.3, 2.0, 0.3, 0.3, 0.3)
    # Kept are 5, 4; 3, -6; -1, 2. In the second place -7 outweighs 4, and is the mean of -6 and -1.
    assert ties(begin, [one, two, three])["w"].tolist() == [4.0, -3.5, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]


def test_signs_of_equal_weight_elect_none() -> None:
    deltas = torch.tensor([[2.0, 0.0, 1.0], [-2.0, 3.0, -2.0]])
    assert agreeing_mean(deltas).tolist() == [0.0, 3.0, -2.0]


def test_ties_trims_over_all_weights_that_were_trained_and_no_others() -> None:
    begin = {"a": torch.zeros(5), "b": torch.zeros(5), "frozen": torch.ones(90)}
    one = {"a": torch.arange(5.0), "b": 10 + torch.arange(5.0), "frozen": torch.ones(90)}
    found = ties(begin, [one])
    assert found["a"].tolist() == [0.0] * 5
    assert found["b"].tolist() == [0.0, 0.0, 0.0, 13.0, 14.0]
    assert "frozen" not in found


def test_a_weight_that_some_encoders_lack_is_merged_of_the_others() -> None:
    begin = encoder(0.0, 0.0, pooler=[0.0])
    one, two = encoder(2.0, 0.0), encoder(4.0, 0.0, pooler=[6.0])
    assert average(begin, [one, two])["pooler"].tolist() == [6.0]
    assert task_arithmetic(begin, [one, two])["pooler"].tolist() == [6.0]
    assert ties(begin, [one, two])["pooler"].tolist() == [6.0]


@pytest.mark.parametrize("method", METHODS.values())
def test_what_is_no_real_number_stays(method: Callable[..., Weights]) -> None:
    begin = {"positions": torch.arange(3), "w": torch.zeros(2)}
    merged = moved(begin, method(begin, [{"positions": torch.arange(3), "w": torch.ones(2)}]), 1.0)
    assert merged["positions"] is begin["positions"]
    assert merged["w"].dtype == torch.float32


@pytest.mark.parametrize("method", METHODS.values())
def test_encoders_that_learned_nothing_merge_into_the_beginning(method: Callable[..., Weights]) -> None:
    begin = encoder(1.0, 2.0)
    assert method(begin, [encoder(1.0, 2.0), encoder(1.0, 2.0)]) == {}
    assert moved(begin, {}, 1.0) == begin


def test_an_average_has_no_scale_to_choose() -> None:
    assert scales_of("average") == (1.0,)
    assert scales_of("ties") == scales_of("task_arithmetic") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@given(VECTORS, VECTORS, st.integers(1, 7))
def test_equal_encoders_average_into_themselves_to_the_bit(begin: list[float], one: list[float], times: int) -> None:
    found = moved(split(begin), average(split(begin), [split(one)] * times), 1.0)
    assert flat(found) == flat(split(one))


@given(VECTORS, VECTORS)
def test_task_arithmetic_of_one_task_goes_from_the_beginning_to_its_model(
    begin: list[float], one: list[float]
) -> None:
    direction = task_arithmetic(split(begin), [split(one)])
    assert flat(moved(split(begin), direction, 1.0)) == flat(split(one))
    assert flat(moved(split(begin), direction, 0.0)) == flat(split(begin))


@given(VECTORS, VECTORS)
def test_ties_of_one_task_keeps_its_largest_fifth_as_it_is(begin: list[float], one: list[float]) -> None:
    moves = [abs(there - here) for here, there in zip(begin, one, strict=True)]
    least = sorted(moves)[-2]
    found = moved(encoder(*begin), ties(encoder(*begin), [encoder(*one)]), 1.0)["w"].tolist()
    for value, here, there, move in zip(found, begin, one, moves, strict=True):
        assert value == (there if move >= least else here)


@given(VECTORS, VECTORS, VECTORS, st.sampled_from(list(METHODS)))
def test_the_order_of_the_tasks_does_not_matter(
    begin: list[float], one: list[float], two: list[float], name: str
) -> None:
    method = METHODS[name]
    there = method(split(begin), [split(one), split(two)])
    back = method(split(begin), [split(two), split(one)])
    assert flat(there) == flat(back)


@given(VECTORS, VECTORS, VECTORS)
def test_ties_goes_no_further_than_the_task_that_went_furthest(
    begin: list[float], one: list[float], two: list[float]
) -> None:
    direction = ties(split(begin), [split(one), split(two)])
    for name, way in direction.items():
        each = torch.stack([split(values)[name].double() - split(begin)[name].double() for values in (one, two)])
        assert (way <= each.amax(dim=0).clamp(min=0)).all()
        assert (way >= each.amin(dim=0).clamp(max=0)).all()
