"""A run knows what it wrote."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import CheckpointError, RunError
from hf_mtl.training.run_record import RunRecord
from tests.training.folders import dying


def write(record: RunRecord, name: str, text: str) -> None:
    with record.replacing(name) as temporary:
        temporary.write_text(text)


def test_a_file_is_own_while_it_is_as_it_was_written(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    write(record, "figures/a", "first")
    assert record.is_own("figures/a")
    (tmp_path / "figures" / "a").write_text("other")
    assert not record.is_own("figures/a")
    (tmp_path / "figures" / "a").write_text("first")
    assert RunRecord(tmp_path).is_own("figures/a")
    (tmp_path / "figures" / "a").unlink()
    assert not record.is_own("figures/a")
    assert not record.is_own("figures/b")


def test_a_file_that_grows_stays_own(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.begin(growing=["log"])
    for text in ("a", "ab"):
        (tmp_path / "log").write_text(text)
        assert record.is_own("log")


def test_a_file_of_others_is_not_written_over(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    (tmp_path / "a").write_text("mine")
    with pytest.raises(RunError, match=f"{tmp_path}/a: the run would write here, and did not write what is there"):
        write(record, "a", "text")
    assert (tmp_path / "a").read_text() == "mine"


def test_a_writing_killed_at_any_moment_leaves_an_own_file(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    write(record, "a", "0")
    for moment in range(50):
        with suppress(KeyboardInterrupt), dying(moment) as made:
            write(record, "a", str(moment + 1))
        assert record.is_own("a"), moment
        if len(made) < moment:
            break
    assert (tmp_path / "a").read_text() == str(moment + 1)
    assert 3 < moment < 49


def test_a_forgotten_file_is_no_longer_own(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    write(record, "a", "text")
    record.note_checkpoint("checkpoint-5", ["b"])
    record.forget(["a", "checkpoint-5", "never seen"])
    assert (record.files, record.checkpoints) == ([], {})


RECORD = {"program": "hf_mtl", "format": 1, "files": {}, "checkpoints": {}}


@pytest.mark.parametrize("content", [{}, [], None, "text", {**RECORD, "program": "other"}, {"files": {}}])
def test_another_programs_file_is_no_record_and_is_not_replaced(tmp_path: Path, content: Any) -> None:
    (tmp_path / "run.json").write_text(json.dumps(content))
    record = RunRecord(tmp_path)
    assert record.is_strange
    assert not record.begun
    with pytest.raises(RunError, match=r"run\.json: is no record of a run, and the run would write its own"):
        record.begin()
    assert json.loads((tmp_path / "run.json").read_text()) == content


OUTSIDE = ("../a", "/etc/passwd", "a/../../b", "")
DAMAGED: list[dict[str, Any]] = [{"files": 3}, {"files": {"a": [1]}}, {"files": {"a": [["x", "y"]]}}, {"files": None}]
DAMAGED += [{"files": {name: []}} for name in OUTSIDE] + [{"checkpoints": {name: []}} for name in OUTSIDE]
DAMAGED += [{"checkpoints": {"checkpoint-5": None}}, {"checkpoints": []}]


@pytest.mark.parametrize("change", DAMAGED)
def test_a_damaged_record_or_one_that_reaches_outside_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**RECORD, **change}))
    with pytest.raises(CheckpointError, match=rf"{tmp_path}/run\.json: damaged"):
        _ = RunRecord(tmp_path).begun


def test_a_record_of_another_format_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**RECORD, "format": 2}))
    with pytest.raises(CheckpointError, match=r"run\.json: is of format 2; this version of hf_mtl knows 1"):
        _ = RunRecord(tmp_path).begun
