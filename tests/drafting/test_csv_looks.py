"""Separators and encodings that are not the usual ones."""

from pathlib import Path

import pytest

from hf_mtl.drafting.csv_looks import csv_looks


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"text,label\n", {}),
        ("a.csv", "täxt;label\n".encode(), {"sep": ";"}),
        ("a.csv", b"text\tlabel\n", {"sep": "tab"}),
        ("a.tsv", b"text|label\n", {"sep": "|"}),
        ("a.csv", "text,label\ncafé,1\n".encode("cp1252"), {"encoding": "cp1252"}),
        ("a.csv", "text,label\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("a.csv", b"one\n", {}),
        ("a.csv.gz", b"\x1f\x8b", {}),
    ],
)
def test_options_are_those_of_the_file(name: str, content: bytes, expected: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    options, why = csv_looks([path])
    assert options == expected
    assert len(why) == len(expected)


def test_a_letter_that_the_look_cuts_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_mtl.drafting.csv_looks._LOOKED_AT", 6)
    (tmp_path / "a.csv").write_bytes("text,ä\n".encode())
    assert csv_looks([tmp_path / "a.csv"]) == ({}, [])
