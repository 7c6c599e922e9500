"""Texts to token ids: what the tokenizer itself says, whichever way it is asked."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from transformers import PreTrainedTokenizerFast

from hf_mtl.data import text_batches as module
from hf_mtl.data.text_batches import gather_batches, text_batches
from tests import tiny

TEXTS = ["w1 w2 w3 w4 w5 w6", "w7", "w8 nothing w9", "w3 " * 30, "w1 [SEP] w2"]


class OfAUser(PreTrainedTokenizerFast):
    """Adds something of its own."""

    def __call__(self, *texts: Any, **options: Any) -> Any:
        return super().__call__(*[[text.replace("w7", "w8") for text in column] for column in texts], **options)


@pytest.mark.parametrize("columns", [[TEXTS], [TEXTS, TEXTS[::-1]]])
@pytest.mark.parametrize("split_special", [False, True])
def test_rows_are_those_that_the_tokenizer_makes(
    columns: list[list[str]], split_special: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    tokenizer = tiny.tokenizer()
    tokenizer.split_special_tokens = split_special
    tokenizer(
        ["w1"] * 3, padding="max_length", max_length=4, truncation=True
    )  # what was asked before does not matter
    arrays = [pa.array(column) for column in columns]
    found = gather_batches(text_batches(arrays, tokenizer, 12, takes_types=True), takes_types=True)
    own = tiny.tokenizer()
    own.split_special_tokens = split_special
    wanted = own(*columns, truncation="longest_first", max_length=12)
    assert [found.ids(row).tolist() for row in range(len(found))] == wanted["input_ids"]
    assert [np.array(found.type_ids(row)).tolist() for row in range(len(found))] == wanted["token_type_ids"]
    whole = own(*columns)["input_ids"]
    assert found.cut.tolist() == [len(row) > 12 for row in whole]


def test_a_class_that_changes_texts_is_asked_about_each() -> None:
    plain = tiny.tokenizer()
    own = OfAUser(tokenizer_object=plain.backend_tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    assert module._is_rust_alone(plain)
    assert not module._is_rust_alone(own)
    found = gather_batches(text_batches([pa.array(["w7", "w8"])], own, 12, takes_types=False), takes_types=False)
    assert found.ids(0).tolist() == found.ids(1).tolist()
    assert found.type_ids(0) is None
