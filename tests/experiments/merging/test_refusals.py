"""What cannot be merged is said before anything is trained."""

from pathlib import Path

import pytest

from hf_mtl import load_recipe
from hf_mtl.errors import RunError
from hf_mtl.experiments.merging import METHODS, merging_mistakes
from hf_mtl.experiments.merging.parts import Parts
from hf_mtl.experiments.merging.refusals import check_method, check_scale
from tests.training.runs import write_recipe

ROOT = Path(__file__).parents[3]


def said(methods: list[str], recipe: Path, *overrides: str) -> list[str]:
    return [str(mistake) for mistake in merging_mistakes(methods, load_recipe(recipe, overrides))]


def test_shipped_recipes_of_one_pretrained_encoder_can_be_merged() -> None:
    for name in ("affecteval", "tweeteval"):
        assert said(list(METHODS), ROOT / "recipes" / name / "local-base.yaml") == []


def test_a_tokenizer_that_each_run_would_train_is_refused(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (found,) = said(["average"], recipe)
    assert found.startswith("merging: each single-task run would train a tokenizer of its own, on its own texts")
    assert "model.tokenizer: runs/mine" in found
    assert said([], recipe) == []


def test_unknown_methods_and_a_task_alone_are_refused(tmp_path: Path) -> None:
    alone = ["tasks.mood=null", "tasks.score=null", "model.tokenizer=bert-base-uncased"]
    one, two = said(["tie"], write_recipe(tmp_path), *alone)
    assert one == "merging: unknown method 'tie'. Known: average, task_arithmetic, ties. Did you mean 'ties'?"
    assert two == "merging: there is one task, and nothing to merge it with. Leave it out"
    with pytest.raises(RunError, match="unknown method 'tie'"):
        check_method("tie")


def test_what_chooses_a_scale_needs_validation_rows() -> None:
    check_scale("average", Parts({}, ()))
    with pytest.raises(RunError, match="ties chooses how far to go on validation rows, and no task has any"):
        check_scale("ties", Parts({}, ()))
