"""The folder of a run from which it is pushed: links to what is sent, until it has been sent."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from huggingface_hub import create_repo, upload_folder
from transformers import TrainingArguments

from hf_mtl.inference import manifest
from hf_mtl.training.folder.run_record import WORK

OUTBOX = f"{WORK}/outbox"
_UNSENT = "unsent"
"""A file there that stays until the final model has been pushed."""
REMEDY = "Check hub_model_id and the connection; log in with `hf auth login`"
"""What to do when a push fails."""


def repo_name(args: TrainingArguments) -> str:
    """Return the repository that a run is pushed to, as its user knows it."""
    return args.hub_model_id or Path(str(args.output_dir)).absolute().name


def await_push(run: Path) -> Path:
    """Note that the final model of a run is to be pushed; gives the folder for its card."""
    folder = final_folder(run)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder.parent / _UNSENT).touch()
    return folder


def waits(run: Path) -> bool:
    """Tell whether the final model of a run is to be pushed, and has not been."""
    return (final_folder(run).parent / _UNSENT).exists()


def clear(run: Path) -> None:
    """Forget what was to be pushed."""
    remove(Path(run) / OUTBOX)


def remove(outbox: Path) -> None:
    """Remove what was sent, and the folder around it if nothing else is in it."""
    shutil.rmtree(outbox, ignore_errors=True)
    with suppress(OSError):
        outbox.parent.rmdir()


def send_model(run: Path, args: TrainingArguments) -> None:
    """Push the final model of a run, which its manifest lists, and its card.

    After an error, whatever it was, the model still `waits`.
    """
    folder = final_folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    for name in manifest.listed(run):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        _link(str(run / name), str(folder / name))
    repo = create_repo(repo_name(args), token=args.hub_token, private=args.hub_private_repo, exist_ok=True)
    upload_folder(
        repo_id=repo.repo_id,
        folder_path=folder,
        commit_message="End of training",
        token=args.hub_token,
        revision=args.hub_revision,
    )
    clear(run)  # what stays is pushed again, which changes nothing


def final_folder(run: str | Path) -> Path:
    """Return where the final model is put together, with its card."""
    return Path(run) / OUTBOX / "final"


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
