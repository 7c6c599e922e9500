"""Mistakes as users make them: the whole message, exit code 2, and nothing written."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from hf_mtl.balancing import available
from hf_mtl.recipe.sections import training_section
from tests import tiny
from tests.cli.conftest import Said
from tests.training import runs

Command = Callable[..., Said]
RECIPE: dict[str, Any] = {
    "model": {
        "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
        "tokenizer": {"train": "wordpiece", "vocab_size": 200},
    },
    "tasks": {
        "mood": {
            "type": "sequence_classification",
            "dataset": {"path": "json", "data_files": {"train": "mood.train.jsonl", "validation": "mood.dev.jsonl"}},
            "labels": ["good", "bad"],
        },
        "score": {
            "type": "regression",
            "dataset": {"path": "json", "data_files": {"train": "score.jsonl"}},
            "label": ["x", "y"],
        },
    },
    "training": {"output_dir": "run", "max_steps": 1, "use_cpu": True, "disable_tqdm": True},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with data."""
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()  # they would stand between the command and its message
    for name, task, size, seed in (
        ("mood.train", "mood", 12, 0),
        ("mood.dev", "mood", 6, 1),
        ("score", "score", 9, 0),
    ):
        write_rows(f"{name}.jsonl", tiny.rows(task, size, seed).to_list())
    write_recipe(RECIPE)
    with runs.own_cache(tmp_path.parent / "cache"):
        yield tmp_path
    datasets.enable_progress_bars()


def write_rows(name: str, rows: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_recipe(recipe: Any) -> None:
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))


def change(name: str, changes: dict[int, dict[str, Any]]) -> None:
    rows = [json.loads(line) for line in Path(name).read_text().splitlines()]
    for place, values in changes.items():
        rows[place].update(values)
    write_rows(name, rows)


def line(text: str, after: str = "") -> int:
    """Line of the recipe with a text, after the line with another."""
    lines = Path("recipe.yaml").read_text().splitlines()
    start = next(i for i, found in enumerate(lines) if after in found)
    return next(i for i, found in enumerate(lines[start:], start + 1) if text in found)


def refused(hf_mtl: Command, folder: Path, message: str, *overrides: str) -> None:
    """The message is the whole of stderr, from every command that reads the data, and nothing is written."""
    before = runs.content(folder)
    for command in ("train", "plan"):
        said = hf_mtl(command, "recipe.yaml", *overrides)
        assert said == Said(2, "", f"hf-mtl {command}: 1 mistake\n{message}\n")
    assert not (folder / "run").exists()
    assert runs.content(folder) == before


def test_a_wrong_key(hf_mtl: Command, folder: Path) -> None:
    recipe = {**RECIPE, "training": {**RECIPE["training"], "max_step": 3}}
    write_recipe(recipe)
    number = len(training_section().model_fields)  # transformers' and ours
    refused(
        hf_mtl,
        folder,
        f"recipe.yaml:{line('max_step: 3')}: training.max_step: unknown key 'max_step'. Of {number} the nearest: "
        "eval_steps, max_flops, max_steps, save_steps, warmup_steps. Did you mean 'max_steps'?",
    )


def test_a_wrong_head(hf_mtl: Command, folder: Path) -> None:
    names = "hierarchical, linear, mlp, mt_vib, native, stl_cnn, vip, vmtl"
    message = f"command line: model.head: unknown head 'linaer'. Known: {names}. Did you mean 'linear'?"
    refused(hf_mtl, folder, message, "model.head=linaer")


def test_a_missing_column(hf_mtl: Command, folder: Path) -> None:
    refused(
        hf_mtl,
        folder,
        "command line: tasks.mood.label: no column 'lable' in train, validation. Columns: label, text. "
        "Did you mean 'label'?",
        "tasks.mood.label=lable",
    )


def test_a_label_out_of_range(hf_mtl: Command, folder: Path) -> None:
    change("mood.train.jsonl", {3: {"label": 7}, 8: {"label": -1}})
    refused(
        hf_mtl,
        folder,
        f"recipe.yaml:{line('mood:')}: tasks.mood.label: train has 2 rows with labels outside 0..1: 7, -1 "
        "(lines 4 and 9 of 'mood.train.jsonl'). 2 classes: good, bad. A row without a label has None.",
    )


def test_a_nan_target(hf_mtl: Command, folder: Path) -> None:
    change("score.jsonl", {4: {"x": float("nan")}})
    refused(
        hf_mtl,
        folder,
        "command line: tasks.score.label: train has 1 NaN target in column 'x': line 5 of 'score.jsonl'. Give a "
        "number, or None for a row without a target.",
        "tasks.score.label=x",
    )


def test_an_empty_text(hf_mtl: Command, folder: Path) -> None:
    change("mood.dev.jsonl", {1: {"text": "  "}, 2: {"text": ""}})
    refused(
        hf_mtl,
        folder,
        f"recipe.yaml:{line('mood:')}: tasks.mood.text: validation has 2 rows with empty text in column 'text': "
        "lines 2 and 3 of 'mood.dev.jsonl'. Give these rows a text, or leave them out with the dataset's filter: "
        "{column: text, not_blank: true}.",
    )


def test_a_missing_file(hf_mtl: Command, folder: Path) -> None:
    Path("mood.dev.jsonl").rename("mood.validation.jsonl")
    refused(
        hf_mtl,
        folder,
        f"recipe.yaml:{line('data_files:')}: tasks.mood.dataset.data_files: no file or folder "
        f"'{folder}/mood.dev.jsonl'. In '{folder}' there is: mood.train.jsonl, mood.validation.jsonl, score.jsonl.",
    )


def test_a_bad_task_name(hf_mtl: Command, folder: Path) -> None:
    tasks = {"my mood": RECIPE["tasks"]["mood"]}
    write_recipe({**RECIPE, "tasks": tasks})
    refused(
        hf_mtl,
        folder,
        f"recipe.yaml:{line('my mood')}: tasks.my mood: the task name 'my mood'. "
        "Allowed: letters, digits, '_' and '-'.",
    )


def test_a_task_name_that_is_too_long_for_a_folder(hf_mtl: Command, folder: Path) -> None:
    name = "mood" * 30
    write_recipe({**RECIPE, "tasks": {name: RECIPE["tasks"]["mood"]}})
    refused(
        hf_mtl,
        folder,
        f"recipe.yaml:{line(name)}: tasks.{name}: a task name of 120 letters, 'moodmoodmoodmoodmood...'. "
        "Allowed: 100 letters, as the name of a task is also that of a folder.",
    )


def test_an_unknown_weighting(hf_mtl: Command, folder: Path) -> None:
    names = ", ".join(name for name, family in available().items() if family == "weighting")
    message = f"command line: balancing.weighting: unknown weighting 'uwu'. Known: {names}. Did you mean 'uw'?"
    refused(hf_mtl, folder, message, "balancing.weighting=uwu")


def test_a_value_of_the_wrong_type(hf_mtl: Command, folder: Path) -> None:
    message = "command line: training.max_steps: found 'many'. Allowed: a whole number."
    refused(hf_mtl, folder, message, "training.max_steps=many")


def test_bad_yaml(hf_mtl: Command, folder: Path) -> None:
    Path("recipe.yaml").write_text("model: {backbone: x\ntasks: 3\n")
    refused(
        hf_mtl,
        folder,
        "recipe.yaml:2: not valid YAML: while parsing a flow mapping expected ',' or '}', but got ':'; "
        "begun in line 1.",
    )


def test_training_arguments_that_do_not_fit_together(hf_mtl: Command, folder: Path) -> None:
    refused(
        hf_mtl,
        folder,
        "command line: training.load_best_model_at_end: is on, with eval_strategy: no and save_strategy: steps. "
        "Set both to epoch, or both to steps; or save_strategy: best",
        "training.load_best_model_at_end=true",
    )


def test_a_score_to_watch_that_nobody_computes(hf_mtl: Command, folder: Path) -> None:
    said = hf_mtl("train", "recipe.yaml", "training.metric_for_best_model=mood_f1_marco")
    assert said.code == 2
    assert "training.metric_for_best_model: unknown score 'mood_f1_marco'. Known: average, loss, macro" in said.err
    assert said.err.endswith("Did you mean 'mood_f1_macro'?\n")


def test_mistakes_of_the_recipe_come_together(hf_mtl: Command, folder: Path) -> None:
    overrides = ["model.head=linaer", "training.max_steps=many", "balancing.weighting=uwu", "tasks.mood.typ=x"]
    said = hf_mtl("train", "recipe.yaml", *overrides)
    assert said.err.splitlines()[0] == "hf-mtl train: 4 mistakes"
    assert len(said.err.splitlines()) == 5


def test_mistakes_of_the_data_come_together(hf_mtl: Command, folder: Path) -> None:
    change("mood.train.jsonl", {3: {"label": 7}})
    change("mood.dev.jsonl", {1: {"text": ""}})
    change("score.jsonl", {4: {"x": float("-inf")}, 5: {"y": float("inf")}})
    said = hf_mtl("train", "recipe.yaml")
    assert said.err.splitlines()[0] == "hf-mtl train: 4 mistakes"
    assert not (folder / "run").exists()
