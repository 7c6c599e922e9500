"""One tree of exceptions; each names the exit code of a command that it ends."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, ClassVar

from hf_mtl.shown import hide_secrets, hide_value, is_secret_key, shown

EVALUATE = "Set training.eval_strategy, with eval_steps that the run reaches"
"""What to do where something follows evaluations while training, and there are none."""

_MANY = 30  # names, of which nobody reads all


class HfMtlError(Exception):
    """Base class of every error that hf_mtl raises on purpose.

    Attributes:
        exit_code: What a command that it ends gives back to the shell.
    """

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        return shown(super().__str__(), lines=True)


class Stopped(BaseException):
    """A run that a signal has stopped and that can go on; has said so.

    Not an Exception: a program that tries many recipes and goes on after an `Exception` ends with it, as it does with
    the KeyboardInterrupt or SystemExit that this is.

    Attributes:
        exit_code: What a command that it ends gives back to the shell, 128 and the signal's number.
        said: Whether the user has been told.
    """

    exit_code: ClassVar[int]
    said = False


class Interrupted(Stopped, KeyboardInterrupt):
    """A run that Ctrl-C has stopped."""

    exit_code = 130


class Terminated(Stopped, SystemExit):
    """A run that SIGTERM has stopped; uncaught, it ends the program with exit code 143."""

    exit_code = 143

    def __init__(self, message: str):
        super().__init__(message)
        self.code = self.exit_code


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, said so that it can be mended without reading the source.

    Secrets in it are hidden from the beginning; what a terminal would obey is written out where it is shown.

    Args:
        key: Dotted recipe key that the mistake belongs to, such as ``tasks.emotion.label``; may be empty.
        problem: What was found, in one clause: ``unknown head 'linaer'``.
        remedy: What is allowed or what to do, as one or more sentences; may be empty.
        where: File and line of the key, ``recipes/x.yaml:12``; filled in by whoever knows the recipe.
    """

    key: str
    problem: str
    remedy: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        problem = hide_value(self.problem) if is_secret_key(self.key) else hide_secrets(self.problem)
        object.__setattr__(self, "problem", problem)  # frozen
        object.__setattr__(self, "remedy", hide_secrets(self.remedy))

    def __str__(self) -> str:
        return shown(self._text())

    def _text(self) -> str:
        place = ": ".join(part for part in (self.where, self.key) if part)
        text = f"{place}: {self.problem}" if place else self.problem
        return f"{text}. {self.remedy}" if self.remedy else f"{text}."


class DivergedError(HfMtlError):
    """A run whose losses or weights are no numbers any more (exit code 1); says since when and what is left."""


class DiskError(HfMtlError):
    """A file that could not be written (exit code 1); names it, what to do and the last whole checkpoint.

    Args:
        text: What happened.
        full: Whether room on the disk, or within a quota, is what is missing.
    """

    def __init__(self, text: str, full: bool = False):
        super().__init__(text)
        self.full = full

    def __reduce__(self) -> tuple[type, tuple[str, bool]]:
        return type(self), (str(self), self.full)


class CacheError(DiskError):
    """A cache of the libraries below that is full or read-only (exit code 1); names the variable that moves it."""


class LostProcessError(HfMtlError):
    """A process that others wait for and that has ended before its time (exit code 1); says which."""


class OutputError(HfMtlError):
    """A command whose output was lost on its way, on a full disk for instance (exit code 1)."""


class NotPushedError(HfMtlError):
    """A model that is kept as it was, but not on the Hub (exit code 3).

    Args:
        message: Why, and how to push it again.
        results: The results of the run that was to be pushed at its end, as `run_recipe` would have returned them.
    """

    exit_code = 3

    def __init__(self, message: str, results: dict[str, Any] | None = None):
        super().__init__(message)
        self.results = results or {}

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, Any]]]:
        return type(self), (str(self), self.results)


class UserError(HfMtlError):
    """The user's mistakes, all of them at once.

    Args:
        mistakes: One or more mistakes, or one plain sentence.
    """

    exit_code = 2

    def __init__(self, mistakes: str | Mistake | Iterable[Mistake]):
        if isinstance(mistakes, str):
            mistakes = [Mistake("", mistakes.rstrip("."))]
        elif isinstance(mistakes, Mistake):
            mistakes = [mistakes]
        self.mistakes: tuple[Mistake, ...] = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))

    def __reduce__(self) -> tuple[type, tuple[tuple[Mistake, ...]]]:
        return type(self), (self.mistakes,)


class RecipeError(UserError):
    """A recipe that cannot be run as it is written."""


class DataError(UserError):
    """A dataset that is missing, or that does not hold what its task needs."""


class ModelError(UserError):
    """A model that cannot be built, loaded or exported as asked."""


class CheckpointError(UserError):
    """A checkpoint that is damaged, incomplete or belongs to another run; names the file."""


class RunError(UserError):
    """A run that cannot start here: it exists already, or there is nothing to resume."""


def name_classes(names: Sequence[str], limit: int = 100) -> str:
    """Return the names, and of very many the first ones."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def known(
    names: Iterable[str], found: str, what: str = "Known", also: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Say what is allowed, and the nearest known spelling of what was found.

    Args:
        names: The allowed names.
        found: What the user wrote.
        what: The word before the list.
        also: Allowed names by what else they are called.
    """
    names = sorted(names)
    meant = {**also, **{name: name for name in names}}
    near = near_names(meant, str(found), cutoff=0.6)
    hint = f" Did you mean '{meant[near[0]]}'?" if near else ""
    return f"{what}: {', '.join(names) or 'none'}.{hint}"


def nearest(names: Iterable[str], found: str) -> str:
    """Say what is allowed as `known` does; of very many names only those that are near, if any is.

    Args:
        names: The allowed names.
        found: What the user wrote.
    """
    names = list(names)
    near = near_names(names, found, cutoff=0.5) if len(names) > _MANY else []
    return known(near, found, f"Of {len(names)} the nearest") if near else known(names, found)


def near_names(names: Iterable[str], found: str, cutoff: float) -> list[str]:
    """Return at most five names that are near to what was found, the nearest first.

    Capitals, and signs and blanks between words, make no difference but between names that are else alike.

    Args:
        names: The names.
        found: What the user wrote.
        cutoff: How alike they must be, from 0 to 1.
    """
    known, letters = list(names), _letters(found)
    by_letters: dict[str, list[str]] = {}
    for name in known:
        by_letters.setdefault(_letters(name), []).append(name)
    alike = get_close_matches(found, by_letters.get(letters, []), n=5, cutoff=0)
    written = get_close_matches(found, known, n=5, cutoff=cutoff)  # short names are little but signs, as B-X
    near = [name for word in get_close_matches(letters, by_letters, n=5, cutoff=cutoff) for name in by_letters[word]]
    return list(dict.fromkeys([*alike, *written, *near]))[:5]


def _letters(name: str) -> str:
    return re.sub(r"[-_\s]", "", name).casefold() or name


def is_or_are(key: str) -> str:
    """Return the verb of a sentence about a recipe key, whose name may be a plural."""
    return "are" if key.endswith("s") else "is"


def one_line(error: BaseException) -> str:
    """Return what an error of another program says, in its first sentence; its kind where it says nothing.

    A line that ends with a colon has its point in the next one. What else follows may be a stack of many lines.
    """
    said = ""
    for line in str(error).strip().splitlines():
        said = " ".join([*said.split(), *line.split()])
        if not said.endswith(":"):
            break
    return (said or type(error).__name__).split(". ")[0].rstrip(".:")
