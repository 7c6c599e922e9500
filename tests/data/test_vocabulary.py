import os
import subprocess
import sys

import pytest
from transformers import AutoTokenizer

from hf_mtl.data.support_desk import generate_rows
from hf_mtl.data.vocabulary import train_wordpiece
from hf_mtl.errors import DataError

TEXTS = ["The parcel is late, not lost.", "The parcels are lost!", "Where is the parcel?", "Lost parcels"] * 3
VOCABULARY = """
from hf_mtl.data.support_desk import generate_rows
from hf_mtl.data.vocabulary import train_wordpiece
vocabulary = train_wordpiece((row.text for row in generate_rows("sentiment")["train"]), vocab_size=500).get_vocab()
print(sorted(vocabulary.items(), key=lambda item: item[1]))
"""


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(TEXTS, vocab_size=100)


def test_is_a_bert_tokenizer(tokenizer):
    assert tokenizer.all_special_ids == [1, 3, 0, 2, 4]
    assert tokenizer.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.model_input_names == ["input_ids", "token_type_ids", "attention_mask"]


def test_pairs_are_told_apart(tokenizer):
    encoded = tokenizer("the parcel", "lost")
    assert encoded.tokens() == ["[CLS]", "the", "parcel", "[SEP]", "lost", "[SEP]"]
    assert encoded["token_type_ids"] == [0, 0, 0, 0, 1, 1]


def test_unseen_words_are_made_of_pieces(tokenizer):
    pieces = tokenizer.tokenize("parcelst")
    assert "[UNK]" not in pieces
    assert "".join(piece.removeprefix("##") for piece in pieces) == "parcelst"


def test_unseen_characters_are_unknown(tokenizer):
    assert tokenizer.tokenize("ж") == ["[UNK]"]


def test_case_is_kept_when_asked():
    cased = train_wordpiece(TEXTS, vocab_size=100, lowercase=False)
    assert cased.tokenize("The the") == ["The", "the"]
    assert train_wordpiece(TEXTS, vocab_size=100).tokenize("The the") == ["the", "the"]


def test_rare_pairs_are_not_merged():
    assert "parcel" not in train_wordpiece(TEXTS[:4], vocab_size=100, min_frequency=5).get_vocab()


@pytest.mark.parametrize("vocab_size", [64, 100, 300, 1000])
def test_vocabulary_is_no_larger_than_asked(vocab_size):
    texts = [row.text for row in generate_rows("sentiment")["train"]]
    exotic = ["".join(chr(0x3B1 + 20 * i + j) for j in range(20)) for i in range(20)]
    tokenizer = train_wordpiece(texts + exotic, vocab_size=vocab_size)
    assert len(tokenizer) <= vocab_size
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


def test_another_process_trains_the_same_vocabulary():
    # The trainer of tokenizers iterates over hash maps, whose order differs from process to process.
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", VOCABULARY]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    texts = [row.text for row in generate_rows("sentiment")["train"]]
    vocabulary = train_wordpiece(texts, vocab_size=500).get_vocab()
    assert output.strip() == str(sorted(vocabulary.items(), key=lambda item: item[1]))


def test_order_of_the_texts_does_not_matter(tokenizer):
    assert train_wordpiece(reversed(TEXTS), vocab_size=100).get_vocab() == tokenizer.get_vocab()


def test_auto_tokenizer_reads_what_was_saved(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded) is type(tokenizer)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded("The LOST parcel?", "lost")["input_ids"] == tokenizer("The LOST parcel?", "lost")["input_ids"]


def test_raises_when_the_vocabulary_cannot_hold_an_alphabet():
    with pytest.raises(DataError, match=r"model\.tokenizer\.vocab_size.*At least 64"):
        train_wordpiece(TEXTS, vocab_size=63)


def test_raises_without_text():
    with pytest.raises(DataError, match="no text"):
        train_wordpiece(["", "  "])
