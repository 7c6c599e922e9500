"""What makes a run the same run, in whatever place its files lie."""

import glob
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import Any

from hf_mtl.argument_fields import OPTION_FILES
from hf_mtl.data.row_function import own_modules
from hf_mtl.errors import DataError, Mistake
from hf_mtl.recipe.nodes import Node
from hf_mtl.recipe.paths import resolve_paths

_OF_TOKENIZER = (
    *("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model", "*.py"),
    "config.json",
)
_OF_MODEL = (*_OF_TOKENIZER, "adapter_config.json", "*.safetensors", "*.safetensors.index.json", "pytorch_model*")
"""What is read of the folder of a model, which may be a run's: its logs and checkpoints are not."""


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

    Raises:
        DataError: If a file is missing: it is not known then whether a run is another one.
    """
    resolved = resolve_paths(recipe)
    contents: dict[str, str] = {}
    for node, within in _read(resolved):
        if os.path.isabs(node.value) and node.value not in contents:
            contents[node.value] = _content(node, within)
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


def _read(recipe: Node) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Yield the paths that a run reads, and the patterns of what it reads of a folder; Hub ids are among them."""
    for task in _tasks(recipe):
        for dataset in _mappings(_value(task, "dataset")):
            yield from ((name, ("**/*",)) for key in ("path", "data_files") for name in _words(_value(dataset, key)))
        for metric in _mappings(_value(task, "metrics")):
            yield from ((name, ("*.py",)) for name in _words(_value(metric, "name") or metric))
    model, baselines, training = (_value(recipe, key) for key in ("model", "baselines", "training"))
    yield from ((name, _OF_TOKENIZER) for name in _words(_value(model, "tokenizer")))
    for section in (_value(model, "backbone"), _value(_value(baselines, "llm"), "model")):
        yield from ((name, _OF_MODEL) for name in _words(section))
    yield from ((name, ("*",)) for key in OPTION_FILES for name in _words(_value(training, key)))


def _modules(recipe: Node) -> Iterator[str]:
    """Yield the names of modules whose code a run executes; what they import in turn is not looked at."""
    yield from (name.value for name in _words(_value(recipe, "plugins")))
    for task in _tasks(recipe):
        for dataset in _mappings(_value(task, "dataset")):
            for name in _words(_value(dataset, "function")):
                yield name.value.replace(":", ".").rpartition(".")[0]


def _tasks(recipe: Node) -> Iterator[Node]:
    for section in (_value(recipe, "tasks"), _value(_value(recipe, "data"), "beside")):
        yield from _children(section)


def _value(node: Node | None, key: str) -> Node | None:
    return node.value.get(key) if node is not None and isinstance(node.value, dict) else None


def _children(node: Node | None) -> Iterator[Node]:
    found = None if node is None else node.value
    yield from found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()


def _mappings(node: Node | None) -> Iterator[Node]:
    """Yield a dataset or metric, or those of a list."""
    if node is not None and isinstance(node.value, list):
        yield from node.value
    elif node is not None:
        yield node


def _words(node: Node | None) -> Iterator[Node]:
    if node is not None and isinstance(node.value, str):
        yield node
    for child in _children(node):
        yield from _words(child)


def _of_module(name: str) -> str | None:
    """Return what is in the file of a module, or in those of a package; None: there is none, as the run will say."""
    with own_modules(), suppress(ImportError, ValueError):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and os.path.isfile(spec.origin):
            file = os.path.abspath(spec.origin)
            package = spec.submodule_search_locations is not None
            return _of_files(os.path.dirname(file), ("**/*.py",)) if package else _of_file(file)
    return None


def _content(path: Node, within: Sequence[str]) -> str:
    """Return what is in a file, or in the files of a folder or pattern.

    Raises:
        DataError: If there is none.
    """
    name: str = path.value
    if os.path.isfile(name):
        return _of_file(name)
    fixed = takewhile(lambda part: not glob.has_magic(part), Path(name).parts)
    root = name if os.path.isdir(name) else os.path.join(*fixed)
    found = _of_files(root, within if root == name else (os.path.relpath(name, root),))
    if found is None:
        remedy = "Put it back: whether runs of it are the same is known by what is in it. A report needs no data."
        raise DataError(Mistake("", f"no such file or folder: '{name}'", remedy, str(path.origin)))
    return found


def _of_files(root: str, patterns: Sequence[str]) -> str | None:
    """Return what is in the files below a folder, and their names, which decide over the order of rows."""
    paths = {Path(root, name) for pattern in patterns for name in glob.glob(pattern, root_dir=root, recursive=True)}
    found = {path.relative_to(root).as_posix(): _of_file(str(path)) for path in paths if path.is_file()}
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
