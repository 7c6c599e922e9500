"""One finished run for all the tests that look at a run, or go on with it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_mtl.training import checkpoint
from hf_mtl.training.folder import run_folder
from hf_mtl.training.run import finished as ended
from tests.training import runs


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe and its finished run."""
    folder = tmp_path_factory.mktemp("world")
    with runs.own_cache(folder):
        runs.train(runs.write_recipe(folder), folder / "run")
        yield folder


@pytest.fixture
def recipe(world: Path) -> Path:
    return world / "recipe.yaml"


@pytest.fixture
def finished(world: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(world / "run", tmp_path / "run"))


@pytest.fixture
def unfinished(finished: Path) -> Path:
    """The same run, killed before its end."""
    for name in ("results.json", *runs.MODEL):
        (finished / name).unlink()
    return finished


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    for module in (ended, checkpoint, run_folder):
        monkeypatch.setattr(module.logger, "warning", said.append)
    return said
