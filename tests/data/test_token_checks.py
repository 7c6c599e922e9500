import numpy as np
import pytest
from transformers import BertTokenizer, RobertaTokenizer, T5Tokenizer

from hf_mtl.data.token_checks import empty_rows, padded_rows, unknown_id, unknown_share
from hf_mtl.data.tokens import TokenStore
from tests import tiny

TOKENIZER = tiny.tokenizer()  # 0 to 4: [PAD] [UNK] [CLS] [SEP] [MASK]


def store(*rows: list[int]) -> TokenStore:
    offsets = np.cumsum([0, *(len(row) for row in rows)])
    return TokenStore(np.concatenate([np.array(row, dtype=np.int32) for row in rows]), offsets, np.zeros(len(rows)))


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        ([[2, 7, 8, 3], [2, 9, 3]], 0.0),
        ([[2, 7, 1, 3], [2, 1, 9, 1, 3]], 3 / 5),
        ([[2, 7, 3], [2, 3], [2, 3]], 2 / 3),  # rows of nothing but special tokens
        ([[2, 3]], 1.0),
        ([[7, 1], [4, 8]], 1 / 3),  # a mask token is special, a row needs no others
    ],
)
def test_unknown_tokens_are_a_share_of_those_that_are_not_special(rows: list[list[int]], share: float) -> None:
    assert unknown_share(store(*rows), TOKENIZER) == pytest.approx(share)


def test_a_vocabulary_without_words_knows_nothing() -> None:
    for tokenizer in (BertTokenizer(), RobertaTokenizer(), T5Tokenizer()):
        ids = [tokenizer(text)["input_ids"] for text in ("some words", "others")]
        assert unknown_share(store(*ids), tokenizer) == 1.0


def test_an_unknown_token_that_ends_texts_means_nothing() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.unk_token = "[SEP]"
    assert unknown_id(TOKENIZER) == 1
    assert unknown_id(tokenizer) is None
    assert unknown_share(store([2, 7, 3], [2, 8, 3]), tokenizer) == 0.0


def test_rows_that_begin_or_end_in_padding_are_counted() -> None:
    rows = store([2, 7, 3, 0, 0], [0, 2, 3], [2, 0, 3], [2, 7, 3], [0])
    assert padded_rows(rows, TOKENIZER) == 3
    same = tiny.tokenizer()
    same.pad_token = "[SEP]"
    assert padded_rows(store([2, 7, 3]), same) == 0


def test_rows_without_tokens_are_a_mistake_with_their_numbers() -> None:
    assert empty_rows("topic", "train", store([2, 3], [7])) == []
    (found,) = empty_rows("topic", "train", store([], [2, 7], [], [3]))
    assert str(found) == (
        "tasks.topic.text: train has 2 rows without tokens: rows 0 and 2, counted from 0. "
        "Remove these rows, give them a text that the tokenizer knows, or have it add special tokens."
    )
