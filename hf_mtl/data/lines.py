"""File and line of a row: who mends a file looks for lines, not for rows that are counted from 0."""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import fsspec
import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.csv_reader import plain_suffix, separator
from hf_mtl.data.quotation_marks import csv_rows
from hf_mtl.errors import Mistake
from hf_mtl.tasks import DatasetSource

# As `name_rows` says them, behind the name of the split.
_ROWS = re.compile(r"rows? (?P<rows>\d[\d, ]*(?: and \d+(?! more))?)(?: and (?P<more>[\d,]+) more)?, counted from 0")


@dataclass(frozen=True)
class FileRows:
    """Rows of one split of one source, in files.

    Args:
        count: How many rows the files have.
        source: Where they come from.
        files: The files of the split; none where they are not on this machine.
        rows: Which of them each row that is used was made of, in order.
    """

    count: int
    source: DatasetSource
    files: Sequence[str]
    rows: NDArray[np.int64]

    def lines(self) -> list[tuple[str, int]] | None:
        """Return the file and line of every row that is used, in order; None where it is not certain."""
        places = [(file, line) for file in self.files for line in _lines(file, self.source)]
        if len(places) != self.count:  # what read the file has seen other rows in it
            return None
        return [places[row] for row in self.rows.tolist()]


def with_lines(mistake: Mistake, parts: Mapping[str, Sequence[FileRows]]) -> Mistake:
    """Say the lines of the rows that a mistake names; the same mistake where they cannot be told.

    Args:
        mistake: What is wrong with rows of a split, which it begins with.
        parts: What each split is put together from, in order.
    """
    found = _ROWS.search(mistake.problem)
    split = mistake.problem.split(" ", 1)[0]
    if found is None or split not in parts:
        return mistake
    places: list[tuple[str, int]] = []
    for part in parts[split]:
        lines = part.lines()
        if lines is None:
            return mistake
        places += lines
    rows = [int(row) for row in re.findall(r"\d+", found["rows"])]
    if max(rows) >= len(places):
        return mistake
    more = f" and {found['more']} more" if found["more"] else ""
    said = f"{_name([places[row] for row in rows])}{more}"
    return replace(mistake, problem=f"{mistake.problem[: found.start()]}{said}{mistake.problem[found.end() :]}")


def _name(places: Sequence[tuple[str, int]]) -> str:
    """Name lines file by file: ``lines 4 and 9 of 'train.csv'``."""
    by_file: dict[str, list[str]] = {}
    for file, line in places:
        by_file.setdefault(file, []).append(str(line))
    return ", ".join(
        f"line{'s' * (len(lines) > 1)} {_listed(lines)} of '{_shortest(file)}'" for file, lines in by_file.items()
    )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _shortest(file: str) -> str:
    """Return a file as the user would name it from here."""
    path = os.path.relpath(file)
    return file if path.startswith("..") else path


def _lines(file: str, source: DatasetSource) -> Iterator[int]:
    """Yield the line on which each row of a file begins; nothing for what has no lines, or none that are rows."""
    if not Path(file).is_file() or file.endswith(".zip"):
        return
    if source.path == "csv" or plain_suffix(file) in (".csv", ".tsv"):
        sep = separator(file, source.sep)
        records = csv_records(file, sep, source.encoding, quoted=source.quoting == "minimal")
        for number, (first, _) in enumerate(records):
            if number or source.header is not True:  # the header is no row
                yield first
    elif plain_suffix(file) in (".json", ".jsonl"):
        with fsspec.open(file, "rt", compression="infer", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if number == 1 and line.startswith("["):
                    return  # one list, whose rows are written as anybody likes
                if line.strip():
                    yield number


def csv_records(file: str, sep: str, encoding: str, quoted: bool = True) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of every record that is not blank, as far as Python's reader comes.

    Args:
        file: A file, compressed or not.
        sep: The character between fields.
        encoding: Of the file.
        quoted: Whether a field may be enclosed in double quotes.
    """
    opened = fsspec.open(file, "rt", compression="infer", encoding=encoding, newline="")
    with opened as lines, suppress(csv.Error, UnicodeError):  # a field longer than its limit
        for first, last, record in csv_rows(lines, sep, quoted):
            if len(record) > 1 or any(field.strip() for field in record):
                yield first, last
