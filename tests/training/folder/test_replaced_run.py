"""`--overwrite` loses nothing, at whatever moment it ends."""

from contextlib import suppress
from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from hf_mtl.training.folder import run_folder
from hf_mtl.training.folder.run_folder import RunFolder
from tests.training import runs
from tests.training.folders import add_checkpoint, begin, dying, finish

MOMENTS = 200
"""More changes of the disk than anything here makes."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A finished run beside files of the user's."""
    finish(tmp_path / "run")
    for name in ("notes.md", "figures/mine.png", "checkpoint-5-best/weights", "data/train.csv"):
        (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text("mine")
    return tmp_path / "run"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(run_folder.logger, "warning", found.append)
    return found


def end_with_an_error(folder: RunFolder) -> None:
    with pytest.raises(ZeroDivisionError), folder.or_as_before():
        raise ZeroDivisionError


def of_the_user(content: dict[str, bytes]) -> set[str]:
    return {name for name, text in content.items() if text == b"mine"}


def whole_in(before: dict[str, bytes], place: Path) -> bool:
    """Whether a run is there with every file that it had."""
    found = runs.content(place)
    return all(found.get(name) == text for name, text in before.items() if text != b"mine")


def test_a_new_run_leaves_the_users_files_and_the_old_one_goes_when_it_has_results(path: Path) -> None:
    users = of_the_user(runs.content(path))
    before = runs.content(path)
    folder = begin(path, overwrite=True)
    kept = folder.replaced.place
    assert kept is not None
    assert whole_in(before, kept)
    assert not folder.is_finished
    add_checkpoint(folder, 10)
    folder.write_results({"tasks": {}})
    assert {child.name for child in path.iterdir()} == {
        *("run.json", "recipe.yaml", "log.jsonl", "results.json", "checkpoint-10"),
        *("notes.md", "figures", "checkpoint-5-best", "data"),
    }
    assert of_the_user(runs.content(path)) == users


def test_an_overwriting_killed_at_any_moment_leaves_the_old_run_whole(path: Path, said: list[str]) -> None:
    before = runs.content(path)
    ended = False
    for moment in range(MOMENTS):
        with suppress(KeyboardInterrupt), dying(moment):
            RunFolder(path).open(resume=False, overwrite=True)
            ended = True
        folder = RunFolder(path)
        folder.recover()
        kept = folder.replaced.place
        assert of_the_user(runs.content(path)) == of_the_user(before)
        if kept is None:
            assert runs.content(path).items() >= before.items(), moment
            assert folder.is_finished
        else:
            assert whole_in(before, kept), moment
            assert folder.record.begun
            assert not folder.is_finished
            assert folder.replaced.give_back()
            assert runs.content(path).items() >= before.items(), moment
        if ended:
            break
    assert ended
    assert moment > 10
    folder = finish(path, "second", overwrite=True)
    assert folder.results()["name"] == "second"
    assert not (path / ".hf_mtl").exists()


def test_a_giving_back_killed_at_any_moment_can_be_gone_on_with(path: Path) -> None:
    before = runs.content(path)
    ended = False
    for moment in range(MOMENTS):
        begin(path, overwrite=True)
        with suppress(KeyboardInterrupt), dying(moment):
            end_with_an_error(RunFolder(path))
        with suppress(KeyboardInterrupt), dying(MOMENTS) as made:
            RunFolder(path).recover()
        folder = RunFolder(path)
        kept = folder.replaced.place
        assert whole_in(before, path if kept is None else kept), moment
        if kept is not None:
            assert folder.record.begun, moment
            end_with_an_error(folder)
            assert runs.content(path) == before
        ended = kept is None and not made
        if ended:
            break
    assert ended
    assert runs.content(path).items() >= before.items()


def test_removing_the_old_run_killed_at_any_moment_costs_the_new_one_nothing(path: Path) -> None:
    for moment in range(MOMENTS):
        folder = begin(path, overwrite=True)
        folder.record.settle({})
        with folder.record.replacing("results.json") as results:
            results.write_text('{"tasks": {}}')
        before = {name: text for name, text in runs.content(path).items() if not name.startswith(".hf_mtl")}
        with suppress(KeyboardInterrupt), dying(moment) as made:
            folder.settle()
        RunFolder(path).recover()
        left = runs.content(path)
        assert {name: text for name, text in left.items() if not name.startswith(".hf_mtl")} == before
        RunFolder(path).settle()
        assert runs.content(path) == before
        assert not (path / ".hf_mtl").exists()
        if len(made) < moment:
            break
    else:
        pytest.fail("never came to its end")


def test_a_run_that_fails_before_its_first_checkpoint_gives_the_old_one_back(path: Path, said: list[str]) -> None:
    before = runs.content(path)
    folder = begin(path, overwrite=True)
    (folder.staging / "checkpoint-2").mkdir(parents=True)
    end_with_an_error(folder)
    assert runs.content(path) == before
    assert said == [f"The run that was to be replaced is back in {path}."]


def test_a_run_that_fails_later_says_where_the_old_one_is(path: Path, said: list[str]) -> None:
    before = runs.content(path)
    folder = begin(path, overwrite=True)
    add_checkpoint(folder, 2)
    end_with_an_error(folder)
    kept = path / ".hf_mtl" / "replaced" / "1"
    assert whole_in(before, kept)
    assert len(said) == 1
    assert said[0].startswith(f"The run that was replaced is kept in {kept} until this one has")
    with pytest.raises(RunError, match=rf"an unfinished run \(the one that it replaces is kept in {kept} until"):
        folder.check(resume=False, overwrite=False)
    # Resumed to its end, the new one takes its place.
    folder.open(resume=True, overwrite=False)
    folder.write_results({"tasks": {}})
    assert not (path / ".hf_mtl").exists()


def test_a_run_that_was_stopped_without_an_error_says_where_the_old_one_is(path: Path, said: list[str]) -> None:
    folder = begin(path, overwrite=True)
    with folder.or_as_before():
        add_checkpoint(folder, 2)
    assert len(said) == 1
    assert "is kept in" in said[0]


def test_overwriting_twice_keeps_both_until_one_has_results(path: Path) -> None:
    before = runs.content(path)
    add_checkpoint(begin(path, overwrite=True), 3)
    second = runs.content(path / "checkpoint-3")
    folder = begin(path, overwrite=True)
    kept = path / ".hf_mtl" / "replaced"
    assert whole_in(before, kept / "1")
    assert runs.content(kept / "2" / "checkpoint-3") == second
    folder.write_results({"tasks": {}})
    assert not (path / ".hf_mtl").exists()


def test_a_file_that_was_put_in_the_old_runs_place_is_not_replaced_by_it(path: Path, said: list[str]) -> None:
    before = runs.content(path)
    folder = begin(path, overwrite=True)
    (path / "config.json").write_text("mine")
    end_with_an_error(folder)
    assert (path / "config.json").read_text() == "mine"
    kept = folder.replaced.place
    assert kept is not None
    assert whole_in(before, kept)
    assert "is kept in" in said[-1]
