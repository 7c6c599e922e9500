import json
from typing import Any

import pytest

from hf_mtl import MultiLabelClassification, OrdinalClassification, Regression, SequenceClassification, SpanExtraction
from hf_mtl.inference.onnx_facts import FORMAT, onnx_facts
from tests import tiny

TASKS = {
    "topic": SequenceClassification(labels=["a", "b"], text=["q", "p"], max_length=7, truncation_side="left"),
    "labels": MultiLabelClassification(labels=["p", "q"], thresholds=[0.3, 0.6]),
    "score": Regression(label=["x", "y"]),
    "stars": OrdinalClassification(labels=["1", "2", "3"], predict="mean"),
    "answer": SpanExtraction(no_answer=True, null_threshold=0.25),
}


def facts() -> dict[str, Any]:
    model = tiny.model(tasks=TASKS, head="linear", max_length=20)
    model.set_statistics("score", mean=[3.0, -1.0], std=[2.0, 0.5])
    model.set_calibration_temperature("topic", 1.5)
    found = onnx_facts(model, list(TASKS), tiny.tokenizer())
    assert json.loads(found["hf_mtl.texts"]) == {"pad_token_id": 0, "max_length": 32, "truncation_side": "right"}
    assert json.loads(found["hf_mtl.format"]) == FORMAT
    tasks: dict[str, Any] = json.loads(found["hf_mtl.tasks"])
    return tasks


def test_everything_that_makes_predictions_of_outputs_is_there() -> None:
    found = facts()
    topic = found["topic"]
    assert (topic["type"], topic["labels"], topic["text"]) == ("sequence_classification", ["a", "b"], ["q", "p"])
    assert (topic["max_length"], topic["truncation_side"]) == (7, "left")
    assert topic["calibration_temperature"] == 1.5
    assert found["labels"]["thresholds"] == pytest.approx([0.3, 0.6])
    assert found["labels"]["max_length"] is None  # that of all texts
    assert found["score"]["statistics"] == {"mean": [3.0, -1.0], "std": [2.0, 0.5]}
    assert found["score"]["output_names"] == ["x", "y"]
    assert (found["stars"]["labels"], found["stars"]["task"]["predict"]) == (["1", "2", "3"], "mean")
    assert (found["answer"]["outputs_per"], found["answer"]["null_threshold"]) == ("window", 0.25)


def test_where_rows_came_from_is_not() -> None:
    source = {"path": "csv", "data_files": {"train": "/home/me/secret.csv"}}
    model = tiny.model(tasks={"t": SequenceClassification(labels=["a", "b"], dataset=source)}, head="linear")
    assert "secret" not in str(onnx_facts(model, ["t"], tiny.tokenizer()))
