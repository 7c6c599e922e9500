"""Schemes of tags: what B-, I-, E- and S- before the type of an entity say, and tags that break their scheme."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.errors import Mistake, name_classes

Scheme: TypeAlias = Literal["iob2", "iob1", "bioes", "bilou", "plain"]
OUTSIDE = "O"
_PREFIXED = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
# In the order of their roles: begins, goes on, ends, is the only word.
_LETTERS: dict[str, str] = {"iob2": "BI", "iob1": "BI", "bioes": "BIES", "bilou": "BILU"}
_BEGIN, _INSIDE, _END, _SINGLE = 1, 2, 3, 4


@dataclass(frozen=True)
class Tags:
    """The tags of a task in id order, with the scheme that they follow.

    Args:
        names: The tags.
        scheme: Their scheme; of ``iob1`` the tags are those of IOB2, which it is converted to.
    """

    names: tuple[str, ...]
    scheme: Scheme

    @cached_property
    def types(self) -> list[str]:
        """The types of entities, sorted; none for plain tags."""
        return [] if self.scheme == "plain" else types_in(self.names)

    @cached_property
    def outside(self) -> int:
        """Id of ``O``, -1 where there is none."""
        return self.names.index(OUTSIDE) if OUTSIDE in self.names else -1

    @cached_property
    def roles(self) -> NDArray[np.int64]:
        """The role of each tag, 0 for one outside of entities, [C]."""
        return np.array([self._split(name)[0] for name in self.names], dtype=np.int64)

    @cached_property
    def type_ids(self) -> NDArray[np.int64]:
        """The number of each tag's type, -1 for one outside of entities, [C]."""
        return np.array([self._split(name)[1] for name in self.names], dtype=np.int64)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """The tag of each role of each type, -1 where the task has none, [5, types]."""
        found = np.full((5, len(self.types)), -1, dtype=np.int64)
        entity = self.type_ids >= 0
        found[self.roles[entity], self.type_ids[entity]] = np.flatnonzero(entity)
        return found

    @cached_property
    def inside(self) -> NDArray[np.int64]:
        """The tag of a word's further pieces for each tag of a word: I-X for B-X if the task has it, else itself."""
        own = np.arange(len(self.names))
        if not self.types:
            return own
        further = self.ids[_INSIDE, np.maximum(self.type_ids, 0)]
        return np.where((self.roles == _BEGIN) & (further >= 0), further, own)

    def _split(self, name: str) -> tuple[int, int]:
        match = None if self.scheme == "plain" else _PREFIXED.fullmatch(name)
        if match is None or match[1] not in _LETTERS[self.scheme]:
            return 0, -1
        return _LETTERS[self.scheme].index(match[1]) + 1, self.types.index(match[2])

    def entities(self, tags: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Find where entities begin and end, as conlleval reads tags whatever they break; bool [n, W] each.

        An entity goes on where its type does, but for a tag that begins one, and after a tag that ends one.

        Args:
            tags: Tags of words [n, W], `NO_CLASS` where there is no word or its tag is not known.
        """
        known = tags != NO_CLASS
        places = np.where(known, tags, 0)
        roles, types = np.where(known, self.roles[places], 0), np.where(known, self.type_ids[places], -1)
        before = _shifted(types, 1, -1), _shifted(roles, 1, 0)
        new = np.isin(roles, (_BEGIN, _SINGLE)) | (before[0] != types) | np.isin(before[1], (_END, _SINGLE))
        starts = (roles > 0) & new
        ends = (roles > 0) & ((_shifted(types, -1, -1) < 0) | _shifted(starts, -1, False))
        return starts, ends

    def mended(self, tags: NDArray[np.int64]) -> NDArray[np.int64]:
        """Write the same entities as the scheme has them, [n, W]; -1 where the task has no such tag."""
        if not self.types:
            return tags
        starts, ends = self.entities(tags)
        entity = np.where(tags == NO_CLASS, 0, self.roles[np.maximum(tags, 0)]) > 0
        if len(_LETTERS[self.scheme]) == 2:
            roles = np.where(starts, _BEGIN, _INSIDE)
        else:
            roles = np.select([starts & ends, starts, ends], [_SINGLE, _BEGIN, _END], _INSIDE)
        return np.where(entity, self.ids[roles, np.maximum(self.type_ids[np.maximum(tags, 0)], 0)], tags)

    def broken(self, tags: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Find the tags that break the scheme, bool [n, W]. One beside a word without a known tag may be right.

        Args:
            tags: Tags of words [n, W].
            lengths: Words of each row.
        """
        hidden = (tags == NO_CLASS) & (np.arange(tags.shape[1]) < lengths[:, None])
        beside = _shifted(hidden, 1, False) | _shifted(hidden, -1, False)
        found: NDArray[np.bool_] = (self.mended(tags) != tags) & ~beside
        return found

    def is_iob1(self, tags: NDArray[np.int64]) -> bool:
        """Tell whether tags that break IOB2 are IOB1: a B- only where an entity of its type ends just before."""
        if self.scheme != "iob2":
            return False
        roles = np.where(tags == NO_CLASS, 0, self.roles[np.maximum(tags, 0)])
        types = np.where(tags == NO_CLASS, -1, self.type_ids[np.maximum(tags, 0)])
        follows = _shifted(types, 1, -1) == types
        return bool((follows | (roles != _BEGIN)).all())


def _shifted(values: np.ndarray, by: int, fill: object) -> np.ndarray:
    """Return what stands ``by`` words before each word of its row."""
    found = np.full_like(values, fill)
    if by > 0:
        found[:, by:] = values[:, :-by]
    else:
        found[:, :by] = values[:, -by:]
    return found


def types_in(names: Iterable[str]) -> list[str]:
    """Return the types of entities in the names of tags, sorted."""
    return sorted({match[2] for name in names if (match := _PREFIXED.fullmatch(name))})


def scheme_of(names: Sequence[str]) -> Scheme:
    """Tell which scheme the names of tags follow; ``plain`` if none has a prefix."""
    letters = {match[1] for name in names if (match := _PREFIXED.fullmatch(name))}
    if not letters:
        return "plain"
    if letters <= set("BI"):
        return "iob2"
    return "bioes" if letters <= set("BIES") else "bilou"


def all_tags(types: Iterable[str], scheme: Scheme) -> list[str]:
    """Name the tags of types of entities: ``O``, then those of one type after another."""
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in sorted(types) for letter in _LETTERS[scheme])]


def scheme_mistakes(names: Sequence[str], scheme: Scheme | None, name: str) -> Iterator[Mistake]:
    """Find tags that do not belong to a scheme.

    Args:
        names: The tags.
        scheme: The scheme that the recipe gives; None: found by the names.
        name: The task's name.
    """
    meant = scheme or scheme_of(names)
    if meant == "plain":
        return
    allowed = _LETTERS[meant]
    if not types_in(names):
        found = f"the tags of {meant} have prefixes, found: {name_classes(list(names))}"
        remedy = "Write [O, B-PER, I-PER, ...], or scheme: plain"
        yield Mistake(f"tasks.{name}.labels", found, remedy)
        return
    odd = [
        tag for tag in names if tag != OUTSIDE and not ((match := _PREFIXED.fullmatch(tag)) and match[1] in allowed)
    ]
    shown = ", ".join(f"{letter}-" for letter in allowed)
    if odd:
        found = f"the tags of {meant} are O and those with {shown}, found: {name_classes(odd)}"
        remedy = (
            "Name the scheme that the tags have (iob2, iob1, bioes, bilou), or write scheme: plain for their words"
        )
        yield Mistake(f"tasks.{name}.scheme", found, remedy)
        return
    lacking = [f"B-{kind}" for kind in types_in(names) if f"B-{kind}" not in names] if meant == "iob1" else []
    if lacking:
        remedy = "IOB1 is converted to IOB2, where every entity begins with B-. Add them to labels"
        yield Mistake(f"tasks.{name}.labels", f"the labels lack {name_classes(lacking)}", remedy)
