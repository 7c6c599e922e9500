"""The finished runs of a study, in a file that any number of processes add to."""

from pathlib import Path
from typing import Any

from hf_mtl.reporting.json_files import append_jsonl, read_jsonl

Record = dict[str, Any]
"""A finished run as JSON: the key that it is found by, and what was measured."""


class Results:
    """File of finished runs, one line of JSON each.

    Args:
        path: The file; made with the first run.
    """

    def __init__(self, path: Path):
        self.path = path

    def all(self) -> list[Record]:
        """Read all finished runs, in the order in which they finished."""
        return read_jsonl(self.path) if self.path.exists() else []

    def find(self, **key: object) -> Record | None:
        """Find the finished run whose record holds all of a key."""
        return next((record for record in self.all() if key.items() <= record.items()), None)

    def add(self, record: Record) -> Record:
        """Keep a finished run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_jsonl(self.path, record)
        return record
