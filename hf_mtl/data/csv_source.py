"""Csv files, wherever they are, through one reader."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset
from datasets.fingerprint import Hasher
from datasets.packaged_modules.csv.csv import Csv, CsvConfig

from hf_mtl.data import csv_reader
from hf_mtl.data.csv_reader import CsvReader
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import DatasetSource

CSV_OPTIONS = ("sep", "quoting", "encoding", "header")

# What is read under one version of the reader is not taken from the cache by another.
_VERSION = Hasher.hash(Path(csv_reader.__file__).read_text(encoding="utf-8"))

# For a README with options that only pandas has: at least no text passes for a missing value.
PANDAS_OPTIONS: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}

# Options of datasets' reader that ours has too.
_SHARED = {"sep", "delimiter", "names", "column_names", "header", "quoting", "encoding"}
# They say how types are guessed, or how fast: nothing to a reader of text.
_WITHOUT_EFFECT = {"chunksize", "features", "keep_default_na", "na_values", "na_filter", "float_precision", "engine"}
_QUOTE_NONE = 3


@dataclass(frozen=True)
class Loaded:
    """The splits of one source.

    Args:
        splits: Rows per split.
        spelled: Whether the columns are text because the file has no types, as in csv.
        files: The csv files of each split, where they are on this machine.
        notes: What the user should know.
    """

    splits: dict[str, Dataset]
    spelled: bool = False
    files: Mapping[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def csv_options(source: DatasetSource) -> dict[str, Any]:
    """Return the options of csv files that the source gives for their reader."""
    return {name: getattr(source, name) for name in CSV_OPTIONS if name in source.model_fields_set}


def refuse_csv_options(source: DatasetSource, key: str) -> None:
    """Refuse options of csv files for another format.

    Raises:
        DataError: If the source gives any.
    """
    found = f"'{source.path}' is read as another format"
    given = [*csv_options(source), *(name for name in ("dtype", "missing") if getattr(source, name))]
    mistakes = [Mistake(f"{key}.{name}", found, "It is an option of csv files.") for name in given]
    if mistakes:
        raise DataError(mistakes)


def read_csv(files: list[str], split: str, options: Mapping[str, Any]) -> Dataset:
    """Read the csv files of one split.

    Args:
        files: Absolute paths, patterns or URLs.
        split: Its name.
        options: Of `csv_reader.CsvConfig`, and ``features`` where columns are declared.
    """
    builder = CsvReader(dataset_name="csv", data_files={split: files}, hash=_VERSION, **options)
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


def found_in_csv(error: Exception, section: str, key: str) -> list[Mistake]:
    """Return what our reader found wrong, out of the error that datasets wrapped it in; empty if it found nothing.

    Args:
        error: What was raised.
        section: Recipe key of the source: the mistake may be one of its options.
        key: Recipe key of the files.
    """
    cause = error if isinstance(error, DataError) else error.__cause__
    if not isinstance(cause, DataError):
        return []
    return [replace(item, key=f"{section}.{item.key}" if item.key else key) for item in cause.mistakes]


def is_csv(builder: datasets.DatasetBuilder) -> bool:
    """Tell whether datasets would read with its own csv reader, under options that ours has too."""
    if not isinstance(builder, Csv):
        return False
    usual = CsvConfig()
    known = _SHARED | _WITHOUT_EFFECT | {item.name for item in fields(datasets.BuilderConfig)}
    return all(
        name in known or getattr(builder.config, name) == getattr(usual, name)
        for name in (item.name for item in fields(CsvConfig))
    )


def written_options(builder: Csv) -> dict[str, Any]:
    """Return what a repository or folder says in its README of how its csv files are to be read."""
    config = builder.config
    declared = builder.info.features or config.features
    found: dict[str, Any] = {} if declared is None else {"features": declared}
    if config.sep != ",":
        found["sep"] = config.sep
    if config.quoting == _QUOTE_NONE:
        found["quoting"] = "none"
    if config.encoding is not None:
        found["encoding"] = config.encoding
    if config.names is not None:
        found["header"] = list(config.names)
    elif config.header is None:
        found["header"] = False
    return found


def csv_of_the_hub(builder: Csv, options: Mapping[str, Any]) -> CsvReader:
    """Return our reader in the place of datasets' own for a repository of csv files.

    Args:
        builder: What datasets made of the repository; it knows the files, the revision and declared features.
        options: The source's options.
    """
    return CsvReader(
        cache_dir=own_cache(options),
        dataset_name=builder.dataset_name,
        config_name=builder.config.name,
        config_id=builder.config_id,
        hash=builder.hash,
        repo_id=builder.repo_id,
        base_path=builder.base_path,
        token=builder.token,
        data_files=builder.config.data_files,
        **{**written_options(builder), **options},
    )


def own_cache(options: Mapping[str, Any]) -> str:
    """Return the folder of what our reader made of repositories; that of datasets has them as pandas read them."""
    return os.path.join(
        str(datasets.config.HF_DATASETS_CACHE), f"hf_mtl-csv-{Hasher.hash((_VERSION, *options.items()))}"
    )
