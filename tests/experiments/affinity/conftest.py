from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_mtl.experiments.affinity import Asked, find_affinity
from hf_mtl.experiments.affinity.measure import Found
from tests.training import runs


@pytest.fixture(scope="session")
def affinity_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Found]]:
    """A recipe whose run would have ten steps, and what was found of it after a joint run of four."""
    folder = tmp_path_factory.mktemp("affinity")
    with runs.own_cache(folder):
        recipe = runs.write_recipe(folder / "recipe", output_dir=str(folder / "run"), logging_steps=1)
        yield recipe, find_affinity(recipe, asked=Asked(steps=4, rows=6, output=folder / "found"))
