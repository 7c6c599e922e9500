"""Rows end to end to rectangles and back: copies, forwards and backwards."""

import pytest
import torch

from hf_mtl.batch import Rectangles
from hf_mtl.modeling.rectangles import pack_for_trial, to_rectangles, to_tokens
from tests.packs import pack

LENGTHS = [3, 1, 4, 2]
MASK = torch.arange(4) < torch.tensor(LENGTHS)[:, None]
IDS = torch.arange(16).view(4, 4)
GROUPS = [[1, 3], [0, 2]]


def rectangles(groups: list[list[int]] | None = GROUPS) -> Rectangles:
    return pack(IDS, MASK.long(), groups)["rectangles"]


def test_tokens_come_to_their_rows_and_padding_is_a_rows_first_token() -> None:
    tokens = torch.arange(10)
    laid = to_rectangles(tokens, rectangles())
    assert laid[:4].view(2, 2).tolist() == [[3, 3], [8, 9]]
    assert laid[4:].view(2, 4).tolist() == [[0, 1, 2, 0], [4, 5, 6, 7]]
    assert torch.equal(to_tokens(laid, rectangles()), tokens)


def test_rows_that_need_no_padding_are_not_copied() -> None:
    whole = pack(IDS, torch.ones_like(IDS))["rectangles"]
    tokens = torch.arange(16.0)
    assert to_rectangles(tokens, whole) is tokens
    assert to_tokens(tokens, whole) is tokens


def test_a_trial_has_its_rows_in_one_rectangle() -> None:
    packed = pack_for_trial(torch.arange(4), [3, 1])
    assert (packed["offsets"].tolist(), packed["lengths"]) == ([0, 3, 4], [3, 1])
    assert packed["rectangles"]["shapes"] == [(2, 3)]
    assert to_rectangles(packed["input_ids"], packed["rectangles"]).tolist() == [0, 1, 2, 3, 3, 3]
    (mask,) = packed["rectangles"]["masks"]
    assert mask is not None
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize("groups", [GROUPS, None, [[0], [1], [2], [3]]])
def test_nothing_comes_back_through_padding(groups: list[list[int]] | None) -> None:
    tokens = torch.randn(10, 3, dtype=torch.float64, requires_grad=True)
    there = rectangles(groups)
    laid = to_rectangles(tokens, there)
    (gradient,) = torch.autograd.grad(laid.sum(), tokens, retain_graph=True)
    assert torch.equal(gradient, torch.ones_like(tokens)), "of padding that somebody reads too"
    weights = torch.randn(10, 3, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((to_tokens(laid, there) * weights).sum(), tokens)
    assert torch.equal(gradient, weights)
