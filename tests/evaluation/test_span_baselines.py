"""Baselines of extracted answers."""

import numpy as np

from hf_mtl.evaluation.span_baselines import constant_answers, nearest_answers

TRAIN = [("which fox", "the red fox ran"), ("which hen", "a hen sat"), ("what flew", "no bird was there")]
LABELS = np.array([[[0, 7]], [[0, 5]], [[-1, -1]]])


def said(found: np.ndarray, pairs: list[tuple[str, str]]) -> list[str]:
    return [
        context[int(row[0, 0]) : int(row[0, 1])] if row[1, 0] > row[1, 1] else ""
        for row, (_, context) in zip(found, pairs, strict=True)
    ]


def test_the_constant_is_the_first_words_or_no_answer_as_most_training_rows_have() -> None:
    pairs = [("who", "  old fox  ran away"), ("who", "fox")]
    assert said(constant_answers(TRAIN, LABELS, pairs), pairs) == ["old fox", "fox"]
    mostly = LABELS.copy()
    mostly[0] = -1
    assert said(constant_answers(TRAIN, mostly, pairs), pairs) == ["", ""]
    assert np.isfinite(constant_answers(TRAIN, np.full((3, 1, 2), -1), pairs)).all()


def test_the_nearest_words_follow_those_of_the_question_or_there_is_no_answer() -> None:
    one = np.array([[[4, 7]], [[0, 1]], [[-1, -1]]])
    pairs = [
        ("fox colour", "size big fox colour red. hen colour white."),
        ("size", "size big fox colour red. hen colour white."),
        ("fish weight", "size big fox colour red. hen colour white."),
        ("fox", "fox"),
    ]
    assert said(nearest_answers(TRAIN, one, pairs), pairs) == ["red.", "big", "", "fox"]


def test_answers_have_as_many_words_as_half_of_the_training_answers() -> None:
    pairs = [("colour", "the colour dark red and more")]
    assert said(nearest_answers(TRAIN, LABELS, pairs), pairs) == ["dark red"]
    assert said(nearest_answers(TRAIN, np.full((3, 1, 2), -1), pairs), pairs) == ["dark"]
