"""Bounds of a recipe, so that a small file cannot fill the memory or keep a machine busy.

A recipe that someone writes has a few kilobytes, one with a list of thousands of labels a few hundred. The bounds lie
far above that, and are low enough for a recipe at all of them to be refused within seconds.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.file_kinds import other_kind
from hf_mtl.recipe.kinds import Kind

MOST_BYTES = 1 << 20
MOST_VALUES = 50_000
MOST_CHARACTERS = 2_000_000
LONGEST_TEXT = 10_000
DEEPEST = 100
MOST_FILES = 100


@dataclass
class Size:
    """Size of what was read so far of a recipe, with all that it extends.

    Args:
        written: Values as they are written.
        expanded: Values once every alias stands for what it names.
        characters: Characters of all expanded values.
    """

    written: int = 0
    expanded: int = 0
    characters: int = 0

    def add_written(self) -> None:
        """Count a value that is written.

        Raises:
            TooLarge: If there are too many.
        """
        self.written += 1
        _refuse_if(self.written > MOST_VALUES, f"more than {MOST_VALUES:,} values")

    def add_expanded(self, text: str) -> None:
        """Count a value once more for each alias of it, with its text.

        Raises:
            TooLarge: If there are too many, or their texts are too long.
        """
        self.expanded += 1
        self.characters += len(text)
        aliased = "once its aliases are written out"
        _refuse_if(
            len(text) > LONGEST_TEXT, f"a text of {len(text):,} characters; a text has at most {LONGEST_TEXT:,}"
        )
        _refuse_if(self.expanded > MOST_VALUES, f"more than {MOST_VALUES:,} values {aliased}")
        _refuse_if(self.characters > MOST_CHARACTERS, f"more than {MOST_CHARACTERS:,} characters {aliased}")


class TooLarge(Exception):
    """A bound that a recipe exceeds; whoever knows the file and the line makes a mistake of it."""


def _refuse_if(exceeded: bool, problem: str) -> None:
    if exceeded:
        raise TooLarge(problem)


def refuse_depth(depth: int) -> None:
    """Refuse values that are nested too deeply for what reads them.

    Raises:
        TooLarge: If ``depth`` exceeds the bound.
    """
    _refuse_if(depth > DEEPEST, f"values nested more than {DEEPEST} deep")


def read_text(path: Path, kind: Kind = "recipe") -> str:
    """Read the file of a recipe, a study or a sweep.

    Args:
        path: The file, as the user would name it in a message.
        kind: What is asked for, to say in messages.

    Raises:
        RecipeError: If there is no such file, or it is none, too large, or no text in UTF-8.
    """
    remedy = f"Give the path of a {kind}, a YAML file."
    try:
        other = other_kind(os.stat(path).st_mode)
        if other:  # reading one may never end, or take away what another process is to read
            write_it = f"Write the {kind} to a file, and give the path of that."
            raise RecipeError(Mistake("", f"is {other}, not a file", write_it, str(path)))
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise RecipeError(Mistake("", reason, remedy, str(path))) from None
    if len(data) > MOST_BYTES:
        problem = f"has more than {MOST_BYTES >> 20} MB"
        raise RecipeError(Mistake("", problem, f"Is it a {kind}? Data belong into files of their own.", str(path)))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: byte {error.start + 1:,} is 0x{data[error.start]:02x}"
        raise RecipeError(Mistake("", problem, remedy, str(path))) from None
