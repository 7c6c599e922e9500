"""Products of linear layers by oneDNN are torch's, in value and in gradient, and only where they are meant to be."""

import copy
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hf_mtl.batch import EncoderLayout
from hf_mtl.modeling import products
from tests.modeling.families import make_model, packed_rows

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


@pytest.fixture(autouse=True)
def _everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that gains by it, and for the smallest products."""
    monkeypatch.setattr(products, "has_faster", lambda: True)
    monkeypatch.setattr(products, "_LEAST_WORK", 1)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the right side of all products that oneDNN did."""
    found: list[tuple[int, ...]] = []
    forward = products._Product.forward

    def noted(ctx: object, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        found.append(tuple(right.shape))
        return forward(ctx, left, right, bias)

    monkeypatch.setattr(products._Product, "forward", staticmethod(noted))
    return found


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_a_product_and_its_gradients_are_those_of_float64(with_bias: bool, turned: bool) -> None:
    left = numbers(40, 24).T if turned else numbers(24, 40)
    parts = [left, numbers(56, 40, seed=1), *([numbers(56, seed=2)] if with_bias else [])]
    ours = [part.clone().requires_grad_() for part in parts]
    exact = [part.double().requires_grad_() for part in parts]
    into = numbers(24, 56, seed=3)
    products.product(*ours).backward(into)
    F.linear(*exact).backward(into.double())
    torch.testing.assert_close(products.product(*ours).double(), F.linear(*exact), rtol=1e-5, atol=1e-5)
    for one, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-5, atol=1e-5)


def test_second_derivatives_are_torchs() -> None:
    def penalty(linear: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        left, right = numbers(6, 5).requires_grad_(), numbers(4, 5, seed=1).requires_grad_()
        (gradient,) = torch.autograd.grad(linear(left, right).pow(3).sum(), right, create_graph=True)
        return torch.autograd.grad(gradient.pow(2).sum(), left)[0]

    torch.testing.assert_close(penalty(products.product), penalty(F.linear), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_product_is_put_into_its_place_or_added(fresh: bool, calls: list[tuple[int, ...]]) -> None:
    into, left, right = numbers(3, 4), numbers(3, 7, seed=1), numbers(4, 7, seed=2)
    expected = left @ right.T + (0 if fresh else into)
    products.multiply_into(into, left, right, fresh)
    torch.testing.assert_close(into, expected)
    assert calls == [(4, 7)]


@pytest.mark.parametrize("wants", list(itertools.product([True, False], repeat=3)))
def test_as_much_is_kept_for_the_backward_as_torch_keeps(wants: tuple[bool, bool, bool]) -> None:
    def kept(linear: Callable[..., Tensor]) -> list[tuple[torch.Size, tuple[int, ...]]]:
        given = (numbers(6, 5), numbers(4, 5), numbers(4))
        parts = [part.requires_grad_(wanted) for part, wanted in zip(given, wants, strict=True)]
        found: list[tuple[torch.Size, tuple[int, ...]]] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: found.append((t.shape, t.stride())), lambda _: None):
            linear(*parts)
        return found

    assert sorted(kept(products.product)) == sorted(kept(F.linear))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize(
    ("family", "lora"), [("bert", None), ("bert", {"type": "lora", "r": 2}), ("modernbert", None)]
)
def test_layers_that_activation_checkpointing_runs_again_are_torchs(
    family: str, lora: Any, reentrant: bool, calls: list[tuple[int, ...]]
) -> None:
    """A layer without a bias keeps its tensors in another order under torch, and is refused when it is run again."""

    def gradient(layout: EncoderLayout) -> Tensor:
        model = make_model(family, dropout=0.0, peft=lora).train()
        model.settle_layout(layout)
        model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        calls.clear()
        logits = model(**packed_rows(family)).logits.values()
        torch.stack([one.pow(2).sum() for one in logits]).sum().backward()
        assert calls == []
        with torch.no_grad():
            model.eval()(**packed_rows(family))
        assert bool(calls) is (layout != "padded")
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    expected = gradient("padded")
    assert float((gradient("packed") - expected).norm()) <= 1e-5 * float(expected.norm())


def compiled() -> nn.Module:
    """A module whose products are a compiler's."""
    found = nn.Identity()
    found._compiled_call_impl = lambda: None
    return found


def test_a_compiled_encoder_has_its_own_products(calls: list[tuple[int, ...]]) -> None:
    with products.fast_products(compiled()):
        nn.Linear(4, 4)(numbers(3, 4))
    assert calls == []


def test_layers_multiply_by_onednn_for_a_while(calls: list[tuple[int, ...]]) -> None:
    layer, inputs = nn.Linear(4, 6), numbers(2, 3, 4)
    with products.fast_products(layer):
        found = layer(inputs)
        assert torch.equal(F.gelu(inputs), F.gelu(inputs))
    assert calls == [(6, 4)]
    layer(inputs)
    assert calls == [(6, 4)]
    torch.testing.assert_close(found, layer(inputs))


class _Part(Tensor):
    """A tensor of another kind, such as the part of one that several processes hold."""


OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "of float64": Tensor.double,
    "of bfloat16": Tensor.bfloat16,
    "without numbers": lambda value: value.to("meta"),
    "of another kind": lambda value: value.as_subclass(_Part),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_onednn_does_not_take_is_torchs(kind: str, calls: list[tuple[int, ...]]) -> None:
    other = OTHERS[kind]
    found = products.product(other(numbers(3, 4)), other(numbers(5, 4)))
    assert (found.shape, calls) == ((3, 5), [])


BIASES: dict[str, Callable[[Tensor], Tensor]] = {
    "every second of a longer one": lambda value: value[::2],
    "one number for all": lambda value: value[:1].expand(4),
    "of one number": lambda value: value[:1],
    "of rows": lambda value: value[:4].expand(3, 4),
}


@pytest.mark.parametrize("kind", BIASES)
def test_a_bias_that_is_not_in_one_piece_is_torchs(kind: str, calls: list[tuple[int, ...]]) -> None:
    """oneDNN reads so many numbers from the first of them on, whatever they are."""
    left, right, bias = numbers(3, 5), numbers(4, 5, seed=1), BIASES[kind](numbers(8, seed=2))
    torch.testing.assert_close(products.product(left, right, bias), F.linear(left, right, bias))
    assert calls == []


def test_what_does_not_fit_is_refused_as_torch_refuses_it() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        products.product(numbers(3, 5), numbers(4, 6))


def test_small_products_and_autocast_and_a_user_who_turns_onednn_off_are_torchs(
    calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = numbers(8, 4), numbers(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert products.product(left, right).dtype == torch.bfloat16
    with torch.backends.mkldnn.flags(enabled=False):
        products.product(left, right)
    monkeypatch.setattr(products, "_LEAST_WORK", 8 * 4 * 5 + 1)
    products.product(left, right)
    products.product(left[:0], right)
    assert calls == []
    monkeypatch.setattr(products, "_LEAST_WORK", 8 * 4 * 5)
    products.product(left, right)
    assert calls == [(5, 4)]


@pytest.mark.parametrize(("layout", "uses"), [("packed", True), ("groups", True), ("padded", False)])
def test_rows_that_come_as_the_trainer_has_them_are_multiplied_as_it_does(
    layout: str, uses: bool, calls: list[tuple[int, ...]]
) -> None:
    model = make_model("bert")
    model.settle_layout(layout)
    calls.clear()
    model(**packed_rows("bert"))
    assert bool(calls) is uses


def test_an_update_is_the_same_to_a_hundred_thousandth(
    calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model("bert").eval()
    model.settle_layout("packed")
    other = copy.deepcopy(model)

    def gradients(of: nn.Module) -> Tensor:
        torch.stack([one.pow(2).sum() for one in of(**packed_rows("bert")).logits.values()]).sum().backward()
        return torch.cat([p.grad.flatten() for p in of.parameters() if p.grad is not None])

    found = gradients(model)
    done = len(calls)
    monkeypatch.setattr(products, "has_faster", lambda: False)
    expected = gradients(other)
    assert 0 < done == len(calls)
    assert float((found - expected).norm()) <= 1e-5 * float(expected.norm())


def test_what_a_user_has_set_of_onednns_caches_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    products.bound_caches()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "40"


_LENGTHS = """
import torch
from torch import nn
from hf_mtl.batch import EncoderLayout
from hf_mtl.modeling import products
layer = nn.Linear(384, 384)
rows = torch.randn(2400, 384)
def size():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
nn.functional.gelu(rows[:10])  # which is oneDNN's too
with torch.no_grad(), products.fast_products(layer):
    layer(rows[:200])
    before = size()
    for tokens in range(201, 2400):
        layer(rows[:tokens])
    print(size() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts pages as Linux tells them")
def test_memory_does_not_grow_with_the_number_of_lengths() -> None:
    """Without a bound it is 2,000 MB after these lengths."""
    run = subprocess.run([sys.executable, "-c", _LENGTHS], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 200
