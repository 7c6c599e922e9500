import errno
import json
import math
import os
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.errors import CheckpointError
from hf_mtl.reporting import append_jsonl, json_files, read_jsonl, rewind_jsonl, write_json_atomic


def test_numbers_that_are_none_become_null_and_numpy_plain(tmp_path):
    path = tmp_path / "new" / "results.json"
    value = {"a": math.nan, "b": [np.float32(0.5), -math.inf], "c": np.array([1.0, np.nan]), "d": (np.int64(3), "é")}
    write_json_atomic(path, value)
    assert json.loads(path.read_text("utf-8")) == {"a": None, "b": [0.5, None], "c": [1.0, None], "d": [3, "é"]}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "results.json"
    write_json_atomic(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json_atomic(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "log.jsonl"
    append_jsonl(path, {"step": 1, "loss/a": 0.5, "text": "a\nb\u2028c"})
    append_jsonl(path, {"step": 2, "loss/a": math.nan})
    assert read_jsonl(path) == [{"step": 1, "loss/a": 0.5, "text": "a\nb\u2028c"}, {"step": 2, "loss/a": None}]


@pytest.fixture
def path(tmp_path):
    """A log of three records."""
    found = tmp_path / "log.jsonl"
    for step in (1, 2, 3):
        append_jsonl(found, {"step": step, "loss": step / 3})
    return found


def steps(path):
    return [record["step"] for record in read_jsonl(path)]


def test_an_unfinished_line_is_left_out_and_no_record_is_glued_to_it(path):
    with open(path, "a") as file:
        file.write('{"step": 4')
    assert steps(path) == [1, 2, 3]
    append_jsonl(path, {"step": 5})
    assert path.read_bytes().count(b"\n") == 4
    assert steps(path) == [1, 2, 3, 5]


def test_a_last_record_without_its_line_end_is_kept(path):
    path.write_bytes(path.read_bytes()[:-1])
    assert steps(path) == [1, 2, 3]
    append_jsonl(path, {"step": 4})
    assert steps(path) == [1, 2, 3, 4]


class Full(FileIO):
    """A file on a disk that takes ten bytes more."""

    left = 10

    def write(self, data):
        if not self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken, self.left = data[: self.left], max(0, self.left - len(data))
        return super().write(taken)


def test_a_full_disk_takes_a_whole_line_or_nothing(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(json_files, "open", lambda name, mode, buffering: Full(name, mode), raising=False)
    with pytest.raises(OSError, match="No space left"):
        append_jsonl(path, {"step": 4, "loss": 0.5})
    assert path.read_bytes() == before


RECORDS = [{"loss": 1 / 3, "step": 1}, {"loss": 2 / 3, "step": 2}]


@pytest.mark.parametrize("end", ["", '{"step": 4', "\0\0\0", "nonsense\n"])
def test_rewinding_drops_what_came_later_and_leaves_the_rest_as_it_is(path, end):
    kept = b"".join(path.read_bytes().splitlines(keepends=True)[:2])
    with open(path, "a") as file:
        file.write(end)
    inode = path.stat().st_ino
    assert rewind_jsonl(path, RECORDS) == 0
    assert path.read_bytes() == kept
    assert path.stat().st_ino == inode, "in place, so that a full disk cannot stop it"


def torn(path):
    path.write_bytes(path.read_bytes()[:40])


def damaged(path):
    path.write_bytes(path.read_bytes().replace(b'"step": 2', b'"step": \xff'))


def another_number(path):
    path.write_bytes(path.read_bytes().replace(b'"step": 2', b'"step": 9'))


def without_a_line(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize("harm", [torn, damaged, another_number, without_a_line, Path.unlink])
def test_rewinding_writes_lost_and_damaged_records_again(path, harm):
    kept = b"".join(path.read_bytes().splitlines(keepends=True)[:2])
    harm(path)
    assert rewind_jsonl(path, RECORDS) == 2
    assert path.read_bytes() == kept


def test_rewinding_to_undefined_numbers_finds_them(tmp_path):
    append_jsonl(tmp_path / "log.jsonl", {"step": 1, "loss": math.nan})
    assert rewind_jsonl(tmp_path / "log.jsonl", [{"loss": math.nan, "step": 1}]) == 0


def test_rewinding_a_log_that_is_not_there_to_its_beginning_does_nothing(tmp_path):
    rewind_jsonl(tmp_path / "log.jsonl", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", [b"nonsense", b"3", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(CheckpointError, match=r"log\.jsonl, line 2: no record"):
        read_jsonl(path)
