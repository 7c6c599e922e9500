"""Single-task runs of the tiny world, to be merged."""

from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset

from hf_mtl import run_recipe
from hf_mtl.tasks import Task
from tests import tiny

TASKS = tiny.TASKS
STEPS = 3


def backbone(folder: Path, seed: int = 5) -> Path:
    """A folder with an encoder and its tokenizer, as a pretrained one."""
    if not folder.exists():
        tiny.model(seed=seed).encoder.save_pretrained(folder)
        tiny.tokenizer().save_pretrained(folder)
    return folder


def write_rows(folder: Path, task: str, rows: dict[str, Dataset]) -> dict[str, Any]:
    """Write the splits of a task as files, and return its dataset as a recipe names it."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, found in rows.items():
        found.to_json(str(folder / f"{task}.{split}.jsonl"))
    return {"path": "json", "data_files": {split: str(folder / f"{task}.{split}.jsonl") for split in rows}}


def rows_of(task: str) -> dict[str, Dataset]:
    """The splits of a task of the tiny world."""
    counts = {"train": 40, "validation": 24, "test": 30}
    return {split: tiny.rows(task, count, seed) for seed, (split, count) in enumerate(counts.items())}


def train(folder: Path, name: str, task: Task, dataset: dict[str, Any], **changes: Any) -> Path:
    """Train one task, a few steps; the folder of its run.

    Args:
        folder: Where everything lies.
        name: The task's name.
        task: The task.
        dataset: Its dataset.
        changes: What differs: fields of ``model``, and ``training``, a dictionary.
    """
    options = {"output_dir": str(folder / f"run-{name}"), "max_steps": STEPS, "learning_rate": 1e-2, "seed": 1}
    quiet = {"eval_strategy": "no", "save_strategy": "no", "use_cpu": True, "disable_tqdm": True, "report_to": "none"}
    model = {"backbone": str(folder / "bert"), "max_length": 24, "pooling": "mean", "head": "linear"}
    training = {**options, **quiet, "per_device_train_batch_size": 8, **changes.pop("training", {})}
    fields = {key: value for key, value in task.for_config().items() if key != "dataset"}
    content = {
        "model": {key: value for key, value in {**model, **changes}.items() if value is not None},
        "tasks": {name: {**fields, "dataset": dataset}},
        "training": training,
    }
    recipe = folder / f"{name}.yaml"
    recipe.write_text(yaml.safe_dump(content, sort_keys=False))
    run_recipe(recipe, test=True)
    return Path(training["output_dir"])


def singles(folder: Path, tasks: tuple[str, ...] = ("topic", "mood", "score"), **changes: Any) -> dict[str, Path]:
    """Train tasks of the tiny world, each alone, from one backbone."""
    backbone(folder / "bert")
    return {
        name: train(folder, name, TASKS[name], write_rows(folder / "rows", name, rows_of(name)), **dict(changes))
        for name in tasks
    }
