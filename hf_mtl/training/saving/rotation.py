"""The checkpoints that a run can do without."""

from pathlib import Path

from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState

from hf_mtl.training.checkpoint import checkpoints, newest_whole
from hf_mtl.training.folder.own_checkpoints import own_files


def removable(run: Path, limit: int | None, best: str | None) -> list[Path]:
    """Return the checkpoints that the next save lets go anyway, and that the run can spare before it has succeeded.

    The newest whole checkpoint stays, to resume from, and so does the best one that it knows of.

    Args:
        run: The run's folder.
        limit: The run's ``save_total_limit``.
        best: The best checkpoint; it may be the one that is about to be saved.
    """
    whole = newest_whole(run)
    if not limit or whole is None:
        return []
    there = [path for path in checkpoints(run)[::-1] if own_files(path)]  # oldest first
    others = [path for path in there if path.name != _name(best)]
    # As transformers counts: the new one and the best one stay whatever the limit.
    stay = max(limit, 1 + len(there) - len(others))
    needed = (whole.name, _name(TrainerState.load_from_json(str(whole / TRAINER_STATE_NAME)).best_model_checkpoint))
    return [path for path in others[: max(0, len(there) + 1 - stay)] if path.name not in needed]


def _name(checkpoint: str | None) -> str | None:
    return None if checkpoint is None else Path(checkpoint).name
