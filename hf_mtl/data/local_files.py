"""Splits from local files and folders, and from `data_files`."""

import glob
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset, load_dataset_builder, load_from_disk
from datasets.packaged_modules.csv.csv import Csv

from hf_mtl.caches import refuse_cache
from hf_mtl.data.columns import raise_all
from hf_mtl.data.csv_reader import plain_suffix
from hf_mtl.data.csv_source import (
    PANDAS_OPTIONS,
    Loaded,
    csv_options,
    found_in_csv,
    is_csv,
    own_cache,
    read_csv,
    refuse_csv_options,
    written_options,
)
from hf_mtl.data.file_bounds import file_mistakes, too_many_columns
from hf_mtl.data.parquet_reader import read_parquet
from hf_mtl.data.readers import refuse_builder
from hf_mtl.data.split_names import left_out_notes, rows_needed, wanted
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import DatasetSource

FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}

# How datasets, pandas and arrow say that a file holds nothing.
_SIGNS_OF_NO_ROWS = (
    "corresponds to no data",
    "No columns to parse",
    "at least one example when writing",
    "BatchSize must be greater than 0",
)


def is_local(path: str) -> bool:
    """Tell whether the path can only mean something on this machine: it exists, or no Hub id looks like that."""
    looks_local = path.startswith((".", "/", "~")) or path.count("/") > 1 or "\\" in path
    return Path(path).expanduser().exists() or looks_local or plain_suffix(path) in FORMATS


def load_local(source: DatasetSource, key: str) -> Loaded:
    """Load a file (its rows are ``train``), a folder, or a folder that save_to_disk wrote.

    Raises:
        DataError: If there is nothing there, or the extension is not one of csv, tsv, json, jsonl, parquet.
    """
    place = Path(source.path).expanduser().absolute()  # a folder `pandas` is no reader of that name
    if not place.exists():
        raise DataError(missing_file(place, key))
    raise_all(file_mistakes([str(place)], key))
    if place.is_file():
        suffix = plain_suffix(str(place))
        if suffix not in FORMATS:
            found = f"cannot tell the format of '{place.absolute()}' by its extension '{place.suffix}'"
            raise DataError(Mistake(key, found, f"Known extensions: {', '.join(sorted(FORMATS))}."))
        return _read_splits(FORMATS[suffix], {"train": [str(place)]}, source, key)
    if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
        refuse_csv_options(source, key)
        saved = _load_saved(place, key)
        return Loaded(dict(saved) if isinstance(saved, DatasetDict) else {"train": saved})
    # In a cache of its own, or what datasets' own reader guessed before would pass for declared features.
    builder = load_dataset_builder(str(place), source.name, cache_dir=own_cache({}))
    refuse_builder(builder, source, key)
    if is_csv(builder):
        return _read_splits("csv", builder.config.data_files, source, key, written_options(builder))
    raise_all([item for files in (builder.config.data_files or {}).values() for item in file_mistakes(files, key)])
    refuse_csv_options(source, key)
    builder = load_dataset_builder(str(place), source.name, **(PANDAS_OPTIONS if isinstance(builder, Csv) else {}))
    builder.download_and_prepare()
    return Loaded(dict(builder.as_dataset()))


def load_data_files(source: DatasetSource, key: str) -> Loaded:
    """Load files of a format; without named splits they are all ``train``.

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
        for items in wanted(source, files).values()
        for file in items
        if not _exists(file)
    ]
    if missing:
        raise DataError(missing)
    return _read_splits(source.path, files, source, f"{key}.data_files")


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


def _read_splits(
    kind: str,
    files: Mapping[str, list[str]],
    source: DatasetSource,
    key: str,
    written: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read every split, with the mistakes of all of them.

    Args:
        kind: One of `READERS`.
        files: The files of each split.
        source: Where they were named, with options of csv files.
        key: Recipe key for mistakes about the files.
        written: Options that a folder says itself.
    """
    section = key.removesuffix(".data_files")
    options = {**(written or {}), **csv_options(source)}
    if kind != "csv":
        refuse_csv_options(source, section)
    absolute = {split: [_absolute(str(item)) for item in items] for split, items in wanted(source, files).items()}
    raise_all([item for paths in absolute.values() for item in file_mistakes(paths, key)])
    loaded: dict[str, Dataset] = {}
    mistakes: list[Mistake] = []
    for split, paths in absolute.items():
        try:
            loaded[split] = _read(kind, paths, split, options)
        except Exception as error:  # What a reader raises on a broken file depends on the format and the breakage.
            refuse_cache(error)
            ours = found_in_csv(error, section, key)
            mistakes.extend(ours or [_unreadable(error, f"{split} as {kind}", paths, key)])
    if mistakes:
        raise DataError(mistakes)
    return Loaded(loaded, kind == "csv", absolute, left_out_notes(source, files))


def _read(kind: str, paths: list[str], split: str, options: Mapping[str, Any]) -> Dataset:
    patterns = [_pattern(path) for path in paths]
    if kind == "csv":
        return read_csv(patterns, split, options)
    if kind == "parquet":
        return read_parquet(patterns, split)
    raise_all([item for file in paths for item in too_many_columns(file, kind, "")])
    return load_dataset(kind, data_files={split: patterns}, split=split)


def _absolute(file: str) -> str:
    return file if "://" in file else str(Path(file).expanduser().absolute())


def _pattern(path: str) -> str:
    """Return what datasets takes for a path: a file that is there is meant as it is called, such as
    train[clean].csv.
    """
    return glob.escape(path) if Path(path).is_file() else path


def _unreadable(error: Exception, what: str, paths: list[str], key: str) -> Mistake:
    named = ", ".join(f"'{path}'" for path in paths)
    reason = (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if isinstance(error, StopIteration) or any(sign in reason for sign in _SIGNS_OF_NO_ROWS):
        split = what.split()[0]
        return Mistake(key, f"{split} has no rows: {named}", rows_needed(split))
    return Mistake(key, f"cannot read {what} from {named}: {reason}")
