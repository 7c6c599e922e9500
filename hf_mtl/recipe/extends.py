"""Recipes that extend recipes: every file is read once, and merged after all that it extends.

The order is that of Python's classes (C3): a file comes after its bases, and the bases of a list keep the order of
the list, of which the later ones win.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.plain import describe
from hf_mtl.recipe.bounds import MOST_FILES, Size
from hf_mtl.recipe.kinds import Kind, refuse_other_kind
from hf_mtl.recipe.merge import merge
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.yaml_source import read_yaml

_ONE_ORDER = "A file comes after all that it extends, and the files of a list stand in one order everywhere."


def read_extended(path: str | Path, mistakes: list[Mistake], kind: Kind = "recipe") -> Node:
    """Read a file and everything that it extends, merged.

    Args:
        path: The file, as the user named it.
        mistakes: Receives what is wrong without being in the way.
        kind: What it is to be.

    Raises:
        RecipeError: If a file cannot be read, is clearly of another kind, or extends itself, or two files want their
            bases in opposite orders.
    """
    family = _Family(mistakes, kind)
    top = family.read(Path(path), (), None)
    found = Node(family.merged(family.orders[top]).value, family.nodes[top].origin)
    refuse_other_kind(found, kind)
    return found


def read_together(files: Sequence[tuple[str, Origin]], mistakes: list[Mistake]) -> Node:
    """Read several recipes with everything that they extend, merged in their order, as if one extended them all.

    Args:
        files: Each as it is written, with the place where it is: it is relative to the folder of that.
        mistakes: Receives what is wrong without being in the way.

    Raises:
        RecipeError: As `read_extended`.
    """
    family = _Family(mistakes)
    found = [family.named(name, Path(origin.folder), (), origin) for name, origin in files]
    return family.merged(family.order(found, files[-1][1]))


class _Family:
    """The files that a recipe extends, at whatever remove, known by where they lie.

    Args:
        mistakes: Receives what is wrong without being in the way.
        kind: What they are to be.
    """

    def __init__(self, mistakes: list[Mistake], kind: Kind = "recipe"):
        self.mistakes = mistakes
        self.kind = kind
        self.names: dict[Path, Path] = {}  # as the user would name the file
        self.nodes: dict[Path, Node] = {}
        self.orders: dict[Path, list[Path]] = {}  # what a file extends, in order of merging, itself last
        self.size = Size()  # of all files together

    def read(self, path: Path, chain: tuple[Path, ...], origin: Origin | None) -> Path:
        """Read a file and those that it extends, unless that was done; ``chain`` led to it, at ``origin``."""
        key = _resolve(path)
        if key in self.orders:
            return key
        if len(self.nodes) >= MOST_FILES:
            problem, remedy = f"leads to more than {MOST_FILES} files", "Write some of them together."
            raise RecipeError(Mistake("extends", problem, remedy, str(origin)))
        node = read_yaml(path, self.mistakes, self.size, self.kind)
        self.names[key], self.nodes[key] = path, node
        extends = node.value.pop("extends", Node(None, node.origin))
        bases = [self.named(name, path.parent, (*chain, path), extends.origin) for name in self._listed(extends)]
        self.orders[key] = [*self.order(bases, extends.origin), key]
        return key

    def _listed(self, extends: Node) -> list[str]:
        found = extends.plain()
        names = [found] if isinstance(found, str) else found
        if names is None:
            return []
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
        problem, remedy = f"found {describe(found)}", "Allowed: a file, or a list of files."
        self.mistakes.append(Mistake("extends", problem, remedy, str(extends.origin)))
        return []

    def merged(self, order: Sequence[Path]) -> Node:
        """Merge files that were read, in an order in which later ones win."""
        merged, *others = (self.nodes[key] for key in order)
        for node in others:
            merged = merge(merged, node, self.mistakes)
        return merged

    def named(self, name: str, folder: Path, chain: tuple[Path, ...], origin: Origin) -> Path:
        """Read a file that is named at ``origin``, relative to a folder; ``chain`` led there."""
        base = Path(os.path.normpath(folder / os.path.expanduser(name)))
        if _resolve(base) in {_resolve(file) for file in chain}:
            circle = " -> ".join(str(file) for file in (*chain, base))
            raise RecipeError(
                Mistake("extends", f"a circle: {circle}", f"A {self.kind} cannot extend itself.", str(origin))
            )
        # A folder, pipe or device is told apart where it is opened.
        if not os.path.exists(base):
            problem, remedy = f"no such file: {describe(name)}", f"It is relative to {folder}."
            raise RecipeError(Mistake("extends", problem, remedy, str(origin)))
        key = self.read(base, chain, origin)
        refuse_other_kind(self.nodes[key], self.kind, origin)
        return key

    def order(self, bases: list[Path], origin: Origin) -> list[Path]:
        """Return the files below a list of bases, in order of merging: C3, which finds the last of them first."""
        if twice := [str(self.names[base]) for base in dict.fromkeys(bases) if bases.count(base) > 1]:
            raise RecipeError(
                Mistake("extends", f"lists {', '.join(twice)} more than once", "Keep one of them.", str(origin))
            )
        queues = [list(self.orders[base]) for base in reversed(bases)] + [list(bases)]
        order: list[Path] = []
        while queues := [queue for queue in queues if queue]:
            found = next((queue[-1] for queue in queues if _is_last(queue[-1], queues)), None)
            if found is None:
                wanted = " before ".join(str(self.names[key]) for key in _circle(queues))
                raise RecipeError(Mistake("extends", f"cannot be put in order: {wanted}", _ONE_ORDER, str(origin)))
            order.append(found)
            queues = [queue[:-1] if queue[-1] == found else queue for queue in queues]
        return order[::-1]


def _resolve(path: Path) -> Path:
    """Return where a path leads; itself where that cannot be told, which opening it will say."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL character
        return path.absolute()


def _is_last(key: Path, queues: list[list[Path]]) -> bool:
    return not any(key in queue[:-1] for queue in queues)


def _circle(queues: list[list[Path]]) -> list[Path]:
    """Find files each of which is to come before the next, where none is the last."""
    found = [queues[0][-1]]
    while True:
        after = next(queue[-1] for queue in queues if found[-1] in queue[:-1])
        if after in found:
            return [*found[found.index(after) :], after]
        found.append(after)
