import pytest
import torch

from hf_mtl.modeling import Encoded
from hf_mtl.modeling.encoded import Pooling
from hf_mtl.modeling.padded import PaddedStates

STATES = torch.tensor([[1.0, -4.0], [3.0, -2.0], [-5.0, 0.0], [-1.0, -6.0], [2.0, 2.0]])
ROWS = Encoded(STATES, torch.tensor([0, 2, 4, 5]), pooler_output=torch.arange(3.0)[:, None])
POOLED: list[tuple[Pooling, list[list[float]]]] = [
    ("cls", [[1.0, -4.0], [-5.0, 0.0], [2.0, 2.0]]),
    ("mean", [[2.0, -3.0], [-3.0, -3.0], [2.0, 2.0]]),
    ("last", [[3.0, -2.0], [-1.0, -6.0], [2.0, 2.0]]),
    ("max", [[3.0, -2.0], [-1.0, 0.0], [2.0, 2.0]]),
]


@pytest.mark.parametrize(("pooling", "expected"), POOLED)
def test_every_pooling_is_of_a_rows_own_tokens(pooling: Pooling, expected: list[list[float]]) -> None:
    assert ROWS.pooled(pooling).tolist() == expected
    rectangle = torch.full((3, 2, 2), 99.0)
    mask = torch.tensor([[1, 1], [1, 1], [1, 0]])
    rectangle[mask.bool()] = STATES
    assert PaddedStates(rectangle, mask).pooled(pooling).tolist() == expected


@pytest.mark.parametrize("pooling", ["cls", "mean", "last", "max"])
def test_gradients_of_pooling_are_those_of_rows_one_by_one(pooling: Pooling) -> None:
    torch.manual_seed(0)
    states = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    rows = Encoded(states, torch.tensor([0, 4, 5, 9]))
    weights = torch.randn(3, 3, dtype=torch.float64)
    ways = {"cls": lambda x: x[0], "mean": lambda x: x.mean(0), "last": lambda x: x[-1], "max": lambda x: x.amax(0)}
    alone = torch.stack([ways[pooling](part) for part in states.split([4, 1, 4])])
    (found,) = torch.autograd.grad((rows.pooled(pooling) * weights).sum(), states)
    (expected,) = torch.autograd.grad((alone * weights).sum(), states)
    torch.testing.assert_close(found, expected)


def test_a_mean_of_many_large_halves_does_not_overflow() -> None:
    states = torch.full((400, 2), 300.0, dtype=torch.float16)  # 400 x 300 is beyond float16
    assert Encoded(states, torch.tensor([0, 400])).mean().tolist() == [[300.0, 300.0]]


def test_rows_can_be_chosen_and_repeated() -> None:
    some = ROWS.select(torch.tensor([2, 0, 0]))
    assert some.offsets.tolist() == [0, 1, 3, 5]
    assert torch.equal(some.states, STATES[[4, 0, 1, 0, 1]])
    assert some.pooler_output is not None
    assert some.pooler_output[:, 0].tolist() == [2.0, 0.0, 0.0]
    part = ROWS[1:3]
    assert (len(part), part.offsets.tolist()) == (2, [0, 2, 3])
    assert torch.equal(part.states, STATES[2:])
    assert len(ROWS[3:3]) == 0


def test_rows_whose_lengths_are_known_are_cut_without_a_look_at_the_device() -> None:
    known = Encoded(STATES.to("meta"), ROWS.offsets.to("meta"), counts=[2, 2, 1])
    part = known[1:3]
    assert (part.states.shape, part.offsets.shape, part.counts) == ((3, 2), (3,), [2, 1])
    assert part[1:].states.shape == (1, 2)
    here = Encoded(STATES, ROWS.offsets, counts=[2, 2, 1])
    assert torch.equal(here[1:3].states, ROWS[1:3].states)
    assert torch.equal(here[1:3].offsets, ROWS[1:3].offsets)
    assert ROWS.select(torch.tensor([2, 0])).counts == [1, 2]
