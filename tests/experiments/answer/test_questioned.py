"""Scores of one prediction for all rows: said once for a task, with how many runs of each arm have it."""

from typing import Any

import numpy as np
import pytest

from hf_mtl.evaluation import undefined_metrics as undefined_of
from hf_mtl.evaluation.registry import METRICS
from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.questioned import constant_predictions, undefined_metrics
from hf_mtl.experiments.answer.trials import Trial, Unit
from hf_mtl.experiments.answer.words import build
from hf_mtl.experiments.results import Record
from hf_mtl.tasks import MetricSpec
from tests.experiments.answer.records import LIFT, ZERO, run, study
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


def test_a_metric_that_the_labels_leave_without_a_meaning_is_named() -> None:
    records: list[Record] = study({"ew": ZERO}, seeds=3)
    for record in records:
        if record["arm"] == "ew" or record["task"] == "hate":
            value = 2 if record["seed"] else 1
            zero = f"hate: pearson is 0 whatever is predicted on the 60 scored rows: every target is {value}."
            record["test_notes"] = [zero, zero.replace("pearson", "spearman")]
    found = answer(records, Question("s", ("single_task", "ew"), "single_task", (0, 1, 2)))
    said = [note for note in found.notes if "whatever is predicted" in note]
    assert said[0] == (
        "hate: pearson is 0 whatever is predicted on the test rows (every target is 1; every target is 2) in "
        "3 of 3 runs of single_task, 3 of 3 runs of ew: there it tells no arm from another."
    )
    assert [note.split(" is ")[0] for note in said] == ["hate: pearson", "hate: spearman"]
    assert said[0] in build(found).text()
    assert not [note for note in found.notes if "one prediction" in note]


@pytest.mark.parametrize("name", SAMPLES)
def test_what_every_task_type_says_of_such_metrics_is_known(name: str) -> None:
    sample = SAMPLES[name]
    labels = np.repeat(sample.encoded().scored_against[:1], 24, axis=0)
    for metric, entry in METRICS.items():
        if entry.scores(sample.task.outputs_are):
            task = sample.task.model_copy(update={"metrics": (MetricSpec(name=metric),)})
            for mistake in undefined_of(task, "a", labels, "scored"):
                record = run("ew", 0, {"a": 0.0}, test_notes=[f"a: {mistake.problem}."])
                (said,) = undefined_metrics({"ew": {Unit(0): Trial((record,))}}, ["a"])
                assert said.startswith(f"a: {metric} is ")
