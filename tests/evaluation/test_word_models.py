import numpy as np
import pytest

from hf_mtl.evaluation.word_models import linear_tags, majority_tags

WORDS = [["Anna", "saw", "Bert", "."], ["we", "saw", "it"], ["Carl", "ran"]] * 20
LABELS = np.array([[1, 0, 1, 0], [0, 0, 0, -100], [1, 0, -100, -100]] * 20)


def test_the_most_frequent_tag_is_predicted_for_every_word() -> None:
    found = majority_tags(LABELS, [["a"], ["b", "c"], []], 2)
    assert found.shape == (3, 2, 2)
    assert (found[0, 1] == -100).all()
    assert (found[2] == -100).all()
    np.testing.assert_allclose(np.exp(found[1]), [[2 / 3, 1 / 3]] * 2, rtol=1e-6)


def test_a_linear_model_goes_by_the_shape_of_words_that_it_has_not_seen() -> None:
    found = linear_tags(WORDS, LABELS, [["Dora", "saw", "Emil"], ["it", "saw", "it"]], 2)
    assert found.argmax(axis=-1)[0].tolist() == [1, 0, 1]
    assert found.argmax(axis=-1)[1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(np.exp(found[0]).sum(axis=-1), 1, rtol=1e-5)


def test_words_of_texts_are_those_of_spans() -> None:
    found = linear_tags([" ".join(row) for row in WORDS], LABELS, ["Anna saw Bert."], 2)
    assert found.shape == (1, 4, 2)
    assert found.argmax(axis=-1)[0].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("label", [0, 1])
def test_one_tag_alone_is_predicted_without_a_model(label: int) -> None:
    found = linear_tags(WORDS, np.where(LABELS == -100, -100, label), WORDS, 3)
    assert (found.argmax(axis=-1)[:, :2] == label).all()
