"""A tokenizer that transformers would take for another one is not written beside a plain model."""

import pytest
from transformers import AutoConfig, PreTrainedTokenizerBase

from hf_mtl.errors import ModelError
from hf_mtl.modeling.read_back import check_read_back
from tests import tiny


@pytest.mark.parametrize(
    ("kind", "tokenizer"),
    [
        ("bert", tiny.tokenizer()),
        ("llama", tiny.tokenizer()),
        ("qwen2", tiny.qwen2_tokenizer()),
    ],
)
def test_one_that_is_read_as_it_is_passes(kind: str, tokenizer: PreTrainedTokenizerBase) -> None:
    check_read_back(tokenizer, AutoConfig.for_model(kind), "tasks.topic")


def test_one_that_is_read_by_the_kind_of_the_model_is_refused() -> None:
    message = (
        "tasks.topic: beside a 'qwen2' of transformers the tokenizer is read as a Qwen2Tokenizer, which makes other "
        "tokens of texts. Train with a tokenizer that a 'qwen2' may have, load"
    )
    with pytest.raises(ModelError, match=message):
        check_read_back(tiny.tokenizer(), AutoConfig.for_model("qwen2"), "tasks.topic")
