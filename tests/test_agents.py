"""The agent's guide: it is shipped, short, and what it says runs."""

import re
import shlex
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from hf_mtl.cli.main import main, parse
from hf_mtl.experiments.compare import load_study
from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import task_types
from tests.hub.stub import serve
from tests.hub.world import Machine
from tests.pages import Page
from tests.training import runs

PAGE = Page(files("hf_mtl").joinpath("AGENTS.md").read_text(encoding="utf-8"))
COMMANDS = [command for command in PAGE.commands() if command.startswith("hf-mtl ")]


def test_it_is_short_and_names_every_type_of_task() -> None:
    assert len(PAGE.text.encode()) <= 6 * 1024
    [recipe] = PAGE.fenced("yaml")
    assert [name for name in task_types() if name not in recipe] == []


def test_its_commands_and_its_recipe_are_understood(tmp_path: Path) -> None:
    assert {parse(shlex.split(command)[1:]).command for command in COMMANDS} >= {"init", "plan", "train", "evaluate"}
    [recipe] = PAGE.fenced("yaml")
    (tmp_path / "recipe.yaml").write_text(recipe)
    assert list(load_recipe(tmp_path / "recipe.yaml").tasks) == ["emotion", "intensity"]


def test_its_study_has_the_arms_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--quickstart"]) == 0
    [text] = PAGE.fenced("yml")
    (tmp_path / "study.yaml").write_text(text)
    study = load_study("study.yaml")
    assert list(study.arms) == ["single_task", "uw", "pcgrad"]
    assert study.reference == "single_task"


@pytest.mark.slow
def test_its_commands_run_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("text\nthe refund, not the parcel\n")
    with runs.own_cache(tmp_path), runs.inside(tmp_path), serve() as stub:
        for command in COMMANDS:
            if " push " in command:
                done = Machine(stub, tmp_path / "home", tmp_path).python(
                    "-m", "hf_mtl", *shlex.split(command.replace("owner/", "user/"))[1:]
                )
                assert done.returncode == 0, done.stderr[-2000:]
            else:
                assert main(shlex.split(command)[1:]) == 0, f"{command}: {capsys.readouterr().err[-2000:]}"
    assert set(stub.repos) == {"models/user/name"}
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 2
    results = yaml.safe_load((tmp_path / "runs/try/results.json").read_text())
    said = re.findall(r"`(\w+)`", PAGE.text.partition("## Reading results")[2].partition("##")[0])
    wanted = [key for key in said if key in ("tasks", "average", "macro", "worst", "notes", "step", "ended_by")]
    assert set(wanted) <= results.keys()
    assert results["trained_steps"] == 40
