"""JSON files that somebody else may have written: their object, or one message that names the file."""

import json
from pathlib import Path
from typing import Any

from hf_mtl.errors import CheckpointError, Mistake, one_line

LARGEST = 2**26  # bytes; ours have thousands, and the entries of a tokenizer or an index a few millions


def read_object(path: str | Path, remedy: str = "") -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        path: The file.
        remedy: What to do if it cannot be read.

    Raises:
        CheckpointError: If it is absent, too large, no JSON, or no object; names the file.
    """
    return as_object(read_text(path, remedy), path, remedy)


def read_text(path: str | Path, remedy: str = "", largest: int | None = LARGEST) -> str:
    """Return the text of a file.

    Args:
        path: The file.
        remedy: What to do if it cannot be read.
        largest: Most bytes that such a file has; None: any number.

    Raises:
        CheckpointError: If there is no such file, it has more bytes, or is no text; names the file.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise damaged(path, "it is no file", remedy)
        size = path.stat().st_size
        if largest is not None and size > largest:
            raise damaged(path, f"it has {size:,} bytes, and such files have at most {largest:,}", remedy)
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, one_line(error), remedy) from error


def as_object(text: str, path: str | Path, remedy: str = "") -> dict[str, Any]:
    """Return the object that a text is in JSON.

    Raises:
        CheckpointError: If it is none; names the file.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        looks = ", it looks like a web page" if text.lstrip()[:1] == "<" else ""
        raise damaged(path, f"not JSON{looks} ({one_line(error)})", remedy) from error
    if not isinstance(found, dict):
        raise damaged(path, f"holds {kind_of(found)} in place of an object", remedy)
    return found


def damaged(path: str | Path, reason: str, remedy: str = "") -> CheckpointError:
    """Return the error of a file that cannot be used."""
    return CheckpointError(Mistake("", f"{path}: damaged ({reason})", remedy))


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in words."""
    words = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else words.get(type(value), type(value).__name__)
