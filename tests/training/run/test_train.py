"""A run's folder, from the first training to the last resume."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from hf_mtl import MultiTaskModel, MultiTaskTrainer, load_recipe, run_recipe
from hf_mtl.errors import DataError, DivergedError, ModelError, RunError
from hf_mtl.training import evaluate_run
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.run import train as run
from hf_mtl.training.run.longer import is_to_go_on
from hf_mtl.training.run.prepare import make_arguments
from tests.training import runs

# ---- What is in the folder ----


def test_the_folder_holds_what_the_design_says_and_nothing_else(world: Path) -> None:
    assert {path.name for path in (world / "run").iterdir()} == runs.FOLDER | runs.MODEL
    assert [path.name for path in (world / "run" / "figures").iterdir()] == ["training.png"]


def test_the_results_have_every_task_and_what_they_come_to(world: Path) -> None:
    found = runs.results(world / "run")
    assert set(found) == {
        *("tasks", "average", "macro", "worst", "loss", "notes", "split", "step"),
        *("trained_steps", "planned_steps", "ended_by"),
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
        "score": [{"text": row["text"], "x": None, "y": 1.0} for row in rows],
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


def test_baselines_are_scored_when_asked(recipe: Path, tmp_path: Path) -> None:
    found = runs.train(recipe, tmp_path / "run", "training.max_steps=1", baselines=True)
    assert set(found["baselines"]) == {"majority", "tfidf"}
    assert runs.results(tmp_path / "run") == found


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


def test_a_finished_run_that_is_to_be_longer_trains_on(recipe: Path, finished: Path, warnings: list[str]) -> None:
    found = runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert (found["step"], found["trained_steps"], found["planned_steps"]) == (12, 12, 12)
    assert warnings == ["Going on from step 10 of 12."]
    assert runs.results(finished) == found
    assert load_recipe(finished / "recipe.yaml").training.options()["max_steps"] == 12
    steps = [record["step"] for record in runs.log(finished) if "loss" in record]
    assert steps == list(range(1, 13))
    runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert warnings[1] == f"{finished} is finished; nothing to resume."


def test_a_finished_run_that_trains_on_is_an_unfinished_one_until_it_has_results(
    recipe: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise KeyError("at the end")

    with monkeypatch.context() as patch:
        patch.setattr(run, "finish", broken)
        with pytest.raises(KeyError):
            runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert not (finished / "results.json").exists()
    assert runs.train(recipe, finished, "training.max_steps=12", resume=True)["trained_steps"] == 12


def test_a_run_of_more_epochs_trains_on_and_needs_a_checkpoint(recipe: Path, finished: Path) -> None:
    epochs = ["training.max_steps=", "training.num_train_epochs=0.5"]
    args = make_arguments(load_recipe(recipe, epochs))
    per_epoch = 46  # 361 rows by 8
    folder = RunFolder(finished)
    for share, goes_on in ((runs.STEPS / per_epoch, False), (0.5, True)):
        args.num_train_epochs = share
        assert is_to_go_on(load_recipe(recipe, epochs), args, folder) == goes_on
    for checkpoint in finished.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    before = runs.content(finished)
    with pytest.raises(RunError, match="is finished, and no checkpoint was kept to train on from"):
        runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert runs.content(finished) == before


@pytest.mark.parametrize(
    ("ended_by", "change", "goes_on"),
    [
        ("early_stopping", "training.early_stopping_patience=2", False),
        ("early_stopping", "training.early_stopping_patience=3", True),
        ("early_stopping", "training.early_stopping_patience=", True),
        ("max_flops", "training.max_flops=1e6", False),
        ("max_flops", "training.max_flops=1e7", True),
        ("callback", "training.logging_steps=3", True),
    ],
)
def test_a_run_that_ended_early_goes_on_once_its_reason_is_gone(
    recipe: Path, finished: Path, ended_by: str, change: str, goes_on: bool
) -> None:
    ends = ["training.early_stopping_patience=2", "training.max_flops=1e6", "training.metric_for_best_model=worst"]
    kept = load_recipe(recipe, [*ends, f"training.output_dir={finished}"])
    (finished / "recipe.yaml").write_text(kept.to_yaml())
    found = runs.results(finished)
    (finished / "results.json").write_text(json.dumps({**found, "ended_by": ended_by, "planned_steps": 40}))
    resumed = load_recipe(recipe, [*ends, change])
    assert is_to_go_on(resumed, make_arguments(resumed), RunFolder(finished)) == goes_on
    for checkpoint in finished.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    if goes_on and ended_by != "callback":  # which nobody has asked to be lifted
        with pytest.raises(RunError, match="is finished, and no checkpoint was kept to train on from"):
            is_to_go_on(resumed, make_arguments(resumed), RunFolder(finished))
    else:
        assert not is_to_go_on(resumed, make_arguments(resumed), RunFolder(finished))


def test_a_run_whose_last_update_broke_the_model_fails_and_publishes_none(recipe: Path, tmp_path: Path) -> None:
    wild = ["training.learning_rate=1e30", "training.head_learning_rate=1e30", "training.max_steps=1"]
    with pytest.raises(DivergedError, match="are not finite in the end. There is no checkpoint from before"):
        runs.train(recipe, tmp_path / "run", *wild, "training.warmup_steps=0")
    assert not {"results.json", "model.safetensors"} & {path.name for path in (tmp_path / "run").iterdir()}


def test_overwriting_starts_anew_and_leaves_other_files(recipe: Path, finished: Path) -> None:
    (finished / "notes.md").write_text("mine")
    runs.train(recipe, finished, "training.max_steps=2", "training.save_steps=2", overwrite=True)
    assert {path.name for path in finished.iterdir()} == (runs.FOLDER | runs.MODEL | {"notes.md", "checkpoint-2"}) - {
        "checkpoint-5",
        "checkpoint-10",
    }
    assert {record["step"] for record in runs.log(finished)} == {1, 2}
    assert runs.results(finished)["step"] == 2


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


# ---- What is the user's ----


@pytest.mark.parametrize("name", ["config.json", "log.jsonl", "checkpoint-5/weights", "recipe.yaml"])
def test_a_first_run_refuses_what_is_in_its_way_and_writes_nothing(recipe: Path, tmp_path: Path, name: str) -> None:
    for file in (name, "notes.md"):
        (tmp_path / "run" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / file).write_text("mine")
    before = runs.content(tmp_path)
    for wish in ("resume", "overwrite", "test"):
        with pytest.raises(
            RunError, match=f"training.output_dir: .* holds {name.split('/')[0]}, where the run would"
        ):
            runs.train(recipe, tmp_path / "run", "training.max_steps=1", **{wish: True})
    assert runs.content(tmp_path) == before


def test_a_run_into_its_own_backbone_is_refused_with_its_place(world: Path, tmp_path: Path) -> None:
    written = runs.write_recipe(tmp_path / "moved")
    words = [f"model.backbone={tmp_path}", "model.tokenizer=null"]
    with pytest.raises(RunError, match=rf"training\.output_dir: .*run lies in {tmp_path}, which the run reads"):
        runs.train(written, tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_a_run_is_trained_anew_from_the_recipe_that_it_keeps(finished: Path) -> None:
    found = runs.train(finished / "recipe.yaml", finished, "training.max_steps=1", overwrite=True)
    assert found["step"] == 1
    assert load_recipe(finished / "recipe.yaml").training.options()["max_steps"] == 1


def test_a_recipe_that_was_edited_in_its_run_is_not_overwritten(finished: Path) -> None:
    (finished / "recipe.yaml").write_text("# mine\n" + (finished / "recipe.yaml").read_text())
    before = runs.content(finished)
    with pytest.raises(RunError, match=r"holds recipe\.yaml, where the run would write: changed since the run here"):
        runs.train(finished / "recipe.yaml", finished, overwrite=True)
    assert runs.content(finished) == before


def test_an_overwriting_run_that_fails_at_once_gives_the_old_one_back(
    recipe: Path, finished: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished / "notes.md").write_text("mine")
    before = runs.content(finished)
    monkeypatch.setattr(MultiTaskTrainer, "training_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs.train(recipe, finished, overwrite=True)
    assert runs.content(finished) == before
    assert warnings == [f"The run that was to be replaced is back in {finished}."]
