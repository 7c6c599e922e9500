"""Golden values of aggregators, and rows to try them on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[2] / "golden"


def golden(method: str) -> dict[str, Any]:
    """A golden file; its source is named inside."""
    content: dict[str, Any] = json.loads((FOLDER / f"{method}.json").read_text())
    return content


def cases(content: dict[str, Any]) -> pytest.MarkDecorator:
    """One test for each case of the file."""
    given = content["cases"]
    ids = [str(case["inputs"].get("kind", place)) + f"-{place}" for place, case in enumerate(given)]
    return pytest.mark.parametrize("case", given, ids=ids)


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def assert_near(found: Tensor, expected: Any, content: dict[str, Any], norm: float | None = None) -> None:
    """Within the file's tolerance of each value, or of a norm where its notes say so."""
    expected = tensor(expected)
    scale = expected.abs() if norm is None else torch.full_like(expected, float(norm))
    assert bool(((found - expected).abs() <= content["atol"] + content["rtol"] * scale).all()), (found, expected)


def random_rows(tasks: int, parameters: int, seed: int = 0) -> Tensor:
    return torch.randn(tasks, parameters, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
