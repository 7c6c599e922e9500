"""Bounds of a recipe, so that a small file cannot fill the memory or keep a machine busy.

A recipe that someone writes has a few kilobytes, one with a list of thousands of labels a few hundred. The bounds lie
far above that, and are low enough for a recipe at all of them to be refused within seconds.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.file_kinds import other_kind

MOST_BYTES = 1 << 20
MOST_VALUES = 50_000
MOST_CHARACTERS = 2_000_000
LONGEST_TEXT = 10_000
DEEPEST = 100
MOST_FILES = 100

_WRITE_IT = "Write the recipe to a file, and give the path of that."


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


def read_text(path: Path) -> str:
    """Read a recipe's file.

    Args:
        path: The file, as the user would name it in a message.

    Raises:
        RecipeError: If there is no such file, or it is none, too large, or no text in UTF-8.
    """
    try:
        kind = other_kind(os.stat(path).st_mode)
        if kind:  # reading one may never end, or take away what another process is to read
            raise RecipeError(Mistake("", f"is {kind}, not a file", _WRITE_IT, str(path)))
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise RecipeError(Mistake("", reason, "Give the path of a recipe, a YAML file.", str(path))) from None
    if len(data) > MOST_BYTES:
        problem = f"has more than {MOST_BYTES >> 20} MB"
        raise RecipeError(Mistake("", problem, "Is it a recipe? Data belong into files of their own.", str(path)))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: byte {error.start + 1:,} is 0x{data[error.start]:02x}"
        raise RecipeError(Mistake("", problem, "Give the path of a recipe, a YAML file.", str(path))) from None
