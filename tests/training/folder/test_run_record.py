"""A run knows what it wrote."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import CheckpointError, RunError
from hf_mtl.training.folder.run_record import RunRecord
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


def test_the_log_stays_own_while_it_grows(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.begin()
    for text in ("a", "ab"):
        (tmp_path / "log.jsonl").write_text(text)
        assert record.is_own("log.jsonl")


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


@pytest.mark.parametrize("content", [{}, {**RECORD, "program": "other"}, {"files": {}}])
def test_another_programs_file_is_no_record_and_is_not_replaced(tmp_path: Path, content: Any) -> None:
    (tmp_path / "run.json").write_text(json.dumps(content))
    record = RunRecord(tmp_path)
    assert record.is_strange
    assert not record.begun
    with pytest.raises(CheckpointError, match=r"run\.json: is no record of a run of hf_mtl\. .* move it away"):
        record.begin()
    assert json.loads((tmp_path / "run.json").read_text()) == content


UNREADABLE = {
    "half": lambda path: path.write_text(json.dumps(RECORD)[:20]),
    "zeros": lambda path: path.write_bytes(bytes(100)),
    "list": lambda path: path.write_text("[]"),
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "broken link": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_as_a_record_is_named_and_stays(tmp_path: Path, kind: str) -> None:
    UNREADABLE[kind](tmp_path / "run.json")
    record = RunRecord(tmp_path)
    assert not record.begun
    for refuse in (record.refuse_strange, record.begin):
        with pytest.raises(CheckpointError, match=r"run\.json: damaged .* move it away"):
            refuse()
    assert record.is_strange


OUTSIDE = ("../a", "/etc/passwd", "a/../../b", "")
OF_OURS = ("run.json", ".hf_mtl", ".hf_mtl/replaced/1/a")
SEAL = [3, "0" * 64]
DAMAGED: list[dict[str, Any]] = [{"files": 3}, {"files": None}, {"checkpoints": []}]
DAMAGED += [{"files": {"a": seals}} for seals in (None, [1], ["ab"], [[3]], [["x", "y"]], {"12": 1})]
DAMAGED += [{"files": {"a": [[size, "0" * 64]]}} for size in (-1, 1.5, True, None, float("inf"), float("nan"))]
DAMAGED += [{"files": {name: [SEAL]}} for name in (*OUTSIDE, *OF_OURS)]
DAMAGED += [{"checkpoints": {name: []}} for name in (*OUTSIDE, "notes", "checkpoint-2-best")]
DAMAGED += [{"checkpoints": {"checkpoint-5": names}} for names in (None, "ab", [1])]


@pytest.mark.parametrize("change", DAMAGED)
def test_a_damaged_record_or_one_that_reaches_outside_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**RECORD, **change}))
    with pytest.raises(CheckpointError, match=rf"{tmp_path}/run\.json: damaged"):
        _ = RunRecord(tmp_path).begun


def test_a_file_of_the_user_that_a_record_names_without_its_content_is_not_the_runs(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**RECORD, "files": {"notes.txt": []}}))
    with pytest.raises(CheckpointError, match=r"damaged \(it names 'notes.txt' without size and SHA-256"):
        _ = RunRecord(tmp_path).files


def test_a_record_of_another_format_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**RECORD, "format": 2}))
    with pytest.raises(CheckpointError, match=r"run\.json: is of format 2; this version of hf_mtl knows 1"):
        _ = RunRecord(tmp_path).begun
