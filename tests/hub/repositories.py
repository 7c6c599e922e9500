"""Repositories of models and datasets, in memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

Files = dict[str, bytes]


@dataclass
class Repo:
    """Every commit as a snapshot of all files; the last one of a branch is its head."""

    commits: dict[str, Files] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: Files, title: str = "", branch: str = "main") -> str:
        sha = hashlib.sha1(f"{len(self.commits)}{title}".encode()).hexdigest()
        self.commits[sha] = files
        self.heads[branch] = sha
        self.titles.append(title)
        return sha

    def find(self, revision: str) -> str | None:
        sha = self.heads.get(revision) or self.tags.get(revision, revision)
        return sha if sha in self.commits else None

    @property
    def files(self) -> Files:
        """The files of main."""
        return self.commits[self.heads["main"]]

    @property
    def ever(self) -> Iterator[tuple[str, bytes]]:
        """Every file of every commit."""
        for files in self.commits.values():
            yield from files.items()


class Hub:
    """The repositories by ``models/user/name`` or ``datasets/user/name``, and what was asked for."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: Files = {}
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.refused = ""  # requests that are answered with 403, as a pattern
        self.fault: tuple[str, int] | None = None  # what happens to which of the next requests, from 0
        self.private: list[str] = []
        self.lock = RLock()
        self.url = ""

    def add(self, name: str, files: Files | Path, gated: bool = False) -> str:
        """Commit files, or those of a folder, to a repository; gives the revision."""
        if isinstance(files, Path):
            found = [path for path in files.rglob("*") if path.is_file()]
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in found}
        repo = self.repos.setdefault(name, Repo(gated=gated))
        return repo.commit(files)
