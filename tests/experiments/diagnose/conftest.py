from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.experiments.diagnose import diagnose_runs
from tests.experiments.diagnose import world as of_world
from tests.training import runs


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run with a task of every type, whose heads have a hidden layer."""
    folder = tmp_path_factory.mktemp("diagnosed")
    with runs.own_cache(folder), runs.inside(folder):
        recipe = of_world.write_recipe(folder, "run", of_world.write_data(folder), head="mlp", pooling="mean")
        runs.run_recipe(recipe)
        yield folder


@pytest.fixture(scope="session")
def diagnosis(world: Path) -> dict[str, Any]:
    """What is said of the run and of its first checkpoint."""
    return diagnose_runs([str(world / "run" / "checkpoint-4"), str(world / "run")], rows=16)
