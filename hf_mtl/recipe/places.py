"""Places of keys: the file and the line where each was written."""

import re
from collections.abc import Mapping

from hf_mtl.plain import dotted
from hf_mtl.recipe.nodes import Node


class Places:
    """Places where the keys of a recipe were written.

    Args:
        table: ``file:line`` by dotted key; the empty key is the whole recipe.
    """

    def __init__(self, table: Mapping[str, str] | None = None):
        self.table = dict(table or {})

    @classmethod
    def of(cls, node: Node) -> "Places":
        """Return the places of everything in a tree."""
        return cls({dotted(path): str(origin) for path, origin in node.origins()})

    def locate(self, key: str) -> str:
        """Return the place of a key, or of the nearest key above it; empty if nothing is known.

        Args:
            key: A dotted key; a place in a list is ``.0`` or ``[0]``.
        """
        key = re.sub(r"\[(\d+)\]", r".\1", key)
        while key and key not in self.table:
            key = key.rpartition(".")[0]
        return self.table.get(key, "")
