"""The arms that a file of experiments describes: each a base recipe with what it replaces in that."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.plain import describe
from hf_mtl.recipe.checks import LONGEST_NAME
from hf_mtl.recipe.extends import read_together
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.overrides import set_at
from hf_mtl.recipe.places import Places
from hf_mtl.validation import MOST_MISTAKES

_ARMS = "arms."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def name_mistakes(name: str, given: Node) -> list[Mistake]:
    """Find what keeps a word from being the name of an arm, and of its folder.

    Args:
        name: The word.
        given: What the file says of the arm.
    """
    if not _NAME.fullmatch(name):
        allowed = "Allowed: letters, digits and _ . + -, as it becomes the name of a folder."
        return [Mistake(f"arms.{name}", "is no name of an arm", allowed, str(given.origin))]
    if len(name) > LONGEST_NAME:
        allowed = f"Allowed: at most {LONGEST_NAME}, as it becomes a part of names of files."
        return [Mistake("arms", f"'{name[:20]}...' is a name of {len(name)} letters", allowed, str(given.origin))]
    return []


def extended(given: Node | None, mistakes: list[Mistake]) -> list[tuple[str, Origin]]:
    """Return the recipes that an arm extends, as they are written, each with its place.

    Args:
        given: What the arm says of them: a file, or a list of files; None: nothing.
        mistakes: Receives what is no file.
    """
    items = [] if given is None else given.value if isinstance(given.value, list) else [given]
    files = []
    for item in items:
        if isinstance(item.value, str):
            files.append((item.value, item.origin))
        else:
            remedy = "Allowed: a file, or a list of files."
            mistakes.append(Mistake("extends", f"found {describe(item.plain())}", remedy, str(item.origin)))
    return files


def laid_over(
    base: tuple[str, Origin],
    extends: Sequence[tuple[str, Origin]],
    layers: Sequence[Mapping[str, Node]],
    decided: Mapping[str, str],
    mistakes: list[Mistake],
) -> Node:
    """Return the recipe of an arm, merged: the base, the recipes that the arm extends, and keys that are replaced.

    A recipe that the base and another one extend is below both, as if one file extended them.

    Args:
        base: The base recipe as it is written, and where.
        extends: The recipes that the arm extends, likewise; later ones win.
        layers: Keys to replace, dotted or nested; later ones win.
        decided: Keys that no layer may replace, dotted with their section, each with what to do.
        mistakes: Receives the keys that cannot be replaced.

    Raises:
        RecipeError: If a recipe cannot be read.
    """
    try:
        node = read_together([base, *extends], mistakes)
    except RecipeError as error:
        at_base = str(base[1])
        told = [replace(item, key="base") if item.where == at_base else item for item in error.mistakes]
        raise RecipeError(told) from error
    for layer in layers:
        for key, value in layer.items():
            parts = key.split(".")
            if not all(parts):
                remedy = "Write key: value, dotted or nested."
                mistakes.append(Mistake("", f"found {describe(key)}", remedy, str(value.origin)))
                continue
            mistakes.extend(_refused(key, value, decided))
            node = set_at(node, parts, value, mistakes, key)
    return node


def _refused(key: str, node: Node, decided: Mapping[str, str]) -> list[Mistake]:
    """Find keys that are decided for all runs."""
    return [
        Mistake(name, "is decided for all runs alike", remedy, str(item.origin))
        for name, remedy in decided.items()
        for item in _said_of(name, key, node)
    ]


def _said_of(name: str, key: str, node: Node) -> Iterator[Node]:
    """Yield what a key, dotted or nested, says of one of a section, or of what is below that: ``data.fold.of``."""
    section, _, rest = name.partition(".")
    inner = of_section(section, key, node)
    yield from (item for found, item in inner.items() if found.partition(".")[0] == rest)


def of_section(section: str, key: str, node: Node) -> dict[str, Node]:
    """Return the keys of a section that a key, dotted or nested, has below it.

    Args:
        section: The section, such as ``training``.
        key: The key.
        node: Its value.
    """
    found, _, rest = key.partition(".")
    if found != section:
        return {}
    inner: dict[str, Any] = {rest: node} if rest else node.value if isinstance(node.value, dict) else {}
    return inner


def told_once(mistakes: Sequence[Mistake], places: Places) -> list[Mistake]:
    """Return every mistake once, with its place, and of very many the first: arms share the mistakes of their base.

    Args:
        mistakes: The mistakes.
        places: Places of the file's keys.
    """
    found = dict.fromkeys(replace(item, where=item.where or places.locate(item.key)) for item in mistakes)
    of_all = {item for item in found if not item.key.startswith(_ARMS)}
    unique = [item for item in found if item in of_all or not any(_is_of_all(item, other) for other in of_all)]
    more = len(unique) - MOST_MISTAKES
    return unique if more <= 0 else [*unique[:MOST_MISTAKES], Mistake("", f"and {more:,} more mistakes")]


def _is_of_all(mistake: Mistake, other: Mistake) -> bool:
    """Tell whether an arm's mistake stands in what all arms share, where it has been told already."""
    return bool(other.key) and mistake.key.endswith(f".{other.key}") and replace(mistake, key=other.key) == other
