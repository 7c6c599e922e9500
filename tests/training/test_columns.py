"""Columns that are made and training rows that are drawn: in plan, results, resuming and scoring again."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.numpy import load_file

from hf_mtl import MultiTaskModel, load_recipe
from hf_mtl.errors import DataError, RecipeError, UserError
from hf_mtl.reporting.plan_table import plan_table
from hf_mtl.training.run.evaluate import evaluate_run
from hf_mtl.training.run.plan import plan_recipe
from tests import tiny
from tests.training import killing, runs
from tests.training.trainers import make

RATIO = {"topic": 4, "mood": 1, "score": 1}
FUNCTION = "def clean(row):\n    return None if row['text'].startswith('{word}') else row\n"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The texts of topic in two columns of a csv file, its classes as 0, 2 and 4; a function for mood."""
    path = runs.write_recipe(tmp_path, max_steps=2, save_steps=1, eval_strategy="no", metric_for_best_model=None)
    for split in ("train", "validation"):
        rows = [json.loads(line) for line in (tmp_path / f"topic.{split}.jsonl").read_text().splitlines()]
        with (tmp_path / f"topic.{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["first", "rest", "stars"])
            for row in rows:
                first, _, rest = row["text"].partition(" ")
                writer.writerow([first, rest, 2 * row["label"]])
    written = yaml.safe_load(path.read_text())
    topic, mood = written["tasks"]["topic"], written["tasks"]["mood"]
    topic["dataset"] = {
        "path": "csv",
        "data_files": {"train": "./topic.train.csv", "validation": "./topic.validation.csv"},
        "rename": {"stars": "label"},
        "map": {"label": {"0": "low", "2": "middle", "4": "high"}},
        "concat": {"text": "{first} {rest}"},
    }
    topic["labels"] = ["low", "middle", "high"]
    mood["dataset"]["function"] = "own_columns.clean"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    write_function(tmp_path, monkeypatch, "nobody")
    monkeypatch.chdir(tmp_path)
    with runs.own_cache(tmp_path):
        yield path


def write_function(folder: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """Another process would import the file as it is now."""
    import sys

    monkeypatch.delitem(sys.modules, "own_columns", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (folder / "own_columns.py").write_text(FUNCTION.replace("{word}", word))


def train(recipe: Path, run: Path, *overrides: str, **wishes: bool) -> dict[str, Any]:
    return runs.train(recipe, run, *overrides, allow_code=True, **wishes)


def test_columns_that_are_made_train_as_those_of_a_file_that_has_them(recipe: Path, tmp_path: Path) -> None:
    made = train(recipe, tmp_path / "made", baselines=True)
    files = "{path: json, data_files: {train: ./topic.train.jsonl, validation: ./topic.validation.jsonl}}"
    plain = train(recipe, tmp_path / "plain", f"tasks.topic.dataset={files}", baselines=True)
    # The same but for a blank behind texts of one word.
    assert made["tasks"] == plain["tasks"]
    assert made["baselines"]["tfidf"]["tasks"] == plain["baselines"]["tfidf"]["tasks"]
    assert "draws" not in made
    assert "imbalance" not in made
    model = MultiTaskModel.from_pretrained(tmp_path / "made")
    assert model.tasks["topic"].label_names == ["low", "middle", "high"]
    asked = set(json.loads((tmp_path / "made" / "config.json").read_text())["tasks"]["topic"])
    assert not asked & {"dataset", "train_fraction", "max_rows", "stratify"}


def test_code_is_run_with_the_users_word_alone_and_else_nothing_is_written(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RecipeError, match=r"tasks\.mood\.dataset\.function: 'own_columns\.clean' is code"):
        runs.train(recipe, run)
    assert not run.exists()
    unspoken = load_recipe(recipe, [f"training.output_dir={run}"], allow_code=True)
    unspoken._allow_code = False
    with pytest.raises(DataError, match=r"tasks\.mood\.dataset\.function"):
        plan_recipe(unspoken)
    train(recipe, run)
    with pytest.raises(RecipeError, match=r"tasks\.mood\.dataset\.function"):
        evaluate_run(run)
    assert evaluate_run(run, allow_code=True)["tasks"] == runs.results(run)["tasks"]
    assert evaluate_run(run, ["tasks.mood.dataset.function=null"])["tasks"] == runs.results(run)["tasks"]


def test_a_run_is_resumed_with_its_own_labels_and_rows_alone(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    train(recipe, run)
    (run / "results.json").unlink()
    word = json.loads((tmp_path / "mood.train.jsonl").read_text().splitlines()[0])["text"].split()[0]
    write_function(tmp_path, monkeypatch, word)
    with pytest.raises(
        UserError, match=r"tasks\.mood\.dataset: the train rows changed since the run began \(61 rows"
    ):
        train(recipe, run, resume=True)
    write_function(tmp_path, monkeypatch, "nobody")
    swapped = "tasks.topic.dataset.map.label={'0': low, '2': high, '4': middle}"
    with pytest.raises(UserError, match=r"tasks\.topic\.dataset: the train rows changed since the run began"):
        train(recipe, run, swapped, resume=True)
    renamed = "tasks.topic.dataset.map.label={'0': bad, '2': fair, '4': good}"
    for labels in ("tasks.topic.labels=[bad, fair, good]", "tasks.topic.labels=null"):
        with pytest.raises(UserError, match="labels"):
            train(recipe, run, renamed, labels, resume=True)
    assert train(recipe, run, resume=True)["trained_steps"] == 2


def test_labels_that_are_found_in_the_data_are_those_of_the_run(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, "tasks.topic.labels=null")
    (run / "results.json").unlink()
    # In the same order: the rows are the same numbers, and mean something else.
    renamed = "tasks.topic.dataset.map.label={'0': m, '2': n, '4': l}"
    before = runs.content(run)
    said = r"tasks\.topic\.labels: are l, m, n; the run has high, low, middle\. Give the run's own rows back"
    with pytest.raises(UserError, match=said):
        train(recipe, run, "tasks.topic.labels=null", renamed, resume=True)
    assert runs.content(run) == before


def test_a_ratio_and_shares_are_in_plan_results_and_record(recipe: Path, tmp_path: Path) -> None:
    keys = ["tasks.mood.train_fraction=0.5", "tasks.topic.max_rows=190", "tasks.topic.stratify=true"]
    keys.append(f"data.imbalance.ratio={json.dumps(RATIO)}")
    run = tmp_path / "run"
    recipe_of = load_recipe(recipe, [f"training.output_dir={run}", *keys], allow_code=True)
    summary, _ = plan_recipe(recipe_of)
    table = " ".join(plan_table(summary).split())
    assert [task.rows for task in summary.tasks] == [124, 31, 31]
    assert "rows topic: 190 of 203 (max_rows), then 124 (imbalance)" in table
    assert "rows mood: 31 of 61 (train_fraction), then 31 (imbalance)" in table
    assert "imbalance 4:1:1 of topic, mood, score: 124, 31, 31 rows, 31 to a part; total variation 0 and KL" in table
    results = train(recipe, run, *keys, overwrite=True)
    assert results["draws"] == [
        {"task": "topic", "by": "max_rows", "used": 190, "found": 203},
        {"task": "topic", "by": "imbalance", "used": 124, "found": 190},
        {"task": "mood", "by": "train_fraction", "used": 31, "found": 61},
        {"task": "mood", "by": "imbalance", "used": 31, "found": 31},
        {"task": "score", "by": "imbalance", "used": 31, "found": 97},
    ]
    found = runs.results(run)["imbalance"]
    assert (found["ratio"], found["unit"], found["total_variation"], found["kl"]) == (RATIO, 31, 0.0, 0.0)
    assert found["within_tasks"]["topic"]["total_variation"] < 0.01
    kept = load_file(run / "trained_texts.safetensors")
    assert [len(kept[f"imbalance/{name}"]) for name in RATIO] == [124, 31, 31]
    assert json.loads((run / "data.json").read_text())["tasks"]["topic"]["train"]["rows"] == 124


def test_another_ratio_is_another_run_and_scoring_knows_the_rows(
    recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, ratio = tmp_path / "run", f"data.imbalance.ratio={json.dumps(RATIO)}"
    train(recipe, run, ratio)
    caplog.clear()
    evaluate_run(run, split="train", allow_code=True)
    assert "not those of the run" not in caplog.text
    evaluate_run(run, ["data.imbalance=null"], split="train", allow_code=True)
    assert "the train rows are not those of the run: 61 rows then, 61 now" not in caplog.text
    assert "topic: the train rows are not those of the run" in caplog.text
    caplog.clear()
    evaluate_run(run, ["data.imbalance=null", "tasks.score.train_fraction=0.2"], split="train", allow_code=True)
    assert "score: the train rows are not those of the run: 50 rows then, 19 now" in caplog.text
    (run / "results.json").unlink()
    with pytest.raises(UserError, match=r"data\.imbalance"):
        train(recipe, run, resume=True)
    other = "tasks.mood.train_fraction=0.5"
    with pytest.raises(UserError, match=r"tasks\.mood\.train_fraction: is 0\.5, in the run it is not set"):
        train(recipe, run, ratio, other, resume=True)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"ratio": {"topic": 1, "mod": 1}}, r"data\.imbalance\.ratio\.mod: unknown task 'mod'.*Did you mean 'mood'"),
        ({"ratio": {"topic": 300, "mood": 1, "score": 1}}, r"ratio\.topic: is 300, and topic has 203 training rows"),
        ({"ratio": RATIO, "unit": 90}, r"data\.imbalance\.unit: found 90. Allowed with these tasks: 1 to 50"),
    ],
)
def test_a_ratio_that_cannot_be_is_refused_before_anything_is_written(
    recipe: Path, tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        train(recipe, tmp_path / "run", f"data.imbalance={json.dumps(keys)}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("contamination", ["warn", "drop"])
def test_a_trainer_draws_the_rows_that_it_is_given_in_the_ratio(tmp_path: Path, contamination: str) -> None:
    data = {"imbalance": {"ratio": RATIO}, "contamination": contamination}
    train = tiny.datasets({"topic": 80, "mood": 30, "score": 15})
    trainer = make(tmp_path, train=train, data=data)
    assert trainer.imbalance is not None
    assert trainer.imbalance.distances == (0.0, 0.0)
    sizes = trainer.mixture.sizes
    assert sizes == {name: RATIO[name] * trainer.imbalance.unit for name in RATIO}
    assert trainer.imbalance.unit > 10
    again = make(tmp_path, train=train, data=data, data_seed=7)
    assert any((trainer.imbalance.rows[name] != again.imbalance.rows[name]).any() for name in ("topic", "mood"))
    trained = trainer.train()
    assert trained.global_step == 4


def test_a_trainer_refuses_a_ratio_of_other_tasks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.imbalance\.ratio\.mod: unknown task 'mod'"):
        make(tmp_path, data={"imbalance": {"ratio": {"topic": 1, "mod": 1, "score": 1}}})


@pytest.mark.slow
def test_two_processes_have_the_rows_of_one(recipe: Path, tmp_path: Path) -> None:
    keys = [f"data.imbalance.ratio={json.dumps(RATIO)}", "tasks.mood.train_fraction=0.8"]
    for name, processes in (("one", 1), ("two", 2)):
        process = killing.start(recipe, tmp_path / name, processes, "--allow-code", *keys)
        assert process.wait(240) == 0, name
    one, two = (runs.results(tmp_path / name) for name in ("one", "two"))
    assert (one["draws"], one["imbalance"]) == (two["draws"], two["imbalance"])
    data = [json.loads((tmp_path / name / "data.json").read_text()) for name in ("one", "two")]
    assert data[0] == data[1]
    assert data[0]["labels"]["topic"] == ["low", "middle", "high"]
