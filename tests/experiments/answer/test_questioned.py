"""Scores of one prediction for all rows: said once for a task, with how many runs of each arm have it."""

from typing import Any

import numpy as np
import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.questioned import constant_predictions
from hf_mtl.experiments.answer.trials import Trial, Unit
from hf_mtl.experiments.answer.words import build
from hf_mtl.experiments.results import Record
from tests.experiments.answer.records import LIFT, run, study
from tests.task_types.conftest import SAMPLES


def of(*notes: str, **more: Any) -> list[str]:
    record = run("ew", 0, {"a": 0.5}, test_notes=notes, **more)
    return constant_predictions({"ew": {Unit(0): Trial((record,))}}, ["a"])


def test_they_are_counted_over_the_runs_of_each_arm() -> None:
    records: list[Record] = study({"ew": LIFT, "uw": LIFT}, seeds=3)
    for record in records:
        if record["arm"] == "ew" and record["seed"] > 0:
            label = ("pos", "neg")[record["seed"] - 1]
            said = [f"hate: all 600 rows are predicted '{label}'."]
            record["test_notes"] = [*said, "emotion: f1_macro 0.5 is below the 1.0 of TF-IDF with a linear model."]
        if record["task"] == "hate":
            record["test_notes"] = ["hate: all 600 rows are predicted 'neg'."]
    question = Question("s", ("single_task", "ew", "uw"), "single_task", (0, 1, 2))
    found = answer(records, question)
    [said] = [note for note in found.notes if "one prediction" in note]
    assert said.startswith(
        "hate: one prediction for all test rows ('neg' or 'pos') in 3 of 3 runs of single_task, 2 of 3 runs of ew: "
    )
    assert said in build(found).text()
    assert "one prediction for all test rows" in page(found, [])


@pytest.mark.parametrize("name", SAMPLES)
def test_what_every_task_type_says_of_it_is_known(name: str) -> None:
    sample = SAMPLES[name]
    references = sample.encoded().scored_against
    perfect = sample.task.perfect_outputs(references)
    same = np.repeat(perfect[:1], 24, axis=0) if sample.same is None else sample.same(perfect)
    for note in sample.task.sameness(sample.task.outputs_of(same), references):
        assert of(f"a: {note}")


def test_what_is_of_validation_rows_or_of_other_tasks_alone_questions_no_score() -> None:
    same = "a: all 300 rows are predicted 'neg'."
    rows = {"a": {"validation": 300, "test": 300}}
    assert of(same, rows=rows)
    assert not of(notes=[same], rows=rows)  # of the validation rows, as many
    assert of("a: all 300 words are predicted 'O'.")
    assert not of("ab: all 600 rows are predicted 'neg'.", "a: 5 of 600 rows have no label.")
    assert of("a: all 600 rows are predicted without labels.") == [
        "a: one prediction for all test rows in the run of ew: such a score says little of what was learned."
    ]


def test_of_older_records_it_is_not_known_whose_rows_a_note_is_of() -> None:
    record = run("ew", 0, {"a": 0.5}, notes=["a: all 600 rows are predicted 'neg'."])
    assert "test_notes" not in record
    assert constant_predictions({"ew": {Unit(0): Trial((record,))}}, ["a"]) == []
