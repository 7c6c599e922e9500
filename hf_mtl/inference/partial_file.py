"""A file that is written in whole pieces, and can be written on where it was left, whatever ended it."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from hf_mtl.disk import writing
from hf_mtl.errors import Mistake, RunError
from hf_mtl.foreign_json import damaged, read_object
from hf_mtl.inference.manifest import digest
from hf_mtl.reporting.atomic import replacing

_FORMAT = 1


@dataclass(eq=False)
class PartialFile:
    """A file under way: its bytes in ``NAME.partial``, and beside it what they are of and how far they are whole.

    Once it is whole, ``.NAME.done.json`` says what it is of.

    Args:
        place: The file that it becomes.

    Attributes:
        done: What whole pieces say of themselves, summed up by name, such as their rows.
    """

    place: Path
    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._identity: dict[str, Any] = {}
        self._bytes = 0
        self._file: IO[bytes] | None = None

    @property
    def bytes_file(self) -> Path:
        """The file of the bytes."""
        return self.place.with_name(f"{self.place.name}.partial")

    @property
    def record_file(self) -> Path:
        """The file that says of what the whole file was made."""
        return self.place.with_name(f".{self.place.name}.done.json")

    @property
    def progress_file(self) -> Path:
        """The file that says how far they are whole."""
        return self.place.with_name(f"{self.place.name}.partial.json")

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse a place that cannot be written, or that holds something.

        Raises:
            RunError: If so.
        """
        place, key = self.place, "--output"
        if place.is_dir():
            raise RunError(Mistake(key, f"{place} is a folder", "Name a file"))
        if not place.parent.is_dir():
            raise RunError(Mistake(key, f"there is no folder {place.parent}", "Make it, or name another file"))
        if not os.access(place.parent, os.W_OK):
            raise RunError(Mistake(key, f"{place.parent} cannot be written", "Name another file"))
        if place.exists() and not overwrite and not (resume and self.record_file.exists()):
            found = f"{place} is there already"
            found += ", and nothing says what it was made of" if resume else ""
            raise RunError(Mistake(key, found, "Give --overwrite, or name another file"))
        if self.progress_file.exists() and not (resume or overwrite):
            found = f"{self.progress_file} is of predictions that were not finished"
            raise RunError(Mistake(key, found, "Go on with --resume, or begin anew with --overwrite"))

    def is_whole(self, identity: Mapping[str, Any]) -> bool:
        """Tell whether the whole file is there, made of the same; `done` says then what is in it.

        Args:
            identity: As for `begin`.

        Raises:
            RunError: If the file that is there is another, or was made of something else.
        """
        if not self.place.exists():
            return False
        remedy = "Give --overwrite, or name another file"
        found = _read(self.record_file, remedy)
        for name, value in {"format": _FORMAT, **identity}.items():
            if found["of"].get(name) != value:
                raise RunError(Mistake("--resume", f"{self.place} was made of another {name}", remedy))
        if found.get("sha256") != digest(self.place):
            raise RunError(Mistake("--resume", f"{self.place} has changed since it was made", remedy))
        self.done = found["done"]
        self.discard()  # what a kill in the last moment left
        return True

    def begin(self, identity: Mapping[str, Any], resume: bool) -> None:
        """Begin, or go on after the last whole piece.

        Args:
            identity: What decides the bytes, in plain values.
            resume: Whether to go on, where there is something to go on with.

        Raises:
            RunError: If what is there was made of something else.
        """
        self._identity = {"format": _FORMAT, **identity}
        if resume and self.progress_file.exists():
            self._read_progress()
        with writing(self.bytes_file):
            self._file = self.bytes_file.open("r+b" if self._bytes else "wb")
            # What comes after the last whole piece is of one that was not.
            self._file.truncate(self._bytes)
            self._file.seek(self._bytes)
        if not self.done:
            self._write_progress()

    def _read_progress(self) -> None:
        found = _read(self.progress_file, "Begin anew with --overwrite")
        for name, value in self._identity.items():
            if found["of"].get(name) != value:
                what = f"{self.progress_file} is of another {name}"
                raise RunError(Mistake("--resume", what, "Begin anew with --overwrite, or give what it is of"))
        self._bytes, self.done = found["bytes"], found["done"]
        size = self.bytes_file.stat().st_size if self.bytes_file.exists() else 0
        if size < self._bytes:
            what = f"{self.bytes_file} has {size:,} bytes, and {self._bytes:,} were written"
            raise RunError(Mistake("--resume", what, "Begin anew with --overwrite"))

    def append(self, piece: bytes, facts: Mapping[str, int]) -> None:
        """Write a piece, which is whole from here on.

        Args:
            piece: Its bytes.
            facts: What is summed up of it.

        Raises:
            DiskError: If there is no room.
        """
        assert self._file is not None  # it has begun
        with writing(self.bytes_file):
            self._file.write(piece)
            self._file.flush()
            os.fsync(self._file.fileno())
        self._bytes += len(piece)
        self.done = {key: self.done.get(key, 0) + facts.get(key, 0) for key in {**self.done, **facts}}
        self._write_progress()

    def _write_progress(self) -> None:
        with replacing(self.progress_file) as path:
            path.write_text(json.dumps({"of": self._identity, "bytes": self._bytes, "done": self.done}), "utf-8")

    def close(self) -> None:
        """Close the file; it can be gone on with."""
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Remove what is under way: it cannot become what was asked."""
        self.close()
        self.progress_file.unlink(missing_ok=True)
        self.bytes_file.unlink(missing_ok=True)

    def finish(self, make: Callable[[Path, Path], None] | None) -> None:
        """Put the whole file in its place.

        Args:
            make: From the file of the bytes, and a path, makes what is to be there under that path; None: the bytes
                are to be there.

        Raises:
            DiskError: If there is no room.
        """
        self.close()
        if make is None:
            self._record(self.bytes_file)
            os.replace(self.bytes_file, self.place)
        else:
            with replacing(self.place) as path:
                make(self.bytes_file, path)
                self._record(path)
        self.discard()

    def _record(self, made: Path) -> None:
        """Write what the file was made of, before it is in its place."""
        known = {"of": self._identity, "bytes": self._bytes, "done": self.done, "sha256": digest(made)}
        with replacing(self.record_file) as path:
            path.write_text(json.dumps(known), "utf-8")


def _read(path: Path, remedy: str) -> dict[str, Any]:
    """Read what was written of a file that is whole or under way.

    Raises:
        CheckpointError: If it is damaged.
    """
    found = read_object(path, remedy)
    done = found.get("done")
    counts = [found.get("bytes"), *(done.values() if isinstance(done, dict) else [None])]
    if not isinstance(found.get("of"), dict) or not all(type(count) is int and count >= 0 for count in counts):
        raise damaged(path, "it does not say what it is of, and how much", remedy)
    return found
