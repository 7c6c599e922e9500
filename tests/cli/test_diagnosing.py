"""The command `diagnose`: what it prints, writes and refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said
from tests.training import runs

Command = Callable[..., Said]


def test_it_says_what_it_found_and_writes_it(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    place = tmp_path / "found"
    said = hf_mtl("diagnose", "--rows", 20, world / "run", "training.seed=3", "-o", place)
    assert said.code == 0, said.err
    assert "validation rows: 20 of topic, 20 of mood, 20 of score" in said.out
    assert f"Written to {place}: diagnosis.json, figures/cka.png" in said.out
    assert "Fitting probes and clusters to every layer ..." in said.err
    assert json.loads((place / "diagnosis.json").read_text())["runs"][0]["name"] == "run"


def test_keys_are_not_required(hf_mtl: Command) -> None:
    usage = hf_mtl("diagnose", "--help").out.splitlines()[0]
    assert usage == "usage: hf-mtl diagnose [options] RUN [RUN ...] [key=value ...]"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["tasks.mood.max_rows=5"], "RUN: found keys alone"),
        (["run", "-o", "run"], "--output: run is there already, and not empty"),
        (["run", "--rows", "0"], "--rows: found 0"),
        (["run", "tasks.mood.head=vip"], "tasks.mood.head"),
        (["none"], "none: no such file or folder"),
        (["run", "--splitt", "test"], "Did you mean --split?"),
    ],
)
def test_a_mistake_ends_with_2_and_nothing_is_written(
    words: list[str], problem: str, hf_mtl: Command, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").symlink_to(world / "run")
    with runs.inside(tmp_path):
        said = hf_mtl("diagnose", *words)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
