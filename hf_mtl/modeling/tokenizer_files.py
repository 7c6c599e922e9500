"""Read the tokenizer that was saved beside a model. transformers makes one up where there is none."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import cached_file

from hf_mtl.errors import Mistake, ModelError

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
"""Arguments of `from_pretrained` that say where on the Hub files are."""

_REMEDY = (
    "Write its files there with tokenizer.save_pretrained(...), or give one that fits (model.tokenizer in a recipe, "
    "processing_class in Python)."
)
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
        # False, not None: with None transformers asks on the terminal whether to run the tokenizer's own code.
        trusted = {"trust_remote_code": False, **options}
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, **trusted)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0].rstrip(" :.")
        problem = f"no tokenizer could be loaded from '{name}'"
        raise ModelError(Mistake("model.tokenizer", problem, f"{first}. {_REMEDY}")) from error
    if not _has_vocabulary(path, type(tokenizer).vocab_files_names, _where(options)):
        problem = f"no tokenizer is in '{name}', which has no file of a vocabulary"
        raise ModelError(Mistake("model.tokenizer", problem, _REMEDY))
    return tokenizer


@dataclass(frozen=True)
class TokenizerPlace:
    """Where a model's tokenizer was saved, if it was.

    Args:
        path: Folder or Hub id.
        options: Arguments of `from_pretrained` that say where on the Hub files are.
    """

    path: str
    options: Mapping[str, Any]

    @classmethod
    def beside(cls, path: str, options: Mapping[str, Any]) -> "TokenizerPlace":
        """The place of a model that was loaded with these arguments of `from_pretrained`."""
        return cls(path, _where(options))

    def read(self) -> PreTrainedTokenizerBase:
        """The tokenizer.

        Raises:
            ModelError: If there is none.
        """
        return read_tokenizer(self.path, **self.options)


def find_tokenizer(source: Any) -> Any:
    """A tokenizer to write beside a model: a copy whose padding is on the right, as in training.

    Args:
        source: A tokenizer, or a `TokenizerPlace`; None: nobody knows.

    Raises:
        ModelError: If there is none.
    """
    if isinstance(source, TokenizerPlace):
        source = source.read()
    if not hasattr(source, "save_pretrained"):
        found = "no tokenizer is known" if source is None else f"is a {type(source).__name__}"
        remedy = "Give the tokenizer that the model was trained with."
        raise ModelError(Mistake("processing_class", found, remedy))
    tokenizer = copy.deepcopy(source)
    tokenizer.padding_side = "right"  # a plain model's head may read the first position, padding or not
    return tokenizer


def _where(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key in HUB_OPTIONS}


def _has_vocabulary(path: str, names: Mapping[str, str], where: Mapping[str, Any]) -> bool:
    """Whether the files are there from which a class of tokenizers reads its words; some classes need none."""
    files = {"tokenizer.json": None, **dict.fromkeys(names.values()), **dict.fromkeys(_OTHER_NAMES)}
    return not names or any(_exists(path, file, where) for file in files)


def _exists(path: str, file: str, where: Mapping[str, Any]) -> bool:
    return cached_file(path, file, **where, _raise_exceptions_for_missing_entries=False) is not None
