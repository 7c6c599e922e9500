"""The folder of a study: whose it is, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from hf_mtl.errors import RunError
from hf_mtl.experiments.answer.current import TRIALS
from hf_mtl.experiments.compare import compare, show
from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.place import take
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.experiments.sweep.place import RECORD
from hf_mtl.training.folder.names import OF_MANY
from tests.experiments.compare.world import write_study
from tests.training.folders import begin

ARMS = {"ew": {"balancing.weighting": "ew"}, "uw": {}}
FASTER = {"ew": {"balancing.weighting": "ew", "training.learning_rate": 0.5}, "uw": {}}

AGAIN = "Recipes or data have changed; to be trained again: 1 finished run, ew seed 0."


def begun(path: Path, *overrides: str, overwrite: bool = False) -> list[str]:
    """Take the folder of a study, and tell what was said."""
    said: list[str] = []
    take(load_study(path, overrides), path, said.append, overwrite)
    return said


def finished(path: Path, *overrides: str) -> Path:
    """A study that is done, as far as its records tell; returns its folder."""
    begun(path, *overrides, overwrite=True)
    study = load_study(path, overrides)
    for trial in trials_of(study):
        Ledger(study.folder).add({"kind": "run", **trial.key, "identity": trial.identity, "steps": 6, "wall": 1.0})
    return study.folder


def edited(path: Path, name: str = "study.yaml", **keys: object) -> Path:
    """The study's file with other keys, under a name."""
    file = path.with_name(name)
    file.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **keys}))
    return file


def test_another_study_is_refused_and_its_folder_left_alone(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    folder = finished(path)
    before = {item.name: item.read_text() for item in folder.iterdir() if item.is_file()}
    other = edited(path, "other.yaml", arms=FASTER)
    with pytest.raises(RunError) as error:
        compare(other)
    assert f"output_dir: {folder} holds another study, of ../study.yaml" in str(error.value)
    assert "Give another output_dir, or move that one away; if it is the same study" in str(error.value)
    assert before == {item.name: item.read_text() for item in folder.iterdir() if item.is_file()}
    (folder / "origin.json").unlink()
    assert begun(other, overwrite=True) == [AGAIN]


def test_the_same_file_goes_on_however_it_was_edited_and_replaces_no_finished_run_unasked(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    folder = finished(path)
    assert begun(edited(path, arms={**ARMS, "more": {"balancing.weighting": "dwa"}}, seeds=2)) == []
    edited(path, arms=FASTER, seeds=2)
    before = {item.name: item.read_text() for item in folder.iterdir() if item.is_file()}
    refused = (
        "output_dir: .* holds runs of other settings or data: 1 finished run, ew seed 0. Give another output_dir"
    )
    for options in ({}, {"executor": "print"}, {"workers": 2}):
        with pytest.raises(RunError, match=refused):
            compare(path, **options)
    assert before == {item.name: item.read_text() for item in folder.iterdir() if item.is_file()}
    listed = "1 finished run of other settings or data is in the place of these: trained again only with --overwrite."
    assert listed in show(path)
    assert begun(path, overwrite=True) == [AGAIN]
    assert begun(path) == []  # once said is enough
    with pytest.raises(RunError, match="holds runs of other settings or data: "):
        begun(path, "set.training.max_steps=9")


def test_runs_of_an_arm_that_was_dropped_are_not_replaced_unasked_when_it_comes_back(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    finished(path)
    assert begun(edited(path, arms={"uw": {}})) == []
    edited(path, arms=FASTER)
    with pytest.raises(RunError, match="holds runs of other settings or data: 1 finished run, ew seed 0"):
        begun(path)
    assert begun(edited(path, arms=ARMS)) == []


def test_arms_that_change_places_have_runs_of_each_other_there_which_are_not_replaced_unasked(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    finished(path)
    edited(path, arms={"ew": ARMS["uw"], "uw": ARMS["ew"]})
    with pytest.raises(RunError, match="holds runs of other settings or data: 2 finished runs, ew seed 0, uw seed 0"):
        begun(path)


def test_what_was_allowed_for_some_settings_is_asked_again_for_others(tmp_path: Path) -> None:
    path, other, third = write_study(tmp_path, arms=ARMS), "set.training.max_steps=9", "set.training.max_steps=12"
    finished(path)
    assert begun(path, other, overwrite=True)
    assert begun(path, other) == []  # as its workers do, and whoever goes on
    with pytest.raises(RunError, match="holds runs of other settings"):
        begun(path, third)
    assert begun(path) == []
    with pytest.raises(RunError, match="holds runs of other settings"):
        begun(path, other)


def test_nobody_is_asked_where_all_is_done_already(tmp_path: Path) -> None:
    path, other = write_study(tmp_path, arms=ARMS), "set.training.max_steps=9"
    finished(path)
    finished(path, other)
    assert begun(path) == begun(path, other) == []
    assert "other settings" not in show(path)


def test_a_file_that_asks_for_all_that_is_there_is_the_same_study(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    folder = finished(path)
    assert begun(edited(path, "more.yaml", seeds=2)) == []
    assert begun(folder / "study.yaml") == []
    assert json.loads((folder / "origin.json").read_text()) == {"study": "../study.yaml"}


def test_results_of_a_study_whose_file_is_not_known_are_kept(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    folder = finished(path)
    for name in (TRIALS, "origin.json"):
        (folder / name).unlink()
    with pytest.raises(RunError, match="holds another study, with runs that this one does not ask for"):
        begun(edited(path, arms=FASTER))


def test_the_folders_of_sweeps_and_runs_are_refused(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    assert set(OF_MANY) == {TRIALS, RECORD}
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / RECORD).write_text("{}")
    begin(tmp_path / "run")
    for output, said in (
        ("sweep", "holds a sweep"),
        ("run", "holds a run"),
        ("run/x", "lies in the folder of a run"),
    ):
        with pytest.raises(RunError, match=f"^output_dir: {tmp_path}/{output} {said}.*Give another output_dir"):
            begun(path, f"output_dir={tmp_path / output}")
    assert not (tmp_path / "run" / "study.yaml").exists()


def test_a_folder_in_that_of_another_study_is_refused(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS)
    folder = finished(path)
    with pytest.raises(RunError, match=f"^output_dir: {folder}/runs/ew lies in the folder of a study, {folder}"):
        begun(path, f"output_dir={folder / 'runs' / 'ew'}")


def test_a_study_that_moved_with_its_file_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    path = edited(write_study(tmp_path / "a", arms=ARMS), output_dir="out")
    monkeypatch.chdir(tmp_path / "a")
    finished(path)
    monkeypatch.chdir(tmp_path)
    shutil.move(tmp_path / "a", tmp_path / "b")
    monkeypatch.chdir(tmp_path / "b")
    assert begun(Path("study.yaml")) == []


def test_a_studys_own_file_is_not_written_over_and_the_one_that_it_wrote_may_be_run(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms=ARMS, output_dir=str(tmp_path))
    text = path.read_text()
    with pytest.raises(RunError, match="output_dir: .* holds the study's own file, over which study.yaml would be"):
        begun(path)
    assert path.read_text() == text
    begun(write_study(tmp_path / "other", arms=ARMS))
    assert begun(tmp_path / "other" / "out" / "study.yaml") == []
