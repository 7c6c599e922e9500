"""The score that decides on the best model is a number, or undefined and said to be so."""

import math
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.training.scoring import best_score
from hf_mtl.training.scoring.best_score import make_comparable, say_undefined


def arguments(folder: Path) -> MultiTaskTrainingArguments:
    return MultiTaskTrainingArguments(
        str(folder), metric_for_best_model="eval_topic_mine", report_to="none", use_cpu=True
    )


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(best_score.logger, "warning_once", found.append)
    return found


def test_only_the_watched_score_is_made_undefined_where_it_is_no_number(tmp_path: Path, said: list[str]) -> None:
    args = arguments(tmp_path)
    metrics: dict[str, Any] = {"eval_topic_mine": [1.0], "eval_topic_other": [1.0], "test_topic_mine": [2.0]}
    make_comparable(metrics, "eval", args, says=True)
    assert math.isnan(metrics.pop("eval_topic_mine"))
    assert metrics == {"eval_topic_other": [1.0], "test_topic_mine": [2.0]}
    (warning,) = said
    assert warning.startswith("topic_mine is ")
    make_comparable(metrics, "test", args, says=False)
    assert math.isnan(metrics["test_topic_mine"])
    assert len(said) == 1
    numbers = {"eval_topic_mine": 0.5}
    make_comparable(numbers, "eval", args, says=True)
    assert numbers == {"eval_topic_mine": 0.5}


def test_an_undefined_score_is_said_with_its_step(tmp_path: Path, said: list[str]) -> None:
    args = arguments(tmp_path)
    for scores in ({"eval_topic_mine": 0.5}, {"eval_other": math.nan}, {}):
        say_undefined(scores, args, 3)
    assert said == []
    say_undefined({"eval_topic_mine": math.nan}, args, 7)
    assert said[0].startswith("topic_mine is undefined (nan) at step 7, which counts as no better")
