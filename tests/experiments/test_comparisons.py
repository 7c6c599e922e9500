import pytest

from hf_mtl.experiments.comparisons import Runs, contrast, contrasts, pairs, runs_by_arm
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import cliffs_delta, holm, mean_interval, paired_t_test


def run(arm: str, seed: int, score: float, steps: int = 5) -> Record:
    return {"arm": arm, "seed": seed, "steps": steps, "score": score}


def score(record: Record) -> float:
    return float(record["score"])


RUNS: Runs = {
    "ew": [run("ew", seed, value) for seed, value in enumerate([70.0, 71.0, 69.5])],
    "uw": [run("uw", seed, value) for seed, value in enumerate([70.5, 71.9, 69.6])],
    "one": [run("one", 0, 60.0)],
    "part": [run("part", seed, value) for seed, value in ((2, 65.0), (1, 64.0), (7, 90.0))],
}


def test_runs_of_one_budget_are_sorted_by_arm_and_seed() -> None:
    records = [run("b", 1, 1.0), run("b", 0, 2.0), run("a", 0, 3.0), run("a", 0, 4.0, steps=9), run("x", 0, 5.0)]
    assert runs_by_arm(records, ["a", "b", "none"], steps=5) == {"a": [records[2]], "b": [records[1], records[0]]}


def test_runs_are_paired_by_seed() -> None:
    assert [(a["seed"], b["seed"]) for a, b in pairs(RUNS, "ew", "part")] == [(1, 1), (2, 2)]
    assert pairs(RUNS, "ew", "nobody") == []


def test_a_contrast_is_of_the_seeds_that_both_arms_have() -> None:
    found = contrast(RUNS, "ew", "part", score)
    assert found is not None
    assert found.difference == mean_interval([71.0 - 64.0, 69.5 - 65.0])
    assert found.p == found.holm == paired_t_test([71.0, 69.5], [64.0, 65.0]).p
    assert found.cliff == cliffs_delta([71.0, 69.5], [64.0, 65.0]) == 1.0


def test_one_seed_makes_no_contrast() -> None:
    assert contrast(RUNS, "ew", "one", score) is None


def test_a_family_is_corrected_for_what_could_be_compared() -> None:
    found = contrasts(RUNS, [("uw", "ew"), ("one", "ew"), ("part", "ew")], score)
    assert [(item.left, item.right) for item in found] == [("uw", "ew"), ("part", "ew")]
    assert [item.holm for item in found] == pytest.approx(holm([item.p for item in found]))
    assert found[0].holm > found[0].p


def test_a_family_of_which_nothing_can_be_compared_is_empty() -> None:
    assert contrasts(RUNS, [("one", "ew")], score) == []
