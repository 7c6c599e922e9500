"""What makes a run the same run, in whatever place its files lie."""

import hashlib
import json
import os
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
    folder in other places. Where the run itself lies is left out.

    Args:
        recipe: The merged recipe.
        folder: The folder of the study or sweep.
    """
    plain: dict[str, Any] = _moved(recipe, resolve_paths(recipe), os.path.abspath(folder))
    training = {key: value for key, value in (plain.get("training") or {}).items() if key != "output_dir"}
    return {**plain, "training": training}


def _moved(written: Node, resolved: Node, folder: str) -> Any:
    if isinstance(written.value, dict):
        return {key: _moved(node, resolved.value[key], folder) for key, node in written.value.items()}
    if isinstance(written.value, list):
        return [_moved(*pair, folder) for pair in zip(written.value, resolved.value, strict=True)]
    if written.value == resolved.value:
        return written.value
    try:
        return Path(os.path.relpath(resolved.value, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return resolved.value
