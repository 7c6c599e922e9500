"""Records of csv with their lines; and quotation marks that are never closed, which join all that follows."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_FIELD = 32 << 20  # characters of a field: a stray quotation mark can join the rest of a file to one
_BLOCK = 1 << 20
_END = "end"
_LINE_END = re.compile("\r\n|\r|\n")


class OpenQuoteError(csv.Error):
    """A quotation mark that is never closed.

    Args:
        line: Its line, from 1.
    """

    def __init__(self, line: int):
        super().__init__(f"has a quotation mark on line {line:,}, which is never closed")
        self.line = line


def csv_rows(lines: Iterable[str], sep: str, quoted: bool = True) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the first and the last line of every record, from 1, and its fields; none for a blank line.

    Args:
        lines: The lines, each with its end.
        sep: The character between fields.
        quoted: Whether a field may be enclosed in double quotes.

    Raises:
        OpenQuoteError: If a field is not closed at the end.
        csv.Error: If a field is larger than any that is read.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD))
    end, ended = f"{_END}{sep}{_END}", False

    def with_end() -> Iterator[str]:
        nonlocal ended
        yield from lines
        ended = True
        yield end  # a record of its own, unless a field is still open

    reader = csv.reader(with_end(), delimiter=sep, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    last = 0
    try:
        for fields in reader:
            if ended:
                if fields != [_END, _END]:
                    raise OpenQuoteError(_opened(fields[-1].removesuffix(end), reader.line_num - 1))
                return
            yield last + 1, reader.line_num, fields
            last = reader.line_num
    except csv.Error as error:
        if isinstance(error, OpenQuoteError):
            raise
        raise csv.Error(f"the row that begins on line {last + 1:,}: {error}") from error


def _opened(text: str, last: int) -> int:
    """Return the line on which a text begins that goes on to the last one."""
    whole = _LINE_END.sub("\n", text)
    return last - max(1, whole.count("\n") + (not whole.endswith("\n"))) + 1


def check_quotation_marks(opened: Callable[[], Any], sep: str, encoding: str) -> None:
    """Refuse a file with a quotation mark that is never closed.

    Args:
        opened: Opens the file, as bytes.
        sep: The character between fields.
        encoding: Of the file.

    Raises:
        OpenQuoteError: If there is one.
        csv.Error: If a field is larger than any that is read.
        UnicodeDecodeError: If the file is of another encoding.
    """
    with opened() as file:
        if not any(b'"' in block for block in iter(lambda: file.read(_BLOCK), b"")):
            return
    with opened() as file, io.TextIOWrapper(file, encoding=without_mark(encoding), newline="") as lines:
        for _ in csv_rows(lines, sep):
            pass


def without_mark(encoding: str) -> str:
    """Return the encoding that reads over the mark with which a file in UTF-8 may begin."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
