"""Recipes that take up the run of the tiny world, and some of its tasks."""

from pathlib import Path
from typing import Any

import yaml

from tests.training import runs

SCORED = {"train": None}


def write_recipe(world: Path, folder: Path, model: dict[str, Any] | None = None, **tasks: dict[str, Any]) -> Path:
    """A second stage with a new task on the rows of another; of ``tasks`` empty ones are left out.

    ``topic`` is kept and only scored, ``mood`` is kept without rows, ``score`` is dropped.
    """
    first = yaml.safe_load((world / "recipe.yaml").read_text())
    files = {
        name: {split: str(world / file) for split, file in task["dataset"]["data_files"].items()}
        for name, task in first["tasks"].items()
    }
    scored = {"validation": files["topic"]["validation"], "test": files["topic"]["validation"]}
    second: dict[str, dict[str, Any]] = {
        "new": {
            "type": "sequence_classification",
            "labels": ["good", "bad"],
            "head": "mlp",
            "dataset": {"path": "json", "data_files": files["mood"]},
        },
        "topic": {
            "type": "sequence_classification",
            "dataset": {"path": "json", "data_files": scored, "splits": SCORED},
        },
        **tasks,
    }
    recipe = {
        "model": {"backbone": str(world / "run"), "keep_tasks": True, "drop_tasks": ["score"], **(model or {})},
        "tasks": {name: task for name, task in second.items() if task},
        "training": {
            **runs.DEFAULTS,
            "per_device_train_batch_size": 8,
            "learning_rate": 0.01,
            "weight_decay": 0.1,
            "use_cpu": True,
            "disable_tqdm": True,
            "eval_strategy": "steps",
            "eval_steps": 5,
            "save_steps": 5,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "second.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def files_of(world: Path, name: str) -> dict[str, str]:
    """The files of a task of the first stage, by split."""
    first = yaml.safe_load((world / "recipe.yaml").read_text())
    return {split: str(world / file) for split, file in first["tasks"][name]["dataset"]["data_files"].items()}
