"""Short runs of the tiny world from a recipe, in this process."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from safetensors.torch import load_file

from hf_mtl import run_recipe
from tests.training import killing

STEPS = 10
DEFAULTS: dict[str, Any] = {
    "max_steps": STEPS,
    "per_device_eval_batch_size": 32,
    "early_stopping_patience": None,
    "load_best_model_at_end": False,
    "report_to": "none",
}
MODEL = {
    "manifest.json",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_args.bin",
}
FOLDER = {
    "run.json",
    "recipe.yaml",
    "data.json",
    "trained_texts.safetensors",
    "machine.json",
    "results.json",
    "log.jsonl",
    "figures",
    "checkpoint-5",
    "checkpoint-10",
}


def write_recipe(folder: Path, **training: Any) -> Path:
    """The recipe of `killing`, shorter."""
    folder.mkdir(exist_ok=True)
    datasets.disable_progress_bars()
    try:
        return killing.write_recipe(folder, **{**DEFAULTS, **training})
    finally:
        datasets.enable_progress_bars()


def train(recipe: Path, output: Path, *overrides: str, **wishes: bool) -> dict[str, Any]:
    """Run a recipe; what it scored."""
    return run_recipe(recipe, [f"training.output_dir={output}", *overrides], **wishes)


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Keep what `datasets` caches in a folder of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets")
        yield


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in another folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def damage(file: Path) -> None:
    """Flip one bit in the middle."""
    found = bytearray(file.read_bytes())
    found[len(found) // 2] ^= 1
    file.write_bytes(found)


def results(folder: Path) -> dict[str, Any]:
    """What a run has written at its end."""
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same_bits(folder: Path, other: Path) -> None:
    """Two runs have come to the same."""
    assert (folder / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert results(folder) == results(other)
    states = [load_file(path / f"checkpoint-{STEPS}/multi_task_state.safetensors") for path in (folder, other)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
