"""Golden files, and a weighting whose state went through a file."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from hf_mtl.balancing import LossWeighting, build_weighting

FOLDER = Path(__file__).parents[2] / "golden"


class Golden:
    """One file: its cases, and a comparison by its tolerances."""

    def __init__(self, name: str):
        content = json.loads((FOLDER / f"weighting_{name}.json").read_text())
        self.cases: list[dict[str, Any]] = content["cases"]
        self.rtol: float = content["rtol"]
        self.atol: float = content["atol"]

    def same(self, found: Any, expected: Any) -> None:
        torch.testing.assert_close(doubles(found), doubles(expected), rtol=self.rtol, atol=self.atol)


def doubles(values: Any) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach().double()
    return torch.tensor(values, dtype=torch.float64)


def derivative(weighting: LossWeighting, losses: Any, present: Tensor | None = None, **more: Any) -> Tensor:
    """Derivative of the scalar by the losses, after one step with them."""
    point = doubles(losses).clone().requires_grad_()
    weighting(point, present, **more).backward()
    assert point.grad is not None
    return point.grad


def reloaded(weighting: LossWeighting, **options: Any) -> LossWeighting:
    """A new weighting with the state of another, through the bytes of a checkpoint."""
    state = {key: value.detach().contiguous() for key, value in weighting.state_dict().items()}
    other = build_weighting(type(weighting).name, num_tasks=weighting.num_tasks, **options)
    other.load_state_dict(load(save(state)))
    return other
