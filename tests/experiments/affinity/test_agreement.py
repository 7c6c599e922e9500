from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity import AffinityMatrix, pair_gains, rank_agreement
from hf_mtl.recipe import load_recipe

TASKS = ("a", "b", "c", "d", "e")


def matrix(seed: int) -> AffinityMatrix:
    values = np.random.default_rng(seed).normal(size=(5, 5))
    return AffinityMatrix(TASKS, values, np.zeros((5, 5)), "lookahead")


def test_the_same_order_agrees_and_the_opposite_does_not() -> None:
    affinity = matrix(0)
    same = rank_agreement(affinity, {pair: np.exp(value) for pair, value in affinity.pairs.items()})
    assert (same.spearman, same.kendall, same.pairs) == (pytest.approx(1), pytest.approx(1), 20)
    assert same.p == pytest.approx(1 / 120)
    assert "agrees with" in str(same)
    opposite = rank_agreement(affinity, {pair: -value for pair, value in affinity.pairs.items()})
    assert (opposite.spearman, opposite.kendall) == (pytest.approx(-1), pytest.approx(-1))
    assert opposite.p == 1
    assert "is not shown to agree with" in str(opposite)


def test_of_unrelated_orders_one_in_twenty_is_told_to_agree() -> None:
    told = [rank_agreement(matrix(2 * seed), matrix(2 * seed + 1).pairs).p <= 0.05 for seed in range(60)]
    assert sum(told) <= 8


def test_it_is_spearmans_over_the_pairs_that_both_have() -> None:
    from scipy.stats import spearmanr

    affinity, gains = matrix(0), dict(list(matrix(1).pairs.items())[:8])
    found = rank_agreement(affinity.pairs, {**gains, ("a", "other"): 1.0})
    expected = spearmanr([affinity.pairs[pair] for pair in gains], list(gains.values())).statistic
    assert found.spearman == pytest.approx(expected)
    assert found.pairs == 8


def test_too_few_pairs_and_numbers_that_are_none_are_refused_and_equal_gains_order_nothing() -> None:
    with pytest.raises(UserError, match="2 pairs have an affinity and a measured gain"):
        rank_agreement(matrix(0), {("a", "b"): 1.0, ("b", "a"): 2.0})
    with pytest.raises(UserError, match="not finite"):
        rank_agreement(matrix(0), dict.fromkeys(matrix(0).pairs, float("nan")))
    level = rank_agreement(matrix(0), dict.fromkeys(matrix(0).pairs, 1.0))
    assert np.isnan(level.spearman)
    assert "is not shown" in str(level)


def record(arm: str, seed: int, **scores: float) -> dict[str, Any]:
    return {"kind": "run", "arm": arm, "seed": seed, "fold": None, "scores": {"test": scores}}


def test_gains_of_pairs_are_paired_by_seed_with_each_task_alone() -> None:
    records = [
        *(record("single_task", seed, a=0.5 + seed / 10) for seed in (0, 1)),
        *(record("single_task", seed, b=0.6) for seed in (0, 1)),
        record("a+b", 0, a=0.52, b=0.55),
        record("a+b", 1, a=0.64, b=0.61),
        record("a+b", 2, a=0.9, b=0.9),  # of a seed that has no run alone
        record("all", 0, a=0.9, b=0.9, c=0.9),
        {"kind": "rows", "arm": "a+b", "seed": 0},
    ]
    found = pair_gains(records)
    assert found == {("b", "a"): pytest.approx(3.0), ("a", "b"): pytest.approx(-2.0)}


def test_the_study_has_every_pair_of_its_tasks_once() -> None:
    root = Path(__file__).parents[3] / "recipes"
    arms = yaml.safe_load((root / "studies/affinity/study.yaml").read_text())["arms"]
    tasks = load_recipe(root / "affecteval/local-base.yaml").tasks
    groups = [arm["groups"] for arm in arms.values() if isinstance(arm, dict) and "groups" in arm]
    assert all(sorted(name for group in arm for name in group) == sorted(tasks) for arm in groups)
    pairs = sorted(sorted(group) for arm in groups for group in arm)
    assert pairs == [list(pair) for pair in combinations(sorted(tasks), 2)]
