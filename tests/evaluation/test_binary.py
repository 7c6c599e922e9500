"""Simple models of answers of yes and no, some of which are not known."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.evaluation.binary import UNKNOWN, linear_binaries, share_logits

ANSWERS = np.array([[1, 1, 0, UNKNOWN], [0, 1, UNKNOWN, UNKNOWN], [1, 1, 0, UNKNOWN], [0, UNKNOWN, 0, UNKNOWN]])


def test_shares_are_of_the_known_answers_and_one_that_is_never_known_is_no() -> None:
    np.testing.assert_allclose(expit(share_logits(ANSWERS)), [0.5, 1, 0, 0], atol=1e-9)
    assert np.isfinite(share_logits(ANSWERS)).all()


def test_each_question_has_the_model_of_the_rows_that_answer_it() -> None:
    features = np.random.default_rng(0).normal(size=(60, 3))
    answers = (features[:, :2] + features[:, 1:] > 0).astype(int)
    answers[:20, 1] = UNKNOWN
    found = linear_binaries(features, answers)(features)
    for question, rows in enumerate([slice(None), slice(20, None)]):
        alone = LogisticRegression(max_iter=1000).fit(features[rows], answers[rows, question])
        np.testing.assert_allclose(found[:, question], alone.decision_function(features))


def test_a_question_that_all_answer_alike_has_a_constant() -> None:
    found = linear_binaries(np.eye(4), ANSWERS)(np.ones((2, 4)))
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found[:, 1:], np.tile(share_logits(ANSWERS)[1:], (2, 1)))
    assert found[0, 0] == pytest.approx(found[1, 0])


def test_an_unknown_answer_is_written_as_a_row_without_a_class() -> None:
    assert UNKNOWN == NO_CLASS
