"""Answers as texts, and in the forms that metrics of others take."""

import math
from typing import Any

import datasets
import evaluate
import numpy as np
import pytest

from hf_mtl import SpanExtraction
from hf_mtl.data.asked_contexts import AskedContext
from hf_mtl.evaluation.answers import answer_inputs, answers_of_row
from hf_mtl.evaluation.loading import ExternalMetric
from hf_mtl.evaluation.spans import right_logits, span_outputs

TEXT = datasets.Value("string")
TOKENS = np.array([[0, 3], [3, 7], [7, 11]], dtype=np.int32)
ASKED = AskedContext("the red fox", ((4, 7), (4, 11)), (TOKENS[:2], TOKENS[1:]))


def rows() -> np.ndarray:
    found = np.empty(2, dtype=object)
    found[:] = [ASKED, AskedContext("the red fox", (), (TOKENS,))]
    return found


def external(predictions: Any, references: Any) -> tuple[ExternalMetric, list[Any]]:
    """A metric of `evaluate` with these features, and what it has seen."""
    seen: list[Any] = []

    class Theirs(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            features = datasets.Features({"predictions": predictions, "references": references})
            return evaluate.MetricInfo(description="", citation="", features=features)

        def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
            seen.extend([list(predictions), list(references)])
            return {"theirs": 0.5}

    metric = ExternalMetric.__new__(ExternalMetric)
    metric.metric, metric.key, metric.output_names = Theirs(keep_in_memory=True), "theirs", []
    return metric, seen


def test_answers_are_told_once_each_and_no_answer_stands_where_the_threshold_puts_it() -> None:
    spans = [(math.log(0.6), 0, 2, 2), (math.log(0.5), 1, 1, 1), (math.log(0.1), 1, 2, 2)]
    red = {"answer": "red", "score": pytest.approx(0.6), "start": 4, "end": 7}
    fox = {"answer": "fox", "score": pytest.approx(0.1), "start": 8, "end": 11}
    none = {"answer": "", "score": pytest.approx(0.3), "start": 0, "end": 0}
    assert answers_of_row(ASKED, spans, math.log(0.3), None) == [red, fox]
    assert answers_of_row(ASKED, spans, math.log(0.3), 0.0) == [red, none, fox]
    assert answers_of_row(ASKED, spans, math.log(0.3), 3.0) == [red, fox, none]
    assert answers_of_row(ASKED, spans, math.log(0.3), -1.0) == [none, red, fox]
    assert answers_of_row(ASKED, [], math.log(0.3), 3.0) == [none]


def test_a_metric_that_is_made_for_squad_gets_its_mappings() -> None:
    answers = {"text": [TEXT], "answer_start": [datasets.Value("int32")]}
    metric, seen = external(
        {"id": TEXT, "prediction_text": TEXT, "no_answer_probability": datasets.Value("float32")},
        {"id": TEXT, "answers": answers},
    )
    found = metric.compute(**answer_inputs(metric, ["red", ""], rows(), np.array([-2.0, np.inf])))
    assert found == {"theirs": 0.5}
    assert [row["prediction_text"] for row in seen[0]] == ["red", ""]
    assert seen[0][0]["no_answer_probability"] == pytest.approx(1 / (1 + math.e**2))
    assert seen[0][1]["no_answer_probability"] == 1
    assert [row["answers"] for row in seen[1]] == [
        {"text": ["red", "red fox"], "answer_start": [4, 4]},
        {"text": [], "answer_start": []},
    ]
    older, seen = external({"id": TEXT, "prediction_text": TEXT}, {"id": TEXT, "answers": answers})
    older.compute(**answer_inputs(older, ["red", ""], rows(), np.zeros(2)))
    assert seen[0] == [{"id": "0", "prediction_text": "red"}, {"id": "1", "prediction_text": ""}]


def test_a_metric_of_texts_gets_one_answer_of_each_row_or_all() -> None:
    one, seen = external(TEXT, TEXT)
    one.compute(**answer_inputs(one, ["red", ""], rows(), np.zeros(2)))
    assert seen == [["red", ""], ["red", ""]]
    several, seen = external(TEXT, datasets.Sequence(TEXT))
    several.compute(**answer_inputs(several, ["red", ""], rows(), np.zeros(2)))
    assert seen == [["red", ""], [["red", "red fox"], []]]


def test_a_task_measures_with_metrics_of_others() -> None:
    task, asked = SpanExtraction(), rows()
    metric, seen = external(TEXT, datasets.Sequence(TEXT))
    assert task.measure(metric, span_outputs(right_logits(asked), 30), asked) == {"theirs": 0.5}
    assert seen[0] == ["red", ""]
