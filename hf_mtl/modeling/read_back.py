"""Whether transformers, without hf_mtl, reads a tokenizer beside a plain model as the one that was written."""

import tempfile
from collections.abc import Iterator
from typing import Any

from transformers import AutoTokenizer, PreTrainedConfig

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.tokenizer_files import save_without_state

_SAMPLES = 50
_OTHER_WAY = (
    "Train with a tokenizer that a '{kind}' may have, load the model with MultiTaskModel.from_pretrained, or export "
    "it with --format onnx"
)


def check_read_back(tokenizer: Any, config: PreTrainedConfig, key: str) -> None:
    """Refuse a tokenizer that `AutoTokenizer` takes for another one beside a model of this kind.

    For some kinds of models, such as Qwen2, transformers goes by the kind and not by what the tokenizer's files say,
    and may find none of their words: a pipeline would answer on other tokens, and nobody would know.

    Args:
        tokenizer: The tokenizer.
        config: The config of the model that it is written beside.
        key: Dotted key of the task, for messages.

    Raises:
        ModelError: If it is read as another one.
    """
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        save_without_state(tokenizer, folder)
        try:
            found: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            same = all(_tokens(found, text) == _tokens(tokenizer, text) for text in _texts(tokenizer))
            problem = f"is read as a {type(found).__name__}, which makes other tokens of texts"
        except Exception as error:  # the readers of transformers fail in ways of their own
            same, problem = False, f"cannot be read: {one_line(error)}"
    if not same:
        words = f"beside a '{config.model_type}' of transformers the tokenizer {problem}"
        raise ModelError(Mistake(key, words, _OTHER_WAY.format(kind=config.model_type)))


def _texts(tokenizer: Any) -> Iterator[str]:
    """Yield a text of letters, and one of tokens from all over the vocabulary."""
    yield "Is this, then, the 1st text of 2? It's “one”."
    size = len(tokenizer)
    yield tokenizer.decode(list(range(0, size, max(1, size // _SAMPLES))))


def _tokens(tokenizer: Any, text: str) -> Any:
    # With a length of its own: whoever reads a longer text than the tokenizer's is warned.
    return tokenizer(text, truncation=True, max_length=4 * _SAMPLES)["input_ids"]
