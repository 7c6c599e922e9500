"""DeepSpeed's copies follow what else changes parameters; without DeepSpeed nothing is done."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from hf_mtl.training.step.deepspeed_copies import copies_follow


def test_copies_of_what_was_changed_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[nn.Parameter, list[float]]] = []
    utils: Any = SimpleNamespace(safe_set_full_fp32_param=lambda one, value: told.append((one, value.tolist())))
    monkeypatch.setitem(sys.modules, "deepspeed", SimpleNamespace(utils=utils))
    monkeypatch.setitem(sys.modules, "deepspeed.utils", utils)
    changed, same, unknown = (nn.Parameter(torch.tensor([1.0, 3.0])) for _ in range(3))
    for parameter in (changed, same):  # DeepSpeed marks those that it has copies of, None where another process has
        parameter._hp_mapping = None  # type: ignore[attr-defined]
    with copies_follow([changed, same, unknown]), torch.no_grad():
        changed.clamp_(max=2.0)
        unknown.clamp_(max=2.0)
    assert len(told) == 1
    assert told[0][0] is changed
    assert told[0][1] == [1.0, 2.0]
