"""Short runs of the tiny world from a recipe, in this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pytest

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
