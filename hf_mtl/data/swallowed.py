"""Fields of csv files that swallowed rows: a stray quotation mark joins all lines up to the next one."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.data.columns import arrow_column, name_count, name_rows
from hf_mtl.data.csv_reader import separator
from hf_mtl.tasks import DatasetSource

# A column with more values than this is text, and no sign of where a row ends.
_FEW_VALUES = 1000


def swallowed_rows(
    name: str, splits: Mapping[str, Dataset], source: DatasetSource, files: Mapping[str, list[str]]
) -> list[str]:
    """A note per split with fields whose lines look like rows of their own.

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
        sep = separator(next(iter(files.get(split, [])), ""), source.sep)
        found = {column: _suspicious(dataset, column, sep) for column in dataset.column_names}
        rows = np.unique(np.concatenate(list(found.values())))
        if len(rows):
            column = next(column for column, its in found.items() if len(its) and its[0] == rows[0])
            notes.append(
                _note(f"{name}: {split}", dataset, column, rows, _place(int(rows[0]), sep, source, files[split]))
            )
    return notes


def _suspicious(dataset: Dataset, column: str, sep: str) -> np.ndarray:
    """Rows whose field in this column looks like several rows."""
    values = arrow_column(dataset, column)
    # The separator before a line break, or after one.
    pattern = f"{re.escape(sep)}[^\n]*\n|\n[^\n]*{re.escape(sep)}"
    rows = np.flatnonzero(
        pc.fill_null(pc.match_substring_regex(values, pattern), False).to_numpy(zero_copy_only=False)
    )
    if not len(rows):
        return rows
    names = dataset.column_names
    starts, ends = _few_values(dataset, names[0]), _few_values(dataset, names[-1])
    fields = values.take(rows).to_pylist()
    return rows[[_holds_rows(text.splitlines(), sep, len(names), starts, ends) for text in fields]]


def _few_values(dataset: Dataset, column: str) -> set[str]:
    """The values of a column, if they are few enough to be classes; none if they are texts."""
    values = pc.unique(arrow_column(dataset, column))
    return set(values.drop_null().to_pylist()) if len(values) <= _FEW_VALUES and len(values) < len(dataset) else set()


def _holds_rows(lines: list[str], sep: str, columns: int, starts: set[str], ends: set[str]) -> bool:
    inner = lines[1:-1]
    if len(inner) > 1 and all(line.count(sep) == columns - 1 for line in inner):
        return True
    ended = any(sep in line and line.rsplit(sep, 1)[1] in ends for line in lines[:-1])
    return ended or any(sep in line and line.split(sep, 1)[0] in starts for line in lines[1:])


def _place(row: int, sep: str, source: DatasetSource, files: list[str]) -> str:
    """The lines of a row and their file; empty where that cannot be told."""
    before = 0
    quoting = csv.QUOTE_MINIMAL
    for file in files:
        if not Path(file).is_file() or file.endswith(".zip"):
            return ""
        with fsspec.open(file, "rt", compression="infer", encoding=source.encoding, newline="") as lines:
            reader = csv.reader(lines, delimiter=sep, quoting=quoting)
            try:
                index = before - (source.header is True)
                last = 0
                for fields in reader:
                    if fields and index == row:
                        return f"lines {last + 1:,} to {reader.line_num:,} of '{file}'"
                    index += bool(fields)
                    last = reader.line_num
            except csv.Error:
                return ""
            before = index
    return ""


def _note(where: str, dataset: Dataset, column: str, rows: np.ndarray, place: str) -> str:
    text = dataset[int(rows[0])][column].splitlines()[0]
    mask = np.zeros(len(dataset), dtype=bool)
    mask[rows] = True
    first = place or name_rows(mask)
    lines = len(dataset) + sum(_line_breaks(dataset, item) for item in dataset.column_names)
    fields = "1 field holds" if len(rows) == 1 else f"{len(rows):,} fields hold"
    return (
        f"{where} has {name_count(len(dataset))} of {lines:,} lines, and {fields} lines that look like rows of their "
        f"own ({first}, in column '{column}', which begins {text[:40]!r}). If quotation marks are text there, set "
        "quoting: none for the dataset."
    )


def _line_breaks(dataset: Dataset, column: str) -> int:
    return pc.sum(pc.count_substring(arrow_column(dataset, column), "\n")).as_py() or 0
