"""JSON files of a run: each whole or not there, in strict JSON. NaN and infinity are written as null."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from hf_mtl.errors import CheckpointError, Mistake
from hf_mtl.reporting.atomic import replacing


def write_json_atomic(path: str | Path, obj: Any) -> None:
    """Write an object as indented JSON; a reader sees the old file or the new one, never half of one."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_plain(obj), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def append_jsonl(path: str | Path, record: Mapping[str, Any]) -> None:
    """Add one line to a log of records: all of it, or after an error nothing of it."""
    line = _line(record).encode()
    with open(path, "ab+", buffering=0) as file:
        if not _ends_a_line(file):
            line = b"\n" + line
        end, written = file.seek(0, os.SEEK_END), 0
        try:
            # One write, unless the disk takes only a part: a killed process leaves at worst an unfinished line.
            while written < len(line):
                written += file.write(line[written:])
        except OSError:
            file.truncate(end)
            raise


def _ends_a_line(file: FileIO) -> bool:
    """Tell whether the next record can follow as it is, once an unfinished one has been cut away."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read() in (b"", b"\n"):
        return True
    file.seek(0)
    lines = file.read()
    start = lines.rfind(b"\n") + 1
    if _record(lines[start:]) is not None:  # a whole one, whose end an editor may have taken away
        return False
    file.truncate(start)
    return True


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read a log of records; an unfinished last line, of a process that was killed, is left out.

    Raises:
        CheckpointError: If any other line is damaged.
    """
    records = []
    lines = _lines(Path(path))
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        if record is None and number < len(lines):
            problem = f"{path}, line {number}: no record of the log (JSON in braces)"
            raise CheckpointError(Mistake("", problem, "Mend or delete the line."))
        if record is not None:
            records.append(record)
    return records


def rewind_jsonl(path: str | Path, records: Sequence[Mapping[str, Any]]) -> int:
    """Leave in a log the records that were in it at some time, and nothing that came after them.

    Lines that hold them stay as they are. Where any is damaged or gone, all of them are written anew.

    Args:
        path: The log; need not exist if there are no records.
        records: The records.

    Returns:
        How many records had to be written anew.
    """
    lines = _lines(Path(path)) if Path(path).exists() else []
    kept = lines[: len(records)]
    if [_record(line) for line in kept] != [_plain(record) for record in records]:
        step_first = [{"step": record.get("step"), **record} for record in records]
        with replacing(path) as temporary:
            temporary.write_text("".join(map(_line, step_first)), "utf-8")
        return len(records)
    if len(lines) > len(kept):
        # In place: this needs no room, and nothing before the cut is touched.
        os.truncate(path, sum(len(line) + 1 for line in kept))
    return 0


def _lines(path: Path) -> list[bytes]:
    """Return the lines of a file; what follows the last line end is one too, unless it is empty."""
    lines = path.read_bytes().split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _record(line: bytes) -> dict[str, Any] | None:
    """Return the record in a line; None if it is damaged."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # also of bytes that are no text
        return None
    return record if isinstance(record, dict) else None


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(_plain(record), ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
