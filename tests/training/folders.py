"""A run's folder as a run leaves it, without training one, and processes that die in the middle of a change."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.inference.manifest import STATE_FILE, seal
from hf_mtl.training.folder.own_checkpoints import publish
from hf_mtl.training.folder.run_folder import RunFolder

CHANGES = ("replace", "unlink", "rmdir", "mkdir")


def begin(path: Path, overwrite: bool = False) -> RunFolder:
    """A run that has begun."""
    folder = RunFolder(path)
    folder.open(resume=False, overwrite=overwrite)
    folder.write_recipe("model: {}\n")
    folder.log.write_text("{}\n")
    return folder


def add_checkpoint(folder: RunFolder, step: int, text: str = "weights") -> Path:
    """Save a checkpoint as the Trainer does."""
    staged = folder.staging / f"checkpoint-{step}"
    staged.mkdir(parents=True)
    (staged / "model.safetensors").write_text(text)
    (staged / STATE_FILE).write_text("state")
    seal(staged)
    publish(staged, folder.path / staged.name)
    return folder.path / staged.name


def add_model(folder: RunFolder, **files: str) -> None:
    """Publish a model of these files, and its config."""
    folder.staging.mkdir(parents=True, exist_ok=True)
    for name, text in {"config": "config", **files}.items():
        (folder.staging / f"{name}.json").write_text(text)
    seal(folder.staging)
    folder.publish_model(folder.staging)


def finish(path: Path, name: str = "first", overwrite: bool = False) -> RunFolder:
    """A run from its beginning to its results."""
    folder = begin(path, overwrite)
    add_checkpoint(folder, 5, name)
    add_model(folder, weights=name, vocab=name)
    with folder.drawing("training.png") as figure:
        figure.write_text(name)
    folder.write_results({"tasks": {}, "name": name})
    return folder


@contextmanager
def dying(change: int) -> Iterator[list[str]]:
    """Let the process die before its n-th change of the disk: from then on it does nothing any more.

    Yields:
        The changes that were made.
    """
    made: list[str] = []

    def one(name: str) -> Any:
        real = getattr(os, name)

        def maybe(*args: Any, **kwargs: Any) -> Any:
            if len(made) >= change:
                raise KeyboardInterrupt
            made.append(name)
            return real(*args, **kwargs)

        return maybe

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, one(name))
        yield made


def add_files(path: Path, *names: str) -> None:
    """Files that somebody else has in the folder."""
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("mine")
