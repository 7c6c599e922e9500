"""Splits from local files and folders, and from `data_files`."""

import glob
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import DatasetSource

FORMATS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}

# pandas reads "nan", "None" and "null" as missing values, in texts and labels too. A NaN target would then pass for
# a row without a label, and a class called None would be dropped. Only an empty field is a missing value here.
_CSV_OPTIONS = {"keep_default_na": False, "na_values": [""]}

# How datasets, pandas and arrow say that a file holds nothing.
_SIGNS_OF_NO_ROWS = (
    "corresponds to no data",
    "No columns to parse",
    "at least one example when writing",
    "BatchSize must be greater than 0",
)


def is_local(path: str) -> bool:
    """Whether the path can only mean something on this machine: it exists, or no Hub id looks like that."""
    looks_local = path.startswith((".", "/", "~")) or path.count("/") > 1 or "\\" in path
    return Path(path).expanduser().exists() or looks_local or Path(path).suffix in FORMATS


def load_local(path: str, name: str | None, key: str) -> dict[str, Dataset]:
    """Load a file (its rows are ``train``), a folder, or a folder that save_to_disk wrote.

    Raises:
        DataError: If there is nothing there, or the extension is not one of csv, json, jsonl, parquet.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(missing_file(place, key))
    if place.is_file():
        if place.suffix not in FORMATS:
            found = f"cannot tell the format of '{place.absolute()}' by its extension '{place.suffix}'"
            raise DataError(Mistake(key, found, f"Known extensions: {', '.join(sorted(FORMATS))}."))
        return {"train": _read(FORMATS[place.suffix], [str(place)], "train", key)}
    if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
        saved = _load_saved(place, key)
        return dict(saved) if isinstance(saved, DatasetDict) else {"train": saved}
    options: dict[str, Any] = _CSV_OPTIONS if any(place.rglob("*.csv")) else {}
    return dict(load_dataset(str(place), name, **options))


def load_data_files(source: DatasetSource, key: str) -> dict[str, Dataset]:
    """Load csv, json or parquet files; without named splits they are all ``train``.

    Each split is read on its own: the builder would force the columns and types of the first split on the others.

    Raises:
        DataError: If files are missing, all of them at once, or none are named.
    """
    if not source.data_files:
        remedy = "Give data_files: one file, a list, or a mapping of split to files."
        raise DataError(Mistake(key, f"'{source.path}' is a format and needs files", remedy))
    named = source.data_files if isinstance(source.data_files, dict) else {"train": source.data_files}
    files = {split: [item] if isinstance(item, str) else list(item) for split, item in named.items()}
    missing = [
        missing_file(Path(file).expanduser(), f"{key}.data_files")
        for items in files.values()
        for file in items
        if not _exists(file)
    ]
    if missing:
        raise DataError(missing)
    loaded: dict[str, Dataset] = {}
    mistakes: list[Mistake] = []
    for split, items in files.items():
        try:
            loaded[split] = _read(source.path, items, split, f"{key}.data_files")
        except DataError as error:
            mistakes.extend(error.mistakes)
    if mistakes:
        raise DataError(mistakes)
    return loaded


def missing_file(place: Path, key: str) -> Mistake:
    """Say where a file was looked for, and what is there instead."""
    absolute = place.absolute()
    folder = absolute.parent
    while not folder.exists():
        folder = folder.parent
    wanted = absolute.relative_to(folder).parts[0]
    names = sorted(item.name for item in folder.iterdir())
    near = get_close_matches(wanted, names, n=3, cutoff=0.5)
    if near:
        remedy = f"In '{folder}' there is: {', '.join(near)}."
    else:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        remedy = f"'{folder}' holds: {', '.join(names[:8]) or 'nothing'}{more}."
    return Mistake(key, f"no file or folder '{absolute}'", remedy)


def _exists(file: str) -> bool:
    if "://" in file:
        return True
    path = str(Path(file).expanduser())
    return Path(path).exists() or bool(glob.glob(path, recursive=True))


def _load_saved(place: Path, key: str) -> Dataset | DatasetDict:
    try:
        return load_from_disk(str(place))
    except IndexError as error:  # How datasets fails on a saved split without rows.
        raise DataError(Mistake(key, f"a split saved in '{place}' has no rows", "Every split needs rows.")) from error


def _read(kind: str, files: list[str], split: str, key: str) -> Dataset:
    options: dict[str, Any] = _CSV_OPTIONS if kind == "csv" else {}
    paths = [file if "://" in file else str(Path(file).expanduser().absolute()) for file in files]
    try:
        return load_dataset(kind, data_files={split: paths}, split=split, **options)
    except Exception as error:  # What a reader raises on a broken file depends on the format and the breakage.
        named = ", ".join(f"'{path}'" for path in paths)
        reason = (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        if isinstance(error, StopIteration) or any(sign in reason for sign in _SIGNS_OF_NO_ROWS):
            raise DataError(Mistake(key, f"{split} has no rows: {named}", "Every split needs rows.")) from error
        raise DataError(Mistake(key, f"cannot read {split} as {kind} from {named}: {reason}")) from error
