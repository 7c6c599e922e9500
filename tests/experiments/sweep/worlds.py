"""Sweeps of the tiny world, whose trials are real runs, or numbers of a formula."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.file import Sweep, read_sweep
from hf_mtl.experiments.sweep.studies import Job
from tests import tiny
from tests.training import runs

SWEEP: dict[str, Any] = {
    "base": "recipe.yaml",
    "trials": 6,
    "startup": 3,
    "search": {
        "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "balancing.weighting": {"choices": ["uw", "ew"]},
    },
}


def write(folder: Path, test: bool = False, training: dict[str, Any] | None = None, **keys: Any) -> Path:
    """Write a recipe and a sweep of it; a key that is None is left out."""
    recipe = folder / "recipe.yaml"
    if not recipe.exists():
        runs.write_recipe(folder, **{"max_steps": 2, "eval_steps": 1, "save_steps": 2, **(training or {})})
        if test:
            _add_test(folder, recipe)
    sweep = {**SWEEP, "output_dir": str(folder / "out"), **keys}
    path = folder / "sweep.yaml"
    path.write_text(
        yaml.safe_dump({key: value for key, value in sweep.items() if value is not None}, sort_keys=False)
    )
    return path


def _add_test(folder: Path, recipe: Path) -> None:
    data = yaml.safe_load(recipe.read_text())
    for name, task in data["tasks"].items():
        tiny.rows(name, 40, seed=2).to_json(str(folder / f"{name}.test.jsonl"))
        task["dataset"]["data_files"]["test"] = f"./{name}.test.jsonl"
    recipe.write_text(yaml.safe_dump(data, sort_keys=False))


def read(folder: Path, *overrides: str, **keys: Any) -> Sweep:
    """Write a sweep and read it."""
    return read_sweep(write(folder, **keys), overrides)


def record(sweep: Sweep, job: Job, **changes: Any) -> Record:
    """Make the record of a trial whose score is best at a learning rate of 1e-3 with ew."""
    rate = job.values.get("training.learning_rate", 1e-4)
    value = 0.5 - 0.1 * abs(math.log10(rate) + 3) + 0.1 * (job.values.get("balancing.weighting") == "ew")
    key = {"kind": "trial", "arm": job.arm.name, "trial": job.number, "stage": job.stage, "values": job.values}
    scores = {"validation": {"topic": {"f1_macro": value}}, "average": value, "macro": value, "worst": value}
    folder = job.folder.relative_to(sweep.output_dir).as_posix()
    end = {"state": "complete", "value": value, "why": "", "folder": folder}
    return {**key, "metric": sweep.metric, **end, **scores, **changes}


def recording(done: list[tuple[str, int]], fails: Callable[[Job], bool] = lambda job: False) -> Any:
    """Return what runs trials by the formula; ``done`` takes which."""

    def run(sweep: Sweep, job: Job) -> Record:
        done.append((job.arm.name, job.number))
        failed = {"state": "failed", "value": None, "why": "too hot"} if fails(job) else {}
        return record(sweep, job, **failed)

    return run
