"""What the arguments of `hf-mtl init` mean: files of splits that belong together, folders, and ids of the Hub."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_mtl.data.csv_reader import COMPRESSIONS, plain_suffix
from hf_mtl.data.local_files import FORMATS, is_local, missing_file
from hf_mtl.data.sources import GENERATORS
from hf_mtl.data.split_names import SPLITS, split_of
from hf_mtl.drafting.csv_looks import csv_looks
from hf_mtl.errors import Mistake

_DEEPEST = 3  # folders within folders that are looked into
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")  # as `datasets` names the parts of a large split
_GENERIC = {"", "data", "dataset", "datasets", "file", "files", "rows", *SPLITS}


@dataclass(frozen=True)
class Given:
    """One dataset as the user named it.

    Args:
        name: What to call it; empty where its files say nothing.
        source: Keys of a recipe's ``dataset``; paths of files are absolute.
        shown: What it is called in a comment.
        why: What was made of it on the way.
        above: The folder above what it is called by, for two that are called alike.
    """

    name: str
    source: dict[str, Any]
    shown: str
    why: list[str] = field(default_factory=list)
    above: str = ""

    def relative_to(self, folder: Path) -> dict[str, Any]:
        """Return the source with paths as a recipe in ``folder`` names them."""
        found = dict(self.source)
        if "data_files" in found:
            found["data_files"] = _each(found["data_files"], folder)
        elif Path(found["path"]).is_absolute():
            found["path"] = _relative(found["path"], folder)
        return found


def read_arguments(words: Sequence[str], mistakes: list[Mistake]) -> list[Given]:
    """Find the datasets that the words of a command line mean.

    Args:
        words: The words.
        mistakes: Receives which files are missing or of no known format.
    """
    files: list[Path] = []
    found: list[Given] = []
    for word in dict.fromkeys(words):
        path = Path(word).expanduser()
        if path.is_dir() and _is_saved(path):
            found.append(Given(_name(path.name), {"path": str(path.absolute())}, word))
        elif path.is_dir():
            inside = list(_files_in(path))
            files += inside
            if not inside:
                remedy = f"Looked for files that end in {', '.join(sorted(FORMATS))}, {_DEEPEST} folders deep."
                mistakes.append(Mistake("", f"no data in the folder '{path.absolute()}'", remedy))
        elif path.is_file() and plain_suffix(word) in FORMATS:
            files.append(path)
        elif path.is_file():
            problem = f"cannot tell the format of '{path.absolute()}' by its ending '{path.suffix}'"
            mistakes.append(
                Mistake("", problem, f"Known: {', '.join(sorted(FORMATS))}. Convert it once to one of them.")
            )
        elif is_local(word) and _generator(word) is None:
            mistakes.append(missing_file(path, ""))
        else:
            found.append(_of_the_hub(word))
    return [*_grouped(files), *found]


def _generator(word: str) -> str | None:
    path = word.partition(":")[0]
    return path if path in GENERATORS else None


def _of_the_hub(word: str) -> Given:
    """Read ``user/name`` or ``user/name:configuration``."""
    path, _, config = word.partition(":")
    source = {"path": path, **({"name": config} if config else {})}
    return Given(_name(config or path.rpartition("/")[2]), source, word)


def _is_saved(folder: Path) -> bool:
    """Tell whether save_to_disk wrote a folder."""
    return (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()


def _files_in(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Yield the data files of a folder, or where it has none those of the folders in it."""
    entries = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    here = [item for item in entries if item.is_file() and plain_suffix(item.name) in FORMATS]
    # What describes data lies beside them.
    here = [item for item in here if item.name not in ("dataset_infos.json", "dataset_info.json", "manifest.json")]
    yield from here
    if not here and depth < _DEEPEST:
        for item in entries:
            if item.is_dir():
                yield from _files_in(item, depth + 1)


def _grouped(files: Iterable[Path]) -> Iterator[Given]:
    """Put files together that are splits of one dataset: in one folder, of one format, alike but for the split."""
    groups: dict[tuple[Path, str, str], dict[str, list[Path]]] = {}
    for file in dict.fromkeys(item.absolute() for item in files):
        rest, split = _split_in(file)
        kind = FORMATS[plain_suffix(file.name)]
        groups.setdefault((file.parent, rest, kind), {}).setdefault(split, []).append(file)
    for (folder, rest, kind), splits in groups.items():
        named = {split: splits[split] for split in SPLITS if split in splits}
        whole = splits.get("", [])
        if named and "train" not in named and len(named) == 1 and not whole:
            # A file that is alone has the rows to train on, whatever it is called.
            whole, named = next(iter(named.values())), {}
        for file in whole:
            yield _of_files(_name(_stem(file)), _name(folder.name), kind, {"train": [file]}, [])
        if named:
            by_folder = not _name(rest)
            name = _name(folder.name) if by_folder else _name(rest)
            above = _name(folder.parent.name) if by_folder else _name(folder.name)
            which = ", ".join(
                f"{split} is {', '.join(item.name for item in items)}" for split, items in named.items()
            )
            yield _of_files(name, above, kind, named, [f"By the names of the files {which}."])


def _of_files(name: str, above: str, kind: str, splits: dict[str, list[Path]], why: list[str]) -> Given:
    every = [item for found in splits.values() for item in found]
    files: dict[str, Any] = {
        split: str(found[0]) if len(found) == 1 else [str(item) for item in found] for split, found in splits.items()
    }
    looks, said = csv_looks(every) if kind == "csv" else ({}, [])
    shown = (
        every[0].name if len(every) == 1 else f"{every[0].parent.name}/{{{', '.join(item.name for item in every)}}}"
    )
    return Given(name, {"path": kind, "data_files": files, **looks}, shown, [*why, *said], above)


def _split_in(file: Path) -> tuple[str, str]:
    """Return the name of a file without the split that it names, and this split; empty if it names none."""
    parts = [part for part in re.split(r"([-_.\s])", _SHARD.sub("", _stem(file))) if part]
    for place, part in enumerate(parts):
        split = split_of(part.lower())
        if split is not None and (place == 0 or place == len(parts) - 1):
            rest = "".join(parts[:place] + parts[place + 1 :])
            return rest.strip("-_. "), split
    return _stem(file), ""


def _stem(file: Path) -> str:
    """Return the name of a file without the endings of its format and its compression."""
    return (file.with_suffix("") if file.suffix.lower() in COMPRESSIONS else file).stem


def _name(word: str) -> str:
    """Turn a word into what a task may be called; empty if it says nothing."""
    found = re.sub(r"[^A-Za-z0-9]+", "_", word).strip("_").lower()
    return "" if found in _GENERIC else found


def _each(files: Any, folder: Path) -> Any:
    if isinstance(files, dict):
        return {split: _each(found, folder) for split, found in files.items()}
    return [_each(item, folder) for item in files] if isinstance(files, list) else _relative(files, folder)


def _relative(path: str, folder: Path) -> str:
    try:
        found = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path
    return found if found.startswith(".") else f"./{found}"
