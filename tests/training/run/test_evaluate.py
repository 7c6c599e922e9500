"""A trained run is scored again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import yaml
from sklearn.metrics import f1_score

from hf_mtl import run_recipe
from hf_mtl.errors import RunError, UserError
from hf_mtl.training import evaluate_run
from hf_mtl.training.folder.run_data import RunData
from hf_mtl.training.run import prepare
from hf_mtl.training.run.evaluate import logger
from tests import tiny
from tests.training import runs

# Of the drawn words two texts come in both splits.
SEEN = "topic: The run was trained on 2 of the 50 validation texts scored."


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


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(logger, "warning", said.append)
    return said


def results(world: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((world / "run" / "results.json").read_text())
    return found


def log(world: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world / "run" / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("place", ["run", "recipe.yaml", "run/recipe.yaml"])
def test_the_run_and_its_recipe_give_the_numbers_of_the_results(world: Path, place: str) -> None:
    found, written = evaluate_run(world / place), results(world)
    assert set(found) == {"tasks", "average", "macro", "worst", "loss", "split", "notes"}
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


def renamed(world: Path, folder: Path) -> list[str]:
    """Overrides that give `mood` the same rows with other column names."""
    files = []
    for split in ("train", "validation"):
        frame = pandas.read_json(world / f"mood.{split}.jsonl", lines=True)
        path = folder / f"{split}.jsonl"
        frame.rename(columns={"text": "words", "label": "class"}).to_json(path, orient="records", lines=True)
        files.append(f"tasks.mood.dataset.data_files.{split}={path}")
    return [*files, "tasks.mood.dataset.data_files.test=", "tasks.mood.text=words", "tasks.mood.label=class"]


def test_other_columns_are_read(world: Path, tmp_path: Path) -> None:
    assert evaluate_run(world / "run", renamed(world, tmp_path))["tasks"] == results(world)["tasks"]


def test_other_metrics_are_scored_and_class_names_may_be_spelled_otherwise(world: Path) -> None:
    found = evaluate_run(world / "run", ["tasks.mood.metrics=[accuracy, matthews]", "tasks.mood.labels=[fine, poor]"])
    written = results(world)["tasks"]
    assert list(found["tasks"]["mood"]) == ["accuracy", "matthews", "loss"]
    assert found["tasks"]["mood"]["loss"] == written["mood"]["loss"]
    assert found["tasks"]["topic"] == written["topic"]
    assert found["average"] != results(world)["average"]


def test_fewer_rows_tasks_and_tokens_are_scored_when_asked(world: Path) -> None:
    train = evaluate_run(world / "run", split="train")["tasks"]
    asked = ["tasks.mood.max_rows=30", "tasks.score=", "training.per_device_eval_batch_size=1"]
    fewer = evaluate_run(world / "run", asked, split="train")["tasks"]
    assert list(fewer) == ["topic", "mood"]
    assert fewer["mood"]["loss"] != pytest.approx(train["mood"]["loss"])
    assert fewer["topic"]["loss"] == pytest.approx(train["topic"]["loss"])
    short = evaluate_run(world / "run", ["model.max_length=5"], split="train")["tasks"]
    assert short["topic"]["loss"] != pytest.approx(train["topic"]["loss"])


def test_a_tasks_own_limit_and_side_can_be_others_and_given_up(world: Path, tmp_path: Path) -> None:
    train = evaluate_run(world / "run", split="train")["tasks"]
    first = evaluate_run(world / "run", ["tasks.topic.max_length=5"], split="train")["tasks"]
    last = ["tasks.topic.max_length=5", "tasks.topic.truncation_side=left"]
    rest = evaluate_run(world / "run", last, split="train")["tasks"]
    assert len({found["topic"]["loss"] for found in (train, first, rest)}) == 3
    assert first["mood"] == rest["mood"] == train["mood"]
    # A run with limits of its own scores by them, and without them where they are taken back.
    recipe = runs.write_recipe(tmp_path, num_train_epochs=1, output_dir=str(tmp_path / "own"))
    run_recipe(recipe, overrides=last)
    own = evaluate_run(tmp_path / "own", split="train")["tasks"]["topic"]
    assert evaluate_run(tmp_path / "own", last, split="train")["tasks"]["topic"] == own
    back = evaluate_run(tmp_path / "own", ["tasks.topic.max_length=", "tasks.topic.truncation_side="], split="train")
    assert back["tasks"]["topic"]["loss"] != own["loss"]


REFUSED = [
    "training.learning_rate=0.1",
    "training.max_steps=3",
    "training.output_dir=elsewhere",
    "training.eval_steps=",
    "model.head=mlp",
    "model.dropout=0.3",
    "model.pooling=mean",
    "model.peft=lora",
    "model.backbone.hidden_size=32",
    "model.tokenizer.vocab_size=300",
    "mixture.cap=50",
    "balancing.weighting=ew",
    "schedules=[alternating]",
    "tasks.mood.loss=focal",
    "tasks.mood.label_smoothing=0.1",
    "tasks.mood.class_weights=balanced",
    "tasks.mood.head=mlp",
    "tasks.score.standardize=false",
]


def mistakes(world: Path, *overrides: str) -> list[str]:
    with pytest.raises(RunError) as caught:
        evaluate_run(world / "run", overrides)
    return [f"{mistake.key}: {mistake.problem}" for mistake in caught.value.mistakes]


def test_overrides_that_mean_nothing_to_a_trained_model_are_refused_by_name(world: Path) -> None:
    said = mistakes(world, *REFUSED, "tasks.mood.metrics=[accuracy]")
    keys = [override.partition("=")[0] for override in REFUSED]
    named = [
        ("model.backbone" if "backbone" in key else "model.tokenizer" if "tokenizer" in key else key) for key in keys
    ]
    assert sorted(line.partition(":")[0] for line in said) == sorted(named)
    assert "training.learning_rate: 0.1 changes nothing about a model that is trained" in said
    assert "training.eval_steps: leaving it out changes nothing about a model that is trained" in said


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "tasks.mood.labels=[bad, good]",
            "tasks.mood.labels: puts 'bad', 'good' at another place than the model of the run",
        ),
        ("tasks.mood.labels=3", "tasks.mood.labels: gives 3, and the model of the run has 2 outputs"),
        ("tasks.score.label=x", "tasks.score.label: gives 1, and the model of the run has 2 outputs"),
        (
            "tasks.more={type: regression, dataset: {path: x.csv}}",
            "tasks.more: the model of the run has no such task",
        ),
    ],
)
def test_outputs_that_the_model_has_not_are_refused(world: Path, override: str, said: str) -> None:
    assert mistakes(world, override) == [said]


def test_an_override_that_says_what_the_run_has_is_fine(world: Path) -> None:
    found = evaluate_run(world / "run", ["training.learning_rate=0.001", "tasks.mood.labels=[good, bad]"])
    assert found["average"] == results(world)["average"]


def test_rows_that_are_not_those_of_the_run_are_said(world: Path, notes: list[str]) -> None:
    evaluate_run(world / "run")
    assert notes == [SEEN]
    validation = pandas.read_json(world / "mood.validation.jsonl", lines=True)
    train = pandas.read_json(world / "mood.train.jsonl", lines=True)
    path = world / "mixed.jsonl"
    pandas.concat([validation[:20], train[:15]]).to_json(path, orient="records", lines=True)
    evaluate_run(world / "run", [f"tasks.mood.dataset.data_files.validation={path}"])
    assert notes[1:] == [
        SEEN,
        "mood: the validation rows are not those of the run: 31 rows then, 35 now. "
        "The run was trained on 15 of the 35 validation texts scored.",
    ]


def test_texts_that_the_run_was_trained_on_are_counted_by_its_record_and_not_by_todays_file(
    world: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "say_notes", notes.extend)
    # Today's train rows are the validation rows; the run has not seen them.
    evaluate_run(world / "run", [f"tasks.mood.dataset.data_files.train={world / 'mood.validation.jsonl'}"])
    assert notes == [SEEN]
    monkeypatch.setattr(RunData, "trained", lambda self, keys: len(keys) // 31)
    evaluate_run(world / "run")
    assert "mood: The run was trained on 1 of the 31 validation texts scored." in notes


def test_carving_test_rows_from_what_the_run_trained_on_is_said(world: Path, notes: list[str]) -> None:
    found = evaluate_run(world / "run", ["tasks.topic.test_fraction=0.3"], split="test")
    assert list(found["tasks"]) == ["topic", "mood"]
    note, other = notes
    assert other == "mood: The run was trained on 2 of the 15 test texts scored."
    count = note.split("0 rows then, ")[1].split(" ")[0]
    assert note == (
        f"topic: the test rows are not those of the run: 0 rows then, {count} now. "
        f"The run was trained on {count} of the {count} test texts scored."
    )


def test_a_run_without_a_record_of_its_rows_says_so(copied: Path, notes: list[str]) -> None:
    (copied / "data.json").unlink()
    evaluate_run(copied)
    assert notes == ["The run kept no record of its rows (data.json): whether the data changed cannot be said."]


def test_baselines_are_scored_on_the_same_rows(world: Path) -> None:
    found = evaluate_run(world / "run", split="test", baselines=True)
    assert found["tasks"] == results(world)["test"]["tasks"]
    train, test = (tiny.rows("mood", *of)["label"] for of in ((61, 0), (15, 2)))
    majority = np.bincount(train).argmax()
    expected = f1_score(test, np.full(15, majority), average="macro", zero_division=0)
    assert set(found["baselines"]) == {"majority", "tfidf"}
    assert found["baselines"]["majority"]["tasks"]["mood"]["f1_macro"] == pytest.approx(expected)
    for scores in found["baselines"].values():
        assert set(scores) == {"tasks", "average", "macro", "worst", "notes"}
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
    recipe = yaml.safe_load((copied / "recipe.yaml").read_text())
    # An optimizer of a package that is not here, and what an installation that trains would refuse.
    recipe["training"] |= {"optim": "adamw_bnb_8bit", "early_stopping_threshold": 0.1}
    (copied / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert evaluate_run(copied)["tasks"] == evaluate_run(world / "run")["tasks"]


def test_a_split_that_no_task_has_is_refused(world: Path, copied: Path) -> None:
    with pytest.raises(UserError, match=r"recipe\.yaml: no task has a split 'test'"):
        evaluate_run(copied, ["tasks.mood.dataset.data_files.test="], split="test")
