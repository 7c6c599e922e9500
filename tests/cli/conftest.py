from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hf_mtl.cli.main import main
from tests.training import runs


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe and its finished run, of two steps."""
    folder = tmp_path_factory.mktemp("world")
    with runs.own_cache(folder):
        recipe = runs.write_recipe(folder, max_steps=2, eval_steps=2, save_steps=2, output_dir="run")
        with runs.inside(folder):
            runs.run_recipe(recipe)
        yield folder


@pytest.fixture
def hf_mtl(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in this process."""

    def command(*words: object) -> Said:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return command
