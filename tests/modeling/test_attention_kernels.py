"""Attention within rows: what it computes, and which kernel does it where."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.modeling import attention_kernels
from hf_mtl.modeling.attention_kernels import (
    RECTANGLES,
    Heads,
    Kernel,
    Kernels,
    Layer,
    PackedRows,
    by_rectangles,
    by_varlen,
    candidates,
    choose_kernels,
)
from tests.packs import pack

LENGTHS = [3, 9, 1, 6]
GROUPS = [[0, 2], [1, 3]]
PLAIN = Layer(heads=4, key_heads=4, size=8, value_size=8, scaling=None, causal=False, window=None)
LAYERS = [
    PLAIN,
    PLAIN._replace(causal=True),
    PLAIN._replace(window=3),
    PLAIN._replace(window=3, causal=True, key_heads=2),
    PLAIN._replace(key_heads=1, scaling=0.5),
    PLAIN._replace(value_size=5),
    PLAIN._replace(window=100),
]
CPU = torch.device("cpu")


def packed(lengths: list[int] = LENGTHS, groups: list[list[int]] | None = GROUPS) -> PackedRows:
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return PackedRows.of(pack(mask, mask, groups), Kernels())


def heads(layer: Layer, tokens: int, dtype: torch.dtype = torch.float64) -> Heads:
    torch.manual_seed(0)
    query = torch.randn(1, layer.heads, tokens, layer.size, dtype=dtype)
    key = torch.randn(1, layer.key_heads, tokens, layer.size, dtype=dtype)
    value = torch.randn(1, layer.key_heads, tokens, layer.value_size, dtype=dtype)
    return query.requires_grad_(), key.requires_grad_(), value.requires_grad_()


def by_hand(three: Heads, lengths: list[int], layer: Layer) -> Tensor:
    """Softmax of scores, row by row."""
    rows = []
    groups = layer.heads // layer.key_heads
    for q, k, v in zip(*(one.split(lengths, dim=2) for one in three), strict=True):
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = q @ k.transpose(2, 3) * (layer.scaling or 1 / math.sqrt(layer.size))
        places = torch.arange(q.shape[2])
        distance = places[:, None] - places
        hidden = (distance < 0) & layer.causal
        if layer.window is not None:
            hidden |= distance.abs() >= layer.window
        rows.append((scores.masked_fill(hidden, -math.inf).softmax(-1) @ v).transpose(1, 2))
    return torch.cat(rows, 1)


@pytest.mark.parametrize("groups", [GROUPS, None])
@pytest.mark.parametrize("layer", LAYERS)
def test_rectangles_are_softmax_within_rows(layer: Layer, groups: list[list[int]] | None) -> None:
    three = heads(layer, sum(LENGTHS))
    found, expected = by_rectangles(three, packed(groups=groups), layer, 0.0), by_hand(three, LENGTHS, layer)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    pairs = [torch.autograd.grad((output * weights).sum(), three) for output in (found, expected)]
    torch.testing.assert_close(*pairs)


def test_rectangles_drop_what_they_are_asked_to() -> None:
    three, rows = heads(PLAIN, sum(LENGTHS)), packed()
    dropped = [by_rectangles(three, rows, PLAIN, 0.5) for _ in range(2)]
    assert not torch.equal(*dropped)


# ---- The choice: fakes stand in for kernels that are not here ----


def fake(change: Callable[..., Any] = lambda output: output, drops: bool = False) -> Kernel:
    """A kernel whose outputs are those of rectangles, changed."""

    def attend(three: Heads, rows: PackedRows, layer: Layer, dropout: float) -> Tensor:
        found: Tensor = change(by_rectangles(three, rows, layer, dropout))
        return found

    return Kernel("a fake", attend, drops)


def raising(three: Heads, rows: PackedRows, layer: Layer, dropout: float) -> Tensor:
    if layer.size == 8:
        raise TypeError("unexpected keyword argument 'window_size'")
    return by_rectangles(three, rows, layer, dropout)


def leaking(three: Heads, rows: PackedRows, layer: Layer, dropout: float) -> Tensor:
    """All rows as if they were one."""
    tokens = three[0].shape[2]
    return by_rectangles(three, packed([tokens], None), layer, dropout)


def too_near(three: Heads, rows: PackedRows, layer: Layer, dropout: float) -> Tensor:
    """A window of one token less."""
    less = None if layer.window is None else layer.window - 1
    return by_rectangles(three, rows, layer._replace(window=less), dropout)


def detached(three: Heads, rows: PackedRows, layer: Layer, dropout: float) -> Tensor:
    """No gradient of the keys."""
    query, key, value = three
    return by_rectangles((query, key.detach() + 0 * key, value), rows, layer, dropout)


def choose(*among: Kernel, dtype: torch.dtype = torch.bfloat16, layers: list[Layer] = LAYERS) -> Kernels:
    return choose_kernels(layers, among, CPU, dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_kernel_that_agrees_serves_what_it_was_tried_in(dtype: torch.dtype) -> None:
    kernel = fake()
    found = choose(kernel, dtype=dtype)
    assert (found.plain, found.dropping, found.dtype, found.device) == (kernel, RECTANGLES, dtype, "cpu")
    assert found.words == "attention in a fake without dropout, padded rectangles under SDPA with it"


def test_a_kernel_with_dropout_serves_all() -> None:
    kernel = fake(drops=True)
    found = choose(kernel)
    assert (found.plain, found.dropping, found.words) == (kernel, kernel, "attention in a fake")


def test_the_first_that_fits_is_taken_and_dropout_goes_to_one_that_has_it() -> None:
    wrong, without, dropping = Kernel("wrong", leaking, False), fake(), replace(fake(drops=True), words="another")
    found = choose(wrong, without, dropping)
    assert (found.plain, found.dropping) == (without, dropping)
    assert found.words.startswith("attention in a fake without dropout, another with it; wrong differs from ")


@pytest.mark.parametrize(
    ("attend", "said"),
    [
        (raising, "a fake fails (TypeError: unexpected keyword argument 'window_size')"),
        (leaking, "a fake differs from attention in float32 by "),
        (too_near, "a fake differs from attention in float32 by "),
        (detached, "a fake differs from attention in float32 by "),
        (fake(lambda output: output * float("nan")).attend, "a fake differs from attention in float32 by nan"),
        (fake(lambda output: output[:, 1:]).attend, "a fake fails (RuntimeError: "),
    ],
)
def test_a_kernel_that_raises_or_differs_serves_nothing(attend: Any, said: str) -> None:
    found = choose(Kernel("a fake", attend, drops=True))
    assert (found.plain, found.dropping) == (RECTANGLES, RECTANGLES)
    assert found.words.startswith(f"attention in padded rectangles under SDPA; {said}")


def test_a_window_off_by_one_shows_in_wide_windows_too() -> None:
    wide = PLAIN._replace(window=128, size=16, value_size=16)
    assert choose(Kernel("a fake", too_near, drops=False), layers=[wide]).plain is RECTANGLES


@pytest.mark.parametrize("dropping", [False, True])
def test_dropout_that_a_kernel_only_claims_goes_to_rectangles(dropping: bool) -> None:
    def attend(three: Heads, rows: PackedRows, layer: Layer, dropout: float) -> Tensor:
        if dropout and dropping:
            raise RuntimeError("built without dropout")
        return by_rectangles(three, rows, layer, 0.0)

    kernel = Kernel("a fake", attend, drops=True)
    found = choose(kernel)
    assert (found.plain, found.dropping) == (kernel, RECTANGLES)
    assert "with dropout a fake" in found.words


def test_in_float32_nothing_is_tried() -> None:
    def attend(*_: Any) -> Tensor:
        raise AssertionError

    assert choose(Kernel("a fake", attend, drops=True), dtype=torch.float32) == Kernels()


def test_a_trial_draws_from_no_generator_of_the_run() -> None:
    before = torch.get_rng_state()
    choose(fake())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_call_goes_to_the_kernel_it_fits() -> None:
    seen: list[tuple[torch.dtype, ...]] = []

    def attend(three: Heads, rows: PackedRows, layer: Layer, dropout: float) -> Tensor:
        seen.append((three[0].dtype, three[1].dtype, three[2].dtype))
        return by_rectangles(three, rows, layer, dropout)

    kernels = Kernels(Kernel("a fake", attend, drops=False), dtype=torch.bfloat16)
    rows, half = packed(), heads(PLAIN, sum(LENGTHS), torch.bfloat16)
    kernels.attend(half, rows, PLAIN, 0.0)
    assert len(seen) == 1
    kernels.attend(half, rows, PLAIN, 0.1)  # no dropout
    kernels.attend(heads(PLAIN, sum(LENGTHS), torch.float32), rows, PLAIN, 0.0)  # not what it was tried in
    replace(kernels, device="cuda").attend(half, rows, PLAIN, 0.0)  # nor where
    assert len(seen) == 1
    # Rotary positions in float32 beside values in bfloat16, as autocast leaves them.
    with torch.autocast("cpu", torch.bfloat16):
        kernels.attend((half[0].float(), half[1].float(), half[2]), rows, PLAIN, 0.0)
    assert seen[1:] == [(torch.bfloat16,) * 3]


# ---- What is there ----


def test_flash_attention_that_the_user_chose_is_the_only_candidate() -> None:
    (found,) = candidates("flash_attention_3")
    assert (found.words, found.drops) == ("flash_attention_3", True)


@pytest.mark.parametrize("there", [False, True])
def test_torchs_kernel_comes_first_and_the_package_if_it_is_there(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(attention_kernels, "is_flash_attn_2_available", lambda: there)
    found = [(kernel.words, kernel.drops) for kernel in candidates("sdpa")]
    assert found == [("torch's varlen kernel", False), *[("flash_attention_2", True)] * there]


def test_kernels_that_are_not_here_fall_back() -> None:
    found = choose_kernels([PLAIN], [*candidates("sdpa"), *candidates("flash_attention_2")], CPU, torch.bfloat16)
    assert (found.plain, found.dropping) == (RECTANGLES, RECTANGLES)
    assert "torch's varlen kernel fails (" in found.words
    assert "flash_attention_2 fails (" in found.words


@pytest.mark.parametrize(
    ("layer", "window"),
    [(LAYERS[0], (-1, -1)), (LAYERS[1], (-1, 0)), (LAYERS[2], (2, 2)), (LAYERS[3], (2, 0))],
)
def test_torchs_kernel_is_called_with_rows_and_window(
    monkeypatch: pytest.MonkeyPatch, layer: Layer, window: tuple[int, int]
) -> None:
    called: dict[str, Any] = {}

    def varlen_attn(query: Tensor, key: Tensor, value: Tensor, *rows: Any, **options: Any) -> Tensor:
        called.update(options, rows=rows, shapes=[tuple(one.shape) for one in (query, key, value)])
        return torch.zeros_like(query)

    pytest.importorskip("torch.nn.attention.varlen")
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen_attn)
    found = by_varlen(heads(layer, sum(LENGTHS)), packed(), layer, 0.0)
    assert found.shape == (1, 19, 4, 8)
    assert called["shapes"] == [(19, 4, 8)] * 3, "keys are repeated for their queries"
    offsets, again, *longest = called["rows"]
    assert again is offsets
    assert (offsets.tolist(), offsets.dtype, longest) == ([0, 3, 12, 13, 19], torch.int32, [9, 9])
    assert (called["window_size"], called["scale"]) == (window, None)
