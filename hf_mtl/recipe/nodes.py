"""Values of a recipe that know where they were written."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hf_mtl.plain import KeyPath


@dataclass(frozen=True)
class Origin:
    """Place where a value was written.

    Args:
        file: The file as the user would name it, or ``command line``.
        folder: Absolute folder that relative paths of this value are relative to.
        line: Line in the file, from 1; None outside files.
    """

    file: str
    folder: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value and its origin; lists and mappings hold nodes.

    Args:
        value: A scalar, a list of nodes, or a mapping from names to nodes.
        origin: Where the key of the value was written, or the item of a list.
    """

    value: Any
    origin: Origin

    def plain(self) -> Any:
        """Return the value without origins."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def origins(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Origin]]:
        """Yield this key path and every one below it, each with the place where it was written."""
        yield path, self.origin
        children: Any = ()
        if isinstance(self.value, dict):
            children = self.value.items()
        elif isinstance(self.value, list):
            children = enumerate(self.value)
        for key, node in children:
            yield from node.origins((*path, key))
