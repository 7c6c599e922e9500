"""The folder of a run from which it is pushed: links to what is sent, until it has been sent."""

import json
import os
import shutil
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from transformers import TrainingArguments

from hf_mtl.inference import manifest
from hf_mtl.training.folder.run_record import WORK

OUTBOX = f"{WORK}/outbox"
_UNSENT = "unsent"
"""A file there that stays until the final model has been pushed."""
ONLY_TO_TRAIN = (
    *("optimizer*", "scheduler.pt", "scaler.pt", "rng_state*", "trainer_state.json", "pytorch_model_fsdp*"),
    *("global_step*", "latest", "zero_to_fp32.py", manifest.STATE_FILE),
)
"""Files of a checkpoint that are pushed only where ``hub_strategy`` asks for whole checkpoints."""
REMEDY = "Check hub_model_id and the connection; log in with `hf auth login`"
"""What to do when a push fails."""


def repo_name(args: TrainingArguments) -> str:
    """Return the repository that a run is pushed to, as its user knows it."""
    return args.hub_model_id or Path(str(args.output_dir)).absolute().name


def await_push(run: Path) -> None:
    """Note that the final model of a run is to be pushed."""
    marker = Path(run) / OUTBOX / _UNSENT
    marker.parent.mkdir(parents=True, exist_ok=True)  # checkpoints may still be on their way from there
    marker.touch()


def waits(run: Path) -> bool:
    """Tell whether the final model of a run is to be pushed, and has not been."""
    return (Path(run) / OUTBOX / _UNSENT).exists()


def clear(run: Path) -> None:
    """Forget what was to be pushed."""
    remove(Path(run) / OUTBOX)


def remove(outbox: Path) -> None:
    """Remove what was sent, and the folder around it if nothing else is in it."""
    shutil.rmtree(outbox, ignore_errors=True)
    with suppress(OSError):
        outbox.parent.rmdir()


def only_to_train(name: str) -> bool:
    """Tell whether a file of a checkpoint is there for training to go on, and not for who uses the model."""
    return any(fnmatchcase(name, pattern) for pattern in ONLY_TO_TRAIN)


def pack(checkpoint: Path, outbox: Path) -> Path:
    """Link a checkpoint's files into the outbox: it may be rotated away before they have been sent."""
    folder = outbox / checkpoint.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(checkpoint, folder, copy_function=_link)
    return folder


def forget_place(folder: Path) -> None:
    """Leave out of a packed checkpoint where the run's best checkpoint lies, and seal it again."""
    path = folder / "trainer_state.json"
    state = json.loads(path.read_text("utf-8")) | {"best_model_checkpoint": None}
    for linked in (path, folder / manifest.MANIFEST):
        linked.unlink()
    path.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", "utf-8")
    manifest.seal(folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
