"""Rows of a file of any size, some after others: csv, JSON lines, parquet, or what comes through a pipe."""

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hf_mtl.data.csv_reader import COMPRESSIONS, CsvConfig, distinct_names, plain_suffix, separator
from hf_mtl.data.quotation_marks import OpenQuoteError, check_quotation_marks, csv_rows, without_mark
from hf_mtl.errors import DataError, Mistake, one_line
from hf_mtl.inference.readable_rows import Reasons

_Row: TypeAlias = tuple[int, int, list[str]]  # as `csv_rows` gives it
Kind: TypeAlias = Literal["csv", "jsonl", "parquet"]

ROWS = 2048
"""Rows that are read together: their lengths share batches, and they are written as one. What is lost when a large
model is killed on a CPU is some minutes' work."""

_CHARACTERS = 1 << 24  # of a chunk, at most, where a row has many
_PIECE = 512  # rows of parquet that are decoded at once
KINDS: dict[str, Kind] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_OPENED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PIPE = "-"
_ARRAY = re.compile(rb"\[\s*(\{|$)")  # where a header of csv would go on, an array begins an object or a line


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of a file.

    Args:
        first: Number of the first one in the file, from 0.
        reasons: Why rows could not be read at all, None for others, [n].
        table: Their columns, where the file has the same ones for all rows; else None.
        records: Their values, where each row has columns of its own; else None.
    """

    first: int
    reasons: Reasons
    table: pa.Table | None = None
    records: list[dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self.reasons)

    @property
    def columns(self) -> list[str]:
        """The columns of the rows, in the order in which they come."""
        if self.table is not None:
            return list(self.table.column_names)
        return list(dict.fromkeys(chain.from_iterable(self.records or ())))


@dataclass(eq=False)
class RowSource:
    """A file of rows.

    Args:
        name: Its path, or ``-`` for standard input.
        options: How csv is written.

    Attributes:
        kind: Its format.
        total: Its rows, if it says how many; else None.

    Raises:
        DataError: If there is no such file, or it is of another kind.
    """

    name: str
    options: CsvConfig = field(default_factory=CsvConfig)

    def __post_init__(self) -> None:
        self.total: int | None = None
        self._raw: IO[bytes] | None = None
        self._size = 0
        if self.name == PIPE:
            self.kind = _kind_of_pipe()
            return
        path = Path(self.name)
        if not path.is_file():
            found = "is a folder" if path.is_dir() else "is no file"
            raise DataError(Mistake("", f"{self.name} {found}", "Give a file of rows, or - for standard input"))
        self._size = path.stat().st_size
        self.kind = _kind_of(path)
        if self.kind == "parquet":
            with _explained(self.name):
                self.total = pq.ParquetFile(path).metadata.num_rows

    @property
    def sep(self) -> str:
        """The character between the fields of csv."""
        return separator(self.name, self.options.sep)

    @property
    def share(self) -> float | None:
        """What share of the bytes has been read, from 0 to 1; None: nobody knows."""
        if self._raw is None or not self._size:
            return None
        return min(1.0, self._raw.tell() / self._size)

    def check(self) -> None:
        """Refuse a file whose quotation marks join all of its end, before anything is made of its beginning.

        Raises:
            DataError: If it is csv that is written so.
        """
        if self.kind != "csv" or self.name == PIPE or self.options.quoting != "minimal":
            return
        opened = _OPENED.get(Path(self.name).suffix.lower(), open)
        with _explained(self.name):
            check_quotation_marks(lambda: opened(self.name, "rb"), self.sep, self.options.encoding)

    def chunks(self) -> Iterator[Chunk]:
        """Read the rows, in their order; one chunk at least. Where each ends depends on nothing but the rows.

        Raises:
            DataError: If the file cannot be read on.
        """
        with _explained(self.name):
            made = {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet}[self.kind]()
            try:
                yield from made
            finally:
                if self._raw is not None:
                    self._raw.close()

    def _open(self) -> Any:
        if self.name == PIPE:
            return sys.stdin.buffer
        self._raw = open(self.name, "rb")  # noqa: SIM115 (closed by whoever reads)
        opened = _OPENED.get(Path(self.name).suffix.lower())
        return self._raw if opened is None else opened(self._raw)

    def _csv(self) -> Iterator[Chunk]:
        encoding, quoted = without_mark(self.options.encoding), self.options.quoting == "minimal"
        with self._open() as file, io.TextIOWrapper(file, encoding=encoding, newline="") as text:
            # A blank line is no row.
            rows: Iterator[_Row] = (row for row in csv_rows(text, self.sep, quoted) if row[-1])
            first = next(rows, None)
            if first is None:
                raise DataError(Mistake("", f"{said(self.name)} is empty", "The first line of csv names its columns"))
            given, fields = self.options.header, first[-1]
            names = distinct_names(fields) if given is True else given or [str(place) for place in range(len(fields))]
            _check_names(self.name, names, fields, self.sep)
            if given is not True:
                rows = chain([first], rows)
            for start, some in _parts(rows, lambda row: sum(map(len, row[-1]))):
                yield _of_fields(start, some, names)

    def _jsonl(self) -> Iterator[Chunk]:
        with self._open() as file:
            numbered = _numbered(self.name, file)
            for start, lines in _parts(numbered, lambda numbered: len(numbered[1])):
                found = [_object(number, line) for number, line in lines]
                reasons: Reasons = np.array([*(reason for _, reason in found), None], dtype=object)[:-1]
                yield Chunk(start, reasons, records=[record for record, _ in found])

    def _parquet(self) -> Iterator[Chunk]:
        # Buffered, and not ahead: a group of rows may be the whole file.
        file = pq.ParquetFile(self.name, pre_buffer=False, buffer_size=1 << 16)
        batches = file.iter_batches(batch_size=_PIECE, use_threads=False)
        for start, some in _parts(batches, lambda batch: batch.nbytes, lambda batch: batch.num_rows):
            table = pa.Table.from_batches(some, file.schema_arrow)
            yield Chunk(start, np.full(len(table), None, dtype=object), table)


def _parts(
    rows: Iterator[Any], size: Callable[[Any], int], count: Callable[[Any], int] = lambda _: 1
) -> Iterator[tuple[int, list[Any]]]:
    """Put rows together until there are `ROWS`, or many characters; with the number of the first of them."""
    start = total = held = 0
    some: list[Any] = []
    for row in rows:
        some.append(row)
        held += count(row)
        total += size(row)
        if held >= ROWS or total >= _CHARACTERS:
            yield start, some
            start, some, held, total = start + held, [], 0, 0
    if some or not start:
        yield start, some  # also of a file without rows, whose columns are known


def _of_fields(first: int, rows: list[_Row], names: list[str]) -> Chunk:
    """Make columns of text of the fields of rows; an empty one is null, and a row of another number is marked."""
    reasons: Reasons = np.full(len(rows), None, dtype=object)
    fields = []
    for place, (line, last, row) in enumerate(rows):
        if len(row) != len(names):
            reasons[place] = _other_number(line, last, len(row), len(names))
            row = [*row, *[""] * len(names)][: len(names)]
        fields.append(row)
    columns = list(zip(*fields, strict=True)) or [()] * len(names)
    arrays = [pa.array([value or None for value in column], pa.large_string()) for column in columns]
    return Chunk(first, reasons, pa.table(arrays, names=names))


def _other_number(line: int, last: int, fields: int, columns: int) -> str:
    """Say why a row of csv is none."""
    has = f"{fields} field{'s' * (fields > 1)}, and there are {columns} columns"
    if line == last:
        return f"line {line} has {has}"
    return f"lines {line} to {last} are one row, which has {has}; if quotation marks are text, set quoting=none"


def _object(number: int, line: bytes) -> tuple[dict[str, Any], str | None]:
    """Read a line of JSON; and say why it is no row."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {}, f"line {number} is no JSON: {one_line(error)}"
    if not isinstance(found, dict):
        return {}, f"line {number} is no JSON object"
    return found, None


def _kind_of(path: Path) -> Kind:
    suffix = path.suffix.lower()
    if suffix in COMPRESSIONS and suffix not in _OPENED:
        raise DataError(Mistake("", f"{path} is packed as {suffix}", f"Allowed: {', '.join(_OPENED)}; or unpack it"))
    kind = KINDS.get(plain_suffix(str(path)))
    if kind is None or (kind == "parquet" and suffix in COMPRESSIONS):
        remedy = f"Allowed: {', '.join(KINDS)}, and the first four packed as {', '.join(_OPENED)}"
        raise DataError(Mistake("", f"{path} has a suffix that names no format of rows", remedy))
    return kind


def _kind_of_pipe() -> Kind:
    """Tell what comes through standard input: JSON lines begin with a brace, and all else is csv."""
    start = getattr(sys.stdin.buffer, "peek", lambda _: b"")(64).removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"PAR1"):
        raise DataError(Mistake("", "standard input is parquet, whose end says what is in it", "Give it as a file"))
    return "jsonl" if start.startswith(b"{") or _ARRAY.match(start) else "csv"


def _numbered(name: str, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines that are not blank, with their numbers; refuse one list of all rows."""
    lines = enumerate(chain([next(file, b"").removeprefix(codecs.BOM_UTF8)], file), start=1)
    found = ((number, line) for number, line in lines if line.strip())
    first = next(found, None)
    if first is None:
        return
    if _ARRAY.match(first[1].lstrip()):
        remedy = "Write an object on each line, as jq -c '.[]' does"
        raise DataError(Mistake("", f"{said(name)} is one JSON list, whose rows cannot be read one by one", remedy))
    yield first
    yield from found


def said(name: str) -> str:
    """Name a file in messages."""
    return "standard input" if name == PIPE else name


def _check_names(name: str, names: list[str], first: list[str], sep: str) -> None:
    """Refuse a header that names another number of columns."""
    if len(names) != len(first):
        found = (
            f"names {len(names)} columns, and the first row of {said(name)}, read with {sep!r} between fields, has"
        )
        raise DataError(Mistake("header", f"{found} {len(first)}", "Name each"))


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say of a file that cannot be read that it cannot, and why."""
    try:
        yield
    except UnicodeDecodeError as error:
        found = f"{said(name)} is not {error.encoding}: it holds the byte 0x{error.object[error.start]:02x}"
        remedy = "Set encoding=..., that of the file, such as cp1252 or latin-1"
        raise DataError(Mistake("encoding", found, remedy)) from error
    except OpenQuoteError as error:
        remedy = "Close it, or set quoting=none if quotation marks are text"
        raise DataError(Mistake("quoting", f"{said(name)} {error}", remedy)) from error
    except csv.Error as error:
        remedy = "If a quotation mark that is text joins its lines, set quoting=none"
        raise DataError(Mistake("quoting", f"{said(name)}: {one_line(error)}", remedy)) from error
    except (pa.ArrowException, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(Mistake("", f"{said(name)} cannot be read: {one_line(error)}")) from error


def first_of(chunks: Iterator[Chunk]) -> tuple[Chunk, Iterator[Chunk]]:
    """Look at the first chunk; and give all of them."""
    first = next(chunks)
    return first, chain([first], chunks)
