"""Files that would never end, or become so much more than they are that disk or memory is full before anyone knows.

A file of any size passes. What is refused is large against the file that it comes from: above a gigabyte, and above
two hundred times the file. Text shrinks to a tenth when compressed, a log to a fiftieth.
"""

import bz2
import glob
import gzip
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from hf_mtl.errors import Mistake
from hf_mtl.file_kinds import other_kind

_AS_LARGE_AS = 1 << 30
_TIMES = 200
_CHUNK = 1 << 20
_BLOCK = 10 << 20
_MOST_COLUMNS = 10_000
_JSON_KEY = re.compile(rb'"((?:[^"\\]|\\.)*+)"\s*+:')
_OPENERS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda file: pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"),
}


def most_bytes(size: int) -> int:
    """Return what a file of so many bytes may become, in bytes."""
    return max(_AS_LARGE_AS, _TIMES * size)


def file_mistakes(files: Iterable[str], key: str) -> list[Mistake]:
    """Return what is wrong with files before anything of them is read; URLs pass.

    Args:
        files: Paths and patterns.
        key: Recipe key for mistakes.
    """
    return [mistake for file in files for path in _paths(str(file)) for mistake in _mistakes(path, key)]


def too_many_columns(file: str, kind: str, sep: str) -> list[Mistake]:
    """Return a mistake if a csv or json file has so many columns that a few rows of them fill the memory.

    Args:
        file: The file, not compressed.
        kind: csv or json; others say their columns where they are read.
        sep: The character between the fields of a csv file.
    """
    if kind not in _COUNT_COLUMNS or not Path(file).is_file():
        return []
    with open(file, "rb") as opened:
        found, what = _COUNT_COLUMNS[kind](opened, sep)
    if found <= _MOST_COLUMNS:
        return []
    return [Mistake("", f"'{file}' has {found:,} {what}", f"Allowed: at most {_MOST_COLUMNS:,}.")]


def _count_fields(file: BinaryIO, sep: str) -> tuple[int, str]:
    return file.readline(_BLOCK).count(sep.encode()) + 1, "columns"


def _count_keys(file: BinaryIO, sep: str) -> tuple[int, str]:
    # In what a reader takes at once: every row may have keys of its own, and each is a column of all of them.
    return len({match[1] for match in _JSON_KEY.finditer(file.read(_BLOCK))}), "different keys"


_COUNT_COLUMNS = {"csv": _count_fields, "json": _count_keys}


def too_large(file: str, what: str, key: str = "") -> Mistake:
    """Return the mistake of a file that becomes too large.

    Args:
        file: The file.
        what: What becomes of it: ``is decompressed``.
        key: Recipe key.
    """
    size = Path(file).stat().st_size
    found = f"'{file}' has {size:,} bytes, and more than {most_bytes(size):,} once it {what}"
    return Mistake(key, found, "Is it what it should be? If so, give its rows in larger or uncompressed files.")


def _paths(file: str) -> list[Path]:
    if "://" in file or Path(file).exists():
        return [Path(file)]
    return [Path(found) for found in glob.glob(file, recursive=True)]


def _mistakes(path: Path, key: str) -> list[Mistake]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # a URL, or what is said where it is looked for
        return []
    kind = other_kind(mode)
    if kind and not stat.S_ISDIR(mode):  # a folder of files is read by its builder
        return [Mistake(key, f"'{path}' is {kind}, not a file", "Write the rows to a file, and name that.")]
    if stat.S_ISREG(mode) and _is_bomb(path):
        return [too_large(str(path), "is decompressed", key)]
    return []


def _is_bomb(path: Path) -> bool:
    most = most_bytes(path.stat().st_size)
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            # By its first bytes, as datasets tells it, and not by its name.
            if start.startswith(b"PK\x03\x04"):
                with zipfile.ZipFile(file) as archive:
                    return sum(item.file_size for item in archive.infolist()) > most
            open_plain = next((found for magic, found in _OPENERS.items() if start.startswith(magic)), None)
            file.seek(0)
            return open_plain is not None and _expands(file, open_plain(file))
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
        return False  # damaged, or not to be opened: its reader says so


def _expands(file: BinaryIO, plain: Any) -> bool:
    """Tell whether the beginning of a compressed file becomes too large.

    Only as much is read as a bomb needs to show itself: of an ordinary file five megabytes, however large it is.

    Args:
        file: The file.
        plain: What it says, read from it.
    """
    found = 0
    while file.tell() <= _AS_LARGE_AS // _TIMES and (chunk := plain.read(_CHUNK)):
        found += len(chunk)
        if found > _AS_LARGE_AS:
            return True
    return False
