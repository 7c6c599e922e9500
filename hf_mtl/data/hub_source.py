"""Splits from the Hub, or from what it left in the cache, and why there may be none."""

import os
from pathlib import Path
from typing import Any

import datasets
from datasets import DatasetBuilder, load_dataset_builder
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from datasets.packaged_modules.cache.cache import Cache
from datasets.packaged_modules.csv.csv import Csv
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from hf_mtl.data.csv_source import (
    PANDAS_OPTIONS,
    Loaded,
    csv_of_the_hub,
    csv_options,
    is_csv,
    own_cache,
    refuse_csv_options,
)
from hf_mtl.data.readers import READERS, refuse_builder
from hf_mtl.errors import DataError, Mistake, one_line
from hf_mtl.tasks import DatasetSource

_LOCAL = f"local files (path: one of {', '.join(READERS)}; data_files)"


def load_hub(source: DatasetSource, key: str) -> Loaded:
    """Load a dataset by its Hub id, in the revision that the source names with a connection or without.

    Csv files of the Hub go through the reader of csv files on this machine.

    Raises:
        DataError: If the Hub cannot be reached and only other revisions are in the cache.
    """
    try:
        return _load(source, key)
    except (DataError, OSError, ValueError, RuntimeError, DatasetsError):
        raise  # what datasets raises on purpose, which the caller explains
    except Exception as error:  # a Hub, or a gateway before it, may answer anything
        problem = f"cannot load '{source.path}': the Hub's answer cannot be read ({one_line(error)})"
        raise DataError(Mistake(key, problem, "Check the connection, or use local files.")) from error


def _load(source: DatasetSource, key: str) -> Loaded:
    options = csv_options(source)
    try:
        builder = _builder(source)
    except Exception:
        cached = _cached_csv(source, options, key)
        if cached is None:
            raise
        return cached
    refuse_builder(builder, source, key)
    if isinstance(builder, Cache):  # without a connection, datasets takes what was cached last, of any revision
        builder = _of_revision(builder, source, key)
        if builder.info.builder_name == "csv":
            return _cached_csv(source, options, key) or _as_pandas_read_it(builder, source, key)
    elif is_csv(builder):
        # Asked again with another cache, or what datasets' own reader guessed would pass for declared features.
        reader = csv_of_the_hub(_builder(source, own_cache(options)), options)
        reader.download_and_prepare()
        return Loaded(dict(reader.as_dataset()), spelled=True)
    refuse_csv_options(source, key)
    if isinstance(builder, Csv):
        builder = _builder(source, **PANDAS_OPTIONS)
    builder.download_and_prepare()
    return Loaded(dict(builder.as_dataset()))


def _builder(source: DatasetSource, cache: str | None = None, **options: Any) -> DatasetBuilder:
    return load_dataset_builder(
        source.path, source.name, data_files=source.data_files, revision=source.revision, cache_dir=cache, **options
    )


def _cached_csv(source: DatasetSource, options: dict[str, Any], key: str) -> Loaded | None:
    """Return what our reader made of the dataset when there was a connection; None: nothing."""
    try:
        builder = _builder(source, own_cache(options))
    except Exception:
        return None
    if not isinstance(builder, Cache):
        return None
    return Loaded(dict(_of_revision(builder, source, key, own_cache(options)).as_dataset()), spelled=True)


def _as_pandas_read_it(builder: Cache, source: DatasetSource, key: str) -> Loaded:
    refuse_csv_options(source, key)
    note = (
        f"'{source.path}' is csv, and the Hub cannot be reached: its rows are those that datasets cached, where "
        "None, NA and null are missing values and 007 is 7. Load it once with a connection to have them as spelled."
    )
    return Loaded(dict(builder.as_dataset()), notes=(note,))


def _of_revision(builder: Cache, source: DatasetSource, key: str, cache: str | None = None) -> Cache:
    revision = source.revision or "main"
    repository = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=source.path, repo_type="dataset")
    reference = repository / "refs" / revision  # the commit that a branch or tag was when the Hub was last asked
    commit = reference.read_text().strip() if reference.is_file() else revision
    if builder.hash == commit:
        return builder
    if (Path(builder.cache_dir).parent / commit).is_dir():
        return Cache(
            cache_dir=cache,
            repo_id=source.path,
            dataset_name=builder.dataset_name,
            config_name=builder.config.name,
            version=str(builder.config.version),
            hash=commit,
        )
    if source.revision is None:
        return builder
    problem = f"'{source.path}' is not in the cache at revision '{revision}', and the Hub cannot be reached"
    raise DataError(Mistake(f"{key}.revision", problem, f"The cache has revision {builder.hash}."))


def explain_hub(source: DatasetSource, label: str, error: Exception, key: str) -> Mistake:
    """Say why a dataset could not be loaded by its Hub id, and what to do.

    Args:
        source: The dataset.
        label: What to call it.
        error: What was raised.
        key: Recipe key of the source.
    """
    local = f"There is no local file or folder '{Path(source.path).absolute()}' either."
    if datasets.config.HF_HUB_OFFLINE:
        remedy = f"Unset HF_HUB_OFFLINE to download it, or use {_LOCAL}."
        return Mistake(key, f"cannot load {label}: offline, and not in the cache", f"{remedy} {local}")
    if "gated dataset" in str(error):
        remedy = "Ask for access on its page on the Hub, and log in with `hf auth login`."
        return Mistake(key, f"no access to {label}, a gated dataset of the Hub", remedy)
    if isinstance(error, DatasetNotFoundError):
        revision = f" at revision '{source.revision}'" if source.revision else ""
        remedy = "Check the spelling; for a private or gated dataset, log in with `hf auth login`."
        return Mistake(key, f"no dataset {label}{revision} on the Hub", f"{remedy} {local}")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    remedy = f"Check the connection, or use {_LOCAL}."
    return Mistake(key, f"cannot reach {endpoint} for {label}, and it is not in the cache", f"{remedy} {local}")
