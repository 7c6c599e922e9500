"""A run's folder: what is written there, what is refused, and what is never touched."""

import shutil
from pathlib import Path

import pytest

from hf_mtl.errors import CheckpointError, RunError, UserError
from hf_mtl.training.folder.run_folder import RunFolder
from tests.training import runs
from tests.training.folders import add_checkpoint, add_files, begin, finish

USERS = (
    *("notes.md", "checkpoint-old/a", "checkpoint-2-best/weights", "data/train.csv", "recipe.yaml.bak"),
    *("staging/a", "outbox/letter", "recipe.partial", "best.safetensors", "a.json"),
    *("figures/mine.png", "tokenizer/notes"),
)


def test_a_run_makes_its_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "new")
    assert not folder.exists
    folder.open(resume=False, overwrite=False)
    assert [path.name for path in folder.path.iterdir()] == ["run.json"]
    assert folder.exists
    assert not folder.is_finished


@pytest.mark.parametrize("wish", [{}, {"resume": True}, {"overwrite": True}])
def test_files_that_are_in_nobodys_way_stay(tmp_path: Path, wish: dict[str, bool]) -> None:
    add_files(tmp_path, *USERS)
    before = runs.content(tmp_path)
    folder = RunFolder(tmp_path)
    assert not folder.exists
    folder.open(**{"resume": False, "overwrite": False, **wish})
    finish(tmp_path, overwrite=True)
    assert runs.content(tmp_path).items() >= before.items()


@pytest.mark.parametrize("wish", [{}, {"resume": True}, {"overwrite": True}])
def test_a_file_in_the_place_of_the_record_is_said_to_be_none(tmp_path: Path, wish: dict[str, bool]) -> None:
    add_files(tmp_path, "run.json", "notes.md")
    before = runs.content(tmp_path)
    with pytest.raises(CheckpointError, match=f"^{tmp_path}/run.json: damaged .*not JSON.* move it away"):
        RunFolder(tmp_path).check(**{"resume": False, "overwrite": False, **wish})
    assert runs.content(tmp_path) == before


def test_a_finished_run_that_was_edited_can_still_be_asked_for(tmp_path: Path) -> None:
    folder = finish(tmp_path)
    folder.recipe.write_text("mine")
    folder.check(resume=True, overwrite=False)


def test_a_copied_run_is_still_known_for_a_run(tmp_path: Path) -> None:
    finish(tmp_path / "here")
    there = Path(shutil.copytree(tmp_path / "here", tmp_path / "there"))
    RunFolder(there).open(resume=False, overwrite=True)
    assert {path.name for path in there.iterdir()} == {"run.json", ".hf_mtl"}


def test_a_run_without_its_record_can_be_resumed_but_not_overwritten(tmp_path: Path) -> None:
    folder = finish(tmp_path)
    for name in ("run.json", "results.json"):
        (tmp_path / name).unlink()
    add_files(tmp_path, "notes.md", "checkpoint-6/pytorch_model.bin")
    assert folder.exists
    with pytest.raises(RunError, match=r"holds checkpoint-5, .*; --resume goes on with the run that is here"):
        folder.check(resume=False, overwrite=True)
    folder.open(resume=True, overwrite=False)
    assert list(folder.record.checkpoints) == ["checkpoint-5"]
    assert set(folder.record.files) == {
        *("log.jsonl", "config.json", "manifest.json", "vocab.json", "figures/training.png")
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"program": "hf_mtl", "format": 1}', '{"program": "hf_mtl"}', "{}"])
def test_a_record_that_is_none_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json"):
        RunFolder(tmp_path).check(resume=False, overwrite=True)
    assert (tmp_path / "run.json").read_text() == text


@pytest.mark.parametrize(("finished", "state"), [(True, "a finished run"), (False, "an unfinished run")])
def test_an_existing_run_is_refused_and_left_alone(tmp_path: Path, finished: bool, state: str) -> None:
    folder = finish(tmp_path) if finished else begin(tmp_path)
    before = runs.content(tmp_path)
    with pytest.raises(RunError, match=f"{tmp_path} holds {state}. .*--resume.*--overwrite.*training.output_dir"):
        folder.open(resume=False, overwrite=False)
    assert runs.content(tmp_path) == before


def test_both_wishes_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume continues a run and --overwrite starts it anew; give one"):
        finish(tmp_path).open(resume=True, overwrite=True)
    assert (tmp_path / "results.json").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    add_files(tmp_path, "new/figures")
    with pytest.raises(RunError, match=r"new/figures is a file, not a folder"):
        RunFolder(tmp_path / "new").open(resume=False, overwrite=False)
    for path in (tmp_path / "runs", tmp_path / "runs" / "first"):
        with pytest.raises(RunError, match=r"training\.output_dir: .*runs is a file, not a folder"):
            RunFolder(path).open(resume=False, overwrite=True)
    assert (tmp_path / "runs").read_text() == "a file"


def test_checking_a_folder_writes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "new").check(resume=False, overwrite=False)
    assert list(tmp_path.iterdir()) == []
    finish(tmp_path).check(resume=False, overwrite=True)
    assert RunFolder(tmp_path).is_finished


def test_resuming_keeps_everything_but_half_written_files(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    add_checkpoint(folder, 5)
    before = runs.content(tmp_path)
    add_files(folder.staging, "checkpoint-10/model.safetensors")
    folder.open(resume=True, overwrite=False)
    assert runs.content(tmp_path) == before
    assert not (tmp_path / ".hf_mtl").exists()


def test_the_recipe_is_kept_word_for_word(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_recipe("labels: [Ärger, 喜び]\n")
    assert folder.recipe.read_text("utf-8") == "labels: [Ärger, 喜び]\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "run.json"]


def test_a_recipe_that_the_user_edited_stays(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    folder.recipe.write_text("# mine")
    folder.write_recipe("model: {}")
    assert folder.recipe.read_text() == "# mine"


def test_results_come_back_and_end_the_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.is_finished
    folder.write_results({"tasks": {"a": {"accuracy": 0.5}}, "average": float("nan")})
    assert folder.is_finished
    assert folder.results() == {"tasks": {"a": {"accuracy": 0.5}}, "average": None}


@pytest.mark.parametrize(
    ("text", "found"),
    [("{", "damaged .*Remove it, and --resume"), ("null", "damaged .holds null"), ("{}", "holds no")],
)
def test_damaged_results_are_named(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(CheckpointError, match=f"{tmp_path / 'results.json'}: {found}"):
        RunFolder(tmp_path).results()
