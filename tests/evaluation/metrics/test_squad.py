"""SQuAD's exact match and F1, beside its own definitions written anew, and beside `evaluate`'s where it has them."""

import math
import re
import string
from collections import Counter

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.squad import SquadExactMatch, SquadF1, normalised

WORDS = [
    "the",
    "The",
    "a",
    "an",
    "Nile",
    "nile.",
    "river",
    "'",
    "1912",
    "St. John's",
    "A's",
    "über",
    "\N{EN DASH}",
    "  ",
    "AN",
]


def official(text: str) -> str:
    """Normalise as the evaluation script of SQuAD says it, letter by letter."""
    lowered = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lowered).split())


def official_f1(text: str, answer: str) -> float:
    found, expected = official(text).split(), official(answer).split()
    common = Counter(found) & Counter(expected)
    same = sum(common.values())
    if len(found) == 0 or len(expected) == 0:
        return float(found == expected)
    if same == 0:
        return 0.0
    precision, recall = same / len(found), same / len(expected)
    return 2 * precision * recall / (precision + recall)


def drawn(count: int) -> tuple[list[str], list[list[str]]]:
    random = np.random.default_rng(0)

    def text() -> str:
        return " ".join(random.choice(WORDS, size=random.integers(1, 5)))

    answers = [[text() for _ in range(random.integers(0, 4))] for _ in range(count)]
    predicted = [text() if random.random() < 0.5 or not row else row[-1].upper() for row in answers]
    return ["" if random.random() < 0.2 else said for said in predicted], answers


def test_scores_are_those_of_the_evaluation_script_of_squad_2() -> None:
    predicted, answers = drawn(300)
    exact, f1 = [], []
    for said, golds in zip(predicted, answers, strict=True):
        worded = [gold for gold in golds if official(gold)] or [""]
        exact.append(max(float(official(said) == official(gold)) for gold in worded))
        f1.append(max(official_f1(said, gold) for gold in worded))
    some = np.array([bool(golds) for golds in answers])
    found = SquadExactMatch(apart=True).compute(predictions=predicted, references=answers)
    assert found == pytest.approx(
        {
            "squad_exact_match": np.mean(exact),
            "squad_exact_match_has_answer": np.mean(np.array(exact)[some]),
            "squad_exact_match_no_answer": np.mean(np.array(exact)[~some]),
        }
    )
    found = SquadF1(apart=True).compute(predictions=predicted, references=answers)
    assert found["squad_f1"] == pytest.approx(np.mean(f1))
    assert found["squad_f1_has_answer"] == pytest.approx(np.mean(np.array(f1)[some]))
    assert 0.1 < found["squad_f1_has_answer"] < 0.9
    assert [normalised(word) for word in WORDS] == [official(word) for word in WORDS]


def test_values_by_hand() -> None:
    predicted = ["the Blue Nile", "in 1912", "", "Paris", ""]
    answers = [["Nile", "White Nile"], ["1912"], [], [], ["Rome"]]
    f1 = SquadF1().compute(predictions=predicted, references=answers)
    assert f1 == {"squad_f1": pytest.approx((2 / 3 + 2 / 3 + 1 + 0 + 0) / 5)}
    exact = SquadExactMatch().compute(predictions=["an APPLE!", "a"], references=[["apple"], ["the"]])
    assert exact == {"squad_exact_match": 1.0}


def test_rows_of_one_kind_leave_the_other_undefined() -> None:
    found = SquadF1(apart=True).compute(predictions=["x"], references=[["x"]])
    assert (found["squad_f1"], found["squad_f1_has_answer"]) == (1.0, 1.0)
    assert math.isnan(found["squad_f1_no_answer"])


@pytest.mark.usefixtures("metric_script")  # a cache of the tests' own
def test_scores_are_those_of_evaluate_where_its_metric_can_be_loaded() -> None:
    import evaluate

    try:
        theirs = evaluate.load("squad_v2", keep_in_memory=True)
    except Exception as error:  # offline, in one of many ways
        pytest.skip(f"evaluate cannot load squad_v2 here: {type(error).__name__}")
    predicted, answers = drawn(60)
    found = theirs.compute(
        predictions=[
            {"id": str(row), "prediction_text": said, "no_answer_probability": 0.0}
            for row, said in enumerate(predicted)
        ],
        references=[
            {"id": str(row), "answers": {"text": golds, "answer_start": [0] * len(golds)}}
            for row, golds in enumerate(answers)
        ],
    )
    ours = SquadF1().compute(predictions=predicted, references=answers)
    assert found["f1"] == pytest.approx(100 * ours["squad_f1"])
