"""A checkpoint's run, read before any part of the Trainer takes its state."""

from dataclasses import dataclass
from pathlib import Path

from transformers.trainer_callback import TrainerState

from hf_mtl.inference import manifest
from hf_mtl.training.checkpoint import load_state, reading


@dataclass(frozen=True)
class SavedRun:
    """The facts of a checkpoint that decide how a Trainer goes on with it.

    Args:
        path: The file that holds the state of everything that remembers.
        rows_per_step: Rows of a step, over all processes.
        rows_of_process: Rows of a step on one process, as the run was begun with.
        stopped: Whether the run had been told to stop.
    """

    path: Path
    rows_per_step: int
    rows_of_process: int
    stopped: bool

    @classmethod
    def read(cls, folder: Path) -> "SavedRun":
        """Read a checkpoint.

        Args:
            folder: The checkpoint.

        Raises:
            CheckpointError: If its state cannot be read; names the file.
        """
        path = folder / manifest.STATE_FILE
        saved = load_state(path)
        with reading(path, "the state of the run"):
            rows = int(saved["steps"]["identity"]["rows_per_step"])
            stopped = bool(saved["callbacks"]["stopped"])
            return cls(path, rows, int(saved["identity"]["rows_of_process"]), stopped)


def trainer_state(folder: Path, planned: int, stays_stopped: bool) -> tuple[TrainerState, bool]:
    """Read the Trainer's state from a checkpoint.

    Args:
        folder: The checkpoint.
        planned: The steps that the run is to have now.
        stays_stopped: Whether a run that was told to stop is to stay so.

    Returns:
        The state, and whether nothing is left to train.

    Raises:
        CheckpointError: If it cannot be read; names the file.
    """
    place = folder / "trainer_state.json"
    with reading(place, "the Trainer's state"):
        state = TrainerState.load_from_json(str(place))
        ended = state.global_step >= planned or (stays_stopped and state.global_step < state.max_steps)
    return state, ended
