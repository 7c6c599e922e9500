"""What makes a run the same run, in whatever place its files lie."""

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from hf_mtl.recipe.nodes import Node
from hf_mtl.recipe.paths import resolve_paths


def digest(values: Any) -> str:
    """Return the SHA-256 of plain values.

    Args:
        values: What JSON can hold.
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def same_anywhere(recipe: Node, folder: Path) -> dict[str, Any]:
    """Return a recipe in plain values that are the same wherever its files and the folder of its study move together.

    Paths that are written as relative ones are put relative to that folder, so that machines may mount a shared
    folder in other places. Where the run itself lies is left out. What is in the files of the data is part of it,
    under ``files``: other rows make another run.

    Args:
        recipe: The merged recipe.
        folder: The folder of the study or sweep.
    """
    place, resolved = os.path.abspath(folder), resolve_paths(recipe)
    plain: dict[str, Any] = _moved(recipe, resolved, place)
    training = {key: value for key, value in (plain.get("training") or {}).items() if key != "output_dir"}
    files = {_relative(path, place): _content(path, *_seen(path)) for path in sorted(set(_files(resolved)))}
    return {**plain, "training": training, "files": files}


def _moved(written: Node, resolved: Node, folder: str) -> Any:
    if isinstance(written.value, dict):
        return {key: _moved(node, resolved.value[key], folder) for key, node in written.value.items()}
    if isinstance(written.value, list):
        return [_moved(*pair, folder) for pair in zip(written.value, resolved.value, strict=True)]
    same = written.value == resolved.value
    return written.value if same else _relative(resolved.value, folder)


def _relative(path: str, folder: str) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path


def _files(recipe: Node) -> Iterator[str]:
    """Yield the files that the tasks read, here, with those in folders; what comes from the Hub is not looked at."""
    data = recipe.value.get("data")
    for section in (recipe.value.get("tasks"), _value(data, "beside")):
        for task in _children(section):
            for dataset in _mappings(_value(task, "dataset")):
                for key in ("path", "data_files"):
                    for name in _words(_value(dataset, key)):
                        yield from _there(name)


def _value(node: Node | None, key: str) -> Node | None:
    return node.value.get(key) if node is not None and isinstance(node.value, dict) else None


def _children(node: Node | None) -> Iterator[Node]:
    found = None if node is None else node.value
    yield from found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()


def _mappings(node: Node | None) -> Iterator[Node]:
    """Yield a dataset, or those of a list."""
    if node is not None and isinstance(node.value, list):
        yield from node.value
    elif node is not None:
        yield node


def _words(node: Node | None) -> Iterator[str]:
    if node is not None and isinstance(node.value, str):
        yield node.value
    for child in _children(node):
        yield from _words(child)


def _there(name: str) -> Iterator[str]:
    for found in glob.glob(name, recursive=True) if os.path.isabs(name) else ():
        within = Path(found).rglob("*") if os.path.isdir(found) else [Path(found)]
        yield from (str(path) for path in within if path.is_file())


def _seen(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4096)
def _content(path: str, size: int, changed: int) -> str:
    """Return the SHA-256 of a file; size and time of change are what it is remembered by."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
