"""A run that has ended gives its results again, and says what it was not asked for then."""

from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from tests.training import runs


def test_a_finished_run_is_not_resumed(recipe: Path, finished: Path, warnings: list[str]) -> None:
    before = runs.content(finished)
    assert runs.train(recipe, finished, resume=True) == runs.results(finished)
    assert warnings == [f"{finished} is finished; nothing to resume."]
    assert runs.content(finished) == before


def test_a_finished_run_says_how_to_score_its_test_splits(recipe: Path, finished: Path, warnings: list[str]) -> None:
    runs.train(recipe, finished, resume=True, test=True)
    assert warnings[1] == f"Its test splits were not scored. Score them: hf-mtl evaluate {finished} --split test"


def test_a_finished_run_says_how_to_score_its_baselines(recipe: Path, finished: Path, warnings: list[str]) -> None:
    runs.train(recipe, finished, resume=True, baselines=True)
    assert warnings[1] == f"Its baselines were not scored. Score them: hf-mtl evaluate {finished} --baselines"


def test_results_of_another_recipe_are_not_given_for_a_finished_run(recipe: Path, finished: Path) -> None:
    with pytest.raises(RunError, match="training.learning_rate: is 0.5, in the run it is"):
        runs.train(recipe, finished, "training.learning_rate=0.5", resume=True)


def test_a_finished_run_says_what_it_was_trained_with_otherwise(
    recipe: Path, finished: Path, warnings: list[str]
) -> None:
    options = ["training.max_steps=9", "training.logging_steps=7", "balancing.gradients={log_every: 3}"]
    before = runs.content(finished)
    found = runs.train(recipe, finished, *options, resume=True)
    assert found["trained_steps"] == runs.STEPS
    others = "training.max_steps, training.logging_steps, balancing.gradients"
    assert warnings[1] == f"It was trained with other values of {others}; they stay as they were."
    assert runs.content(finished) == before
