import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_mtl.recipe.extends import read_extended
from hf_mtl.recipe.overrides import apply_overrides
from hf_mtl.recipe.paths import resolve_paths
from hf_mtl.recipe.yaml_source import read_yaml


def resolved(path: str) -> Any:
    return resolve_paths(read_yaml(path, [])).plain()


def test_files_of_a_format_are_relative_to_the_recipe(write: Callable[..., str], tmp_path: Path) -> None:
    path = write(
        """
        tasks:
          one: {dataset: {path: csv, data_files: data/x.csv}}
          many: {dataset: {path: json, data_files: [x.json, ../y.json]}}
          split: {dataset: {path: parquet, data_files: {train: "t/*.parquet", test: [u.parquet]}}}
          list: {dataset: [{path: csv, data_files: z.csv}]}
        """,
        "sub/recipe.yaml",
    )
    tasks, sub = resolved(path)["tasks"], str(tmp_path / "sub")
    assert tasks["one"]["dataset"] == {"path": "csv", "data_files": f"{sub}/data/x.csv"}
    assert tasks["many"]["dataset"]["data_files"] == [f"{sub}/x.json", f"{tmp_path}/y.json"]
    assert tasks["split"]["dataset"]["data_files"] == {"train": f"{sub}/t/*.parquet", "test": [f"{sub}/u.parquet"]}
    assert tasks["list"]["dataset"][0]["data_files"] == f"{sub}/z.csv"


def test_files_of_tasks_beside_are_relative_to_the_recipe_too(write: Callable[..., str], tmp_path: Path) -> None:
    path = write("data: {beside: {one: {dataset: {path: csv, data_files: x.csv}}}}", "sub/recipe.yaml")
    assert resolved(path)["data"]["beside"]["one"]["dataset"]["data_files"] == f"{tmp_path}/sub/x.csv"


def test_hub_ids_urls_and_packages_are_left_alone(write: Callable[..., str]) -> None:
    text = """
        model: {backbone: "python:package/model", tokenizer: roberta-base}
        tasks:
          hub: {dataset: {path: cardiffnlp/tweet_eval, data_files: data/train.csv}}
          url: {dataset: {path: csv, data_files: "https://host/x.csv"}}
          absolute: {dataset: {path: csv, data_files: /data/x.csv}}
        training: {output_dir: ./runs/x}
        """
    path = write(text)
    assert resolved(path) == read_yaml(path, []).plain()


def test_what_exists_beside_the_recipe_or_begins_with_a_dot_is_local(
    write: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "sub" / "my_model").mkdir(parents=True)
    path = write(
        "model: {backbone: my_model, tokenizer: ./absent}\ntasks: {a: {dataset: {path: ../saved}}}\n",
        "sub/recipe.yaml",
    )
    data = resolved(path)
    assert data["model"] == {"backbone": str(tmp_path / "sub/my_model"), "tokenizer": str(tmp_path / "sub/absent")}
    assert data["tasks"]["a"]["dataset"]["path"] == str(tmp_path / "saved")


def test_each_path_is_relative_to_the_file_that_says_it(write: Callable[..., str], tmp_path: Path) -> None:
    write(
        "model: {backbone: ./b}\ntasks: {a: {dataset: {path: csv, data_files: {train: t.csv}}}}\n", "base/base.yaml"
    )
    top = write("extends: ../base/base.yaml\ntasks: {a: {dataset: {data_files: {test: u.csv}}}}\n", "top/top.yaml")
    node = apply_overrides(read_extended(top, []), ["model.tokenizer=./tok"], [])
    data = resolve_paths(node).plain()
    assert data["model"] == {"backbone": str(tmp_path / "base/b"), "tokenizer": os.path.join(os.getcwd(), "tok")}
    assert data["tasks"]["a"]["dataset"]["data_files"] == {
        "train": str(tmp_path / "base/t.csv"),
        "test": str(tmp_path / "top/u.csv"),
    }


def test_wrong_types_are_left_for_validation(write: Callable[..., str]) -> None:
    path = write("model: 3\ntasks: {a: [1], b: {dataset: {path: 4, data_files: 5}}, c: {dataset: null}}\n")
    assert resolved(path) == read_yaml(path, []).plain()


def test_metric_scripts_are_relative_to_the_recipe(write: Callable[..., str], tmp_path: Path) -> None:
    for name in ("mine", "user/metric", "accuracy"):
        script = tmp_path / "sub" / name / f"{Path(name).name}.py"
        script.parent.mkdir(parents=True)
        script.touch()
    metrics = (
        "[f1_macro, hits.py, {name: ../up.py, greater_is_better: true}, ./mine, mine, user/metric, other/metric]"
    )
    text = f"tasks: {{a: {{metrics: {metrics}}}, b: {{metrics: accuracy}}, c: {{metrics: {{name: x/y.py}}}}}}\n"
    tasks, sub = resolved(write(text, "sub/recipe.yaml"))["tasks"], str(tmp_path / "sub")
    found = [item["name"] if isinstance(item, dict) else item for item in tasks["a"]["metrics"]]
    scripts = [f"{sub}/hits.py", f"{tmp_path}/up.py", f"{sub}/mine", f"{sub}/mine", f"{sub}/user/metric"]
    assert found == ["f1_macro", *scripts, "other/metric"]
    assert tasks["b"]["metrics"] == "accuracy"  # ours, whatever folder there is
    assert tasks["c"]["metrics"] == {"name": f"{sub}/x/y.py"}


def test_files_of_training_options_are_relative_to_the_recipe(write: Callable[..., str], tmp_path: Path) -> None:
    text = """
        training:
          accelerator_config: accelerator.json
          output_dir: runs/x
    """
    data = resolved(write(text, "sub/recipe.yaml"))["training"]
    assert data["accelerator_config"] == f"{tmp_path}/sub/accelerator.json"
    assert data["output_dir"] == "runs/x"
