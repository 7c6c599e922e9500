r"""Quotation marks that csv files escape with a backslash: the reader takes them for the end of a field.

Files write a quotation mark inside quotation marks twice (RFC 4180). Where a program writes ``\"`` instead, the field
ends there, and what is read has other characters than what was meant.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import fsspec
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.data.columns import arrow_column, text_columns
from hf_mtl.data.csv_reader import separator
from hf_mtl.tasks import DatasetSource


def escaped_marks(
    name: str, splits: Mapping[str, Dataset], source: DatasetSource, files: Mapping[str, list[str]]
) -> list[str]:
    """Return a note per split whose local files escape quotation marks with backslashes.

    Args:
        name: The task's name.
        splits: Splits of csv files as they were read, with every column.
        source: Where they come from.
        files: The files of each split.
    """
    if source.quoting == "none":
        return []
    notes = []
    for split, dataset in splits.items():
        # Without a backslash in what was read there is none in the files, which then need no second reading.
        if not any(_has_backslash(dataset, column) for column in text_columns(dataset)):
            continue
        found = [(file, line) for file in files.get(split, []) for line in _lines(file, source)]
        if found:
            notes.append(_note(f"{name}: {split}", *found[0], len(found)))
    return notes


def _has_backslash(dataset: Dataset, column: str) -> bool:
    return bool(pc.any(pc.match_substring(arrow_column(dataset, column), "\\")).as_py())


def _lines(file: str, source: DatasetSource) -> Iterator[int]:
    """Yield the lines of a file with a field in quotation marks that has a backslash before a mark inside."""
    if not Path(file).is_file() or file.endswith(".zip"):
        return
    sep = re.escape(separator(file, source.sep))
    # Behind a mark that ends its field there is a separator or the line's end; two marks stand for one.
    inner = re.compile(rf'(?:^|{sep})"(?:[^"\\]|\\[^"]|"")*\\"(?![{sep}"\r\n]|$)')
    with fsspec.open(file, "rt", compression="infer", encoding=source.encoding, newline="") as lines:
        for number, line in enumerate(lines, start=1):
            if inner.search(line):
                yield number


def _note(where: str, file: str, line: int, count: int) -> str:
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return (
        f"{where} has {lines} with \\\" inside a text (the first is line {line:,} of '{file}'). A backslash escapes "
        'nothing in csv files, so these texts lose their quotation marks: write the marks twice (""), or set '
        "quoting: none for the dataset if no field is enclosed in marks."
    )
