import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "weighting_ew_si_tw.json").read_text())


TOLERANCE = {"rel": GOLDEN["rtol"], "abs": GOLDEN["atol"]}


golden = pytest.mark.parametrize("case", GOLDEN["cases"])


def losses_of(case: dict[str, Any]) -> torch.Tensor:
    return torch.tensor(case["inputs"]["losses"], dtype=torch.float64)


@golden
@pytest.mark.parametrize(("mode", "key"), [("proportional", "tw"), ("inverse", "tw_inverse")])
def test_tw_equals_the_golden_values(case: dict[str, Any], mode: str, key: str) -> None:
    losses = losses_of(case)
    weighting = build_weighting("tw", num_tasks=len(losses), mode=mode)
    weighting.observe(sizes=case["inputs"]["sizes"])
    assert float(weighting(losses)) == pytest.approx(case["expected"][f"{key}_total"], **TOLERANCE)
    assert weighting.weights().tolist() == pytest.approx(case["expected"][f"{key}_weights"], **TOLERANCE)


def test_tw_needs_sizes() -> None:
    with pytest.raises(ValueError, match="needs observe\\(sizes=\\) first"):
        build_weighting("tw", num_tasks=2)(torch.ones(2))


@pytest.mark.parametrize("sizes", [[3], [3, 0]])
def test_tw_refuses_other_than_one_size_per_task(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"sizes is .*; needs one positive number for each of 2 tasks"):
        build_weighting("tw", num_tasks=2).observe(sizes=sizes)


def test_tw_keeps_its_sizes_when_it_is_told_other_things() -> None:
    weighting = build_weighting("tw", num_tasks=2)
    weighting.observe(sizes=[1, 3])
    weighting.observe(norms=[5.0, 5.0])
    assert weighting.weights().tolist() == [0.25, 0.75]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(UserError, match=r"mode: unknown value 'size'\. Known: "):
        build_weighting("tw", num_tasks=2, mode="size")
