import subprocess
import sys

import pytest
import torch

from hf_mtl.balancing import inner_products
from hf_mtl.balancing.inner_products import combine, gramian, gramian_of, room, row_norms

ROWS = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_products_of_blocks_add_up(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner_products, "BLOCK", 7)
    rows = ROWS.to(dtype)
    found = gramian(rows)
    assert found.dtype == torch.float64
    assert torch.allclose(found, rows.double() @ rows.double().T, rtol=1e-6, atol=1e-5)
    weights = torch.tensor([0.3, -1.0, 2.0])
    combined = combine(weights, rows)
    assert combined.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.allclose(combined.double(), weights.double() @ rows.double(), rtol=1e-5, atol=1e-5)
    assert torch.allclose(row_norms(rows), rows.double().norm(dim=1), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_room_is_zeros_that_nobody_else_has(dtype: torch.dtype) -> None:
    for _ in range(3):  # the memory of the one before, which is full, may come again
        found = room(3, 1 << 19, dtype=dtype, device=torch.device("cpu"))
        assert (found.shape, found.dtype) == ((3, 1 << 19), dtype)
        assert not found.any()
        found.fill_(1)


def test_a_direction_is_combined_from_a_part_of_wider_rows() -> None:
    rows = ROWS.float()
    weights = torch.tensor([0.3, -1.0, 2.0])
    assert torch.allclose(combine(weights, rows[:, 5:40]), (weights @ rows)[5:40], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e18])
def test_squares_that_float32_does_not_hold_are_formed_all_the_same(scale: float) -> None:
    rows = (ROWS * scale).float()
    expected = rows.double() @ rows.double().T
    assert torch.allclose(gramian(rows) / scale**2, expected / scale**2, rtol=1e-6, atol=1e-5)


def test_rows_of_zeros_and_no_parameters_have_products_of_zero() -> None:
    assert not gramian(torch.zeros(2, 5)).any()
    assert not gramian(torch.zeros(2, 0)).any()


@pytest.mark.parametrize("wrong", [torch.inf, torch.nan])
def test_a_row_that_is_not_finite_shows_on_the_diagonal(wrong: float) -> None:
    rows = ROWS.float()
    rows[1, 3] = wrong
    assert torch.isfinite(gramian(rows).diagonal()).tolist() == [True, False, True]


def test_reduced_matmul_precision_does_not_reach_the_products() -> None:
    rows = torch.cat([ROWS[:1], ROWS[:1] + 1e-4 * ROWS[1:2]]).float()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        found = gramian(rows)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.allclose(found, rows.double() @ rows.double().T, rtol=1e-12)


def test_the_switch_that_tf32_sets_does_not_stop_the_products() -> None:
    # In a process of its own: torch's older switch cannot be read any more afterwards.
    code = (
        "import torch; from transformers.utils import enable_tf32; from hf_mtl.balancing import gramian\n"
        "enable_tf32(True); rows = torch.tensor([[1.0, 1e-4], [1.0, -1e-4]])\n"
        "assert torch.allclose(gramian(rows), rows.double() @ rows.double().T, rtol=1e-12)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e18])
def test_parts_are_read_once_and_have_the_products_of_the_whole(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = scale * torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    parts, reads, read = rows.split([20, 0, 30], dim=1), [], torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda tensor: reads.append(1) or read(tensor))
    found = gramian_of(lambda: parts, 3, torch.device("cpu"))
    assert len(reads) == (1 if scale == 1.0 else 2)
    expected = (rows.double() / scale) @ (rows.double() / scale).T
    torch.testing.assert_close(found / scale**2, expected, rtol=1e-5, atol=1e-5)


def test_parts_in_float64_are_not_scaled() -> None:
    rows = 1e-30 * torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = gramian_of(lambda: [rows], 2, torch.device("cpu"))
    torch.testing.assert_close(found / 1e-60, (rows * 1e30) @ (rows * 1e30).T)
