"""The reader of YAML: text to a tree of values that know the file and the line that they came from.

YAML 1.2 manners, which differ from PyYAML's own: ``5e-5`` is a number, ``yes``, ``no``, ``on`` and ``off`` are
words (labels, most often), and a key that is written twice is a mistake. The merge key of YAML 1.1 is kept, because
recipes are written with it: ``<<: *defaults`` takes the keys of another mapping that are not written beside it.
"""

from pathlib import Path
from typing import Any

import yaml

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.plain import MERGE, SCALARS, TAG, KeyPath, describe, dotted, shorten
from hf_mtl.recipe.bounds import Size, TooLarge, read_text, refuse_depth
from hf_mtl.recipe.kinds import NEEDS, Kind
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.scalars import scalar_value

_LARGEST = "Allowed: whole numbers of at most 64 bits, and numbers up to 1.8e308; quote it if it is text."


class _Loader(yaml.SafeLoader):
    """Composes nodes with the scalars of YAML 1.2, up to the bounds of a recipe.

    Args:
        text: The text.
        size: Counts the values.
    """

    def __init__(self, text: str, size: Size):
        super().__init__(text)
        self._size = size
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a value, as long as there are not too many, and none too deep for Python's stack."""
        self._size.add_written()
        self._depth += 1
        refuse_depth(self._depth)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


# Empty first: PyYAML would begin with a copy of the scalars of YAML 1.1, where `yes` is true and `no` is false.
_Loader.yaml_implicit_resolvers = {}
for _kind, (_pattern, _first) in SCALARS.items():
    _Loader.add_implicit_resolver(TAG + _kind, _pattern, _first)


def read_yaml(path: str | Path, mistakes: list[Mistake], size: Size | None = None, kind: Kind = "recipe") -> Node:
    """Read a file whose top level is a mapping.

    Args:
        path: The file, as the user would name it in a message.
        mistakes: Receives what is wrong without being in the way, such as repeated keys.
        size: What was read before of the same recipe, and counts this too.
        kind: What is asked for, to say in messages.

    Raises:
        RecipeError: If the file is missing, empty, not YAML, not a mapping, or beyond the bounds of a recipe.
    """
    path = Path(path)
    text = read_text(path, kind)
    node = parse_yaml(text, Origin(str(path), str(path.absolute().parent), 1), mistakes, size)
    if node.value is None:
        raise RecipeError(Mistake("", "the file is empty", f"A {kind} needs at least {NEEDS[kind]}.", str(path)))
    if not isinstance(node.value, dict):
        raise RecipeError(Mistake("", f"found {describe(node.plain())}", f"A {kind} is a mapping.", str(node.origin)))
    return node


def parse_yaml(text: str, origin: Origin, mistakes: list[Mistake], size: Size | None = None) -> Node:
    """Parse YAML text.

    Args:
        text: The text.
        origin: Origin of its first line; without a line, every value has this origin.
        mistakes: Receives repeated keys and the like.
        size: What was read before of the same recipe, and counts this too.

    Raises:
        RecipeError: If the text is not YAML, or beyond the bounds of a recipe.
    """
    size = size or Size()
    tree = _compose(text, origin, size)
    if tree is None:
        return Node(None, origin)
    return _Builder(origin, mistakes, size).build(tree, origin, (), frozenset())


def _compose(text: str, origin: Origin, size: Size) -> yaml.Node | None:
    """Compose YAML text to PyYAML's nodes, in which an alias is the node that it names."""
    loader: _Loader | None = None
    try:
        loader = _Loader(text, size)
        tree: yaml.Node | None = loader.get_single_node()
        return tree
    except TooLarge as error:
        line = loader.line + 1 if loader and origin.line else None
        raise _beyond(error, Origin(origin.file, origin.folder, line)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        if error.context_mark and mark and error.context_mark.line != mark.line:
            problem += f"; begun in line {error.context_mark.line + 1}"
        where = Origin(origin.file, origin.folder, mark.line + 1) if mark and origin.line else origin
        problem = f"not valid YAML: {shorten(problem)}"
        raise RecipeError(Mistake("", problem, where=str(where))) from None
    except yaml.YAMLError as error:
        problem = f"not valid YAML: {error}".splitlines()[0]
        raise RecipeError(Mistake("", problem, where=str(origin))) from None


def _beyond(error: TooLarge, origin: Origin, path: KeyPath = ()) -> RecipeError:
    return RecipeError(Mistake(dotted(path), f"holds {error}", "Is it the right file?", str(origin)))


def _lacks_a_blank(key: yaml.ScalarNode, value: yaml.Node) -> bool:
    """Tell whether a key is ``name:text`` in braces, which YAML reads as one word whose value is left out."""
    name, colon, text = str(key.value).partition(":")
    left_out = isinstance(value, yaml.ScalarNode) and value.style is None and value.value == ""
    return bool(left_out and key.style is None and name and colon and text)


class _Builder:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, origin: Origin, mistakes: list[Mistake], size: Size):
        self.first = origin
        self.mistakes = mistakes
        self.size = size

    def build(self, tree: yaml.Node, origin: Origin, path: KeyPath, above: frozenset[int]) -> Node:
        if id(tree) in above:
            return self._wrong(origin, path, "an alias that contains itself", "Write the value out.")
        above = above | {id(tree)}
        # An alias is built anew wherever it stands: nothing bounds that but this count.
        self._count(tree, origin, path)
        own = "map" if isinstance(tree, yaml.MappingNode) else "seq"
        if not isinstance(tree, yaml.ScalarNode) and tree.tag != TAG + own:
            return self._wrong(origin, path, f"the tag {describe(tree.tag)}", "Tags are not used in recipes.")
        if isinstance(tree, yaml.MappingNode):
            return Node(self._mapping(tree, path, above), origin)
        if isinstance(tree, yaml.SequenceNode):
            items = enumerate(tree.value)
            return Node([self.build(item, self._at(item), (*path, i), above) for i, item in items], origin)
        return self._scalar(tree, origin, path)

    def _count(self, tree: yaml.Node, origin: Origin, path: KeyPath) -> None:
        try:
            refuse_depth(len(path))
            self.size.add_expanded(tree.value if isinstance(tree, yaml.ScalarNode) else "")
        except TooLarge as error:
            raise _beyond(error, origin, path) from None

    def _at(self, tree: yaml.Node) -> Origin:
        if self.first.line is None:
            return self.first
        return Origin(self.first.file, self.first.folder, tree.start_mark.line + 1)

    def _wrong(self, origin: Origin, path: KeyPath, problem: str, remedy: str) -> Node:
        self.mistakes.append(Mistake(dotted(path), problem, remedy, str(origin)))
        return Node(None, origin)

    def _mapping(self, tree: yaml.MappingNode, path: KeyPath, above: frozenset[int]) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, value in tree.value:
            origin = self._at(key)
            if isinstance(key, yaml.ScalarNode) and key.value == MERGE and key.style is None:
                inherited = {**self._merged(value, origin, path, above), **inherited}
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(origin, path, "a key that is a list or a mapping", "Keys are words.")
                continue
            self._count(key, origin, path)
            if _lacks_a_blank(key, value):
                name, text = str(key.value).split(":", 1)
                remedy = f"Write a blank after the colon: '{shorten(name)}: {shorten(text)}'."
                self._wrong(origin, path, f"found {describe(key.value)} without a value", remedy)
                continue
            # The text as written: a class called `no` or `1` keeps its name.
            name = str(key.value)
            self._scalar(key, origin, (*path, name))  # only for what is wrong with its tag
            if name in nodes:
                first = nodes[name].origin
                self._wrong(origin, (*path, name), f"written twice, first at {first}", "Keep one of them.")
            nodes[name] = self.build(value, origin, (*path, name), above)
        return {**inherited, **nodes}

    def _merged(self, tree: yaml.Node, origin: Origin, path: KeyPath, above: frozenset[int]) -> dict[str, Node]:
        """Return the keys of the mapping, or of the list of mappings of which the first wins, behind a merge key."""
        trees = tree.value if isinstance(tree, yaml.SequenceNode) else [tree]
        nodes: dict[str, Node] = {}
        for part in trees:
            if not isinstance(part, yaml.MappingNode):
                remedy = "Allowed: an alias of a mapping, such as *defaults, or a list of them."
                self._wrong(origin, (*path, MERGE), f"found {describe(part.value)}", remedy)
                continue
            found = self.build(part, origin, path, above).value
            nodes = {**(found if isinstance(found, dict) else {}), **nodes}
        return nodes

    def _scalar(self, tree: yaml.Node, origin: Origin, path: KeyPath) -> Node:
        text, kind = tree.value, tree.tag.removeprefix(TAG)
        if kind == "str":
            return Node(text, origin)
        if kind not in SCALARS:
            return self._wrong(origin, path, f"the tag {describe(tree.tag)}", "Tags are not used in recipes.")
        try:
            return Node(scalar_value(text, kind), origin)
        except OverflowError:
            return self._wrong(origin, path, f"found {describe(text)}, which no number here can hold", _LARGEST)
        except ValueError:
            return self._wrong(origin, path, f"found {describe(text)}, which is no {kind}", "Remove the tag.")
