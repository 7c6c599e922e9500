import pytest
from datasets import Dataset

from hf_mtl import TokenClassification
from hf_mtl.data.words import split_words, word_lists, words_of
from hf_mtl.errors import DataError

TASK = TokenClassification(labels=["O", "B-X"])


def cut(rows: dict[str, object]) -> list[list[str]]:
    words = words_of(TASK, "t", "train", Dataset.from_dict(rows))
    texts = words.texts.to_pylist()
    return [
        [texts[row][words.starts[word] : words.ends[word]] for word in range(*words.offsets[row : row + 2])]
        for row in range(len(words))
    ]


def test_words_of_lists_stand_in_their_text_with_one_blank_between_two() -> None:
    rows = [["New York", "is", "big", "."], [], ["", "ä", ""], ["😀😀", "b"]]
    assert cut({"tokens": rows}) == rows
    words = words_of(TASK, "t", "train", Dataset.from_dict({"tokens": rows}))
    assert words.texts.to_pylist() == ["New York is big .", "", " ä ", "😀😀 b"]
    assert words.counts.tolist() == [4, 0, 3, 2]
    assert words.bases.tolist() == [0, 18, 19, 23, 28]


def test_words_of_rows_that_were_selected_are_theirs() -> None:
    rows = Dataset.from_dict({"tokens": [["a"], ["b", "c"], ["d"]]}).select([2, 1])
    words = words_of(TASK, "t", "train", rows)
    assert (words.texts.to_pylist(), words.starts.tolist(), words.rows.tolist()) == (
        ["d", "b c"],
        [0, 0, 2],
        [0, 1, 1],
    )


def test_words_of_texts_are_cut_at_blanks_and_marks_and_scripts_without_blanks_by_characters() -> None:
    texts = ["Hello, U.S.!", "", "東京へ go", "नमस्ते दुनिया"]
    assert cut({"tokens": texts}) == [
        ["Hello", ",", "U", ".", "S", ".", "!"],
        [],
        ["東", "京", "へ", "go"],
        ["नमस्ते", "दुनिया"],
    ]
    assert split_words(texts[0])[1] == (5, 6)
    assert list(word_lists([texts[2]])) == [["東", "京", "へ", "go"]]


@pytest.mark.parametrize(
    ("rows", "said"), [({"input_ids": [[1]]}, "input_ids in place"), ({"tokens": [1]}, "holds int64")]
)
def test_what_has_no_words_is_refused(rows: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        words_of(TASK, "t", "train", Dataset.from_dict(rows))
