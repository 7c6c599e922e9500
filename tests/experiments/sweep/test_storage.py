"""What a database may hold before a sweep's folder is made."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from hf_mtl.experiments.sweep.place import RECORD, take
from hf_mtl.experiments.sweep.storage import STUDIES, name_of, refuse_storage
from hf_mtl.experiments.sweep.studies import Studies
from tests.experiments.sweep import worlds


def test_a_database_with_no_study_or_an_empty_one_of_the_sweep_is_taken(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, storage=f"sqlite:///{tmp_path}/study.db")
    refuse_storage(sweep, "me")
    Studies(sweep, "me")
    refuse_storage(sweep, "me")
    with pytest.raises(RunError, match="storage: holds a study '.*/out/base' of another sweep"):
        refuse_storage(sweep, "you")


def test_one_that_comes_to_be_in_the_folder_is_not_made_before_that(tmp_path: Path) -> None:
    for storage in ("journal", f"sqlite:///{tmp_path}/out/study.db"):
        refuse_storage(worlds.read(tmp_path, storage=storage), "me")
        assert not (tmp_path / "out").exists()
    with pytest.raises(RunError, match="storage: cannot be opened"):
        refuse_storage(worlds.read(tmp_path, storage=f"sqlite:///{tmp_path}/out/below/study.db"), "me")


def test_studies_of_a_shared_database_are_told_apart_by_the_folder(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, storage=f"sqlite:///{tmp_path}/study.db")
    assert name_of(sweep, sweep.arms[0]) == f"{tmp_path.as_posix()}/out/base"
    near = dataclasses.replace(sweep, output_dir=tmp_path / "out" / ".." / "out")
    assert name_of(near, near.arms[0]) == name_of(sweep, sweep.arms[0])
    journal = worlds.read(tmp_path)
    assert name_of(journal, journal.arms[0]) == "base"


def test_a_study_keeps_its_name_wherever_the_folder_is(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, storage=f"sqlite:///{tmp_path}/study.db")
    take(sweep)
    shutil.move(tmp_path / "out", tmp_path / "moved")
    moved = dataclasses.replace(sweep, output_dir=tmp_path / "moved")
    take(moved)
    assert name_of(moved, moved.arms[0]) == f"{tmp_path.as_posix()}/out/base"


def test_one_whose_record_does_not_say_it_has_the_name_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = worlds.read(tmp_path, storage=f"sqlite:///{tmp_path}/study.db", output_dir="out")
    take(sweep)
    assert name_of(sweep, sweep.arms[0]) == f"{tmp_path.as_posix()}/out/base"
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    del record[STUDIES]
    (tmp_path / "out" / RECORD).write_text(json.dumps(record))
    take(sweep)
    assert name_of(sweep, sweep.arms[0]) == "out/base"
