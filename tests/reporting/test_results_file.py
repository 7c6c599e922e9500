"""Damaged results are one message with the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import CheckpointError
from hf_mtl.reporting.results_file import read_results
from hf_mtl.reporting.tables import results_notes, results_table

SCORES: dict[str, Any] = {"tasks": {"a": {"accuracy": 0.5, "f1": None}}, "average": 0.5, "macro": None, "worst": 1}
WHOLE: dict[str, Any] = {**SCORES, "notes": ["a: so it is."], "step": 3, "baselines": {"majority": SCORES}}
WHOLE["test"] = dict(WHOLE)

TEXTS: dict[str, bytes] = {
    "empty": b"",
    "half": json.dumps(WHOLE).encode()[:40],
    "html": b"<html></html>",
    "null": b"null",
    "list": b"[]",
    "number": b"3",
    "binary": b"\xff\xfe\x00",
    "nested": b"[" * 100_000,
}
VALUES: dict[str, Any] = {
    "tasks": [None, [], 3, "a", {"a": 3}, {"a": []}, {"a": {"f1": "high"}}, {"a": {"f1": [1]}}, {"a": {"f1": True}}],
    "average": ["0.5", [], {}, True, 10**400],
    "worst": [{"a": 1}],
    "notes": ["text", [3], {"a": "b"}],
    "baselines": [3, {"majority": 3}, {"majority": {}}, {"majority": {"tasks": []}}],
}


def test_whole_results_come_back_and_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(WHOLE))
    found = read_results(path)
    assert found == WHOLE
    assert "undefined" in results_table(found, found["baselines"])
    assert "so it is" in results_notes(found["test"])


@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_that_is_no_object_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(TEXTS[kind])
    with pytest.raises(CheckpointError, match=f"{path}: damaged .*Remove it, and --resume"):
        read_results(path)


@pytest.mark.parametrize("place", ["", "test"])
@pytest.mark.parametrize(("key", "number"), [(key, i) for key, values in VALUES.items() for i in range(len(values))])
def test_values_that_no_run_writes_are_named(tmp_path: Path, place: str, key: str, number: int) -> None:
    results = json.loads(json.dumps(WHOLE))
    (results[place] if place else results)[key] = VALUES[key][number]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    with pytest.raises(CheckpointError, match=rf"{path}: holds no results of a run .({place}\.)?{key}"):
        read_results(path)
