"""One Hub for the tests that only read, and one of its own for each that writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import world
from tests.hub.repositories import Hub
from tests.hub.stub import serve


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The tiny world, to be read."""
    with serve() as served:
        world.fill(served, tmp_path_factory.mktemp("hub"))
        yield served


@pytest.fixture
def machine(hub: Hub, tmp_path: Path) -> world.Machine:
    """A machine with empty caches."""
    return world.Machine(hub, tmp_path / "home", tmp_path / "cwd")
