import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "weighting_ew_si_tw.json").read_text())


TOLERANCE = {"rel": GOLDEN["rtol"], "abs": GOLDEN["atol"]}


golden = pytest.mark.parametrize("case", GOLDEN["cases"])


def losses_of(case: dict[str, Any]) -> torch.Tensor:
    return torch.tensor(case["inputs"]["losses"], dtype=torch.float64)


@golden
def test_ew_equals_the_golden_mean(case: dict[str, Any]) -> None:
    losses = losses_of(case)
    weighting = build_weighting("ew", num_tasks=len(losses))
    assert float(weighting(losses)) == pytest.approx(case["expected"]["ew_mean"], **TOLERANCE)
    assert weighting.weights().tolist() == pytest.approx([1 / len(losses)] * len(losses))
