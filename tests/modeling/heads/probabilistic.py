"""Small models whose tasks share a probabilistic head, and their heads' losses and gradients."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl import MultiTaskModel
from hf_mtl.modeling.heads.base import Decoded
from hf_mtl.modeling.noise import Noise
from tests import tiny

WIDTH = 16  # of the features
DIM = 6
HEADS = ["mt_vib", "hierarchical", "vmtl"]
PENALTIES = {"mt_vib": ["kl"], "hierarchical": ["kl"], "vmtl": ["kl", "weight_kl"]}
EAGER: dict[str, dict[str, Any]] = {"mt_vib": {}, "hierarchical": {}, "vmtl": {"warmup_steps": 1, "anneal_steps": 3}}


def golden(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parents[2] / "golden" / f"{name}.json"
    cases: list[dict[str, Any]] = json.loads(path.read_text())["cases"]
    return cases


def make(name: str, **options: Any) -> MultiTaskModel:
    """The tiny world's three tasks with one head, in training mode and without dropout."""
    return tiny.model(head={"type": name, "dim": DIM, **options}).train()


def head_of(model: MultiTaskModel, task: str) -> Any:
    return model.heads.of(task).head


def features(rows: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed))


def noise(rows: int = 5, step: int = 11) -> Noise:
    return Noise(torch.arange(rows) * 7919 + step * 1_000_003, step)


def loss(decoded: Decoded) -> Tensor:
    """A scalar that every part of what was decoded has a gradient in."""
    return (decoded.outputs**2).mean() + sum(penalty.values.mean() for penalty in decoded.penalties.values())


def has_gradient(module: nn.Module) -> dict[str, bool]:
    return {name: bool(p.grad is not None and p.grad.norm() > 0) for name, p in module.named_parameters()}


def assert_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


class Given(Noise):
    """Noise whose draws are given, whatever the stream."""

    def __init__(self, values: Tensor):
        super().__init__(torch.arange(len(values)), 0)
        self.values = values

    def normal(self, width: int, stream: str = "") -> Tensor:
        assert self.values.shape[1] == width
        return self.values
