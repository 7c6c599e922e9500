"""A run's folder, from the first training to the last resume."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from hf_mtl import MultiTaskModel, load_recipe, run_recipe
from hf_mtl.errors import CheckpointError, DataError, ModelError, RunError
from hf_mtl.training import checkpoint, run
from tests.training import runs

MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training_args.bin"}
FOLDER = {"recipe.yaml", "results.json", "log.jsonl", "figures", "checkpoint-5", "checkpoint-10"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe and its finished run."""
    folder = tmp_path_factory.mktemp("world")
    with runs.own_cache(folder):
        runs.train(runs.write_recipe(folder), folder / "run")
        yield folder


@pytest.fixture
def recipe(world: Path) -> Path:
    return world / "recipe.yaml"


@pytest.fixture
def finished(world: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(world / "run", tmp_path / "run"))


@pytest.fixture
def unfinished(finished: Path) -> Path:
    """The same run, killed before its end."""
    for name in ("results.json", *MODEL):
        (finished / name).unlink()
    return finished


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    for module in (run, checkpoint):
        monkeypatch.setattr(module.logger, "warning", said.append)
    return said


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same_bits(folder: Path, other: Path) -> None:
    assert (folder / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert results(folder) == results(other)
    states = [load_file(path / f"checkpoint-{runs.STEPS}/multi_task_state.safetensors") for path in (folder, other)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


# ---- What is in the folder ----


def test_the_folder_holds_what_the_design_says_and_nothing_else(world: Path) -> None:
    assert {path.name for path in (world / "run").iterdir()} == FOLDER | MODEL
    assert [path.name for path in (world / "run" / "figures").iterdir()] == ["training.png"]


def test_the_results_have_every_task_and_what_they_come_to(world: Path) -> None:
    found = results(world / "run")
    assert set(found) == {"tasks", "average", "macro", "worst", "loss", "split", "step"}
    assert {name: set(scores) for name, scores in found["tasks"].items()} == {
        "topic": {"f1_macro", "loss"},
        "mood": {"f1_macro", "loss"},
        "score": {"pearson", "pearson_x", "pearson_y", "loss"},
    }
    headline = [found["tasks"][name][key] for name, key in [("topic", "f1_macro"), ("mood", "f1_macro")]]
    headline.append(found["tasks"]["score"]["pearson"])
    assert found["average"] == found["macro"] == pytest.approx(sum(headline) / 3)
    assert found["worst"] == min(headline)
    assert (found["split"], found["step"]) == ("validation", runs.STEPS)


def test_the_log_has_stable_names(world: Path) -> None:
    records = log(world / "run")
    trained = [record for record in records if "loss" in record]
    assert [record["step"] for record in trained] == list(range(1, runs.STEPS + 1))
    per_task = {f"{what}/{name}" for what in ("weight", "share", "passes") for name in ("topic", "mood", "score")}
    for record in trained:
        assert {"step", "epoch", "loss", "grad_norm", "learning_rate", *per_task} <= set(record)
        assert sum(record[f"share/{name}"] for name in ("topic", "mood", "score")) == pytest.approx(1.0)
        for name in ("topic", "mood", "score"):
            assert (f"loss/{name}" in record) == (record[f"share/{name}"] > 0)
    evaluated = [record for record in records if "eval_average" in record]
    assert [record["step"] for record in evaluated] == [5, 10, 10]
    last = results(world / "run")
    assert all(evaluated[-1][f"eval_{key}"] == last[key] for key in ("average", "macro", "worst", "loss"))
    assert all(evaluated[-1][f"eval_topic_{key}"] == value for key, value in last["tasks"]["topic"].items())


def test_the_final_model_loads_as_any_model_does(world: Path) -> None:
    folder = world / "run"
    inputs = AutoTokenizer.from_pretrained(folder)("w1 w2 w3", return_tensors="pt")
    ours, auto = (cls.from_pretrained(folder).eval() for cls in (MultiTaskModel, AutoModel))
    assert type(auto) is MultiTaskModel
    with torch.no_grad():
        mine, other = ours(**inputs).logits, auto(**inputs).logits
    assert {name: tuple(value.shape) for name, value in mine.items()} == {
        "topic": (1, 3),
        "mood": (1, 2),
        "score": (1, 2),
    }
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_no_path_of_this_machine_goes_out_with_the_model(world: Path) -> None:
    for folder in (world / "run", world / "run" / "checkpoint-10"):
        for name in ("config.json", "tokenizer_config.json"):
            assert re.findall(r'"[^"]*/[^"]*"', (folder / name).read_text()) == []


def test_the_resolved_recipe_trains_elsewhere_to_the_same_model(world: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(world / "run" / "recipe.yaml", elsewhere / "mine.yaml")
    with runs.inside(elsewhere):
        returned = run_recipe("mine.yaml", ["training.output_dir=again"])
    assert_same_bits(elsewhere / "again", world / "run")
    assert returned == results(world / "run")


def test_the_test_split_is_scored_when_asked(recipe: Path, world: Path, tmp_path: Path) -> None:
    file = f"tasks.mood.dataset.data_files.test={world / 'mood.validation.jsonl'}"
    found = runs.train(recipe, tmp_path / "run", file, "training.max_steps=2", test=True)
    assert set(found["test"]) == {"tasks", "average", "macro", "worst", "loss"}
    assert found["test"]["tasks"] == {"mood": found["tasks"]["mood"]}
    assert results(tmp_path / "run") == found


def test_a_run_too_short_to_log_has_no_figure(recipe: Path, tmp_path: Path) -> None:
    runs.train(recipe, tmp_path / "run", "training.max_steps=1", "training.logging_steps=5")
    assert not (tmp_path / "run" / "figures").exists()
    assert (tmp_path / "run" / "results.json").exists()


# ---- An existing run ----


def test_an_existing_run_is_refused_and_left_alone(recipe: Path, finished: Path) -> None:
    before = runs.content(finished)
    with pytest.raises(RunError) as caught:
        runs.train(recipe, finished)
    assert str(caught.value) == (
        f"{finished} holds a finished run. Continue it with --resume, start anew with --overwrite, "
        "or choose another folder with training.output_dir=FOLDER."
    )
    assert runs.content(finished) == before


def test_an_unfinished_run_is_refused_too(recipe: Path, unfinished: Path) -> None:
    with pytest.raises(RunError, match="holds an unfinished run"):
        runs.train(recipe, unfinished)


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_both_wishes_at_once_are_refused(recipe: Path, state: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(state)
    before = runs.content(folder)
    with pytest.raises(RunError, match="--resume continues a run and --overwrite starts it anew; give one of them"):
        runs.train(recipe, folder, resume=True, overwrite=True)
    assert runs.content(folder) == before


def test_a_finished_run_is_not_resumed(recipe: Path, finished: Path, warnings: list[str]) -> None:
    before = runs.content(finished)
    assert runs.train(recipe, finished, resume=True) == results(finished)
    assert warnings == [f"{finished} is finished; nothing to resume."]
    assert runs.content(finished) == before


def test_overwriting_starts_anew_and_leaves_other_files(recipe: Path, finished: Path) -> None:
    (finished / "notes.md").write_text("mine")
    runs.train(recipe, finished, "training.max_steps=2", "training.save_steps=2", overwrite=True)
    assert {path.name for path in finished.iterdir()} == (FOLDER | MODEL | {"notes.md", "checkpoint-2"}) - {
        "checkpoint-5",
        "checkpoint-10",
    }
    assert {record["step"] for record in log(finished)} == {1, 2}
    assert results(finished)["step"] == 2


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("tasks.mood.label=lable", DataError),
        ("model.backbone={model_type: brt}", ModelError),
        ("model.backbone=./nowhere", ModelError),
    ],
)
@pytest.mark.parametrize("state", ["finished", "absent"])
def test_a_mistake_costs_no_run_and_makes_no_folder(
    recipe: Path, finished: Path, state: str, mistake: str, error: type[Exception], tmp_path: Path
) -> None:
    folder = finished if state == "finished" else tmp_path / "new"
    before = runs.content(finished)
    with pytest.raises(error):
        runs.train(recipe, folder, mistake, overwrite=True)
    assert runs.content(finished) == before
    assert not (tmp_path / "new").exists()


def test_a_file_where_the_folder_should_be_is_refused(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError, match=rf"training\.output_dir: {tmp_path / 'file'} is a file, not a folder"):
            runs.train(recipe, place)


# ---- Resuming ----


def test_resuming_where_nothing_is_starts(recipe: Path, tmp_path: Path, warnings: list[str]) -> None:
    found = runs.train(recipe, tmp_path / "run", "training.max_steps=1", resume=True)
    assert found["step"] == 1
    assert warnings == [f"{tmp_path / 'run'} holds no run yet; starting it."]


def test_a_run_killed_after_its_last_checkpoint_only_needs_its_results(
    recipe: Path, unfinished: Path, world: Path
) -> None:
    before = runs.content(unfinished / "checkpoint-10")
    runs.train(recipe, unfinished, resume=True)
    assert_same_bits(unfinished, world / "run")
    assert runs.content(unfinished / "checkpoint-10") == before
    assert {path.name for path in unfinished.iterdir()} == FOLDER | MODEL


def remove_one(folder: Path) -> str:
    (folder / "optimizer.pt").unlink()
    return "optimizer.pt: missing from the checkpoint"


def flip_one(folder: Path) -> str:
    runs.damage(folder / "model.safetensors")
    return "model.safetensors: damaged, it differs from what was written"


def truncate_one(folder: Path) -> str:
    file = folder / "multi_task_state.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    return "multi_task_state.safetensors: damaged, it differs from what was written"


@pytest.mark.parametrize("harm", [remove_one, flip_one, truncate_one])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    recipe: Path, unfinished: Path, world: Path, warnings: list[str], harm: Callable[[Path], str]
) -> None:
    said = harm(unfinished / "checkpoint-10")
    runs.train(recipe, unfinished, resume=True)
    assert warnings == [f"Skipping a checkpoint that cannot be used. {unfinished / 'checkpoint-10'}/{said}."]
    assert_same_bits(unfinished, world / "run")
    steps = [[record["step"] for record in log(folder)] for folder in (unfinished, world / "run")]
    assert steps[0] == steps[1], "the log goes on where the checkpoint was"


def test_with_every_checkpoint_damaged_the_run_starts_from_its_beginning(
    recipe: Path, unfinished: Path, world: Path, warnings: list[str]
) -> None:
    for step in (5, 10):
        flip_one(unfinished / f"checkpoint-{step}")
    runs.train(recipe, unfinished, resume=True)
    assert len(warnings) == 3
    assert warnings[-1] == f"{unfinished} has no whole checkpoint; the run starts from its beginning."
    assert_same_bits(unfinished, world / "run")
    assert [record["step"] for record in log(unfinished) if "loss" in record] == list(range(1, 11))


def test_a_checkpoint_of_another_program_is_passed_over(
    recipe: Path, unfinished: Path, world: Path, warnings: list[str]
) -> None:
    foreign = unfinished / "checkpoint-77"
    foreign.mkdir()
    (foreign / "pytorch_model.bin").write_bytes(b"weights")
    runs.train(recipe, unfinished, resume=True)
    assert len(warnings) == 1
    assert (
        f"{foreign}/manifest.json: not found; the checkpoint is incomplete, or not written by hf_mtl" in warnings[0]
    )
    assert_same_bits(unfinished, world / "run")
    assert runs.content(foreign) == {"pytorch_model.bin": b"weights"}


def test_a_longer_run_goes_on_from_a_shorter_one(recipe: Path, unfinished: Path) -> None:
    runs.train(recipe, unfinished, "training.max_steps=12", resume=True)
    assert results(unfinished)["step"] == 12
    assert load_recipe(unfinished / "recipe.yaml").training.options()["max_steps"] == 12


CHANGES = [
    ("training.seed=7", "training.seed: is 7, in the run it is not set"),
    ("balancing.weighting=ew", "balancing.weighting: is {'name': 'ew'}, in the run it is {'name': 'uw'}"),
    ("model.head=mlp", "model.head: is 'mlp', in the run it is not set"),
    ("mixture.cap=50", "mixture.cap: is 50, in the run it is not set"),
    ("tasks.mood.labels=[bad, good]", "tasks.mood.labels: is ['bad', 'good'], in the run it is ['good', 'bad']"),
    ("tasks.mood=", "tasks: are topic, score; the run has topic, mood, score"),
    ("tasks.topic.max_rows=100", "tasks.topic.max_rows: is 100, in the run it is not set"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[change for change, _ in CHANGES])
def test_another_recipe_is_refused_with_what_differs(recipe: Path, unfinished: Path, change: str, said: str) -> None:
    before = runs.content(unfinished)
    with pytest.raises(RunError) as caught:
        runs.train(recipe, unfinished, change, resume=True)
    (mistake,) = caught.value.mistakes
    assert str(replace(mistake, where="")) == (
        f"{said}. Resume with {unfinished / 'recipe.yaml'}, or start anew with --overwrite."
    )
    assert runs.content(unfinished) == before


def test_data_that_moved_is_no_other_recipe(world: Path, unfinished: Path, tmp_path: Path) -> None:
    moved = runs.write_recipe(tmp_path / "moved")
    runs.train(moved, unfinished, resume=True)
    assert_same_bits(unfinished, world / "run")


def test_other_rows_behind_the_same_recipe_are_refused(world: Path, unfinished: Path, tmp_path: Path) -> None:
    moved = runs.write_recipe(tmp_path / "moved")
    rows = (moved.parent / "mood.train.jsonl").read_text().splitlines(keepends=True)
    (moved.parent / "mood.train.jsonl").write_text("".join(rows[:-1]))
    before = runs.content(unfinished)
    with pytest.raises(CheckpointError, match="tasks is .*'mood': 60.*, the checkpoint has .*'mood': 61"):
        runs.train(moved, unfinished, resume=True)
    assert runs.content(unfinished) == before
