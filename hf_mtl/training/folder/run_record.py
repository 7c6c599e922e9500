"""The record of what a run wrote into its folder, ``run.json``: nothing else there is ever replaced or removed."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from hf_mtl.errors import CheckpointError, Mistake, RunError
from hf_mtl.foreign_json import damaged, kind_of, read_object
from hf_mtl.inference.manifest import digest
from hf_mtl.reporting.atomic import replacing
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.checkpoint import is_checkpoint

RECORD = "run.json"
LOG = "log.jsonl"
WORK = ".hf_mtl"
"""The folder, in a run's folder, for what is half done: its name says whose it is, so it may be emptied."""
STAGING = f"{WORK}/staging"

_PROGRAM, _FORMAT = "hf_mtl", 1
_REMEDY = "Choose another folder, or move it away: then only --resume knows a run, by its checkpoints"
_SHA256 = re.compile("[0-9a-f]{64}")
Seal: TypeAlias = tuple[int, str]
"""Size in bytes and SHA-256 of a file."""


def seal_of(path: Path) -> Seal:
    """Return the seal of a file as it is now."""
    return path.stat().st_size, digest(path)


@dataclass
class _Content:
    files: dict[str, list[Seal]] = field(default_factory=dict)
    checkpoints: dict[str, list[str]] = field(default_factory=dict)


class RunRecord:
    """The record of one folder. Every call reads the file anew, as several objects write to it.

    A file is noted before it takes its place: a process killed in between leaves no file that nobody knows. A file
    whose content has changed since is no longer the run's. The log, which grows, is noted without a seal.

    Args:
        folder: The run's folder; need not exist.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / RECORD

    @property
    def begun(self) -> bool:
        """Tell whether a run has begun in the folder."""
        return self._read() is not None

    @property
    def is_strange(self) -> bool:
        """Tell whether another file has the record's place."""
        return os.path.lexists(self.path) and self._read() is None

    @property
    def files(self) -> list[str]:
        """The noted files, by path relative to the folder."""
        return list(self._content().files)

    @property
    def checkpoints(self) -> dict[str, list[str]]:
        """The noted checkpoints by name, with the files of each."""
        return self._content().checkpoints

    def is_own(self, name: str) -> bool:
        """Tell whether a file is there and is still the one that the run wrote."""
        seals, path = self._content().files.get(name), self.folder / name
        if seals is None or not path.is_file():
            return False
        size = path.stat().st_size
        if not seals:
            return True
        # Reading gigabytes is for a file whose size has not given it away.
        return any(size == known for known, _ in seals) and seal_of(path) in seals

    def begin(self) -> None:
        """Note that a run begins or goes on, and will add to its log."""
        content = self._content()
        content.files[LOG] = []
        self._write(content)

    def expect(self, seals: Mapping[str, Seal]) -> None:
        """Note files that are about to take the place of what is there; either counts as the run's."""
        content = self._content()
        for name, seal in seals.items():
            content.files[name] = [*content.files.get(name, []), seal]
        self._write(content)

    def settle(self, seals: Mapping[str, Seal]) -> None:
        """Note files that are in their place now."""
        content = self._content()
        content.files.update({name: [seal] for name, seal in seals.items()})
        self._write(content)

    def note_checkpoint(self, name: str, files: Iterable[str]) -> None:
        """Note a checkpoint that is about to take its place."""
        content = self._content()
        content.checkpoints[name] = sorted(files)
        self._write(content)

    def forget(self, names: Iterable[str]) -> None:
        """Take files and checkpoints that were removed out of the record."""
        content = self._content()
        for name in names:
            content.files.pop(name, None)
            content.checkpoints.pop(name, None)
        self._write(content)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """Yield a temporary path for a file of the run; at the end it is noted, and put in its place.

        Raises:
            RunError: If what is there is not the run's.
        """
        self.refuse_others([name])
        with replacing(self.folder / name) as temporary:
            yield temporary
            seal = seal_of(temporary)
            self.expect({name: seal})
        self.settle({name: seal})

    def refuse_strange(self) -> None:
        """Refuse to begin or go on where another file has the record's place.

        Raises:
            CheckpointError: Saying why it is no record.
        """
        if self.is_strange:
            read_object(self.path, _REMEDY)  # says it of what is no object in JSON
            raise CheckpointError(Mistake("", f"{self.path}: is no record of a run of hf_mtl", _REMEDY))

    def refuse_others(self, names: Iterable[str]) -> None:
        """Refuse to write where something lies that is not the run's.

        Raises:
            RunError: Naming it.
        """
        found = [str(self.folder / name) for name in names if (self.folder / name).exists() and not self.is_own(name)]
        if found:
            problem = f"{', '.join(found)}: the run would write here, and did not write what is there"
            raise RunError(Mistake("training.output_dir", problem, "Move it away, and go on with --resume"))

    def _content(self) -> _Content:
        return self._read() or _Content()

    def _read(self) -> _Content | None:
        """Return the record; None if there is none, or another program's file."""
        if not os.path.lexists(self.path):
            return None
        try:
            found = read_object(self.path)
        except CheckpointError:
            return None
        if found.get("program") != _PROGRAM:
            return None
        if found.get("format") != _FORMAT:
            problem = f"{self.path}: is of format {found.get('format')!r:.40}; this version of hf_mtl knows {_FORMAT}"
            raise CheckpointError(Mistake("", problem, "Use the version that wrote it, or choose another folder"))
        try:
            return _parse(found)
        except ValueError as error:
            raise damaged(self.path, str(error), _REMEDY) from error

    def _write(self, content: _Content) -> None:
        self.refuse_strange()
        write_json_atomic(self.path, {"program": _PROGRAM, "format": _FORMAT, **asdict(content)})


def _parse(found: Mapping[str, Any]) -> _Content:
    """Return the record in an object.

    Raises:
        ValueError: If it is none that a run writes. It may have come with a run from elsewhere, and says what is
            moved and removed: only checkpoints as folders, and only what has the content that was written.
    """
    files, checkpoints = (_as(dict, found.get(key), key) for key in ("files", "checkpoints"))
    for name, seals in files.items():
        _refuse_outside(name)
        if not _as(list, seals, f"{name!r:.80}") and name != LOG:
            raise ValueError(f"it names {name!r:.80} without size and SHA-256")
        if not all(map(_is_seal, seals)):
            raise ValueError(f"it says neither size nor SHA-256 of {name!r:.80}")
    for name, names in checkpoints.items():
        if not is_checkpoint(name):
            raise ValueError(f"{name!r:.80} is no checkpoint")
        if not all(isinstance(file, str) for file in _as(list, names, name)):
            raise ValueError(f"a file of {name} has no name")
    return _Content({name: [(size, sha256) for size, sha256 in seals] for name, seals in files.items()}, checkpoints)


def _as(kind: type, value: Any, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{what} is {kind_of(value)}")
    return value


def _is_seal(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    size, sha256 = value
    return type(size) is int and size >= 0 and isinstance(sha256, str) and _SHA256.fullmatch(sha256) is not None


def _refuse_outside(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{name!r:.80} lies outside of the folder")
    if path.parts[0] in (WORK, RECORD):
        raise ValueError(f"{name!r:.80} is for the record itself, or for what is half done")
