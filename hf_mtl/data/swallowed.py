"""Fields of csv files that swallowed rows: a stray quotation mark joins all lines up to the next one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.data.columns import arrow_column, name_count, name_rows, text_columns
from hf_mtl.data.csv_reader import separator
from hf_mtl.data.lines import csv_records
from hf_mtl.tasks import DatasetSource

# A column with more values than this is text, and no sign of where a row ends.
_FEW_VALUES = 1000


def swallowed_rows(
    name: str, splits: Mapping[str, Dataset], source: DatasetSource, files: Mapping[str, list[str]]
) -> list[str]:
    """Return a note per split with fields whose lines look like rows of their own.

    A field may hold several lines. It is suspicious where one of them ends as a row does, with a value of the last
    column, or begins as a row does, or where all of the inner ones have as many fields as a row.

    Args:
        name: The task's name.
        splits: Splits of csv files as they were read, with every column.
        source: Where they come from.
        files: The files of each split.
    """
    notes = []
    for split, dataset in splits.items():
        its_files = files.get(split, [])
        sep = separator(next(iter(its_files), ""), source.sep)
        found = {column: _suspicious(dataset, column, sep) for column in text_columns(dataset)}
        rows = np.unique([row for column in found for row in found[column]]).astype(int)
        if len(rows):
            column = next(column for column, its in found.items() if rows[0] in its)
            place = _place(int(rows[0]), sep, source, its_files)
            notes.append(_note(f"{name}: {split}", dataset, column, rows, place))
    return notes


def _suspicious(dataset: Dataset, column: str, sep: str) -> np.ndarray:
    """Find the rows whose field in this column looks like several rows."""
    values = arrow_column(dataset, column)
    # The separator before a line break, or after one.
    pattern = f"{re.escape(sep)}[^\n]*\n|\n[^\n]*{re.escape(sep)}"
    rows = np.flatnonzero(
        pc.fill_null(pc.match_substring_regex(values, pattern), False).to_numpy(zero_copy_only=False)
    )
    if not len(rows):
        return rows
    names = dataset.column_names
    edges = Edges(sep, names, column, _few_values(dataset, names[0]), _few_values(dataset, names[-1]))
    fields = values.take(rows).to_pylist()
    return rows[[edges.inside(text.splitlines()) for text in fields]]


def _few_values(dataset: Dataset, column: str) -> set[str]:
    """Return the values of a column, if they are few enough to be classes; none if they are texts."""
    values = pc.unique(arrow_column(dataset, column).cast("string"))
    few = len(values) <= min(_FEW_VALUES, len(dataset) - 1)
    return set(values.drop_null().to_pylist()) if few else set()


@dataclass(frozen=True)
class Edges:
    """Signs by which the beginning and the end of a row are known.

    Args:
        sep: The character between fields.
        names: The columns.
        column: The column whose fields are looked at.
        starts: Values of the first column, if they are few.
        ends: Values of the last column, if they are few.
    """

    sep: str
    names: list[str]
    column: str
    starts: set[str]
    ends: set[str]

    def inside(self, lines: list[str]) -> bool:
        """Tell whether the lines of a field look like rows of their own."""
        inner = lines[1:-1]
        if len(inner) > 1 and all(line.count(self.sep) == len(self.names) - 1 for line in inner):
            return True
        # A field of the last column begins with a value of it, one of the first column ends with a value of it.
        ended = lines[:1] if self.column == self.names[-1] else []
        begun = lines[-1:] if self.column == self.names[0] else []
        ended += [line.rsplit(self.sep, 1)[1] for line in lines[:-1] if self.sep in line]
        begun += [line.split(self.sep, 1)[0] for line in lines[1:] if self.sep in line]
        return bool(self.ends.intersection(ended) or self.starts.intersection(begun))


def _place(row: int, sep: str, source: DatasetSource, files: list[str]) -> str:
    """Return the lines of a row and their file; empty where that cannot be told."""
    before = 0
    for file in files:
        if not Path(file).is_file() or file.endswith(".zip"):
            return ""
        # The header is no row.
        records = csv_records(file, sep, source.encoding)
        for index, (first, last) in enumerate(records, start=before - (source.header is True)):
            if index == row:
                return f"lines {first:,} to {last:,} of '{file}'"
            before = index + 1
    return ""


def _note(where: str, dataset: Dataset, column: str, rows: np.ndarray, place: str) -> str:
    text = dataset[int(rows[0])][column].splitlines()[0]
    mask = np.zeros(len(dataset), dtype=bool)
    mask[rows] = True
    first = place or name_rows(mask)
    lines = len(dataset) + sum(_line_breaks(dataset, item) for item in text_columns(dataset))
    fields = "1 field holds" if len(rows) == 1 else f"{len(rows):,} fields hold"
    return (
        f"{where} has {name_count(len(dataset))} of {lines:,} lines, and {fields} lines that look like rows of their "
        f"own ({first}, in column '{column}', which begins {text[:40]!r}). If quotation marks are text there, set "
        "quoting: none for the dataset."
    )


def _line_breaks(dataset: Dataset, column: str) -> int:
    return pc.sum(pc.count_substring(arrow_column(dataset, column), "\n")).as_py() or 0
