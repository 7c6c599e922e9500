"""The work that is left when a run's results are kept: figures, then the Hub. If it fails, the run stays kept."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from hf_mtl.errors import NotPushedError, one_line
from hf_mtl.reporting.drawn import drawn
from hf_mtl.reporting.figures import training_figure
from hf_mtl.reporting.gradient_figure import gradient_figure
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.shown import get_logger
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.folder.run_lock import run_lock
from hf_mtl.training.run.push import push_run
from hf_mtl.training.saving import outbox

logger = get_logger(__name__)

_NEEDS = {"training.png": "loss/", "gradients.png": "gradient_cosine/"}
"""Each figure's file, and how the keys of the records begin that it needs."""


def is_open(folder: RunFolder, args: TrainingArguments) -> bool:
    """Tell whether a finished run was kept from something that follows its results."""
    return (
        is_unsent(folder, args)
        or folder.replaced.place is not None
        or bool(_wanted(folder, _records(folder), only_missing=True))
    )


def is_unsent(folder: RunFolder, args: TrainingArguments) -> bool:
    """Tell whether the run's final model is to be pushed, and has not been."""
    return args.push_to_hub and outbox.waits(folder.path)


def draw(folder: RunFolder, only_missing: bool, kept: int | None = None) -> None:
    """Draw the run's log; there is none if the run was too short to log. A figure that cannot be drawn is said.

    Args:
        folder: The run's folder.
        only_missing: Leave figures that are there as they are.
        kept: The step whose model was kept. None: not known.
    """
    figures: dict[str, Callable[..., None]] = {
        "training.png": partial(training_figure, kept=kept),
        "gradients.png": gradient_figure,
    }
    records = _records(folder)
    for name in _wanted(folder, records, only_missing):

        def draw_one(path: Path, records: list[dict[str, Any]]) -> None:
            with folder.drawing(path.name) as temporary:
                figures[path.name](temporary, records)

        drawn(folder.figures / name, draw_one, records)


def redraw_run(path: str | Path) -> dict[str, Any]:
    """Draw the figures of a finished run again.

    Args:
        path: The run's folder.

    Returns:
        Its results.

    Raises:
        CheckpointError: If its results are damaged.
        RunError: If it is used by another process, or a figure there is not the run's.
    """
    folder = RunFolder(path)
    results = folder.results()
    with run_lock(folder.path):
        draw(folder, only_missing=False, kept=results.get("step"))
    return results


def _records(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the records of a run's log; none, which is said, if they cannot be read."""
    if not folder.log.exists():
        return []
    try:
        return read_jsonl(folder.log)
    except Exception as error:
        logger.warning(f"Nothing was drawn in {folder.figures}: {one_line(error)}.")
        return []


def _wanted(folder: RunFolder, records: list[dict[str, Any]], only_missing: bool) -> list[str]:
    """Return the figures that the records have something for."""
    keys = {key for record in records for key in record}
    found = [name for name, start in _NEEDS.items() if any(key.startswith(start) for key in keys)]
    return [name for name in found if not (only_missing and (folder.figures / name).exists())]


def push(folder: RunFolder, args: TrainingArguments, results: dict[str, Any]) -> None:
    """Push the run's final model, if it is to be pushed and has not been.

    Raises:
        NotPushedError: If that fails, for whatever reason.
    """
    if not is_unsent(folder, args):
        return
    place = outbox.repo_name(args)
    try:
        push_run(
            folder.path,
            place,
            token=args.hub_token,
            private=args.hub_private_repo,
            revision=args.hub_revision,
            message="End of training",
        )
    except Exception as error:
        why = one_line(error.__cause__ or error)
        message = (
            f"{folder.path} is trained, scored and kept, but it is not pushed to '{place}': {why}. "
            f"{outbox.REMEDY}. Then push it: the same again with --resume (in Python: resume=True)"
        )
        raise NotPushedError(message, results) from error
    outbox.clear(folder.path)
