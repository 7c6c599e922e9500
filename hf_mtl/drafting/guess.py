"""One guess: what a task may be, why, and what else it may be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hf_mtl.drafting.columns import Column


@dataclass(frozen=True)
class Guess:
    """A task as it may be meant.

    Args:
        name: What to call it.
        keys: Its keys in a recipe, but for the dataset.
        why: What speaks for a key's value, by key.
        others: What else it may be, a sentence each.
        instead: Guesses to try in its place where the rows refuse it.
        source: Keys of its dataset that it needs.
    """

    name: str
    keys: Mapping[str, Any]
    why: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    instead: tuple["Guess", ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> set[str]:
        """The columns that it reads."""
        found = [self.keys.get(key, []) for key in ("text", "choices", "label")]
        return {name for item in found for name in ([item] if isinstance(item, str) else item)}

    def with_key(self, key: str, value: Any, why: str) -> "Guess":
        """Return the guess with one key more."""
        return replace(self, keys={**self.keys, key: value}, why={**self.why, key: why})


@dataclass(frozen=True)
class Texts:
    """The columns that a row is read by.

    Args:
        columns: One, or two of a pair; none where nothing looks like a text.
        why: What speaks for them.
        others: What else they may be, a sentence each.
    """

    columns: Sequence[Column]
    why: str = ""
    others: tuple[str, ...] = ()

    @property
    def key(self) -> str | list[str]:
        """The value of a task's ``text``."""
        names = [column.name for column in self.columns]
        return names[0] if len(names) == 1 else names


def quoted(names: Sequence[str]) -> str:
    """List names of columns in a sentence."""
    words = [f"'{name}'" for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
