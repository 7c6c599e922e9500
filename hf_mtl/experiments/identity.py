"""What makes a run the same run, in whatever place its files lie."""

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from hf_mtl.argument_fields import OPTION_FILES
from hf_mtl.data.row_function import own_modules
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
    folder in other places. Where the run itself lies is left out. What is in the files that it names is part of it,
    under ``files``: other rows, another model in the same folder or other code make another run.

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
    """Yield the files that a run reads, here, with those in folders; what comes from the Hub is not looked at."""
    yield from _of_tasks(_value(recipe, "tasks"))
    yield from _of_tasks(_value(_value(recipe, "data"), "beside"))
    model, training = _value(recipe, "model"), _value(recipe, "training")
    folders = [_value(model, "backbone"), _value(model, "tokenizer"), _value(_value(recipe, "baselines"), "llm")]
    for name in chain.from_iterable(map(_words, folders)):
        yield from _there(name, "*")  # checkpoints in the folder of a run are not read
    for name in chain.from_iterable(_words(_value(training, key)) for key in OPTION_FILES):
        yield from _there(name)
    for name in _words(_value(recipe, "plugins")):
        yield from _code(name)


def _of_tasks(tasks: Node | None) -> Iterator[str]:
    for task in _children(tasks):
        for dataset in _mappings(_value(task, "dataset")):
            for name in chain.from_iterable(_words(_value(dataset, key)) for key in ("path", "data_files")):
                yield from _there(name)
            for name in _words(_value(dataset, "function")):
                yield from _code(name.replace(":", ".").rpartition(".")[0])
        for name in _words(_value(task, "metrics")):
            yield from _there(name, "*.py")


def _code(module: str) -> Iterator[str]:
    """Yield the file of a module, which the user allows to be imported; what it imports in turn is not looked at."""
    with own_modules(), suppress(ImportError, ValueError):  # that there is none the run will say
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            yield from _there(os.path.abspath(spec.origin))


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


def _there(name: str, within: str = "**/*") -> Iterator[str]:
    """Yield the files of a path or pattern, and in folders those of a pattern."""
    for found in glob.glob(name, recursive=True) if os.path.isabs(name) else ():
        paths = Path(found).glob(within) if os.path.isdir(found) else [Path(found)]
        yield from (str(path) for path in paths if path.is_file())


def _seen(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4096)
def _content(path: str, size: int, changed: int) -> str:
    """Return the SHA-256 of a file; size and time of change are what it is remembered by."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
