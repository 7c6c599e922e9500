"""The folder in which `datasets` keeps what it has read and tokenised."""

from contextlib import AbstractContextManager
from pathlib import Path

from datasets import config

from hf_mtl.caches import filling_cache


def filling_datasets() -> AbstractContextManager[None]:
    """Say of a cache that is full that it is the cache, and where it is.

    Raises:
        CacheError: In place of what `datasets` says.
    """
    return filling_cache(Path(config.HF_DATASETS_CACHE), "HF_DATASETS_CACHE")
