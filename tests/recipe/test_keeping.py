"""Keys that take over the tasks of a trained model: what does not go together is said before it is looked at."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import load_recipe

ROWS = {"path": "csv", "data_files": {"validation": "rows.csv"}, "splits": {"train": None}}
TRAINED = {"type": "regression", "dataset": {"path": "csv", "data_files": "rows.csv"}}
KEPT = {"type": "regression", "dataset": ROWS}


def recipe(folder: Path, model: dict[str, Any], **tasks: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"model": {"backbone": "runs/mine", **model}, "tasks": tasks}))
    return path


def test_a_task_of_which_every_source_leaves_out_train_is_only_scored(tmp_path: Path) -> None:
    both = {**KEPT, "dataset": [ROWS, {**ROWS, "splits": {}}]}
    found = load_recipe(recipe(tmp_path, {"keep_tasks": True}, new=TRAINED, old=KEPT, both=both))
    assert {name: task.is_scored_only for name, task in found.tasks.items()} == {
        "new": False,
        "old": True,
        "both": False,
    }
    assert found.trained_tasks.keys() == {"new", "both"}
    assert found.to_dict()["model"] == {"backbone": "runs/mine", "keep_tasks": True}


@pytest.mark.parametrize(
    ("model", "tasks", "message"),
    [
        ({}, {"new": TRAINED, "old": KEPT}, r"tasks\.old\.dataset: leaves out the rows to train on"),
        ({"drop_tasks": ["old"]}, {"new": TRAINED}, r"model\.drop_tasks: no task is kept that could be dropped"),
        ({"keep_tasks": True}, {"old": KEPT}, "tasks: none has rows to train on"),
        (
            {"keep_tasks": True, "tokenizer": "bert-base-uncased"},
            {"new": TRAINED},
            r"model\.tokenizer: is given, and the heads that are kept were trained with the backbone's own",
        ),
        (
            {"keep_tasks": True, "backbone": {"model_type": "bert"}, "tokenizer": "bert-base-uncased"},
            {"new": TRAINED},
            r"model\.keep_tasks: the backbone is an inline config, which has no heads",
        ),
        ({"keep_tasks": "some"}, {"new": TRAINED}, r"model\.keep_tasks: found 'some'\. Allowed: true or false"),
        ({"keep_task": True}, {"new": TRAINED}, "unknown key 'keep_task'.*Did you mean 'keep_tasks'"),
        (
            {"keep_tasks": True},
            {"new": TRAINED, "old": {**KEPT, "max_rows": 3, "validation_fraction": 0.2}},
            r"tasks\.old\.max_rows: is about training rows[\s\S]*tasks\.old\.validation_fraction: is about",
        ),
    ],
)
def test_what_does_not_go_with_keeping_is_refused(
    model: dict[str, Any], tasks: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe(tmp_path, model, **tasks))


def test_other_sections_know_the_trained_tasks_alone(tmp_path: Path) -> None:
    path = recipe(tmp_path, {"keep_tasks": True}, new=TRAINED, more=TRAINED, old=KEPT)
    load_recipe(path, ["balancing.weighting={name: fixed, weights: [1, 2]}"])
    with pytest.raises(RecipeError, match=r"main: unknown task 'old'.*Known: more, new"):
        load_recipe(path, ["balancing.aggregator={name: pcd, main: old}"])
