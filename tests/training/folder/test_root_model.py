"""The model at the root of a run's folder is whole, or nothing calls it so."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from hf_mtl.errors import CheckpointError, RunError
from hf_mtl.inference.manifest import verify
from hf_mtl.training.folder.run_folder import RunFolder
from tests.training.folders import add_files, add_model, begin, dying


def test_a_published_model_replaces_files_of_the_same_name_and_its_config_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(tmp_path)
    add_model(folder, model="old", added_tokens="old")
    moved: list[str] = []
    replace = os.replace

    def noting(source: Path, destination: Path) -> None:
        if source.parent == folder.staging:
            moved.append(source.name)
        replace(source, destination)

    monkeypatch.setattr(os, "replace", noting)
    add_model(folder, config="new", model="new", added_tokens="new")
    assert not folder.staging.exists()
    assert moved[-2:] == ["config.json", "manifest.json"]
    assert [(tmp_path / name).read_text() for name in moved[:-1]] == ["new"] * 3


def test_a_file_that_came_in_the_way_of_a_model_is_not_replaced(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    add_files(tmp_path, "spiece.json")
    with pytest.raises(RunError, match=rf"{tmp_path}/spiece.json: the run would write here, and did not write"):
        add_model(folder, model="new", spiece="new")
    assert (tmp_path / "spiece.json").read_text() == "mine"
    assert not (tmp_path / "config.json").exists()
    assert (folder.staging / "model.json").read_text() == "new"


def test_a_publishing_that_breaks_off_leaves_nothing_that_is_called_whole(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for moment in range(100):
        add_model(folder, model="old", vocab="old")
        with suppress(KeyboardInterrupt), dying(moment) as made:
            add_model(folder, model="new", vocab="new")
        with suppress(CheckpointError):
            verify(tmp_path, needs="config.json")
            assert (tmp_path / "model.json").read_text() == (tmp_path / "vocab.json").read_text()
        # Whatever was left is known for the run's.
        RunFolder(tmp_path).open(resume=True, overwrite=False)
        add_model(folder, model="new", vocab="new")
        verify(tmp_path, needs="config.json")
        if len(made) < moment:
            break
    assert 10 < moment < 99


def test_files_of_the_model_before_do_not_stay_beside_the_new_one(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    add_model(folder, model="old", vocab="old")
    add_files(tmp_path, "notes.json")
    add_model(folder, model="new")
    assert {path.name for path in tmp_path.glob("*.json")} == {
        *("config.json", "model.json", "manifest.json", "notes.json", "run.json")
    }
