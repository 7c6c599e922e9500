"""Splits from the Hub, or from what it left in the cache, and why there may be none."""

import os
from pathlib import Path

import datasets
from datasets import Dataset, load_dataset_builder
from datasets.exceptions import DatasetNotFoundError
from datasets.packaged_modules.cache.cache import Cache
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import DatasetSource


def load_hub(source: DatasetSource, key: str) -> dict[str, Dataset]:
    """Load a dataset by its Hub id, in the revision that the source names with a connection or without.

    Raises:
        DataError: If the Hub cannot be reached and only other revisions are in the cache.
    """
    builder = load_dataset_builder(source.path, source.name, data_files=source.data_files, revision=source.revision)
    if isinstance(builder, Cache):  # without a connection, datasets takes what was cached last, of any revision
        builder = _of_revision(builder, source, key)
    builder.download_and_prepare()
    return dict(builder.as_dataset())


def _of_revision(builder: Cache, source: DatasetSource, key: str) -> Cache:
    revision = source.revision or "main"
    cache = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=source.path, repo_type="dataset")
    reference = cache / "refs" / revision  # the commit that a branch or tag was when the Hub was last asked
    commit = reference.read_text().strip() if reference.is_file() else revision
    if builder.hash == commit:
        return builder
    if (Path(builder.cache_dir).parent / commit).is_dir():
        name, version = builder.config.name, str(builder.config.version)
        return Cache(
            repo_id=source.path, dataset_name=builder.dataset_name, config_name=name, version=version, hash=commit
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
        remedy = "Unset HF_HUB_OFFLINE to download it, or use local files (path: csv, json or parquet, data_files)."
        return Mistake(key, f"cannot load {label}: offline, and not in the cache", f"{remedy} {local}")
    if "gated dataset" in str(error):
        remedy = "Ask for access on its page on the Hub, and log in with `hf auth login`."
        return Mistake(key, f"no access to {label}, a gated dataset of the Hub", remedy)
    if isinstance(error, DatasetNotFoundError):
        revision = f" at revision '{source.revision}'" if source.revision else ""
        remedy = "Check the spelling; for a private or gated dataset, log in with `hf auth login`."
        return Mistake(key, f"no dataset {label}{revision} on the Hub", f"{remedy} {local}")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    remedy = "Check the connection, or use local files (path: csv, json or parquet, data_files)."
    return Mistake(key, f"cannot reach {endpoint} for {label}, and it is not in the cache", f"{remedy} {local}")
