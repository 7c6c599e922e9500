"""Heads that tasks have in common: `head: {share: name}` in several tasks is one and the same head."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from hf_mtl.tasks.task import Task

GivenHead: TypeAlias = str | Mapping[str, Any] | None
SHARE = "share"
"""The key of a task's head that names what is shared."""


def share_of(head: GivenHead) -> str | None:
    """Return the name of the head that a task shares; None: it has one of its own.

    Args:
        head: `Task.head`.
    """
    name = head.get(SHARE) if isinstance(head, Mapping) else None
    return name if isinstance(name, str) and name else None


def without_share(head: GivenHead) -> str | Mapping[str, Any] | None:
    """Return what a task says of its head itself; None: nothing, as in ``{share: name}``.

    Args:
        head: `Task.head`.
    """
    if not isinstance(head, Mapping) or SHARE not in head:
        return head
    return {key: value for key, value in head.items() if key != SHARE} or None


def with_share(head: str | Mapping[str, Any], share: str | None) -> str | Mapping[str, Any]:
    """Return what a task says of its head: what the head is, and the name that it shares it by.

    Args:
        head: The head.
        share: The name; None: the task has the head for itself.
    """
    if share is None:
        return head
    return {**({"type": head} if isinstance(head, str) else head), SHARE: share}


def heads_of(tasks: Mapping[str, Task], fallback: GivenHead) -> dict[str, str | Mapping[str, Any] | None]:
    """Return every task's head: its own, else what another task says of the head that it shares, else the model's.

    Args:
        tasks: The tasks by name.
        fallback: The model's head.
    """
    own = {name: without_share(task.head) for name, task in tasks.items()}
    shares = {name: share_of(task.head) for name, task in tasks.items()}
    said = {share: own[name] for name, share in reversed(shares.items()) if share and own[name] is not None}
    return {name: head or said.get(shares[name] or "", fallback) for name, head in own.items()}


def shares_of(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    """Return the tasks that share a head, by its name."""
    found: dict[str, list[str]] = {}
    for name, task in tasks.items():
        if (share := share_of(task.head)) is not None:
            found.setdefault(share, []).append(name)
    return found


def shares_in_words(tasks: Mapping[str, Task]) -> list[str]:
    """Say which tasks have which head in common, a line for each head."""
    return [f"{', '.join(names)}: share '{share}'" for share, names in shares_of(tasks).items()]
