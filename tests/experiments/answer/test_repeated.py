"""What was repeated, seeds or splits, and how far a number may be trusted."""

import math

import numpy as np
import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.repeated import independent, interval_of, judge
from hf_mtl.experiments.answer.tables import verdicts_table
from hf_mtl.experiments.answer.trials import Trial, Unit
from hf_mtl.experiments.evidence import from_folds
from tests.experiments.answer.records import run

STUDIES = 4000


def asked(seeds: int, folds: int | None) -> Question:
    return Question("study", ("single_task", "ew"), "single_task", tuple(range(seeds)), folds)


def test_seeds_of_one_split_are_one_value() -> None:
    values = {Unit(seed, fold): 10.0 * fold + seed for seed in range(2) for fold in range(3)}
    assert independent(values, asked(2, 3)) == [0.5, 10.5, 20.5]
    assert independent({Unit(seed): float(seed) for seed in range(3)}, asked(3, None)) == [0, 1, 2]


def test_a_mean_score_over_folds_is_as_sure_as_its_splits() -> None:
    trials = {Unit(seed, fold): Trial((run("ew", seed, {"a": 0.5}),)) for seed in range(2) for fold in range(3)}
    values = {unit: 60.0 + unit.fold + unit.seed for unit in trials}
    found, expected = interval_of(values, trials, ["a"], asked(2, 3)), from_folds([60.5, 61.5, 62.5], 2000, 600)
    assert found is not None
    assert found == (expected.difference, expected.low, expected.high, 3)
    assert interval_of({}, trials, ["a"], asked(2, 3)) is None


@pytest.mark.parametrize("order", [("big", "tiny"), ("tiny", "big")])
def test_the_order_of_tasks_changes_no_verdict(order: tuple[str, str]) -> None:
    rows = {"big": {"train": 4000, "test": 1000}, "tiny": {"train": 100, "test": 1000}}
    records = []
    for fold, lift in enumerate((0.01, 0.02, 0.03, 0.02, 0.015)):
        for arm, more in (("single_task", 0.0), ("ew", lift)):
            scores = {task: 0.6 + more for task in order}
            records.append({**run(arm, 0, scores), "fold": fold, "rows": {task: rows[task] for task in order}})
    found = answer(records, asked(1, 5)).comparisons["ew", None].evidence
    assert found[:6] == pytest.approx(from_folds([1, 2, 3, 2, 1.5], 100, 1000)[:6])


def test_without_rows_of_every_task_nothing_is_known_of_the_error() -> None:
    trials = {Unit(0, fold): Trial((run("ew", 0, {"a": 0.5}),)) for fold in range(2)}
    found = judge({Unit(0, 0): 1.0, Unit(0, 1): 2.0}, trials, ["a", "b"], asked(1, 2))
    assert (found.difference, found.n, math.isnan(found.p)) == (1.5, 2, True)


@pytest.mark.slow
@pytest.mark.parametrize("of_split", [0.5, 0.8, 1.0])
@pytest.mark.parametrize(("seeds", "folds"), [(5, 2), (5, 3), (10, 3), (5, 5), (1, 3)])
def test_intervals_of_seeds_by_folds_hold_the_truth_in_93_of_100_studies(
    seeds: int, folds: int, of_split: float
) -> None:
    """The share of the variance that the split has, which all seeds share; splits share training rows."""
    random, held = np.random.default_rng(5), 0
    shared = 600 / (2000 + 600)  # the correlation of two splits that Nadeau and Bengio take
    question = asked(seeds, folds)
    units = [Unit(seed, fold) for seed in range(seeds) for fold in range(folds)]
    trials = {unit: Trial((run("ew", unit.seed, {"a": 0.5}),)) for unit in units}
    for _ in range(STUDIES):
        common, own = random.normal(0, np.sqrt(shared)), random.normal(0, np.sqrt(1 - shared), folds)
        noise = random.normal(0, np.sqrt(1 - of_split), (seeds, folds))
        values = np.sqrt(of_split) * (common + own) + noise
        found = judge({unit: float(values[unit.seed, unit.fold]) for unit in units}, trials, ["a"], question)
        held += found.low <= 0 <= found.high
    print(f"{seeds} seeds of {folds} folds, {of_split} of the variance the split's: {held / STUDIES:.3f}")
    assert held / STUDIES >= 0.93


def test_scores_that_are_all_the_same_have_an_interval_of_no_width_over_folds_as_over_seeds() -> None:
    trials = {Unit(0, fold): Trial((run("ew", 0, {"a": 1.0}),)) for fold in range(3)}
    folds = interval_of(dict.fromkeys(trials, 100.0), trials, ["a"], asked(1, 3))
    seeds = interval_of({Unit(seed): 100.0 for seed in range(3)}, trials, ["a"], asked(3, None))
    assert folds == seeds == (100, 100, 100, 3)
    one = interval_of({Unit(0, 0): 100.0}, trials, ["a"], asked(1, 3))
    assert one is not None
    assert math.isnan(one.low)


def test_the_very_same_runs_are_repeated_by_what_the_study_repeats() -> None:
    records = [
        {**run(arm, 0, {"a": 0.5 + 0.1 * fold}, "a"), "fold": fold, "identity": str(fold)}
        for arm in ("single_task", "ew")
        for fold in range(3)
    ]
    for folds, by in ((3, "folds"), (None, "seeds")):
        runs = [{**record, "fold": None, "seed": record["fold"]} if folds is None else record for record in records]
        table = verdicts_table(answer(runs, asked(1 if folds else 3, folds)))
        [row] = table.rows
        assert row[-1] == "same runs"
        assert row[list(table.header).index("by")] == by
