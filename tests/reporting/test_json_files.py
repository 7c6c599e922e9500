import json
import math

import numpy as np
import pytest

from hf_mtl.errors import CheckpointError
from hf_mtl.reporting import append_jsonl, read_jsonl, truncate_jsonl, write_json_atomic


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


def test_resuming_drops_later_records_and_an_unfinished_line(tmp_path):
    path = tmp_path / "log.jsonl"
    for step in (1, 2, 3):
        append_jsonl(path, {"step": step})
    with open(path, "a") as file:
        file.write('{"step": 4')
    assert [record["step"] for record in read_jsonl(path)] == [1, 2, 3]
    truncate_jsonl(path, keep=lambda record: record["step"] <= 2)
    append_jsonl(path, {"step": 3})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


def test_truncating_a_log_that_is_not_there_does_nothing(tmp_path):
    truncate_jsonl(tmp_path / "log.jsonl", keep=lambda record: True)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\nnonsense\n{"step": 3}\n')
    with pytest.raises(CheckpointError, match=r"log\.jsonl, line 2"):
        read_jsonl(path)
