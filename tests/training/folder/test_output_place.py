"""A run is not written into what it reads, nor into another run; it may lie beside all of that."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset

from hf_mtl import load_recipe
from hf_mtl.errors import RunError
from hf_mtl.training.folder.names import OF_MANY
from hf_mtl.training.folder.output_place import refuse_copy, refuse_place
from hf_mtl.training.folder.run_folder import RunFolder
from tests.training.folders import begin

PLAIN: dict[str, Any] = {"path": "csv", "data_files": {"train": "train.csv", "validation": ["more/dev.csv"]}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, and the current one: a recipe beside data, a model, runs."""
    for name in ("train.csv", "more/dev.csv", "bert/config.json", "log.jsonl", "folder/a.csv", "old/checkpoint-5/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("text,label\na,b\n")
    Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "link").symlink_to(tmp_path / "bert", target_is_directory=True)
    begin(tmp_path / "runs" / "first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(project: Path, output: str, dataset: Any = PLAIN, **model: str) -> None:
    task = {"type": "sequence_classification", "dataset": dataset}
    content = {"model": {"backbone": "some/hub-id", **model}, "tasks": {"a": task}}
    (project / "mine.yaml").write_text(yaml.safe_dump(content))
    refuse_place(load_recipe(project / "mine.yaml"), RunFolder(output))


@pytest.mark.parametrize("output", ["runs/second", "runs/first", "more", "new", "more/run", "folder", "runs/a/b"])
def test_a_run_may_lie_beside_all_that_it_reads(project: Path, output: str) -> None:
    check(project, output, [PLAIN, {"path": "json", "data_files": "./*.jsonl"}], backbone="./bert")


def test_a_run_may_lie_in_the_folder_of_its_recipe(project: Path) -> None:
    check(project, ".", backbone="./bert")


IN_A_FOLDER = [
    ({"backbone": "./bert"}, PLAIN, "bert", "model.backbone"),
    ({"backbone": "./link"}, PLAIN, "bert/run", "model.backbone"),
    ({"backbone": "./bert"}, PLAIN, "link", "model.backbone"),
    ({"tokenizer": "./bert"}, PLAIN, "bert/a/b", "model.tokenizer"),
    ({}, {"path": "./saved"}, "saved", "tasks.a.dataset"),
    ({}, {"path": "./saved"}, "saved/run", "tasks.a.dataset"),
    ({}, [PLAIN, {"path": "./folder"}], "folder/run", "tasks.a.dataset.1"),
    ({}, {"path": "."}, "runs/new", "tasks.a.dataset"),
]


@pytest.mark.parametrize(("model", "dataset", "output", "key"), IN_A_FOLDER)
def test_a_run_in_a_folder_that_it_reads_is_refused(
    project: Path, model: dict[str, str], dataset: Any, output: str, key: str
) -> None:
    with pytest.raises(RunError) as caught:
        check(project, output, dataset, **model)
    (mistake,) = caught.value.mistakes
    assert mistake.key == "training.output_dir"
    assert "which the run reads" in mistake.problem
    assert mistake.problem.endswith(f"(see {key})")


WRITTEN_OVER = [
    ({}, {"path": "json", "data_files": "log.jsonl"}, ".", "is where the run would write log.jsonl, and it reads"),
    (
        {},
        {"path": "text", "data_files": "recipe.yaml"},
        ".",
        "is where the run would write recipe.yaml, and it reads",
    ),
    ({}, {"path": "json", "data_files": ["./*.json*"]}, ".", "would write run.json, which '.*' would read"),
    ({}, {"path": "json", "data_files": "./**/*.json"}, "new/run", "would write run.json, which '.*' would read"),
    ({"tokenizer": "./old/checkpoint-5"}, PLAIN, "old", "is where the run would write checkpoint-5, and it reads"),
]


@pytest.mark.parametrize(("model", "dataset", "output", "said"), WRITTEN_OVER)
def test_a_run_that_would_write_over_what_it_reads_is_refused(
    project: Path, model: dict[str, str], dataset: Any, output: str, said: str
) -> None:
    (project / "runs").rename(project.parent / f"{project.name}-runs")
    with pytest.raises(RunError, match=said):
        check(project, output, dataset, **model)


def test_a_new_run_in_the_folder_of_another_is_refused(project: Path) -> None:
    for output in ("runs/first/second", "runs/first/a/b"):
        with pytest.raises(RunError, match=rf"{output} lies in the folder of another run, {project}/runs/first"):
            check(project, output)


def test_a_new_run_around_others_is_refused_with_a_better_place(project: Path) -> None:
    with pytest.raises(RunError, match=r"runs holds the folders of other runs, such as first\. Choose .*=runs/NAME"):
        check(project, "runs")


@pytest.mark.parametrize(("name", "what"), OF_MANY.items())
def test_the_folder_of_a_study_or_a_sweep_is_refused(project: Path, name: str, what: str) -> None:
    (project / "many").mkdir()
    (project / "many" / name).write_text("{}")
    inner = f"many/other lies in {what}'s folder, {project}/many"
    for output, said in (("many", f"many is {what}'s folder"), ("many/other", inner)):
        with pytest.raises(RunError, match=rf"{said}\. Choose another folder"):
            check(project, output)
    check(project, "many/runs/ew/seed-0")


def test_a_run_that_is_there_already_may_go_on_within_another(project: Path) -> None:
    begin(project / "runs" / "first" / "second")
    check(project, "runs/first/second")


def test_a_data_folder_of_the_hub_is_no_place_here(project: Path) -> None:
    check(project, ".", {"path": "some/dataset", "data_files": "*.json"})


OWN_RECIPE = """
model: {backbone: some/hub-id}
tasks: {a: {type: sequence_classification, dataset: {path: csv, data_files: train.csv}}}
training: {output_dir: runs/first}
"""


def test_the_recipe_of_a_copied_run_does_not_stand_for_the_run_it_was_copied_from(project: Path) -> None:
    begin(project / "runs" / "copy")
    for name in ("first", "copy"):
        (project / "runs" / name / "recipe.yaml").write_text(OWN_RECIPE)
    refuse_copy(load_recipe("runs/first/recipe.yaml"), RunFolder("runs/first"))
    with pytest.raises(RunError) as caught:
        refuse_copy(load_recipe("runs/copy/recipe.yaml"), RunFolder("runs/first"))
    assert "runs/first is not the folder of the run that runs/copy/recipe.yaml belongs to" in str(caught.value)
    assert "training.output_dir=runs/copy, or training.output_dir=runs/first" in str(caught.value)
    for wanted in ("runs/copy", "runs/first"):
        refuse_copy(load_recipe("runs/copy/recipe.yaml", [f"training.output_dir={wanted}"]), RunFolder(wanted))


def test_a_recipe_beside_no_run_may_name_any_run(project: Path) -> None:
    (project / "recipe.yaml").write_text(OWN_RECIPE)
    refuse_copy(load_recipe("recipe.yaml"), RunFolder("runs/first"))
