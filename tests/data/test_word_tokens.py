import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import TokenClassification
from hf_mtl.data.word_tokens import WordTokens, word_tokens
from hf_mtl.data.words import Words, words_of
from hf_mtl.errors import DataError
from tests.data.tokenizers_of import fast

ROWS = [
    ["Hello", "world", ",", "unbelievable", "!"],
    ["don't", "(stop)", "the", "tokenizer:", "it's", "Hello-world", "😀", "ok."],
    ["a"],
    ["New York", "é", "東京"],
]
TASK = TokenClassification(labels=["O", "B-X"])
KINDS = ["wordpiece", "bytes", "bytes_prefix", "blanks"]


def words(rows: list[list[str]]) -> Words:
    return words_of(TASK, "t", "train", Dataset.from_dict({"tokens": rows}))


def firsts(found: WordTokens) -> dict[int, tuple[int, int]]:
    """The sequence and the token of each word's first piece, by word."""
    sequence, token, word = found.pieces[:, found.firsts].tolist()
    return {of: place for *place, of in zip(sequence, token, word, strict=True)}  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["wordpiece", "bytes_prefix"])
def test_the_pieces_are_those_of_words_given_one_by_one(kind: str) -> None:
    tokenizer, given = fast(kind), words(ROWS)
    found = word_tokens(given, tokenizer, None, "t", windows=False)
    expected = tokenizer(ROWS, is_split_into_words=True)
    for row in range(len(ROWS)):
        assert found.tokens.ids(row).tolist() == expected["input_ids"][row]
        of_word = found.pieces[2][found.pieces[0] == row] - given.offsets[row]
        tokens = found.pieces[1][found.pieces[0] == row]
        assert [expected.word_ids(row)[token] for token in tokens] == of_word.tolist()
        # But for a piece that is nothing but the blank before a word.
        blanks = sum(start == end for start, end in fast(kind)(given.texts[row].as_py())._encodings[0].offsets) - 2
        assert len(tokens) == len(expected["input_ids"][row]) - 2 - blanks
    assert not found.lost.any()
    assert not found.silent.any()
    assert found.starts.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_split_as_in_any_text_whatever_stands_before_the_first(kind: str) -> None:
    # A tokenizer of bytes that puts no blank before a text refuses words, or splits all of them as a first one.
    tokenizer, given = fast(kind), words(ROWS)
    found = word_tokens(given, tokenizer, None, "t", windows=True)
    texts = given.texts.to_pylist()
    for row, text in enumerate(texts):
        assert found.tokens.ids(row).tolist() == tokenizer(text)["input_ids"]
    for word, (row, token) in firsts(found).items():
        encoding = tokenizer(texts[row])
        start, end = encoding.token_to_chars(token)
        assert start <= given.starts[word] < end
    assert not found.silent.any()


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", KINDS)
def test_windows_give_every_word_the_place_with_most_around_it(kind: str, side: str) -> None:
    rows = [ROWS[1] * 4, ROWS[2], ROWS[0] * 9]
    tokenizer, given, limit = fast(kind, side), words(rows), 16
    found = word_tokens(given, tokenizer, limit, "t", windows=True)
    places = firsts(found)
    assert sorted(places) == list(range(len(given.starts)))
    assert len(found.firsts) == len(places), "each word once"
    assert not found.tokens.cut.any()
    assert found.tokens.lengths.max() == limit
    assert np.diff(found.starts)[1] == 1
    whole = [tokenizer(text)["input_ids"][1:-1] for text in given.texts.to_pylist()]
    for word, (sequence, token) in places.items():
        row = int(given.rows[word])
        assert found.starts[row] <= sequence < found.starts[row + 1]
        window, ids = found.tokens.ids(sequence)[1:-1].tolist(), whole[row]
        character = given.texts[row].as_py()
        at = tokenizer(character, add_special_tokens=False).char_to_token(int(given.starts[word]))
        # The same token, with a quarter of a window of the same text on either side, or the text's end.
        assert window[token - 1] == ids[at]
        around = range(max(kind == "bytes_prefix", at - 3), min(len(ids), at + 4))  # the first is the blank alone
        assert [ids[place] for place in around] == [window[token - 1 + place - at] for place in around]


def test_a_row_that_is_cut_loses_the_words_behind_the_last_token() -> None:
    rows, limit = [ROWS[0] * 3, ROWS[2]], 9
    for side in ("right", "left"):
        tokenizer, given = fast("wordpiece", side), words(rows)
        found = word_tokens(given, tokenizer, limit, "t", windows=False)
        assert found.tokens.cut.tolist() == [True, False]
        assert found.tokens.lengths.tolist() == [9, 3]
        expected = tokenizer(rows[0], is_split_into_words=True, truncation=True, max_length=limit)
        kept = sorted({word for word in expected.word_ids() if word is not None})
        lost = np.flatnonzero(found.lost).tolist()
        # From the left a word may be cut in its middle: what is left of it has not its first piece.
        assert kept[0 if side == "right" else -1] == (0 if side == "right" else 14)
        assert set(range(15)) - set(lost) == set(found.pieces[2].tolist()) - {15}
        assert set(found.pieces[2].tolist()) - {15} <= set(kept)
        assert len(set(kept) - set(found.pieces[2].tolist())) == (0 if side == "right" else 1)
        assert not found.silent.any()


def test_words_without_a_piece_are_silent_and_not_lost() -> None:
    given = words([["Hello", "", "world", "\u200b"], [""]])
    for windows in (True, False):
        found = word_tokens(given, fast("wordpiece"), None, "t", windows=windows)
        assert np.flatnonzero(found.silent).tolist() == [1, 3, 4]
        assert not found.lost.any()
        assert found.tokens.lengths.tolist()[1] == 2


def test_a_very_long_text_is_cut_before_it_is_tokenised() -> None:
    rows = [["Hello", "world"] * 60_000, ["ok."]]
    given = words(rows)
    found = word_tokens(given, fast("wordpiece"), 16, "t", windows=False)
    short = word_tokens(words([rows[0][:40], rows[1]]), fast("wordpiece"), 16, "t", windows=False)
    assert found.tokens.ids(0).tolist() == short.tokens.ids(0).tolist()
    assert found.tokens.cut.tolist() == [True, False]
    assert int(found.lost.sum()) == 120_000 - len(set(found.pieces[2][found.pieces[0] == 0].tolist()))
    assert not found.silent.any()


def test_a_tokenizer_that_does_not_tell_characters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = fast("wordpiece")
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    with pytest.raises(DataError, match=r"tasks\.t\.type: Tokenizer.* does not tell which characters"):
        word_tokens(words(ROWS), tokenizer, None, "t", windows=True)


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(DataError, match=r"model\.max_length: 2 leaves no room"):
        word_tokens(words(ROWS), fast("wordpiece"), 2, "t", windows=True)
