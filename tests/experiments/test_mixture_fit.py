import json
from dataclasses import asdict
from pathlib import Path

import pytest

from hf_mtl.experiments.mixture_fit import realised_vs_target

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sampler_tv_kl.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    counts, target = ({f"t{i}": value for i, value in enumerate(case["inputs"][key])} for key in ("counts", "target"))
    assert asdict(realised_vs_target(counts, target)) == pytest.approx(case["expected"], rel=1e-8, abs=1e-12)


def test_a_perfect_fit_is_at_distance_zero():
    fit = realised_vs_target({"a": 30, "b": 10, "never": 0}, {"a": 0.75, "b": 0.25, "never": 0.0})
    assert asdict(fit) == {"total_variation": 0, "kl_realised_target": 0, "g_statistic": 0, "g_p_value": 1}


def test_one_task_always_fits():
    assert realised_vs_target({"a": 30}, {"a": 1.0}).g_p_value == 1.0


def test_a_task_that_was_not_drawn_counts_as_zero():
    fit = realised_vs_target({"a": 10, "b": 0}, {"a": 0.5, "b": 0.5})
    assert fit.total_variation == 0.5
    assert fit.kl_realised_target == pytest.approx(0.6931471805599453)


@pytest.mark.parametrize(
    ("counts", "target", "said"),
    [
        ({"a": 1, "b": 1}, {"a": 1.0, "b": 0.0}, "probability 0: b"),
        ({"a": 1}, {"b": 1.0}, "counts of"),
        ({"a": 0}, {"a": 1.0}, "positive"),
        ({"a": -1, "b": 2}, {"a": 0.5, "b": 0.5}, "non-negative"),
        ({"a": 1}, {"a": 0.9}, "sum to 1"),
    ],
)
def test_what_cannot_be_is_refused(counts, target, said):
    with pytest.raises(ValueError, match=said):
        realised_vs_target(counts, target)
