"""Read the tokenizer that was saved beside a model. transformers makes one up where there is none."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Protocol, cast

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import cached_file

from hf_mtl.caches import refuse_cache
from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.foreign_json import read_object

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
"""Arguments of `from_pretrained` that say where on the Hub files are."""

_REMEDY = (
    "Write its files there with tokenizer.save_pretrained(...), or give one that fits (model.tokenizer in a recipe, "
    "processing_class in Python)."
)
_KEY = "model.tokenizer"
_NO_CODE = {"trust_remote_code": False}
# What is read as JSON, whatever the class of the tokenizer.
_JSON = ("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
# What transformers notes of where a tokenizer was read, and of the state that its file had.
_STATE = ("is_local", "local_files_only", "max_length", "stride", "truncation_strategy", "pad_to_multiple_of")
_OTHER_NAMES = ("tokenizer.model", "tekken.json", "tiktoken.model")  # read whatever the class says


def read_tokenizer(path: str, name: str | None = None, **options: Any) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a folder or of a Hub repository.

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
        # Without an answer of the user's, transformers asks at the terminal whether to run a repository's code.
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, **{**_NO_CODE, **options})
        _try_out(tokenizer)
    except UserError as error:  # of the model's config, by which a tokenizer's class may be found
        raise ModelError(replace(item, key=item.key or _KEY) for item in error.mistakes) from error
    except Exception as error:  # the readers of transformers and tokenizers trust every value of every file
        raise ModelError(_unreadable(path, name, _where(options), error)) from error
    if not _has_vocabulary(path, type(tokenizer).vocab_files_names, _where(options)):
        problem = f"no tokenizer is in '{name}', which has no file of a vocabulary"
        raise ModelError(Mistake(_KEY, problem, _REMEDY))
    return tokenizer


def save_without_state(tokenizer: Any, folder: str | PathLike[str]) -> None:
    """Save a tokenizer without what its last call, or whoever read it, has left in it.

    Args:
        tokenizer: The tokenizer, which stays as it is.
        folder: Where its files go.
    """
    with without_state(tokenizer):
        tokenizer.save_pretrained(folder)


@contextmanager
def without_state(tokenizer: Any) -> Iterator[None]:
    """Have a tokenizer that is saved within write nothing of its last call, nor of where it was read.

    The lengths to cut and to pad to of a call stay in a fast tokenizer until the next one and go into
    ``tokenizer.json``, by which the library tokenizers would then cut every text. Who reads that file with
    transformers has them in ``tokenizer_config.json`` too at the next save.

    Args:
        tokenizer: The tokenizer, which is as before at the end; None, or one of another kind, is let alone.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    options = getattr(tokenizer, "init_kwargs", None)
    truncation, padding = (None, None) if backend is None else (backend.truncation, backend.padding)
    if truncation is not None:
        backend.no_truncation()
    if padding is not None:
        backend.no_padding()
    if options is not None:
        tokenizer.init_kwargs = {key: value for key, value in options.items() if key not in _STATE}
    try:
        yield
    finally:
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)
        if options is not None:
            tokenizer.init_kwargs = options


@dataclass(frozen=True)
class TokenizerPlace:
    """The place where a model's tokenizer may have been saved.

    Args:
        path: Folder or Hub id.
        options: Arguments of `from_pretrained` that say where on the Hub files are.
    """

    path: str
    options: Mapping[str, Any]

    @classmethod
    def beside(cls, path: str, options: Mapping[str, Any]) -> "TokenizerPlace":
        """Return the place of a model that was loaded with these arguments of `from_pretrained`."""
        return cls(path, _where(options))

    def read(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer.

        Raises:
            ModelError: If there is none.
        """
        return read_tokenizer(self.path, **self.options)


class Savable(Protocol):
    """A tokenizer, as far as whoever writes it beside a model must know it."""

    padding_side: str
    truncation_side: str
    model_max_length: int
    init_kwargs: dict[str, Any]

    def save_pretrained(self, save_directory: str | PathLike[str]) -> object:
        """Write its files into a folder."""


def find_tokenizer(source: object) -> Savable:
    """Return a tokenizer to write beside a model: a copy whose padding is on the right, as in training.

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
    tokenizer = cast(Savable, copy.deepcopy(source))
    tokenizer.padding_side = "right"  # a plain model's head may read the first position, padding or not
    return tokenizer


def _try_out(tokenizer: PreTrainedTokenizerBase) -> None:
    """Tokenise a text: some damage shows only then.

    Raises:
        ValueError: If what comes out is no tokens.
    """
    ids = tokenizer("A text.", truncation=True, max_length=8)["input_ids"]
    padding = [] if tokenizer.pad_token_id is None else [tokenizer.pad_token_id]
    numbers = [tokenizer.model_max_length, *padding, *ids]
    if not all(isinstance(number, (int, float)) and number >= 0 for number in numbers):
        raise ValueError("its model_max_length, its padding or the ids that it gives are no numbers")


def _unreadable(path: str, name: str, where: Mapping[str, Any], error: Exception) -> Mistake:
    """Name the file of a tokenizer that is damaged, where it can be told; else say what its reader says."""
    refuse_cache(error)
    for file in _JSON:
        try:
            place = cached_file(path, file, **where, _raise_exceptions_for_missing_entries=False)
            if place is not None:
                read_object(place)
        except UserError as damage:
            return Mistake(_KEY, damage.mistakes[0].problem, _REMEDY)
        except Exception:  # no such repository, or no connection: the first error says so
            break
    first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(" :.")
    return Mistake(_KEY, f"no tokenizer could be loaded from '{name}'", f"{first}. {_REMEDY}")


def _where(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key in HUB_OPTIONS}


def _has_vocabulary(path: str, names: Mapping[str, str], where: Mapping[str, Any]) -> bool:
    """Tell whether the files are there from which a class of tokenizers reads its words; some classes need none."""
    files = {"tokenizer.json": None, **dict.fromkeys(names.values()), **dict.fromkeys(_OTHER_NAMES)}
    return not names or any(_exists(path, file, where) for file in files)


def _exists(path: str, file: str, where: Mapping[str, Any]) -> bool:
    return cached_file(path, file, **where, _raise_exceptions_for_missing_entries=False) is not None
