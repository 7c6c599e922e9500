"""What `hf-mtl compare` prints, and what it leaves behind."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Said
from tests.experiments.compare.world import write_study

Command = Callable[..., Said]


def test_a_mistake_in_any_arm_is_said_before_anything_is_run(hf_mtl: Command, tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"uw": {"balancing.weighting": "uww"}, "ew": {"balancing.weightin": "ew"}})
    said = hf_mtl("compare", path, "--workers", 2)
    assert said.code == 2
    assert said.err.startswith("hf-mtl compare: 2 mistakes")
    assert "arms.uw.balancing.weighting: unknown weighting 'uww'" in said.err
    assert "arms.ew.balancing.weightin: unknown key" in said.err
    assert not (tmp_path / "out").exists()


def test_commands_are_printed_and_a_study_is_listed(hf_mtl: Command, tmp_path: Path) -> None:
    path = write_study(tmp_path)
    said = hf_mtl("compare", path, "seeds=2", "--workers", 3, "--executor", "print")
    assert said.code == 0
    lines = said.out.splitlines()
    assert len(lines) == 5
    assert all(line.endswith(f"-m hf_mtl compare {path} seeds=2 --no-report") for line in lines[:3])
    assert lines[-1].endswith(f"-m hf_mtl compare {path} seeds=2")
    said = hf_mtl("compare", path, "--list")
    assert said.code == 0
    assert "4 runs in" in said.out
    assert not (tmp_path / "out").exists()


def test_workers_are_some(hf_mtl: Command, tmp_path: Path) -> None:
    said = hf_mtl("compare", tmp_path / "study.yaml", "--workers", 0)
    assert said.code == 2
    assert "--workers: found 0. Allowed: 1 to " in said.err


def test_the_schema_of_studies_is_printed(hf_mtl: Command) -> None:
    said = hf_mtl("schema", "study")
    assert said.code == 0
    assert json.loads(said.out)["title"] == "hf_mtl study"
    page = hf_mtl("schema", "study", "--markdown").out
    assert page.startswith("## Studies\n")
    assert "| `keep` | `models`, `checkpoints` | `models` |" in page
