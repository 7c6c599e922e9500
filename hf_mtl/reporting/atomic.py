"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_mtl.disk import writing


def flush(path: Path) -> None:
    """Wait until a file's bytes are on disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, and put it in its place at the end.

    After an error nothing has changed. Missing folders are made.

    Raises:
        DiskError: If the file cannot be written.
    """
    path = Path(path)
    # The same folder, as a rename is atomic only within one file system; the suffix, as it names the format.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            flush(temporary)  # else a crash of the machine may leave an empty file under the final name
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
