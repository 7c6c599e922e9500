"""From places in windows to characters of a context, and back."""

import numpy as np

from hf_mtl.data.asked_contexts import AskedContext, asked_contexts, window_places

#          0123456789012345678901
CONTEXT = "  red fox saw a hen  "
TOKENS = np.array([[2, 5], [5, 9], [9, 13], [13, 15], [15, 19]], dtype=np.int32)  # with the blanks before words


def asked(*spans: tuple[int, int], windows: list[slice] | None = None) -> AskedContext:
    return AskedContext(CONTEXT, spans, tuple(TOKENS[part] for part in windows or [slice(0, 5)]))


def test_tokens_become_characters_without_the_blanks_that_belong_to_them() -> None:
    row = asked((6, 9))
    assert row.answers == ["fox"]
    assert row.characters(0, 2, 2) == (6, 9)
    assert CONTEXT[slice(*row.characters(0, 2, 5))] == "fox saw a hen"
    blank = AskedContext("red  \n fox", (), (np.array([[0, 3], [3, 6], [6, 10]], dtype=np.int32),))
    assert blank.characters(0, 2, 2) == (3, 3), "blanks alone"
    assert blank.characters(0, 2, 3) == (7, 10)


def test_an_answer_has_the_places_of_the_tokens_that_have_its_characters() -> None:
    assert asked((6, 9)).places().tolist() == [[2, 2]]
    assert asked((7, 12)).places().tolist() == [[2, 3]], "in the midst of tokens"
    assert asked().places().tolist() == [[0, 0]]


def test_each_window_has_its_first_answer_that_is_whole_in_it() -> None:
    windows = [slice(0, 3), slice(2, 5)]
    assert asked((6, 9), windows=windows).places().tolist() == [[2, 2], [0, 0]]
    assert asked((10, 15), (16, 19), windows=windows).places().tolist() == [[0, 0], [1, 2]]
    assert asked((6, 15), (10, 13), windows=windows).places().tolist() == [[3, 3], [1, 1]]
    assert asked((6, 15), windows=windows).places().tolist() == [[0, 0], [0, 0]], "whole in none"
    backwards = windows[::-1]
    assert asked((6, 9), windows=backwards).places().tolist() == [[0, 0], [2, 2]]


def test_what_has_no_token_at_the_ends_of_the_context_is_in_the_windows_there() -> None:
    windows = [slice(0, 3), slice(2, 5)]
    assert asked((0, 5), windows=windows).places().tolist() == [[1, 1], [0, 0]]
    assert asked((16, 21), windows=windows).places().tolist() == [[0, 0], [3, 3]]
    assert asked((0, 2)).places().tolist() == [[0, 0]], "no token has a character of it"
    assert AskedContext("   ", ((0, 1),), (TOKENS[:0],)).places().tolist() == [[0, 0]]


def test_rows_with_fewer_windows_have_no_place_in_the_others() -> None:
    windows = [(TOKENS[:3], TOKENS[2:]), (TOKENS,)]
    rows = asked_contexts([CONTEXT, CONTEXT], np.array([[[6, 9]], [[-1, -1]]]), windows)
    assert window_places(rows).tolist() == [[[2, 2], [0, 0]], [[0, 0], [-100, -100]]]
    bare = asked_contexts([CONTEXT], None)
    assert (bare[0].answers, bare[0].windows) == ([], ())
