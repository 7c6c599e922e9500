"""A folder that cannot be made or written is refused before data are read, and what is refused leaves no folder."""

import os
from pathlib import Path

import pytest

from hf_mtl import run_recipe
from hf_mtl.errors import RunError, UserError
from hf_mtl.recipe import load_recipe
from hf_mtl.training.folder.fresh_folder import place_mistakes
from hf_mtl.training.run import prepare
from hf_mtl.training.run.plan import plan_recipe
from tests import tiny
from tests.training import runs
from tests.training.trainers import make


def impossible(folder: Path) -> dict[str, Path]:
    """Places of the kinds that there are, and no folder at any of them."""
    (folder / "file").write_text("mine")
    (folder / "nowhere").symlink_to(folder / "there" / "is" / "none")
    return {
        "file": folder / "file",
        "below a file": folder / "file" / "run",
        "long": folder / ("a" * 300),
        "dangling": folder / "nowhere",
        "of the kernel": Path("/proc/hf_mtl/run"),
    }


KINDS = ["file", "below a file", "long", "dangling", "of the kernel"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_where_no_folder_can_be_is_a_mistake(tmp_path: Path, kind: str) -> None:
    [mistake] = place_mistakes(impossible(tmp_path)[kind])
    assert mistake.key == "training.output_dir"
    assert mistake.remedy == "Choose another folder"


def test_a_trial_leaves_nothing_and_what_was_there_stays(tmp_path: Path) -> None:
    assert place_mistakes(tmp_path / "runs" / "new") == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").mkdir()
    assert place_mistakes(tmp_path / "runs" / "new") == []
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]
    [mistake] = place_mistakes(Path("a\0b"))
    assert mistake.problem.startswith("'a\\x00b' cannot be a folder")


def test_a_folder_that_may_only_be_read_is_one_to_score_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for a user who is not root
    assert place_mistakes(tmp_path, writes=False) == []
    [mistake] = place_mistakes(tmp_path)
    assert mistake.problem == f"{tmp_path} cannot be written: Permission denied"


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_is_refused_before_data_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    recipe = runs.write_recipe(tmp_path / "recipe")
    monkeypatch.setattr(prepare, "load_tasks", lambda *args, **kwargs: pytest.fail("data were read"))
    before = runs.content(tmp_path)
    options = [f"training.output_dir={impossible(tmp_path)[kind]}"]
    with pytest.raises(RunError, match=r"training\.output_dir: .*(cannot be|is a file)"):
        run_recipe(recipe, options)
    with pytest.raises(RunError, match=r"training\.output_dir: .*(cannot be|is a file)"):
        plan_recipe(load_recipe(recipe, options))
    assert runs.content(tmp_path) == {**before, "file": b"mine"}


def test_no_folder_is_the_usual_one(tmp_path: Path) -> None:
    recipe = load_recipe(runs.write_recipe(tmp_path / "recipe"), ["training.output_dir=null"])
    assert prepare.output_dir(recipe) == "runs/hf_mtl"


def test_a_trainer_says_a_wrong_place_with_its_other_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        make(impossible(tmp_path)["below a file"], seed=-1)
    assert [mistake.key for mistake in caught.value.mistakes] == ["training.seed", "training.output_dir"]


def test_a_trainer_that_refuses_late_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="balancing"):
        make(tmp_path / "runs" / "new", balancing={"aggregator": "cagrad"}, model=tiny.model(freeze="encoder"))
    assert list(tmp_path.iterdir()) == []
    make(tmp_path / "runs" / "new")
    assert (tmp_path / "runs" / "new").is_dir()
