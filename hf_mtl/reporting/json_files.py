"""JSON files of a run: whole or not at all, and strict JSON, so a number that is none is written as null."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hf_mtl.errors import CheckpointError
from hf_mtl.reporting.atomic import replacing


def write_json_atomic(path: str | Path, obj: Any) -> None:
    """Write an object as indented JSON; a reader sees the old file or the new one, never half of one."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_plain(obj), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def append_jsonl(path: str | Path, record: Mapping[str, Any]) -> None:
    """Add one line to a log of records."""
    # One write per line: what a killed process leaves is at worst one unfinished last line.
    with open(path, "a", encoding="utf-8") as file:
        file.write(_line(record))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read a log of records; an unfinished last line, of a process that was killed, is left out.

    Raises:
        CheckpointError: If any other line is damaged.
    """
    records = []
    lines = Path(path).read_text("utf-8").split("\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise CheckpointError(f"{path}, line {number}: not JSON ({error}); mend or delete the line") from error
    return records


def truncate_jsonl(path: str | Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Keep only some records of a log, in one step; a log that does not exist stays so.

    A run that resumes from a checkpoint drops what was logged after it. It also drops an unfinished last
    line, which the next record would otherwise be glued to.

    Args:
        path: The log.
        keep: Whether a record stays.
    """
    if not Path(path).exists():
        return
    records = [record for record in read_jsonl(path) if keep(record)]
    with replacing(path) as temporary:
        temporary.write_text("".join(_line(record) for record in records), "utf-8")


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
