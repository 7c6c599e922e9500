import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "weighting_uw.json").read_text())
TOLERANCE = {"rel": GOLDEN["rtol"], "abs": GOLDEN["atol"]}


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_steps_equal_the_golden_ones(case: dict[str, Any]) -> None:
    inputs, expected = case["inputs"], case["expected"]
    weighting = build_weighting(
        "uw",
        num_tasks=len(inputs["task_types"]),
        variant=inputs["variant"],
        task_types=inputs["task_types"],
        init=inputs["s_init"],
    )
    (s,) = weighting.parameters()
    optimizer = torch.optim.SGD([s], lr=inputs["lr_sgd"])
    for step, losses in enumerate(inputs["losses"]):
        optimizer.zero_grad()
        total = weighting(torch.tensor(losses, dtype=torch.float64))
        total.backward()
        assert s.grad is not None
        assert total.item() == pytest.approx(expected["total"][step], **TOLERANCE)
        assert weighting.weights().tolist() == pytest.approx(expected["weights"][step], **TOLERANCE)
        assert s.grad.tolist() == pytest.approx(expected["grad_s"][step], **TOLERANCE)
        optimizer.step()
        weighting.after_step()
    assert s.tolist() == pytest.approx(expected["s_final"], **TOLERANCE)


def test_the_golden_variants_are_all_here() -> None:
    assert {case["inputs"]["variant"] for case in GOLDEN["cases"]} == {"unit", "half", "mixed"}


def test_mixed_is_the_default_and_every_task_a_classification_unless_said() -> None:
    assert build_weighting("uw", num_tasks=2).weights().tolist() == [1.0, 1.0]
    types = ["classification", "regression"]
    assert build_weighting("uw", num_tasks=2, task_types=types).weights().tolist() == [1.0, 0.5]


@pytest.mark.parametrize(("variant", "a"), [("unit", 1.0), ("half", 0.5)])
def test_s_settles_where_its_exponential_is_twice_the_weighted_loss(variant: str, a: float) -> None:
    losses = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
    weighting = build_weighting("uw", num_tasks=3, variant=variant)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.2)
    for _ in range(500):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
        weighting.after_step()
    (s,) = weighting.parameters()
    assert s.exp().tolist() == pytest.approx((2 * a * losses).tolist(), rel=1e-6)


def test_after_a_step_s_is_back_in_its_range() -> None:
    weighting = build_weighting("uw", num_tasks=3, clip=2.0)
    (s,) = weighting.parameters()
    with torch.no_grad():
        s.copy_(torch.tensor([-9.0, 0.5, 9.0]))
    weighting.after_step()
    assert s.tolist() == [-2.0, 0.5, 2.0]
    assert s.requires_grad


@pytest.mark.parametrize("name", ["uw", "imtl_l"])
def test_s_rests_where_it_is_at_an_end_of_its_range(name: str) -> None:
    weighting = build_weighting(name, num_tasks=3, clip=2.0)
    assert weighting.resting().tolist() == [False] * 3
    (s,) = weighting.parameters()
    with torch.no_grad():
        s.copy_(torch.tensor([-9.0, 0.5, 9.0]))
    weighting.after_step()
    assert weighting.resting().tolist() == [True, False, True]


def test_a_first_s_at_the_end_of_the_range_is_allowed() -> None:
    (s,) = build_weighting("uw", num_tasks=2, init=[-5.0, 5.0]).parameters()
    assert s.tolist() == [-5.0, 5.0]


def test_an_absent_tasks_s_has_no_gradient_and_keeps_its_weight() -> None:
    weighting = build_weighting("uw", num_tasks=3, variant="unit", init=[0.0, math.log(4), 1.0])
    exposure = torch.tensor([1.5, 0.0, 1.5])
    losses = torch.tensor([2.0, math.nan, 1.0], dtype=torch.float64)
    weighting(losses, torch.tensor([True, False, True]), exposure).backward()
    (s,) = weighting.parameters()
    assert s.grad is not None
    assert s.grad.tolist() == pytest.approx([1.5 * (0.5 - 2.0), 0.0, 1.5 * (0.5 - math.exp(-1))])
    assert weighting.weights()[1] == pytest.approx(0.25)


def test_loading_keeps_s_and_not_the_options() -> None:
    first, second = build_weighting("uw", num_tasks=2, init=[0.3, -0.2]), build_weighting("uw", num_tasks=2)
    assert list(first.state_dict()) == ["s"]
    second.load_state_dict(first.state_dict())
    assert second.weights().tolist() == first.weights().tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variant": "kendall"}, r"variant: unknown value 'kendall'\. Known: "),
        ({"clip": -1.0}, "clip: found -1.0"),
        ({"clip": math.nan}, "clip: found nan"),
        ({"init": 9.0}, "init: found 9.0. Allowed: from -5 to 5, as clip says"),
        ({"init": [0.0, -2.5], "clip": 2.0}, r"init: found \[0\.0, -2\.5\]\. Allowed: from -2 to 2, as clip says"),
        ({"init": [0.0]}, "one number for each of 2 tasks"),
        ({"task_types": ["regression"] * 3}, "task_types needs one for each of 2 tasks"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"balancing.weighting.*{said}"):
        build_weighting("uw", num_tasks=2, **options)
