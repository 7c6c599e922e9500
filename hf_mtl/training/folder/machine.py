"""The machine that a run was trained on, and the versions of what trained it, kept in its folder."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from hf_mtl.errors import CheckpointError
from hf_mtl.foreign_json import read_object
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.folder.run_record import RunRecord

MACHINE = "machine.json"

_PACKAGES = [
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "datasets",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
]


def this_machine(device: torch.device, processes: int) -> dict[str, Any]:
    """Describe the machine of this process, without its name or anybody's.

    Args:
        device: The device that is trained on.
        processes: Processes of the run.

    Returns:
        ``hardware`` in words, ``processes``, and ``versions`` by package.
    """
    ours = sys.modules["hf_mtl"].__version__  # an import of the package at the top would be one of all rooms
    versions = {"hf_mtl": ours, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a package that was not installed as one
            continue
    return {"hardware": _hardware(device), "processes": processes, "versions": versions}


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    return f"CPU ({platform.machine()}, {os.cpu_count()} cores)"


def write_machine(folder: Path, found: dict[str, Any]) -> None:
    """Keep the machine of a process that begins or resumes a run; ``begun`` counts them.

    Args:
        folder: The run's folder.
        found: As `this_machine` gives it.
    """
    begun = int(read_machine(folder).get("begun", 0)) + 1
    with RunRecord(folder).replacing(MACHINE) as temporary:
        write_json_atomic(temporary, {**found, "begun": begun})


def read_machine(folder: Path) -> dict[str, Any]:
    """Return what a run kept of its machine; empty where it kept nothing that can be read."""
    try:
        found = read_object(folder / MACHINE) if (folder / MACHINE).exists() else {}
    except CheckpointError:
        return {}
    whole = isinstance(found.get("begun"), int) and isinstance(found.get("versions"), dict)
    return found if whole else {}
