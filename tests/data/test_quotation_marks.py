"""Records of csv with their lines, and fields that are never closed."""

import csv
import io

import pytest

from hf_mtl.data import quotation_marks
from hf_mtl.data.quotation_marks import OpenQuoteError, check_quotation_marks, csv_rows


def lines(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", newline="")


def test_records_have_their_lines_and_blank_lines_are_records_without_fields() -> None:
    found = list(csv_rows(lines('a,"b\r\nc"\r\n\r\nend\r\n"d ""e"" 5""",f'), ","))
    assert found == [
        (1, 2, ["a", "b\r\nc"]),
        (3, 3, []),
        (4, 4, ["end"]),
        (5, 5, ['d "e" 5"', "f"]),
    ]
    assert list(csv_rows([], ",")) == []
    assert list(csv_rows(['"a\n', "b"], ",", quoted=False)) == [(1, 1, ['"a']), (2, 2, ["b"])]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('"', 1),
        ('a\n"b', 2),
        ('a\n"b\n', 2),
        ('a\r"b\rc\r', 2),
        ('"a\nb","c\n\nd\n', 2),
        ('a,"b\n\n', 1),
        ('"a""\nb\n', 1),
        ('a\n"b\nend', 2),
    ],
)
def test_a_field_that_is_open_at_the_end_names_its_line(text: str, line: int) -> None:
    with pytest.raises(OpenQuoteError, match=f"on line {line}, which is never closed"):
        list(csv_rows(lines(text), ","))
    with pytest.raises(OpenQuoteError):
        check_quotation_marks(lambda: io.BytesIO(text.encode("utf-16")), ",", "utf-16")


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf_8"])
def test_a_first_field_is_quoted_behind_the_mark_of_its_encoding(encoding: str) -> None:
    with pytest.raises(OpenQuoteError, match="line 1,"):
        check_quotation_marks(lambda: io.BytesIO(b'\xef\xbb\xbf"text\na\n'), ",", encoding)
    check_quotation_marks(lambda: io.BytesIO(b'\xef\xbb\xbf"text\na"\n'), ",", encoding)


def test_a_field_without_end_names_the_row_it_begins_in(monkeypatch: pytest.MonkeyPatch) -> None:
    before = csv.field_size_limit(1000)
    try:
        monkeypatch.setattr(quotation_marks, "_FIELD", 1000)
        with pytest.raises(csv.Error, match="the row that begins on line 2: field larger"):
            list(csv_rows(["a\n", '"b\n', *["c" * 500] * 3], ","))
    finally:
        csv.field_size_limit(before)
