"""Work of one process that ends all of them where it fails, such as a file that cannot be written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_mtl.data.processes import agree
from hf_mtl.disk import writing
from hf_mtl.errors import DiskError
from hf_mtl.training.checkpoint import newest_whole


@contextmanager
def all_or_none(run: Path, path: Path | None = None) -> Iterator[None]:
    """End every process with the message of the one that could not write; else they would wait for it in vain.

    The processes enter the block together and wait for each other at its end. In it they may only wait for each
    other before anything is written.

    Args:
        run: The run's folder, to say what of it is whole.
        path: The file that is written in the block, or the folder of several. None: the run's folder.

    Raises:
        DiskError: If any process could not write.
    """
    failure = None
    try:
        with writing(path or run):
            yield
    except DiskError as error:
        failure = DiskError(f"{error} {what_is_left(run)}", error.full)
        failure.__cause__ = error
    agree(failure)


def what_is_left(run: Path) -> str:
    """Say what is left of a run, and how to go on with it."""
    whole = newest_whole(run)
    if whole is None:
        return "There is no checkpoint yet; the run can only begin again."
    return f"The last checkpoint is whole: {whole} (step {whole.name.split('-')[1]}); resume from it."
