"""Checkpoints that are whole or do not exist, and the one file in them that remembers what is ours.

A checkpoint is staged beside its place and renamed when complete. ``manifest.json`` lists its files with their
SHA-256; the final model at the root of a run has one too. ``multi_task_state.safetensors`` holds the state of
everything that remembers (tensors, and JSON in the header). Nothing here is a pickle.
"""

import json
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
from hf_mtl.foreign_json import as_object
from hf_mtl.inference.manifest import verify
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

_FOLDER = re.compile(r"checkpoint-[0-9]+")


class Stateful(Protocol):
    """Whatever remembers: tensors, numbers, strings, and lists and dictionaries of them."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as of now."""

    def load_state_dict(self, state: dict[str, Any]) -> object:
        """Continue from a state."""


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


def checkpoints(output_dir: Path) -> list[Path]:
    """Return the checkpoint folders of a run, newest first, whole or not."""
    found = [path for path in output_dir.glob("checkpoint-*") if is_checkpoint(path.name) and path.is_dir()]
    return sorted(found, key=step_of, reverse=True)


def is_checkpoint(name: str) -> bool:
    """Tell whether a checkpoint could have this name; ``checkpoint-2-best`` is somebody else's."""
    return _FOLDER.fullmatch(name) is not None


def step_of(folder: Path) -> int:
    """Return the step of a checkpoint."""
    return int(folder.name.split("-")[1])


def newest_whole(output_dir: Path) -> Path | None:
    """Return the newest checkpoint that passes `verify`; warns about every newer one that does not."""
    for folder in checkpoints(output_dir):
        try:
            verify(folder)
        except CheckpointError as error:
            if is_main_process():
                logger.warning(f"Skipping a checkpoint that cannot be used. {error}")
            continue
        return folder
    return None
