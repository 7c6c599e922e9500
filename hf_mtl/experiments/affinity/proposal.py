"""The file of a proposal, ``proposal.json``: groups of tasks, each to be trained in a joint run of its own.

A study's arm may be such a list of groups: one joint run for each group, of its tasks alone.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.foreign_json import read_object
from hf_mtl.reporting.json_files import write_json_atomic

FILE = "proposal.json"
_SHAPE = 'Write {"groups": [["a", "b"], ["c"]]}: every task once'


def write_proposal(path: Path, groups: Sequence[Sequence[str]], **facts: Any) -> None:
    """Write groups, and what else is to be known of them.

    Args:
        path: The file.
        groups: The tasks of each group.
        facts: Beside ``groups``; nobody who reads a proposal needs them.
    """
    write_json_atomic(path, {"groups": [list(group) for group in groups], **facts})


def read_proposal(path: str | Path, tasks: Collection[str] | None = None) -> list[list[str]]:
    """Read the groups of a proposal.

    Args:
        path: A file as `write_proposal` makes it, or written by hand; or the folder with its ``proposal.json``.
        tasks: The tasks of the recipe to be trained: each must be in a group, and no other. None: not compared.

    Returns:
        The names of the tasks of each group.

    Raises:
        UserError: If it cannot be read, or its groups are no partition of the tasks; all mistakes at once.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(Mistake("", f"{file}: no such file", "Make one: hf-mtl affinity RECIPE -o DIR"))
    found = _groups_of(file)
    if mistakes := [*_mistakes(file, found, tasks)]:
        raise UserError(mistakes)
    return found


def _groups_of(file: Path) -> list[list[str]]:
    groups = read_object(file, _SHAPE).get("groups")
    lists = groups if isinstance(groups, list) and all(isinstance(group, list) for group in groups) else None
    if lists is None or not all(isinstance(name, str) for group in lists for name in group):
        raise UserError(Mistake("groups", f"{file}: is no list of lists of names", _SHAPE))
    return lists


def _mistakes(file: Path, groups: Sequence[Sequence[str]], tasks: Collection[str] | None) -> Iterator[Mistake]:
    names = [name for group in groups for name in group]
    if not groups or not all(groups):
        yield Mistake("groups", f"{file}: a group without a task" if groups else f"{file}: no groups", _SHAPE)
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield Mistake("groups", f"{file}: '{name}' is in several places", _SHAPE)
    if tasks is None:
        return
    for name in dict.fromkeys(name for name in names if name not in tasks):
        yield Mistake("groups", f"{file}: the recipe has no task '{name}'", known(tasks, name))
    for name in tasks:
        if name not in names:
            yield Mistake("groups", f"{file}: the task '{name}' is in no group", "A task alone is a group too")
