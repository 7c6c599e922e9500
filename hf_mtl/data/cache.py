"""The folder in which `datasets` keeps what it has read, and what of it has been tokenised."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from pickle import PicklingError
from typing import Any

import datasets
import tokenizers
import transformers
from datasets import Dataset, config
from datasets.fingerprint import Hasher

from hf_mtl.caches import filling_cache
from hf_mtl.data.text_batches import TextBatch, gather_batches
from hf_mtl.data.token_files import read_tokens, write_tokens
from hf_mtl.data.tokens import TokenStore
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

_FORMAT = 1  # of the files; another number finds none of those of before


def filling_datasets() -> AbstractContextManager[None]:
    """Say of a cache that is full that it is the cache, and where it is.

    Raises:
        CacheError: In place of what `datasets` says.
    """
    return filling_cache(Path(config.HF_DATASETS_CACHE), "HF_DATASETS_CACHE")


def kept_tokens(
    texts: Dataset,
    made: tuple[Any, ...],
    takes_types: bool,
    batches: Callable[[], Iterable[TextBatch]],
    count: int | None = None,
) -> TokenStore:
    """Find tokenised rows in the cache, or make them and put them there.

    A dataset in memory has no cache, as for `datasets`, and its rows stay in memory. So do those that the cache has
    no room for, which is said.

    Args:
        texts: The rows.
        made: All that decides what becomes of them.
        takes_types: Whether the model takes token types.
        batches: Tokenises the rows.
        count: The sequences that they make; None: one each.
    """
    folder = _folder(texts, made)
    if folder is None:
        return gather_batches(batches(), takes_types)
    tokens = read_tokens(folder, len(texts) if count is None else count, takes_types)
    if tokens is not None:
        return tokens
    try:
        return write_tokens(folder, batches(), takes_types)
    except OSError as error:
        logger.warning_once(
            f"tokenised rows cannot be kept in {folder.parent} ({error.strerror or error}): they stay in memory, and "
            "the next run tokenises again. Set HF_DATASETS_CACHE to a folder that has room and can be written."
        )
        return gather_batches(batches(), takes_types)


def _folder(texts: Dataset, made: tuple[Any, ...]) -> Path | None:
    """Return where the rows are kept; None: nowhere."""
    if not (texts.cache_files and datasets.is_caching_enabled()):
        return None
    try:
        name = Hasher.hash([_FORMAT, tokenizers.__version__, transformers.__version__, texts._fingerprint, made])
    except (PicklingError, TypeError, AttributeError):  # what a tokenizer of the user's may have in it
        return None
    return Path(config.HF_DATASETS_CACHE) / "hf_mtl" / f"tokens-{name}"
