"""Read the tokenizer that was saved beside a model. transformers makes one up where there is none."""

from collections.abc import Mapping
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import cached_file

from hf_mtl.errors import Mistake, ModelError

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
"""Arguments of `from_pretrained` that say where on the Hub files are."""

_REMEDY = "Write its files there with tokenizer.save_pretrained(...), or name one that fits (model.tokenizer)."
_OTHER_NAMES = ("tokenizer.model", "tekken.json", "tiktoken.model")  # read whatever the class says


def read_tokenizer(path: str, name: str | None = None, **options: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or of a Hub repository.

    `AutoTokenizer` answers a folder without a vocabulary with a tokenizer that knows special tokens and no word.

    Args:
        path: Folder or Hub id.
        name: What the user calls it, for messages; None: the path.
        options: As for `AutoTokenizer.from_pretrained`.

    Raises:
        ModelError: If there is none, or it cannot be read.
    """
    name = name or path
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0].rstrip(" :.")
        problem = f"no tokenizer could be loaded from '{name}'"
        raise ModelError(Mistake("model.tokenizer", problem, f"{first}. {_REMEDY}")) from error
    where = {key: value for key, value in options.items() if key in HUB_OPTIONS}
    if not _has_vocabulary(path, type(tokenizer).vocab_files_names, where):
        problem = f"no tokenizer is in '{name}', which has no file of a vocabulary"
        raise ModelError(Mistake("model.tokenizer", problem, _REMEDY))
    return tokenizer


def _has_vocabulary(path: str, names: Mapping[str, str], where: Mapping[str, Any]) -> bool:
    """Whether the files are there from which a class of tokenizers reads its words; some classes need none."""
    files = {"tokenizer.json": None, **dict.fromkeys(names.values()), **dict.fromkeys(_OTHER_NAMES)}
    return not names or any(_exists(path, file, where) for file in files)


def _exists(path: str, file: str, where: Mapping[str, Any]) -> bool:
    return cached_file(path, file, **where, _raise_exceptions_for_missing_entries=False) is not None
