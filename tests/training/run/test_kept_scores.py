"""A run that keeps tasks of another: their heads stay to the bit, and are scored before and after."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hf_mtl import MultiTaskModel, load_recipe
from hf_mtl.errors import RunError, UserError
from hf_mtl.training import evaluate_run, plan_recipe
from tests.training import keeping, killing, runs


@pytest.fixture(scope="module")
def second(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second stage that keeps two tasks of the first, trained and tested."""
    folder = tmp_path_factory.mktemp("second")
    runs.train(keeping.write_recipe(world, folder), folder / "run", test=True, baselines=True)
    return folder


def heads(folder: Path, task: str) -> dict[str, torch.Tensor]:
    start = f"heads.task_{task}."
    return {name: value for name, value in load_file(folder / "model.safetensors").items() if name.startswith(start)}


@pytest.mark.parametrize("task", ["topic", "mood"])
def test_kept_heads_are_those_of_the_first_run_to_the_bit(task: str, world: Path, second: Path) -> None:
    before, after = heads(world / "run", task), heads(second / "run", task)
    assert before.keys() == after.keys() != set()
    assert all(torch.equal(before[name], after[name]) for name in before)
    encoders = [load_file(folder / "run/model.safetensors") for folder in (world, second)]
    assert any(not torch.equal(encoders[0][n], encoders[1][n]) for n in encoders[0] if n.startswith("encoder.enc"))


def test_results_have_the_scores_before_and_after(world: Path, second: Path) -> None:
    found, first = runs.results(second / "run"), runs.results(world / "run")
    assert list(found["tasks"]) == ["topic", "new"]
    assert found["kept"].keys() == {"topic", "mood"}
    assert found["kept"]["mood"] == {}
    # The same rows and the same model as at the end of the first run.
    assert found["kept"]["topic"]["before"] == pytest.approx(first["tasks"]["topic"])
    assert found["kept"]["topic"]["after"] == found["tasks"]["topic"]
    assert found["kept"]["topic"]["before"]["loss"] != found["kept"]["topic"]["after"]["loss"]
    assert found["test"]["kept"]["topic"] == found["kept"]["topic"]  # the same rows here
    notes = "\n".join(found["notes"])
    assert "topic: kept from the backbone as it was; f1_macro" in notes
    assert "mood: kept from the backbone as it was; no rows to score were given." in notes
    assert "topic: no training rows, so neither majority nor TF-IDF." in notes
    assert found["baselines"]["tfidf"]["tasks"].keys() == {"new"}


def test_the_model_has_all_tasks_and_is_scored_again(second: Path) -> None:
    model = MultiTaskModel.from_pretrained(second / "run")
    assert list(model.tasks) == ["topic", "mood", "new"]
    again, found = evaluate_run(second / "run")["tasks"], runs.results(second / "run")["tasks"]
    assert again.keys() == found.keys()
    assert all(again[name] == pytest.approx(found[name]) for name in found)


def test_a_frozen_encoder_leaves_the_scores_as_they_were(world: Path, tmp_path: Path) -> None:
    recipe = keeping.write_recipe(world, tmp_path, {"freeze": "encoder"})
    found = runs.train(recipe, tmp_path / "run", "training.max_steps=2")
    assert found["kept"]["topic"]["before"] == found["kept"]["topic"]["after"]


def test_a_run_that_was_resumed_ends_in_the_same_bits_and_scores(second: Path, world: Path, tmp_path: Path) -> None:
    shutil.copytree(second / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoint-10")
    for name in ("results.json", *runs.MODEL):
        (tmp_path / "run" / name).unlink()
    recipe = keeping.write_recipe(world, tmp_path)
    runs.train(recipe, tmp_path / "run", resume=True, test=True)
    one, other = (folder / "run" / "model.safetensors" for folder in (second, tmp_path))
    assert one.read_bytes() == other.read_bytes()
    assert runs.results(tmp_path / "run")["kept"] == runs.results(second / "run")["kept"]
    recipe = keeping.write_recipe(world, tmp_path, {"drop_tasks": []})
    with pytest.raises(RunError, match=r"model\.drop_tasks: is \[\], in the run it is \['score'\]"):
        runs.train(recipe, tmp_path / "run", resume=True)


def test_scoring_before_training_moves_no_random_number(world: Path, tmp_path: Path, second: Path) -> None:
    unscored = keeping.write_recipe(world, tmp_path, topic={})
    found = runs.train(unscored, tmp_path / "run")
    assert found["kept"] == {"topic": {}, "mood": {}}
    one, other = (load_file(folder / "run/model.safetensors") for folder in (second, tmp_path))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_kept_task_with_rows_goes_on_from_its_head(world: Path, tmp_path: Path) -> None:
    again: dict[str, Any] = {
        "type": "sequence_classification",
        "dataset": {"path": "json", "data_files": keeping.files_of(world, "mood")},
    }
    recipe = keeping.write_recipe(world, tmp_path, mood=again, new={})
    found = runs.train(recipe, tmp_path / "run", "training.max_steps=1", "training.learning_rate=1e-9")
    assert found["kept"].keys() == {"topic"}
    assert found["tasks"]["mood"] == pytest.approx(runs.results(world / "run")["tasks"]["mood"], abs=1e-4)
    before, after = heads(world / "run", "mood"), heads(tmp_path / "run", "mood")
    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_other_classes_than_the_kept_ones_are_refused_before_training(world: Path, tmp_path: Path) -> None:
    again: dict[str, Any] = {
        "type": "sequence_classification",
        "labels": ["bad", "good"],
        "dataset": {"path": "json", "data_files": keeping.files_of(world, "mood")},
    }
    recipe = keeping.write_recipe(world, tmp_path, mood=again)
    message = r"second\.yaml:\d+: tasks\.mood\.labels: are bad, good, and those of the task that is kept are good"
    with pytest.raises(UserError, match=message):
        runs.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({}, "the encoder under them is trained, so that their scores may change"),
        ({"freeze": "encoder"}, "so does the encoder"),
    ],
)
def test_a_plan_says_what_becomes_of_kept_tasks(
    model: dict[str, Any], words: str, world: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(keeping.write_recipe(world, tmp_path, model), [f"training.output_dir={tmp_path / 'run'}"])
    summary, _ = plan_recipe(recipe)
    assert summary.kept == f"topic, mood: the heads stay as they are; {words}; scored before and after: topic"
    assert [task.name for task in summary.tasks] == ["new"]


@pytest.mark.slow
def test_on_two_processes_kept_heads_stay_and_the_rest_is_as_on_one(world: Path, tmp_path: Path) -> None:
    recipe = keeping.write_recipe(world, tmp_path, {"dropout": 0.0})  # whose draws are each process's own
    text = recipe.read_text().replace("per_device_train_batch_size: 8", "per_device_train_batch_size: 4")
    recipe.write_text(text)
    with killing.start(recipe, tmp_path / "two", 2) as process:
        assert process.wait() == 0
    runs.train(keeping.write_recipe(world, tmp_path / "again", {"dropout": 0.0}), tmp_path / "one")
    for name in ("topic", "mood"):
        before, after = heads(world / "run", name), heads(tmp_path / "two", name)
        assert all(torch.equal(before[key], after[key]) for key in before)
    one, two = (runs.results(tmp_path / name) for name in ("one", "two"))
    assert one["kept"]["topic"]["before"]["loss"] == pytest.approx(two["kept"]["topic"]["before"]["loss"], rel=1e-5)
    assert one["kept"]["topic"]["after"]["loss"] == pytest.approx(two["kept"]["topic"]["after"]["loss"], rel=1e-3)


# ---- evaluate ----


def test_a_kept_task_without_rows_is_scored_by_evaluate(world: Path, second: Path) -> None:
    rows = {"validation": keeping.files_of(world, "mood")["validation"]}
    dataset = json.dumps({"path": "json", "data_files": rows, "splits": {"train": None}})
    type_of = "tasks.mood.type=sequence_classification"
    found = evaluate_run(second / "run", [type_of, f"tasks.mood.dataset={dataset}", "tasks.mood.metrics=[accuracy]"])
    assert found["tasks"].keys() == {"new", "topic", "mood"}
    assert found["tasks"]["mood"].keys() == {"accuracy", "loss"}
    cut = evaluate_run(second / "run", [type_of, f"tasks.mood.dataset={dataset}", "tasks.mood.max_length=3"])
    assert cut["tasks"]["mood"]["loss"] != found["tasks"]["mood"]["loss"]
    assert cut["tasks"]["topic"] == found["tasks"]["topic"]
    with pytest.raises(RunError, match=r"tasks\.mood\.type: is regression, and the model has a sequence_class"):
        evaluate_run(second / "run", ["tasks.mood.type=regression", f"tasks.mood.dataset={dataset}"])
    with pytest.raises(RunError, match=r"tasks\.mood\.head: changes nothing about a model that is trained"):
        evaluate_run(second / "run", [type_of, f"tasks.mood.dataset={dataset}", "tasks.mood.head=mlp"])
    with pytest.raises(RunError, match=r"tasks\.mood\.labels: puts 'bad', 'good' at another place"):
        evaluate_run(second / "run", [type_of, f"tasks.mood.dataset={dataset}", "tasks.mood.labels=[bad, good]"])
    with pytest.raises(RunError, match="the model of the run has no such task"):
        evaluate_run(second / "run", ["tasks.mod.type=regression", f"tasks.mod.dataset={dataset}"])
