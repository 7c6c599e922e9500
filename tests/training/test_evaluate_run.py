"""A trained run is scored again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from hf_mtl import run_recipe
from hf_mtl.errors import CheckpointError, RecipeError, RunError, UserError
from hf_mtl.training import evaluate_run
from tests import tiny
from tests.training import runs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe that watches its evaluations, and its finished run; `mood` has a test split."""
    folder = tmp_path_factory.mktemp("world")
    watching = {"early_stopping_patience": 20, "load_best_model_at_end": True, "output_dir": str(folder / "run")}
    with runs.own_cache(folder):
        recipe = runs.write_recipe(folder, **watching)
        tiny.rows("mood", 15, seed=2).to_json(str(folder / "mood.test.jsonl"))
        recipe.write_text(
            recipe.read_text().replace("train: ./mood", "test: ./mood.test.jsonl\n        train: ./mood")
        )
        run_recipe(recipe, test=True)
        yield folder


@pytest.fixture
def copied(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world / "run", tmp_path / "moved"))


def results(world: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((world / "run" / "results.json").read_text())
    return found


def log(world: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world / "run" / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("place", ["run", "recipe.yaml", "run/recipe.yaml"])
def test_the_run_and_its_recipe_give_the_numbers_of_the_results(world: Path, place: str) -> None:
    found, written = evaluate_run(world / place), results(world)
    assert set(found) == {"tasks", "average", "macro", "worst", "loss", "split"}
    assert found == {key: written[key] for key in found}


@pytest.mark.parametrize("step", [5, 10])
def test_a_checkpoint_gives_the_numbers_of_its_step(world: Path, step: int) -> None:
    found = evaluate_run(world / "run" / f"checkpoint-{step}")
    record = next(record for record in log(world) if record["step"] == step and "eval_average" in record)
    assert found["average"] == record["eval_average"]
    for name, scores in found["tasks"].items():
        assert scores == {key: record[f"eval_{name}_{key}"] for key in scores}


def test_the_test_split_has_only_the_tasks_that_have_it(world: Path) -> None:
    found = evaluate_run(world / "run", split="test")
    assert found == {**results(world)["test"], "split": "test"}
    assert list(found["tasks"]) == ["mood"]


def test_the_training_rows_can_be_scored(world: Path) -> None:
    found = evaluate_run(world / "run", split="train")
    assert found["split"] == "train"
    assert list(found["tasks"]) == ["topic", "mood", "score"]
    assert found["tasks"]["topic"]["loss"] != results(world)["tasks"]["topic"]["loss"]


def test_other_data_can_be_given(world: Path) -> None:
    train = f"tasks.mood.dataset.data_files.validation={world / 'mood.train.jsonl'}"
    swapped = evaluate_run(world / "run", [train])
    assert swapped["tasks"]["mood"] == evaluate_run(world / "run", split="train")["tasks"]["mood"]
    assert swapped["tasks"]["topic"] == results(world)["tasks"]["topic"]


def test_baselines_are_scored_on_the_same_rows(world: Path) -> None:
    found = evaluate_run(world / "run", split="test", baselines=True)
    assert found["tasks"] == results(world)["test"]["tasks"]
    train, test = (tiny.rows("mood", *of)["label"] for of in ((61, 0), (15, 2)))
    majority = np.bincount(train).argmax()
    expected = f1_score(test, np.full(15, majority), average="macro", zero_division=0)
    assert set(found["baselines"]) == {"majority", "tfidf"}
    assert found["baselines"]["majority"]["tasks"]["mood"]["f1_macro"] == pytest.approx(expected)
    for scores in found["baselines"].values():
        assert set(scores) == {"tasks", "average", "macro", "worst"}
        assert list(scores["tasks"]) == ["mood"]


def test_scoring_writes_nothing_and_does_not_need_the_old_place(world: Path, copied: Path) -> None:
    recipe = copied / "recipe.yaml"
    gone = copied.parent / "gone"
    recipe.write_text(recipe.read_text().replace(str(world / "run"), str(gone)))
    before = runs.content(copied)
    assert evaluate_run(copied)["average"] == results(world)["average"]
    assert runs.content(copied) == before
    assert not gone.exists()


def test_arguments_that_only_training_needs_are_not_looked_at(world: Path, copied: Path) -> None:
    training = ("optim=adamw_bnb_8bit", "lr_scheduler_type=reduce_lr_on_plateau", "early_stopping_threshold=0.1")
    found = evaluate_run(copied, [f"training.{item}" for item in training])
    assert found["tasks"] == evaluate_run(copied)["tasks"]


def test_a_split_that_no_task_has_is_refused(world: Path, copied: Path) -> None:
    with pytest.raises(UserError, match=r"recipe\.yaml: no task has a split 'test'"):
        evaluate_run(copied, ["tasks.mood.dataset.data_files.test="], split="test")


def test_a_place_without_a_model_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match="nowhere: no such file or folder; give a run's folder, a checkpoint in it, or"
    ):
        evaluate_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no trained model \(config.json is missing\); train it first"):
        evaluate_run(tmp_path)
    with pytest.raises(RunError, match=f"{tmp_path / 'new'}: holds no trained model"):
        evaluate_run(world / "recipe.yaml", [f"training.output_dir={tmp_path / 'new'}"])
    assert not (tmp_path / "new").exists()


def test_a_model_without_its_recipe_is_refused(copied: Path) -> None:
    (copied / "recipe.yaml").unlink()
    with pytest.raises(RunError, match="has no recipe.yaml that says which data to score; give the run's folder"):
        evaluate_run(copied)


def test_a_file_that_is_no_recipe_is_refused(world: Path) -> None:
    with pytest.raises(RecipeError):
        evaluate_run(world / "run" / "model.safetensors")


def test_a_damaged_checkpoint_is_refused_by_name(copied: Path) -> None:
    runs.damage(copied / "checkpoint-10" / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"checkpoint-10/model\.safetensors: damaged"):
        evaluate_run(copied / "checkpoint-10")


def test_a_truncated_model_is_refused(copied: Path) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=f"{copied}: its model cannot be read"):
        evaluate_run(copied)
