"""Answers as they are read from a column, and what is wrong with them."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from hf_mtl.data.answers import encode_answers, spans_of, without_answer
from hf_mtl.errors import DataError

CONTEXT = "the red fox saw a red hen"


def encoded(answers: list[Any], contexts: list[str | None] | None = None) -> tuple[np.ndarray, np.ndarray]:
    rows = Dataset.from_dict({"context": contexts or [CONTEXT] * len(answers), "answers": answers})
    return encode_answers(["context", "answers"], "t", "train", rows)


def squad(*answers: tuple[str, Any]) -> dict[str, list[Any]]:
    return {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]}


def test_lists_of_texts_and_starts_become_spans_each_once_and_null_is_no_label() -> None:
    spans, missing = encoded([squad(("red", 4), ("fox", 8), ("red", 4)), squad(), None, squad(("hen", 22))])
    assert spans.tolist() == [[[4, 7], [8, 11]], [[-1, -1]] * 2, [[-1, -1]] * 2, [[22, 25], [-1, -1]]]
    assert missing.tolist() == [False, False, True, False]
    assert without_answer(spans).tolist() == [False, True, True, False]
    assert spans_of(spans[0]) == ((4, 7), (8, 11))
    assert spans_of(spans[1]) == ()


def test_a_list_of_answers_and_a_single_answer_are_read_as_lists_are() -> None:
    expected = [[[4, 7], [8, 11]], [[-1, -1]] * 2]
    rows = [[{"text": "red", "answer_start": 4}, {"text": "fox", "answer_start": 8}], []]
    assert encoded(rows)[0].tolist() == expected
    assert encoded([{"text": "red", "answer_start": 4}])[0].tolist() == [[[4, 7]]]
    nulls, missing = encoded([{"text": None, "answer_start": None}, {"text": ["red"], "answer_start": [4]}])
    assert missing.tolist() == [True, False]
    assert nulls[1].tolist() == [[4, 7]]


def test_a_split_without_any_answer_has_room_for_none() -> None:
    spans, missing = encoded([squad(), squad()])
    assert spans.tolist() == [[[-1, -1]], [[-1, -1]]]
    assert not missing.any()


def test_blanks_around_an_answer_are_no_part_of_it() -> None:
    assert encoded([squad((" red ", 3))])[0].tolist() == [[[4, 7]]]


def test_an_answer_elsewhere_is_a_mistake_with_its_row_and_the_nearest_place_where_it_stands() -> None:
    with pytest.raises(DataError) as found:
        encoded([squad(("red", 4)), squad(("red", 16)), squad(("RED", 4)), squad(("hen", -1))])
    assert str(found.value).startswith(
        "tasks.t.label: train has 3 rows whose answer does not stand at its answer_start, rows 1, 2 and 3, counted "
        "from 0: 'red' of row 1 is said to stand at 16 and stands at 18; 'RED' of row 2 is said to stand at 4 and "
        "stands nowhere in its context; 'hen' of row 3 is said to stand at -1 and stands at 22. Mend answer_start"
    )


def test_starts_are_characters_and_not_bytes() -> None:
    context = "ein Gürtel für Käthe"
    place = context.index("Käthe")
    assert encoded([squad(("Käthe", place))], [context])[0].tolist() == [[[place, place + 5]]]
    with pytest.raises(DataError, match=f"said to stand at {place + 2} and stands at {place}"):
        encoded([squad(("Käthe", place + 2))], [context])


def test_an_answer_without_text_is_a_mistake_beside_others() -> None:
    with pytest.raises(DataError) as found:
        encoded([squad((" ", 3)), squad(("red", 0))])
    problems = [mistake.problem for mistake in found.value.mistakes]
    assert problems[0] == "train has 1 row with an answer without text: row 0, counted from 0"
    assert "1 row whose answer does not stand" in problems[1]


@pytest.mark.parametrize(
    "value",
    ["red", 3, ["red"], {"text": ["red"]}, {"text": ["red"], "answer_start": [4, 8]}, squad(("red", 4.5))],
)
def test_what_is_no_answer_is_a_mistake_that_shows_it(value: Any) -> None:
    with pytest.raises(DataError, match=r"1 row in column 'answers' that are no answers, such as .*: row 0"):
        encoded([value])


def test_a_row_without_context_is_left_to_the_check_of_texts() -> None:
    assert encoded([squad(("red", 4)), squad(("red", 4))], [None, CONTEXT])[0].tolist() == [[[-1, -1]], [[4, 7]]]
