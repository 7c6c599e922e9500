"""Rows as they are written: what was read of each, beside it what was predicted, and why where nothing was."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_mtl.data.csv_reader import separator
from hf_mtl.errors import DataError, Mistake
from hf_mtl.inference.row_source import KINDS, Chunk, Kind

QUOTE = '"'
_GROUP = 1 << 22  # bytes of a group of rows of parquet: what reads it has a group in memory at once
ERROR = "error"
"""The column that says why a row has no prediction of some task."""


@dataclass(eq=False)
class RowWriter:
    """Turns chunks of rows into bytes, which come one after the other in a file.

    Args:
        kind: The format. Bytes of parquet are those of arrow's streams, which `finished` makes parquet of.
        sep: The character between fields of csv.
        columns: The columns of the rows that are read, once they are known.
    """

    kind: Kind
    sep: str = ","
    columns: list[str] = field(default_factory=list)

    def encode(self, chunk: Chunk, predicted: Mapping[str, pa.Array], errors: Sequence[str | None]) -> bytes:
        """Write rows.

        Args:
            chunk: The rows.
            predicted: Columns of predictions.
            errors: Why a row has none of some task; None for others.

        Raises:
            DataError: If a row has a column that no row before it had, in a format whose columns are fixed, or one of
                the name of a prediction's.
        """
        added = {**predicted, ERROR: pa.array(errors, pa.string())}
        taken = [name for name in chunk.columns if name in added]
        if taken:
            raise DataError(taken_column(taken[0]))
        if self.kind == "jsonl":
            return self._lines(chunk, added)
        table = self._table(chunk)
        for name, values in added.items():
            table = table.append_column(name, values)
        return self._stream(table) if self.kind == "parquet" else self._fields(table, header=chunk.first == 0)

    @property
    def made_of_bytes(self) -> Callable[[Path, Path], None] | None:
        """What makes the file of all bytes; None: they are the file."""
        return _as_parquet if self.kind == "parquet" else None

    def _table(self, chunk: Chunk) -> pa.Table:
        """Give the columns of rows; those of JSON are text, as another row may hold another kind of value there."""
        if chunk.table is not None:
            return chunk.table
        records = chunk.records or []
        for place, record in enumerate(records):
            if more := [name for name in record if name not in self.columns]:
                found = f"row {chunk.first + place}, counted from 0, has '{more[0]}', which no row before it has"
                raise DataError(Mistake("--output", found, "Write to a file that ends in .jsonl"))
        columns = {name: [_text(record.get(name)) for record in records] for name in self.columns}
        return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})

    def _lines(self, chunk: Chunk, added: Mapping[str, pa.Array]) -> bytes:
        records: Iterable[dict[str, Any]] = chunk.records or []
        if chunk.table is not None:
            records = chunk.table.to_pylist()
        more = pa.table(dict(added)).to_pylist()
        lines = [_line({**record, **new}) for record, new in zip(records, more, strict=True)]
        return b"".join(lines)

    def _fields(self, table: pa.Table, header: bool) -> bytes:
        special = re.compile(f'[{re.escape(self.sep)}"\r\n]')

        def field_of(value: Any) -> str:
            text = _text(value) or ""
            # The writer of Python's csv leaves a carriage return bare, which ends a line for its reader.
            return f'"{text.replace(QUOTE, QUOTE + QUOTE)}"' if special.search(text) else text

        columns = [[field_of(value) for value in column.to_pylist()] for column in table.columns]
        names = [[field_of(name) for name in table.column_names]] if header else []
        return "".join(f"{self.sep.join(row)}\n" for row in chain(names, zip(*columns, strict=True))).encode()

    @staticmethod
    def _stream(table: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_batch(table.combine_chunks().to_batches()[0] if len(table) else _no_rows(table.schema))
        found: bytes = sink.getvalue().to_pybytes()
        return found


def writer_for(output: str | None, kind: Kind, sep: str) -> RowWriter:
    """Choose how rows are written: as the suffix of a file says, and to standard output as they were read.

    Args:
        output: The file; None: standard output.
        kind: The format that is read.
        sep: The character between the fields that are read, if it is csv.

    Raises:
        DataError: If the suffix is none of ours, or parquet would go to standard output.
    """
    if output is None:
        if kind == "parquet":
            found = "parquet does not go to standard output"
            raise DataError(Mistake("--output", found, "Name a file: --output out.parquet, or another format"))
        return RowWriter(kind, sep)
    found_kind = KINDS.get(Path(output).suffix.lower())
    if found_kind is None:
        raise DataError(Mistake("--output", f"{output} has another suffix", f"Allowed: {', '.join(KINDS)}"))
    return RowWriter(found_kind, separator(output, None))


def taken_column(name: str) -> Mistake:
    """Say that rows have a column already that predictions would go to."""
    return Mistake("", f"the rows have a column '{name}', which predictions would be written to", "Rename it there")


def _as_parquet(partial: Path, place: Path) -> None:
    """Make parquet of arrow's streams, with a group of rows for some of their batches."""
    with partial.open("rb") as file:
        schema = pa.ipc.open_stream(file).schema
        file.seek(0)
        with pq.ParquetWriter(place, schema) as writer:
            some: list[pa.RecordBatch] = []
            while file.peek(1):
                with pa.ipc.open_stream(file) as stream:
                    some += [batch for batch in stream if len(batch)]
                if sum(batch.nbytes for batch in some) >= _GROUP or not file.peek(1):
                    if some:
                        writer.write_table(pa.Table.from_batches(some, schema))
                    some = []


def _text(value: Any) -> str | None:
    """Write a value as text."""
    if value is None:
        return None
    if isinstance(value, str):
        # JSON may hold halves of letters, which no other format takes.
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json(value) if isinstance(value, list | dict) else str(value)


def _line(record: dict[str, Any]) -> bytes:
    """Write a line of JSON; one that holds halves of letters in the ASCII that it came in."""
    try:
        return f"{_json(record)}\n".encode()
    except UnicodeEncodeError:
        return f"{_json(record, ascii_only=True)}\n".encode()


def _json(value: Any, ascii_only: bool = False) -> str:
    """Write JSON; numbers that it lacks, such as NaN, become null."""
    try:
        return json.dumps(value, ensure_ascii=ascii_only, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=ascii_only, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in schema.types], schema=schema)
