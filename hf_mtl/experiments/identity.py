"""What makes a run the same run, in whatever place its files lie."""

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain, takewhile
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
    """Return a recipe in plain values that are the same wherever its files lie, and others where these have changed.

    In the place of a file or folder that a run reads stands what is in it: rows, a model, a tokenizer, a metric's
    script. Under ``code`` is what is in the modules that the recipe names. Other relative paths are put relative to
    the folder of the study. Where the run itself lies is left out.

    Args:
        recipe: The merged recipe.
        folder: The folder of the study or sweep.
    """
    resolved = resolve_paths(recipe)
    contents = {path: found for path, within in _read(resolved) if (found := _content(path, within)) is not None}
    plain: dict[str, Any] = _with_contents(recipe, resolved, contents, os.path.abspath(folder))
    training = {key: value for key, value in (plain.get("training") or {}).items() if key != "output_dir"}
    return {
        **plain,
        "training": training,
        "code": {name: _of_module(name) for name in sorted(set(_modules(resolved)))},
    }


def _with_contents(written: Node, resolved: Node, contents: dict[str, str], folder: str) -> Any:
    if isinstance(written.value, dict):
        return {
            key: _with_contents(node, resolved.value[key], contents, folder) for key, node in written.value.items()
        }
    if isinstance(written.value, list):
        return [_with_contents(*pair, contents, folder) for pair in zip(written.value, resolved.value, strict=True)]
    if isinstance(resolved.value, str) and resolved.value in contents:
        return contents[resolved.value]
    return written.value if written.value == resolved.value else _relative(resolved.value, folder)


def _relative(path: str, folder: str) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path


def _read(recipe: Node) -> Iterator[tuple[str, str]]:
    """Yield the paths that a run reads, and the pattern of what it reads of a folder; Hub ids are among them."""
    for task in _tasks(recipe):
        for dataset in _mappings(_value(task, "dataset")):
            yield from ((name, "**/*") for key in ("path", "data_files") for name in _words(_value(dataset, key)))
        yield from ((name, "*.py") for name in _words(_value(task, "metrics")))
    model, baselines, training = (_value(recipe, key) for key in ("model", "baselines", "training"))
    models = (_value(model, "backbone"), _value(model, "tokenizer"), _value(_value(baselines, "llm"), "model"))
    # Checkpoints in the folder of a run that serves as a model are not read.
    yield from ((name, "*") for name in chain.from_iterable(map(_words, models)))
    yield from ((name, "*") for key in OPTION_FILES for name in _words(_value(training, key)))


def _modules(recipe: Node) -> Iterator[str]:
    """Yield the names of modules whose code a run executes; what they import in turn is not looked at."""
    yield from _words(_value(recipe, "plugins"))
    for task in _tasks(recipe):
        for dataset in _mappings(_value(task, "dataset")):
            for name in _words(_value(dataset, "function")):
                yield name.replace(":", ".").rpartition(".")[0]


def _tasks(recipe: Node) -> Iterator[Node]:
    for section in (_value(recipe, "tasks"), _value(_value(recipe, "data"), "beside")):
        yield from _children(section)


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


def _of_module(name: str) -> str | None:
    """Return what is in the file of a module; None: there is none, as the run will say."""
    with own_modules(), suppress(ImportError, ValueError):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and os.path.isfile(spec.origin):
            return _of_file(os.path.abspath(spec.origin))
    return None


def _content(path: str, within: str) -> str | None:
    """Return what is in a file, or in the files of a folder or pattern; None where there is none here."""
    if not os.path.isabs(path):
        return None
    if os.path.isfile(path):
        return _of_file(path)
    fixed = takewhile(lambda part: not glob.has_magic(part), Path(path).parts)
    root = path if os.path.isdir(path) else os.path.join(*fixed)
    files = Path(path).glob(within) if root == path else map(Path, glob.glob(path, recursive=True))
    # By their names too, which decide over the order of the rows.
    found = {file.relative_to(root).as_posix(): _of_file(str(file)) for file in files if file.is_file()}
    return digest(found) if found else None


def _of_file(path: str) -> str:
    status = os.stat(path)
    # What a file is read as may depend on how its name ends.
    return _sha256(path, status.st_size, status.st_mtime_ns) + os.path.splitext(path)[1]


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, changed: int) -> str:
    """Return the SHA-256 of a file; size and time of change are what it is remembered by."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
