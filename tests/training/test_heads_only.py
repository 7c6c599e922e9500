"""Runs whose checkpoints hold the heads alone: the same run, to the bit, in a few KB."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from hf_mtl import MultiTaskModel, run_recipe
from hf_mtl.errors import CheckpointError, RecipeError
from hf_mtl.training import evaluate_run
from tests import tiny
from tests.hub import world
from tests.training import runs

STEPS: dict[str, Any] = {
    "max_steps": 6,
    "save_steps": 2,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "load_best_model_at_end": True,
    "metric_for_best_model": "average",
    "report_to": "none",
}


def write(folder: Path, name: str, **model: Any) -> Path:
    """A recipe of two tasks on a backbone in a folder."""
    if not (folder / "bert").exists():
        world.save_backbone(folder / "bert")
    content = world.small_recipe("json", str(folder / "bert"), **STEPS)
    tasks = {
        "score": content["tasks"]["score"],
        "mood": {"type": "sequence_classification", "labels": ["good", "bad"]},
    }
    for task in ("score", "mood"):
        files = {}
        for seed, split in enumerate(("train", "validation")):
            tiny.rows(task, 24, seed).to_json(str(folder / f"{task}-{split}.jsonl"))
            files[split] = str(folder / f"{task}-{split}.jsonl")
        tasks[task] |= {"dataset": {"path": "json", "data_files": files}}
    content |= {"tasks": tasks, "model": {**content["model"], "freeze": "encoder", **model}}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def equal(one: Path, other: Path) -> bool:
    here, there = (MultiTaskModel.from_pretrained(path).state_dict() for path in (one, other))
    return list(here) == list(there) and all(torch.equal(here[name], there[name]) for name in here)


def test_a_run_of_heads_is_the_same_run_and_goes_on_from_its_heads(tmp_path: Path) -> None:
    whole = runs.train(write(tmp_path, "whole"), tmp_path / "whole")
    recipe, run = write(tmp_path, "heads", save_heads_only=True), tmp_path / "heads"
    assert runs.train(recipe, run) == whole
    for folder in (run, run / "checkpoint-2"):
        names = set(load_file(folder / "model.safetensors"))
        assert names
        assert not any(name.startswith("encoder.") for name in names)
        assert (folder / "model.safetensors").stat().st_size < 4000
    assert equal(run, tmp_path / "whole")
    assert evaluate_run(run)["tasks"] == whole["tasks"]

    half = tmp_path / "half"
    shutil.copytree(run, half)
    for name in ("results.json", *runs.MODEL):
        (half / name).unlink()
    for step in (4, 6):
        shutil.rmtree(half / f"checkpoint-{step}")
    assert runs.train(recipe, half, resume=True) == whole
    assert equal(half, run)

    second = yaml.safe_load(recipe.read_text())
    second["model"] |= {"backbone": str(run), "keep_tasks": True, "drop_tasks": ["mood"]}
    second["tasks"] = {"new": {**second["tasks"]["mood"]}}
    (tmp_path / "second.yaml").write_text(yaml.safe_dump(second))
    runs.train(tmp_path / "second.yaml", tmp_path / "second")
    kept, before = (MultiTaskModel.from_pretrained(path) for path in (tmp_path / "second", run))
    assert list(kept.tasks) == ["score", "new"]
    assert (tmp_path / "second" / "model.safetensors").stat().st_size < 4000
    heads = before.heads.of("score").state_dict()
    assert all(torch.equal(value, heads[name]) for name, value in kept.heads.of("score").state_dict().items())

    world.save_backbone(tmp_path / "bert", initializer_range=0.1)
    for name in ("results.json", *runs.MODEL):
        (half / name).unlink()
    with pytest.raises(CheckpointError, match="holds the heads alone, for another encoder than that of the"):
        runs.train(recipe, half, resume=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"freeze": None}, "model.save_heads_only: is true, and the encoder is trained"),
        ({"freeze": None, "head": "stl_cnn"}, ""),
        ({"backbone": {"model_type": "bert"}}, "model.save_heads_only: is true, and the encoder begins with random"),
    ],
)
def test_what_cannot_be_saved_as_heads_is_refused_with_the_recipe(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    recipe = write(tmp_path, "heads", save_heads_only=True, **changes)
    if not said:
        run_recipe(recipe, [f"training.output_dir={tmp_path / 'run'}", "training.max_steps=2"])
        return
    with pytest.raises(RecipeError, match=said):
        runs.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_heads_on_a_local_folder_are_not_pushed(tmp_path: Path) -> None:
    recipe = write(tmp_path, "heads", save_heads_only=True)
    with pytest.raises(RecipeError, match="and the backbone is a folder of this machine, which others have not"):
        runs.train(recipe, tmp_path / "run", "training.push_to_hub=true")
