"""Readers of `datasets` that may read: those that only parse. Others unpickle, ask databases or unpack."""

import importlib.util
from pathlib import Path
from typing import Any

from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import DatasetSource

READERS = ("csv", "json", "parquet", "arrow", "text")
"""The formats that a path may name; repositories and folders may hold them too."""

_REMEDY = (
    f"Allowed: {', '.join(READERS)} with data_files, a Hub id or a folder with files of these formats, or a folder "
    "written by save_to_disk. Convert it once to parquet, in a script of yours"
)


def refuse_reader(source: DatasetSource, key: str) -> None:
    """Refuse a path that names another reader of `datasets`, such as pandas, which unpickles.

    Raises:
        DataError: If it does.
    """
    if source.path in _named_readers() and source.path not in READERS:
        raise DataError(Mistake(f"{key}.path", f"'{source.path}' is not read", _REMEDY))


def refuse_builder(builder: Any, source: DatasetSource, key: str) -> None:
    """Refuse a repository or folder whose files another reader would read.

    Args:
        builder: The `DatasetBuilder` that was chosen for it; nothing has been read.
        source: Where it is.
        key: Recipe key of the source.

    Raises:
        DataError: If it is none that may read.
    """
    module = type(builder).__module__
    name = module.rpartition(".")[-1]
    # What was cached lies there as arrow files, whatever they were made of.
    if not module.startswith("datasets.packaged_modules.") or name not in (*READERS, "cache"):
        problem = f"'{source.path}' would be read by '{name}', which is not done"
        raise DataError(Mistake(f"{key}.path", problem, _REMEDY))


def _named_readers() -> set[str]:
    """Return the names that `datasets` takes for readers of its own; none of them is imported."""
    spec = importlib.util.find_spec("datasets")
    folders = spec.submodule_search_locations if spec is not None else None
    return {path.name for folder in folders or () for path in Path(folder).glob("packaged_modules/[a-z]*/")}
