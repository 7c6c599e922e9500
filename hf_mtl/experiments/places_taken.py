"""Folders that are within those of other studies and sweeps, which write files of their own there."""

from pathlib import Path

from hf_mtl.errors import Mistake, RunError
from hf_mtl.training.folder.names import OF_MANY


def refuse_within(folder: Path) -> None:
    """Refuse a folder that lies in that of a study or a sweep; writes nothing.

    Args:
        folder: The ``output_dir`` of a study.

    Raises:
        RunError: If it lies in such a folder; names that.
    """
    for around in folder.resolve().parents:
        for name, what in OF_MANY.items():
            if (around / name).is_file():
                problem = f"{folder} lies in the folder of {what}, {around}, which writes there too"
                raise RunError(Mistake("output_dir", problem, "Give a folder beside it, or move that one away"))
