"""The command `hf-mtl sweep`, and the file that the guide shows."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.experiments.sweep import answer, run
from hf_mtl.experiments.sweep.file import read_sweep
from tests.cli.conftest import Said
from tests.experiments.sweep import worlds
from tests.pages import PAGES, ROOT
from tests.training import runs

Command = Callable[..., Said]


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Trials that are numbers of a formula, of which nothing can be tested."""
    monkeypatch.setattr(run, "run_sweep", partial(run.run_sweep, run=worlds.recording([])))
    scores = {"tasks": {"topic": {"f1_macro": 0.5}}, "average": 0.5, "macro": 0.5, "worst": 0.5}
    monkeypatch.setattr(answer, "evaluate_run", lambda *args, **kwargs: scores)
    with runs.own_cache(tmp_path):
        yield


def test_a_sweep_says_its_trials_and_its_answer(hf_mtl: Command, tmp_path: Path, formula: None) -> None:
    path = worlds.write(tmp_path, trials=3)
    listed = hf_mtl("sweep", path, "--list")
    assert (listed.code, (tmp_path / "out").exists()) == (0, False)
    assert listed.out.splitlines()[-1].split() == ["base", "3", "0", "0", "0", "0", "3"]
    said = hf_mtl("sweep", path, "--workers", "1")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("base trial 0 (default): complete average 0.5000  [training.learning_rate 0.001, ")
    assert lines[2].startswith("base trial 2 (random): complete average ")
    assert "average, by validation; the test was scored for the default and the chosen trial alone" in lines
    assert lines[-1] == f"All of it is in {tmp_path / 'out'}."
    for target in (path, tmp_path / "out"):
        assert hf_mtl("report", target).out.splitlines() == lines[4:]
    assert "is a sweep, which has no README.md" in hf_mtl("report", path, "--readme").err
    assert not (tmp_path / "out" / "report.html").exists()
    again = hf_mtl("sweep", "--list", path)
    assert again.out.splitlines()[-1].split()[:7] == ["base", "3", "3", "0", "0", "0", "0"]


def test_a_sweep_whose_trials_all_failed_ends_with_1(
    hf_mtl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = worlds.recording([], fails=lambda job: True)
    monkeypatch.setattr(run, "run_sweep", partial(run.run_sweep, run=failing))
    with runs.own_cache(tmp_path):
        said = hf_mtl("sweep", worlds.write(tmp_path, trials=2))
    assert said.code == 1
    assert f"{tmp_path / 'out'}: no trial of base has a score" in said.err
    assert "All of it is in" in said.out


def test_a_mistake_ends_it_with_2_and_nothing_is_written(hf_mtl: Command, tmp_path: Path) -> None:
    path = worlds.write(tmp_path, search={"training.learning_rte": {"low": 1e-5, "high": 1e-3}})
    said = hf_mtl("sweep", path)
    assert said.code == 2
    assert said.err.startswith("hf-mtl sweep: 1 mistake\n")
    assert "Did you mean 'learning_rate'?" in said.err
    assert not (tmp_path / "out").exists()
    assert "--workers: found 0. Allowed: 1 to " in hf_mtl("sweep", path, "--workers", "0").err


def test_the_sweep_of_the_guide_is_valid(tmp_path: Path) -> None:
    (block,) = (block for block in PAGES["recipes/guide.md"].fenced("yml") if "\ntrials:" in block)
    (tmp_path / "sweep.yaml").write_text(block.replace("quickstart.yaml ", f"{ROOT}/recipes/quickstart.yaml "))
    sweep = read_sweep(tmp_path / "sweep.yaml")
    assert [len(arm.space) for arm in sweep.arms] == [4, 5, 6]
    assert (sweep.trials, sweep.startup) == (20, 8)
