"""Importance of keys: the shares of what moves the score."""

from typing import Any

import optuna
import pytest

from hf_mtl.experiments.sweep.importance import importances
from hf_mtl.experiments.sweep.space import Range
from hf_mtl.recipe.nodes import Origin

SPACE = [Range(key, Origin("f", "/"), 0.0, 1.0) for key in ("a", "b")]


def study(count: int, flat: bool = False) -> optuna.Study:
    made = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(count):
        trial = made.ask()
        a, b = (item.suggest(trial) for item in SPACE)
        made.tell(trial, 0.0 if flat else a + 0.05 * b)
    return made


def test_the_key_that_moves_the_score_has_the_larger_share() -> None:
    shares, notes = importances(study(40), SPACE, seed=0)
    assert notes == []
    assert shares is not None
    assert shares["a"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_shares() -> None:
    assert importances(study(20), SPACE, seed=1) == importances(study(20), SPACE, seed=1)


def test_few_trials_are_said() -> None:
    notes: list[Any] = importances(study(5), SPACE, seed=0)[1]
    assert notes == ["importance: from 5 trials of 2 keys, a rough guess below 20."]


def test_trials_without_a_difference_have_no_importance() -> None:
    assert importances(study(5, flat=True), SPACE, seed=0)[0] is None
    shares, notes = importances(study(1), SPACE, seed=0)
    assert (shares, notes) == (None, ["importance: 1 completed trials have no differences to explain."])


def test_a_default_outside_the_space_is_left_out() -> None:
    made = study(30)
    made.tell(made.ask(), 1000.0)
    shares, _ = importances(made, SPACE, seed=0)
    assert shares is not None
    assert shares["a"] > 0.8
