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
