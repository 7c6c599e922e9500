import numpy as np
import pyarrow as pa
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data.text_keys import TextKeys, among, text_keys

ONE = SequenceClassification()
PAIR = SequenceClassification(text=["a", "b"])


def keys(*texts: str) -> TextKeys:
    return text_keys(ONE, Dataset.from_dict({"text": list(texts)}))


def pairs(*texts: tuple[str, str]) -> TextKeys:
    first, second = zip(*texts, strict=True)
    return text_keys(PAIR, Dataset.from_dict({"a": list(first), "b": list(second)}))


def test_case_blanks_and_unicode_forms_do_not_matter_and_words_do() -> None:
    found = keys("Olé  you", " ole\u0301\tYOU\n", "olé your", "you olé").rows
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 3


def test_punctuation_and_symbols_do_not_matter_and_emoji_do() -> None:
    same = ['"No," he said ($5).', "no , he said $ 5", "NO … he \u2018said\u2019 5", "no_he\u00a0said\x005"]
    assert len(set(keys(*same).rows.tolist())) == 1
    other = ["no he said 6", "no he said 5 🙂", "no he said 5 🙁", "no hesaid 5", "no he said 5 x"]
    assert len(set(keys(*same, *other).rows.tolist())) == 6
    assert keys("good ❤\ufe0f").rows == keys("good ❤").rows


def test_texts_without_words_differ_by_their_marks() -> None:
    found = keys("?!", " ? !", "...", "", "a").rows.tolist()
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_a_list_of_words_is_the_text_that_they_make() -> None:
    words = pa.array([["Good", "morning", "!"], ["good"]])
    for kind in (pa.list_(pa.string()), pa.large_list(pa.large_string())):
        found = text_keys(ONE, Dataset(pa.table({"text": words.cast(kind)}))).rows
        assert found.tolist() == keys("good morning", "good").rows.tolist()


def test_a_row_of_several_texts_is_known_in_any_order_and_goes_where_the_longest_goes() -> None:
    three = SequenceClassification.model_construct(text=["a", "b", "c"])
    columns = {"a": ["x", "yy"], "b": ["yy", "the longest"], "c": ["the longest", "x"]}
    found = text_keys(three, Dataset.from_dict(columns))
    assert found.texts.shape == (2, 3)
    assert found.rows[0] == found.rows[1]
    assert found.places.tolist() == keys("the longest").rows.tolist() * 2


def test_the_hash_of_a_text_is_the_same_on_every_machine() -> None:
    assert [hex(key) for key in keys("good morning").rows.tolist()] == ["0xe7eda3a502cb469b"]


def test_any_string_type_has_the_same_keys() -> None:
    texts = pa.array(["x", "y", "x"])
    tables = [pa.table({"text": texts.cast(kind)}) for kind in (pa.string(), pa.large_string())]
    found = [text_keys(ONE, Dataset(table)).rows.tolist() for table in tables]
    assert found[0] == found[1] == keys("x", "y", "x").rows.tolist()


def test_a_pair_goes_where_its_longer_text_goes_in_either_order() -> None:
    found = pairs(("the longer text", "short"), ("short", "the longer text"), ("same", "size"), ("size", "same"))
    assert found.places[0] == found.places[1] == keys("the longer text").places[0]
    assert found.places[2] == found.places[3]
    assert (found.rows[0], found.rows[2]) == (found.rows[1], found.rows[3])
    assert len(set(pairs(("a", "b"), ("a", "c"), ("a", "a")).rows.tolist())) == 3


def test_token_ids_are_known_whatever_their_type_and_padding() -> None:
    ids = [[5, 6], [5, 6, 0], [0, 5, 6], [5, 0, 6]]
    mask = [[1, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]]
    found = text_keys(ONE, Dataset.from_dict({"input_ids": ids, "attention_mask": mask})).rows
    assert found[0] == found[1] == found[2] != found[3]
    narrow = Dataset(pa.table({"input_ids": pa.array([[5, 6]], pa.list_(pa.int32()))}))
    assert text_keys(ONE, narrow).rows[0] == found[0]


def test_values_are_found_in_a_sorted_table() -> None:
    values = np.array([1, 5, 9], dtype=np.uint64)
    assert among(values, np.array([1, 9], dtype=np.uint64)).tolist() == [True, False, True]
    assert among(values, np.array([], dtype=np.uint64)).tolist() == [False] * 3
