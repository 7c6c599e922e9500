from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from hf_mtl.batch import Rectangles
from hf_mtl.data.rectangles import rectangles_of
from hf_mtl.modeling.dropout_attention import attend, is_for

LENGTHS = [3, 5, 1, 5, 2]
GROUPS = [[2, 4], [0], [1, 3]]  # padded, alone, and without padding
HEADS, D, V = 2, 4, 3
DROPOUT = 0.3


def rectangles() -> Rectangles:
    return rectangles_of(np.array(LENGTHS), [np.array(group) for group in GROUPS], 0)


def masks(causal: bool) -> list[Tensor | None]:
    if causal:
        return [torch.ones(length, length, dtype=torch.bool).tril() for _, length in rectangles()["shapes"]]
    return [None if real is None else real[:, None, None, :] for real in rectangles()["masks"]]


def heads(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    drawn = [torch.randn(sum(LENGTHS), HEADS, size, dtype=torch.float64) for size in (D, D, V)]
    q, k, v = (one.to(dtype).requires_grad_() for one in drawn)
    return q, k, v


def row_by_row(q: Tensor, k: Tensor, v: Tensor, causal: bool, dropout: float) -> Tensor:
    """What each row alone gives, with the weights that the next draw keeps."""
    kept = torch.empty(HEADS * sum(rows * length**2 for rows, length in rectangles()["shapes"]), dtype=q.dtype)
    kept.bernoulli_(1 - dropout)
    starts, found, first = np.cumsum([0, *LENGTHS]), {}, 0
    for group, (rows, length) in zip(GROUPS, rectangles()["shapes"], strict=True):
        squares = kept[first : (first := first + HEADS * rows * length**2)].view(rows, HEADS, length, length)
        for row, square in zip(group, squares, strict=True):
            n, own = LENGTHS[row], slice(starts[row], starts[row + 1])
            products = torch.einsum("nhd,mhd->hnm", q[own], k[own]) / D**0.5
            if causal:
                products = products.masked_fill(torch.ones(n, n).triu(1) > 0, -torch.inf)
            weights = products.softmax(-1) * square[:, :n, :n] / (1 - dropout)
            found[row] = torch.einsum("hnm,mhv->nhv", weights, v[own])
    return torch.cat([found[row] for row in range(len(LENGTHS))])


def with_gradients(function: Callable[..., Tensor], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    parts = heads(dtype)
    torch.manual_seed(1)
    found = function(*parts)
    factors = torch.arange(found.numel(), dtype=torch.float64).cos().view_as(found)
    (found.double() * factors).sum().backward()
    return [found.detach(), *(part.grad for part in parts if part.grad is not None)]


def packed(causal: bool = False, dropout: float = DROPOUT) -> Callable[..., Tensor]:
    return lambda *parts: attend(parts, rectangles(), masks(causal), dropout, None)


@pytest.mark.parametrize("causal", [False, True])
def test_values_and_gradients_are_those_of_each_row_alone(causal: bool) -> None:
    alone = with_gradients(lambda q, k, v: row_by_row(q, k, v, causal, DROPOUT))
    for found, expected in zip(with_gradients(packed(causal)), alone, strict=True):
        torch.testing.assert_close(found, expected)


def test_rows_of_one_length_need_no_places() -> None:
    shapes = rectangles_of(np.array([5, 5]), [np.array([0, 1])], 0)
    assert shapes["source"] is None
    q, k, v = (one[:10] for one in heads())
    found = attend((q, k, v), shapes, [None], 1e-12, 1.0)
    for row in (slice(0, 5), slice(5, 10)):
        weights = torch.einsum("nhd,mhd->hnm", q[row], k[row]).softmax(-1)
        torch.testing.assert_close(found[row], torch.einsum("hnm,mhv->nhv", weights, v[row]))


def test_half_precision_is_computed_in_float32() -> None:
    exact = with_gradients(lambda *parts: packed()(*(part.bfloat16().float() for part in parts)), torch.float32)
    half = with_gradients(packed(), torch.bfloat16)
    assert all(one.dtype == torch.bfloat16 for one in half)
    for found, expected in zip(half, exact, strict=True):
        torch.testing.assert_close(found, expected.bfloat16(), rtol=0.01, atol=0.01)
    torch.testing.assert_close(half[0], exact[0].bfloat16(), rtol=0, atol=0)  # rounded once, in the end


def test_autocast_rounds_what_comes_in_and_nothing_within() -> None:
    q, k, v = heads(torch.float32)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        found = packed()(q, k, v)
    torch.manual_seed(1)
    assert torch.equal(found, packed()(q.bfloat16(), k.bfloat16(), v.bfloat16()))


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputing_draws_the_same(reentrant: bool) -> None:
    plain = with_gradients(packed())
    again = with_gradients(lambda *parts: checkpoint(packed(), *parts, use_reentrant=reentrant))
    for found, expected in zip(again, plain, strict=True):
        assert torch.equal(found, expected)


def test_it_serves_dropout_on_a_cpu_outside_of_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    query = heads()[0]
    assert is_for(query, 0.1)
    assert not is_for(query, 0.0)
    assert not is_for(query.to("meta"), 0.1)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not is_for(query, 0.1)
