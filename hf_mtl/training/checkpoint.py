"""Checkpoints that are whole or do not exist, and the one file in them that remembers what is ours.

A checkpoint is staged beside its place and renamed when complete. ``manifest.json`` lists its files with their
SHA-256; the final model at the root of a run has one too. ``multi_task_state.safetensors`` holds the state of
everything that remembers (tensors, and JSON in the header). Nothing here is a pickle.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hf_mtl.data.processes import is_main_process
from hf_mtl.disk import writing
from hf_mtl.errors import CheckpointError, HfMtlError, Mistake, one_line
from hf_mtl.file_modes import give_usual_modes
from hf_mtl.foreign_json import as_object, damaged, kind_of, read_object
from hf_mtl.modeling.weight_files import is_inside
from hf_mtl.reporting.atomic import flush
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

MANIFEST = "manifest.json"
STATE_FILE = "multi_task_state.safetensors"
MODEL_CONFIG = "config.json"
LOADED = (
    *("model*.safetensors", "model*.safetensors.index.json", "pytorch_model*", "adapter_*"),
    *("tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "added_tokens.json"),
)
"""What transformers would load beside, or in place of, the files that were sealed."""
_FOLDER = re.compile(r"checkpoint-[0-9]+")


class Stateful(Protocol):
    """Whatever remembers: tensors, numbers, strings, and lists and dictionaries of them."""

    def state_dict(self) -> dict[str, Any]:
        """The state, as of now."""

    def load_state_dict(self, state: dict[str, Any]) -> object:
        """Continue from a state."""


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_state(path: Path, parts: Mapping[str, Stateful]) -> None:
    """Write the state of several objects into one safetensors file.

    Args:
        path: The file.
        parts: The objects by name; names and keys must not contain "/".
    """
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for part, stateful in parts.items():
        plain[part] = {}
        for key, value in stateful.state_dict().items():
            if isinstance(value, torch.Tensor):
                tensors[f"{part}/{key}"] = value.detach().cpu().contiguous()
            else:
                plain[part][key] = value
    with writing(path):
        save_file(tensors, path, metadata={"format": "pt", "state": json.dumps(plain)})
    give_usual_modes([path])


def load_state(path: Path) -> dict[str, dict[str, Any]]:
    """Read what `save_state` wrote.

    Raises:
        CheckpointError: If the file is missing, damaged or another program's; names the file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = as_object(file.metadata()["state"], path)
            if not all(isinstance(part, dict) for part in state.values()):
                raise ValueError("a part of it is no mapping")
            for name in file.keys():  # noqa: SIM118 - not a dictionary
                part, key = name.split("/", 1)
                state[part][key] = file.get_tensor(name)
    except (OSError, SafetensorError, CheckpointError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a state file of hf_mtl, or damaged ({error})") from error
    return state


def restore(path: Path, parts: Mapping[str, Stateful]) -> None:
    """Give several objects back their state.

    Raises:
        CheckpointError: If the file cannot be read, lacks one of the objects, or holds a state that is none of its.
    """
    state = load_state(path)
    missing = [name for name in parts if name not in state]
    if missing:
        raise CheckpointError(f"{path}: has no state of {', '.join(missing)}; it was written by another run")
    for name, stateful in parts.items():
        with reading(path, f"the state of {name}"):
            stateful.load_state_dict(state[name])


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Read a part of a checkpoint with a reader of transformers or torch.

    Args:
        path: The checkpoint, or the file.
        what: What is read, for the message.

    Raises:
        CheckpointError: If the reader fails at it.
    """
    try:
        yield
    except HfMtlError:
        raise
    except Exception as error:  # the readers trust every value, and fail at a wrong one in their own ways
        problem = f"{path}: {what} cannot be read, or belongs to another run ({one_line(error)})"
        raise CheckpointError(Mistake("", problem, "Resume from another checkpoint")) from error


def seal(folder: Path) -> None:
    """List the files of a complete checkpoint or model in its manifest, written last."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            flush(path)
            files[str(path.relative_to(folder))] = {"size": path.stat().st_size, "sha256": digest(path)}
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
    """The files that a manifest names, with size in bytes and SHA-256.

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


def checkpoints(output_dir: Path) -> list[Path]:
    """The checkpoint folders of a run, newest first, whole or not."""
    found = [path for path in output_dir.glob("checkpoint-*") if is_checkpoint(path.name) and path.is_dir()]
    return sorted(found, key=step_of, reverse=True)


def is_checkpoint(name: str) -> bool:
    """Whether a checkpoint could have this name; ``checkpoint-2-best`` is somebody else's."""
    return _FOLDER.fullmatch(name) is not None


def step_of(folder: Path) -> int:
    """The step of a checkpoint."""
    return int(folder.name.split("-")[1])


def newest_whole(output_dir: Path) -> Path | None:
    """The newest checkpoint that passes `verify`; warns about every newer one that does not."""
    for folder in checkpoints(output_dir):
        try:
            verify(folder)
        except CheckpointError as error:
            if is_main_process():
                logger.warning(f"Skipping a checkpoint that cannot be used. {error}")
            continue
        return folder
    return None
