"""Manifests: the files of a checkpoint with their SHA-256, by which it is known to be whole."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from hf_mtl.errors import CheckpointError
from hf_mtl.foreign_json import damaged, kind_of, read_object
from hf_mtl.modeling.weight_files import is_inside
from hf_mtl.reporting.atomic import flush

MANIFEST = "manifest.json"
STATE_FILE = "multi_task_state.safetensors"
MODEL_CONFIG = "config.json"
LOADED = (
    *("model*.safetensors", "model*.safetensors.index.json", "pytorch_model*", "adapter_*"),
    *("tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "added_tokens.json"),
)
"""Files that transformers would load beside those that were sealed, or in their place."""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path) -> None:
    """List the files of a complete checkpoint or model in its manifest, written last."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            flush(path)
            files[str(path.relative_to(folder))] = {"size": path.stat().st_size, "sha256": digest(path)}
    # Last, when all files are on the disk: a manifest that survives a crash lists none that did not.
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"format": 1, "files": files}, indent=1), "utf-8")
    flush(manifest)


def verify(folder: Path, needs: str = STATE_FILE) -> None:
    """Check that a checkpoint, or the model at the root of a run, is whole and ours.

    Args:
        folder: The folder.
        needs: A file that must be part of it: a checkpoint's state, or `MODEL_CONFIG` where a model is enough.

    Raises:
        CheckpointError: Naming the first file that is missing, damaged or not a part of what was written.
    """
    files = listed(folder)
    if needs not in files:
        problem = f"does not list {needs}; the checkpoint is not one of hf_mtl's"
        raise CheckpointError(f"{folder / MANIFEST}: {problem}")
    for name, (size, sha256) in files.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path}: missing from the checkpoint")
        if path.stat().st_size != size or digest(path) != sha256:
            raise CheckpointError(f"{path}: damaged, it differs from what was written")
    for pattern in LOADED:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.name not in files:
                raise CheckpointError(f"{path}: was not written with the checkpoint and would be loaded; remove it")


def listed(folder: Path) -> dict[str, tuple[int, str]]:
    """Return the files that a manifest names, with size in bytes and SHA-256.

    Raises:
        CheckpointError: If there is no manifest, or it is damaged.
    """
    manifest = folder / MANIFEST
    if not os.path.lexists(manifest):
        hint = "the checkpoint is incomplete, or not hf_mtl's" if folder.is_dir() else "there is no such folder"
        raise CheckpointError(f"{manifest}: not found; {hint}")
    files = read_object(manifest).get("files")
    if not isinstance(files, dict):
        raise damaged(manifest, f"files is {kind_of(files)}")
    for name, entry in files.items():
        if not is_inside(name):
            raise damaged(manifest, f"it names {name!r:.80}, which is no file of its folder")
        if not (isinstance(entry, dict) and _is_size(entry.get("size")) and _is_digest(entry.get("sha256"))):
            raise damaged(manifest, f"it says neither size nor SHA-256 of {name!r:.80}")
    return {name: (entry["size"], entry["sha256"]) for name, entry in files.items()}


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
