"""Backward passes have the factor of the scaler, where there is one."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hf_mtl.training.step.loss_scaler import LossScaler


@pytest.mark.parametrize(("factor", "gradient"), [(None, 2.0), (8.0, 16.0)])
def test_a_gradient_has_the_factor(factor: float | None, gradient: float) -> None:
    scaler: Any = None if factor is None else SimpleNamespace(scale=lambda x: x * factor, get_scale=lambda: factor)
    accelerator: Any = SimpleNamespace(scaler=scaler, optimizer_step_was_skipped=factor is not None)
    x = torch.tensor(3.0, requires_grad=True)
    found = LossScaler(accelerator)
    found.backward(2 * x)
    assert float(x.grad) == gradient  # type: ignore[arg-type]
    assert (found.factor, found.skipped_update) == (factor, factor is not None)
