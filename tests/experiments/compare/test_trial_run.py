"""The run of a trial in its folder: what is in it after a kill at any moment, and what is put back."""

from pathlib import Path
from typing import Any

import pytest

import hf_mtl.training
from hf_mtl.experiments.compare.trial_run import TRIAL, is_lost, put_back, train
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.folder.run_folder import RunFolder


class Runs:
    """Stands for `run_recipe`: a run is a file that says whose it is, and may be killed at a moment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.folder = folder
        self.killed = "never"
        self.seen: list[str] = []
        monkeypatch.setattr(hf_mtl.training, "run_recipe", self)

    def __call__(self, recipe: str, resume: bool, overwrite: bool, **wishes: Any) -> None:
        self.seen.append("overwrite" if overwrite else "resume" if resume else "begin")
        if self.killed == "before":
            raise KeyboardInterrupt
        run = RunFolder(self.folder)
        run.open(resume, overwrite)
        if not resume:
            with run.record.replacing("recipe.yaml") as path:
                path.write_text(recipe)
        assert (self.folder / "recipe.yaml").read_text() == recipe
        if self.killed == "in between":
            raise KeyboardInterrupt
        with run.record.replacing("results.json") as path:
            path.write_text(f'{{"of": "{recipe}"}}')
        run.settle()
        if self.killed == "after":
            raise KeyboardInterrupt

    def train(self, name: str, killed: str = "never") -> str:
        """Train a recipe, and tell how it was begun."""
        self.killed = killed
        recipe: Any = name
        if killed == "never":
            train(recipe, self.folder, f"of {name}")
        else:
            with pytest.raises(KeyboardInterrupt):
                train(recipe, self.folder, f"of {name}")
        return self.seen[-1]

    @property
    def holds(self) -> str:
        return (self.folder / "recipe.yaml").read_text()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(tmp_path / "run", monkeypatch)


def test_a_run_that_was_killed_goes_on(here: Runs) -> None:
    assert here.train("a", "before") == "begin"
    assert here.train("a", "in between") == "begin"
    assert here.train("a") == "resume"
    assert here.train("a") == "resume"


@pytest.mark.parametrize("killed", ["before", "in between", "after", "never"])
def test_a_run_of_another_recipe_is_replaced_once_wherever_that_is_killed(killed: str, here: Runs) -> None:
    here.train("a")
    assert here.train("b", killed) == "overwrite"
    assert here.train("b", "in between") == ("overwrite" if killed == "before" else "resume")
    assert here.train("b") == "resume"
    assert here.holds == "b"
    assert not RunFolder(here.folder).replaces_another


@pytest.mark.parametrize("killed", ["before", "in between"])
def test_a_third_recipe_takes_the_place_of_what_is_really_there(killed: str, here: Runs) -> None:
    here.train("a")
    here.train("b", killed)
    assert here.train("c") == "overwrite"
    assert here.train("c") == "resume"
    here.train("b", killed)
    assert here.train("c") == ("resume" if killed == "before" else "overwrite")
    assert here.holds == "c"


@pytest.mark.parametrize("third", ["before", "in between", "after"])
@pytest.mark.parametrize("second", ["before", "in between", "after"])
@pytest.mark.parametrize("first", ["in between", "after"])
def test_what_is_in_a_folder_is_known_after_any_kills(first: str, second: str, third: str, here: Runs) -> None:
    here.train("a", first)
    here.train("b", second)
    here.train("c", third)
    for name in "abc":
        held = {"a": first, "b": second, "c": third}
        last = next(name for name in "cba" if held[name] != "before")
        assert is_lost(here.folder, f"of {name}") == (name != last)
    assert here.train("c") == ("overwrite" if third == "before" else "resume")
    assert here.holds == "c"


def test_a_run_that_ended_before_that_was_noted_is_not_taken_for_the_one_that_it_replaced(here: Runs) -> None:
    here.train("a")
    here.train("b", "after")
    assert is_lost(here.folder, "of a")
    assert not put_back(here.folder, "of a")
    assert here.holds == "b"
    assert here.train("c") == "overwrite"
    assert here.holds == "c"


@pytest.mark.parametrize("killed", ["before", "in between"])
def test_a_finished_run_whose_replacing_was_broken_off_is_put_back(killed: str, here: Runs) -> None:
    here.train("a")
    here.train("b", killed)
    assert is_lost(here.folder, "of a") == (killed == "in between")
    assert put_back(here.folder, "of a")
    assert not is_lost(here.folder, "of a")
    assert (here.holds, RunFolder(here.folder).is_finished) == ("a", True)
    assert here.train("a") == "resume"


def test_a_run_that_was_replaced_for_good_is_lost_and_one_of_unknown_recipe_is_not(here: Runs) -> None:
    here.train("a")
    here.train("b")
    assert is_lost(here.folder, "of a")
    assert not put_back(here.folder, "of a")
    (here.folder / TRIAL).unlink()
    assert put_back(here.folder, "of a")
    write_json_atomic(here.folder / TRIAL, {"identity": "of b"})  # as earlier versions wrote it
    assert here.train("b") == "resume"
