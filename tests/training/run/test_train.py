"""A recipe is trained and scored, and leaves a folder that explains itself."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from hf_mtl import MultiTaskModel, run_recipe
from hf_mtl.errors import DivergedError, RunError
from hf_mtl.training import evaluate_run
from hf_mtl.training.run import train as training
from tests.training import runs


def test_the_folder_holds_what_the_design_says_and_nothing_else(world: Path) -> None:
    assert {path.name for path in (world / "run").iterdir()} == runs.FOLDER | runs.MODEL
    assert [path.name for path in (world / "run" / "figures").iterdir()] == ["training.png"]


def test_the_results_have_every_task_and_what_they_come_to(world: Path) -> None:
    found = runs.results(world / "run")
    assert set(found) == {
        *("tasks", "average", "macro", "worst", "loss", "notes", "split", "step"),
        *("trained_steps", "planned_steps", "ended_by", "contamination"),
    }
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
    assert (found["trained_steps"], found["planned_steps"], found["ended_by"]) == (
        runs.STEPS,
        runs.STEPS,
        "all_steps",
    )


def test_the_log_has_stable_names(world: Path) -> None:
    records = runs.log(world / "run")
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
    last = runs.results(world / "run")
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
    runs.assert_same_bits(elsewhere / "again", world / "run")
    assert returned == runs.results(world / "run")


def test_the_test_split_is_scored_when_asked(recipe: Path, world: Path, tmp_path: Path) -> None:
    file = f"tasks.mood.dataset.data_files.test={world / 'mood.validation.jsonl'}"
    found = runs.train(recipe, tmp_path / "run", file, "training.max_steps=2", test=True)
    assert set(found["test"]) == {"tasks", "average", "macro", "worst", "loss", "notes"}
    assert found["test"]["notes"][-2:] == [
        f"{name}: there are no test rows with a label, so nothing can be scored." for name in ("topic", "score")
    ]
    assert found["test"]["tasks"] == {"mood": found["tasks"]["mood"]}
    assert runs.results(tmp_path / "run") == found


def test_test_splits_that_are_not_there_are_noticed_at_once(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--test: no task has a split 'test' to score"):
        runs.train(recipe, tmp_path / "run", test=True)
    assert not (tmp_path / "run").exists()


def test_test_rows_without_a_label_are_left_out_and_said(recipe: Path, world: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (world / "mood.validation.jsonl").read_text().splitlines()]
    files = {
        "mood": [{**row, "label": row["label"] if place % 3 else -1} for place, row in enumerate(rows)],
        "topic": [{"text": row["text"]} for row in rows],  # no label column
        "score": [{"text": row["text"], "x": None, "y": None} for row in rows],
    }
    words = []
    for name, found in files.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in found))
        words.append(f"tasks.{name}.dataset.data_files.test={path}")
    trained = runs.train(recipe, tmp_path / "run", *words, "training.max_steps=1", test=True, baselines=True)
    again = evaluate_run(tmp_path / "run", split="test", baselines=True)
    kept = tmp_path / "kept.jsonl"
    kept.write_text("".join(json.dumps(row) + "\n" for place, row in enumerate(rows) if place % 3))
    expected = evaluate_run(tmp_path / "run", [f"tasks.mood.dataset.data_files.validation={kept}"])
    for results in (trained["test"], again):
        assert results["tasks"] == {"mood": expected["tasks"]["mood"]}
        assert set(results["baselines"]["tfidf"]["tasks"]) == {"mood"}
        assert results["notes"][-2:] != []
        for name in ("topic", "score"):
            assert f"{name}: there are no test rows with a label, so nothing can be scored." in results["notes"]
    with pytest.raises(RunError, match="--test: no task has a split 'test' to score, with rows that have a label"):
        runs.train(recipe, tmp_path / "none", *words[1:], test=True)


def test_the_results_are_those_of_the_step_that_was_kept(recipe: Path, tmp_path: Path) -> None:
    words = ["training.early_stopping_patience=2", "training.load_best_model_at_end=true", "training.max_steps=40"]
    steps = ["training.eval_steps=1", "training.save_steps=1", "training.save_total_limit=1"]
    found = runs.train(recipe, tmp_path / "run", *words, *steps, "training.metric_for_best_model=worst")
    evaluated = {}
    for record in runs.log(tmp_path / "run"):
        if "eval_worst" in record:
            evaluated.setdefault(record["step"], []).append(record["eval_worst"])
    best = max(evaluated, key=lambda step: evaluated[step][0])
    assert found["step"] == best < found["trained_steps"] == max(evaluated) < found["planned_steps"] == 40
    assert evaluated.pop(best) == [found["worst"]] * 2, "the last record is of the model that was kept"
    assert all(len(values) == 1 for values in evaluated.values())
    assert found["ended_by"] == "early_stopping"
    assert found["notes"][:2] == [
        f"Training ended after step {found['trained_steps']} of 40: early stopping, as worst did not get better.",
        f"The model of step {best} is kept: the best one, worst {found['worst']:.4f}.",
    ]
    assert evaluate_run(tmp_path / "run")["worst"] == found["worst"]


def test_a_model_worse_than_tfidf_is_named(recipe: Path, tmp_path: Path) -> None:
    found = runs.train(recipe, tmp_path / "run", "training.max_steps=1", "training.learning_rate=0", baselines=True)
    for name, key in (("topic", "f1_macro"), ("mood", "f1_macro"), ("score", "pearson")):
        scores = [results["tasks"][name][key] for results in (found, found["baselines"]["tfidf"])]
        note = f"{name}: {key} {scores[0]:.4f} is below the {scores[1]:.4f} of TF-IDF with a linear model."
        assert (note in found["notes"]) == (scores[0] < scores[1])
    assert any("TF-IDF" in note for note in found["notes"])


def test_a_short_run_has_a_log_and_a_figure_by_default(recipe: Path, tmp_path: Path) -> None:
    runs.train(recipe, tmp_path / "run", "training.max_steps=3", "training.logging_steps=null")
    assert [record["step"] for record in runs.log(tmp_path / "run") if "loss" in record] == [1, 2, 3]
    assert (tmp_path / "run" / "figures" / "training.png").exists()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (49, "Going on from step 49 of 50."),
        (50, "All 50 steps are trained; scoring."),
        (57, "57 steps are trained, more than the 50 that are asked for; scoring."),
    ],
)
def test_a_resume_says_how_many_steps_are_trained(step: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    monkeypatch.setattr(training, "say", found.append)
    training._say_where_it_goes_on(step, 50)
    assert found == [said]


def test_baselines_are_scored_when_asked(recipe: Path, tmp_path: Path) -> None:
    found = runs.train(recipe, tmp_path / "run", "training.max_steps=1", baselines=True)
    assert set(found["baselines"]) == {"majority", "tfidf"}
    assert runs.results(tmp_path / "run") == found


def test_a_run_too_short_to_log_has_no_figure(recipe: Path, tmp_path: Path) -> None:
    runs.train(recipe, tmp_path / "run", "training.max_steps=1", "training.logging_steps=5")
    assert not (tmp_path / "run" / "figures").exists()
    assert (tmp_path / "run" / "results.json").exists()


def test_a_run_whose_last_update_broke_the_model_fails_and_publishes_none(recipe: Path, tmp_path: Path) -> None:
    wild = ["training.learning_rate=1e30", "training.head_learning_rate=1e30", "training.max_steps=1"]
    with pytest.raises(DivergedError, match="are not finite in the end. There is no checkpoint from before"):
        runs.train(recipe, tmp_path / "run", *wild, "training.warmup_steps=0")
    assert not {"results.json", "model.safetensors"} & {path.name for path in (tmp_path / "run").iterdir()}
