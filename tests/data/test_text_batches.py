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
    monkeypatch.setattr(module, "ROWS", 2)
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


@pytest.mark.parametrize("split_special", [False, True])
def test_tokens_are_counted_whole_whatever_was_asked_before(split_special: bool) -> None:
    texts, tokenizer = ["w1 w2 [SEP] w3", "w4", ""], tiny.tokenizer()
    tokenizer.split_special_tokens = split_special
    expected = [len(row) for row in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    tokenizer(texts, truncation=True, max_length=3, padding=True)
    assert module.token_counts(texts, tokenizer).tolist() == expected
    assert expected[0] == (6 if split_special else 4)


def test_rows_that_are_cut_in_two_ways_come_in_their_order() -> None:
    def odd_ones_first(texts: object, tokenizer: object, limit: int) -> list[tuple[module.Strategy, list[int]]]:
        return [("only_first", [1, 3]), ("longest_first", [2, 0])]

    texts = [["w1 w2 w3 w4 w5 w6"] * 4, ["w7", "w8 w9", "w7 w8 w9 w10 w11 w12", "w13 w14"]]
    found = gather_batches(module.tokenised([texts], tiny.tokenizer(), 8, True, odd_ones_first), takes_types=True)
    decoded = [tiny.tokenizer().decode(found.ids(row)) for row in range(4)]
    assert decoded == [
        "[CLS] w1 w2 w3 w4 [SEP] w7 [SEP]",
        "[CLS] w1 w2 w3 [SEP] w8 w9 [SEP]",
        "[CLS] w1 w2 [SEP] w7 w8 w9 [SEP]",
        "[CLS] w1 w2 w3 [SEP] w13 w14 [SEP]",
    ]
    assert [np.array(found.type_ids(row)).sum() for row in range(4)] == [2, 3, 4, 3]
