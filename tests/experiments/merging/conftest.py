"""Runs that several tests merge."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import datasets
import pytest

from hf_mtl.experiments.merging import merge
from hf_mtl.experiments.results import Record
from tests.experiments.merging.singles import singles
from tests.training.runs import own_cache


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of each task of the tiny world, from one backbone whose lower layer is frozen."""
    folder = tmp_path_factory.mktemp("world")
    datasets.disable_progress_bars()
    with own_cache(folder):
        singles(folder, freeze=1)
        yield folder
    datasets.enable_progress_bars()


@pytest.fixture
def runs(world: Path) -> dict[str, Path]:
    """The folder of each task's run."""
    return {name: world / f"run-{name}" for name in ("topic", "mood", "score")}


@pytest.fixture(scope="package")
def merged(world: Path) -> Callable[[str], tuple[Path, Record]]:
    """Merge the runs by a method, once: the folder of the model, and its record."""

    @cache
    def by(method: str) -> tuple[Path, Record]:
        runs = {name: world / f"run-{name}" for name in ("topic", "mood", "score")}
        return world / method, merge(runs, method, world / method)

    return by
