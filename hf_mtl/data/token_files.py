"""Token ids on the disk: flat arrays that every process maps, so that a machine holds them once."""

import json
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hf_mtl.data.text_batches import TextBatch
from hf_mtl.data.tokens import TokenStore

_KINDS: dict[str, DTypeLike] = {"ids": np.int32, "types": np.uint8, "offsets": np.int64, "cut": np.bool_}
_SUMS = "sums"  # the last file of a folder: which others there are, and a sum of each
_PASSING = ".writing-"
_LEFT_S = 3600
"""Seconds without a byte after which the folder of a writer was left behind by one that was killed."""


@dataclass(frozen=True, eq=False)
class MappedTokens(TokenStore):
    """Rows in a folder, read where they are used.

    Args:
        folder: The folder. It travels to another process in place of the rows, as long as it is there.
    """

    folder: Path = Path()

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.folder.exists():
            return _map, (self.folder, self.takes_type_ids)
        return super().__reduce_ex__(protocol)


def write_tokens(folder: Path, batches: Iterable[TextBatch], takes_types: bool) -> TokenStore:
    """Keep rows in a folder and map them.

    The folder appears at once and whole: two runs that write the same rows do not meet, and the later one takes what
    the first has written.

    Args:
        folder: Where the rows are kept, by a name that stands for them.
        batches: The rows; tokenised while they are written.
        takes_types: Whether the model takes token types.

    Raises:
        OSError: If the disk takes no more; nothing is left of what was written.
    """
    shutil.rmtree(folder, ignore_errors=True)  # damaged, or it would have been read
    passing = folder.parent / f"{_PASSING}{uuid.uuid4().hex}"
    passing.mkdir(parents=True)
    _sweep(folder.parent)
    try:
        _write(passing, batches)
        tokens = _map(passing, takes_types)
        with suppress(OSError):  # another run was faster; what is mapped stays when its name goes
            passing.rename(folder)
            tokens = _map(folder, takes_types)
        return tokens
    finally:
        shutil.rmtree(passing, ignore_errors=True)


def read_tokens(folder: Path, rows: int, takes_types: bool) -> TokenStore | None:
    """Map what `write_tokens` has kept; None if it is not there, or not as it was written.

    Args:
        folder: Where the rows are kept.
        rows: How many there are.
        takes_types: Whether the model takes token types.
    """
    try:
        sums = json.loads((folder / _SUMS).read_text())
        if sums != _sums(folder):
            return None
        tokens = _map(folder, takes_types)
    except (OSError, ValueError):  # a file is not there, or the sums are no JSON
        return None
    return tokens if len(tokens.offsets) == len(tokens.cut) + 1 == rows + 1 else None


def _write(folder: Path, batches: Iterable[TextBatch]) -> None:
    lengths, cut, typed = [np.zeros(1, np.int64)], [np.zeros(0, np.bool_)], False
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in _KINDS}
        for batch in batches:
            files["ids"].write(batch.ids.data)
            if batch.types is not None:
                files["types"].write(batch.types.data)
                typed |= bool(batch.types.any())
            lengths.append(batch.lengths)
            cut.append(batch.cut)
        files["offsets"].write(np.cumsum(np.concatenate(lengths)).data)
        files["cut"].write(np.concatenate(cut).data)
    if not typed:
        (folder / "types").unlink()
    (folder / _SUMS).write_text(json.dumps(_sums(folder)))
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())  # a name must not outlive what it stands for when the power goes


def _sums(folder: Path) -> dict[str, int]:
    """Return a sum of each file: those who clear a cache take single files, and disks lose what they held.

    Reading 100 MB that the system has in memory takes 0.02 s, and a run reads them anyway.
    """
    sums = {}
    for name in _KINDS:
        if (folder / name).exists():
            sums[name] = 0
            with (folder / name).open("rb") as file:
                while part := file.read(1 << 20):
                    sums[name] = zlib.crc32(part, sums[name])
    return sums


def _map(folder: Path, takes_types: bool) -> MappedTokens:
    ids, offsets, cut = (_array(folder / name) for name in ("ids", "offsets", "cut"))
    types = _array(folder / "types") if (folder / "types").exists() else None
    return MappedTokens(ids, offsets, cut, takes_types, types, folder)


def _array(file: Path) -> NDArray[Any]:
    """Return a file as an array that is read where it is used."""
    if not file.stat().st_size:  # nothing to map
        return np.zeros(0, _KINDS[file.name])
    # A plain array: what numpy picks out of a memmap would be called one too.
    return np.memmap(file, _KINDS[file.name], mode="r").view(np.ndarray)


def _sweep(parent: Path) -> None:
    """Remove what killed writers have left."""
    for left in parent.glob(f"{_PASSING}*"):
        with suppress(OSError):
            if time.time() - max(file.stat().st_mtime for file in (left, *left.iterdir())) > _LEFT_S:
                shutil.rmtree(left, ignore_errors=True)
