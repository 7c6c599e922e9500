"""Answers of a model for rows that may have no labels."""

from pathlib import Path

import numpy as np
import pytest

from hf_mtl import MultiTaskModel, SpanExtraction
from hf_mtl.data.token_budget import BatchLimit
from hf_mtl.errors import DataError, ModelError
from hf_mtl.inference import answers
from hf_mtl.inference.answers import answer_questions
from tests import tiny
from tests.task_types.test_span_extraction import SAMPLE, key_values
from tests.training.trainers import make

TASKS = {"qa": SAMPLE.task, "mood": tiny.TASKS["mood"]}


@pytest.fixture
def model() -> MultiTaskModel:
    return tiny.model(tasks=TASKS, dropout=0.5)


def test_answers_are_those_of_a_trainers_predictions(
    model: MultiTaskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = key_values(30)
    trainer = make(tmp_path, model=model, train={"qa": rows}, evaluation={"qa": rows})
    predicted = trainer.predict({"qa": rows})
    expected = SAMPLE.task.answers(predicted.predictions["qa"], predicted.label_ids["qa"], n_best=3)
    monkeypatch.setattr(answers, "_ROWS", 8)  # several parts, with windows of their own
    model.train()
    for asked in (rows, rows.remove_columns("answers")):
        for limit in (None, BatchLimit(rows=3)):
            found = answer_questions(model, "qa", asked, tiny.tokenizer(), n_best=3, limit=limit)
            assert [[item["answer"] for item in row] for row in found] == [
                [item["answer"] for item in row] for row in expected
            ]
            scores = [[[item["score"] for item in row] for row in some] for some in (found, expected)]
            np.testing.assert_allclose(*scores, rtol=1e-3)
    assert model.training
    assert [len(row) for row in found] == [3] * 30


def test_a_task_that_answers_no_questions_is_refused(model: MultiTaskModel) -> None:
    with pytest.raises(ModelError, match=r"tasks\.mood: is no task of the model that answers questions.*Known: qa"):
        answer_questions(model, "mood", key_values(2), tiny.tokenizer())
    with pytest.raises(DataError, match=r"no column 'context'"):
        answer_questions(model, "qa", key_values(2).remove_columns("context"), tiny.tokenizer())


def test_a_model_without_null_answers_always_answers() -> None:
    model = tiny.model(tasks={"qa": SpanExtraction(no_answer=False)})
    found = answer_questions(model, "qa", key_values(5), tiny.tokenizer())
    assert all(item["answer"] for [item] in found)
