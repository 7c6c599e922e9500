"""Baselines beside the arms: in the table of scores, and said where the reference is no better."""

from hf_mtl.experiments.answer.answer import Answer, answer
from hf_mtl.experiments.answer.as_json import as_json
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.words import build
from tests.experiments.answer.records import LIFT, study

QUESTION = Question("study", ("single_task", "ew"), "single_task", (0, 1))


def answered() -> Answer:
    records = study({"ew": LIFT}, seeds=2)
    for record in records:
        if task := record["task"]:
            record["baselines"] = {
                "majority": {"test": {task: 0.2}},
                "tfidf": {"test": {task: 0.7}},
                "llm": {"test": {}, "fewer_rows": [task]} if task == "hate" else {"test": {task: 0.3}},
            }
    return answer(records, QUESTION)


def test_baselines_are_rows_of_the_scores_and_in_the_json() -> None:
    found = answered()
    for text in (build(found).text(), build(found).markdown(), page(found, [])):
        for name in ("majority", "tfidf", "llm"):
            assert f"baseline {name}" in text
    assert (
        "| baseline majority | 20.0 ± 0.0 | 20.0 ± 0.0 | 20.0 ± 0.0 | 20.0 ± 0.0 | 20.0 ± 0.0 |"
        in build(found).markdown()
    )
    assert as_json(found)["baselines"]["tfidf"]["irony"]["mean"] == 70


def test_one_that_saw_fewer_rows_has_no_score_there_and_says_so() -> None:
    found = answered()
    assert "| baseline llm | 30.0 ± 0.0 | 30.0 ± 0.0 | 30.0 ± 0.0 | - | - |" in build(found).markdown()
    [note] = [note for note in found.notes if note.startswith("llm ")]
    assert "fewer test rows of hate than the models (max_rows), and is compared with nothing there" in note


def test_a_reference_below_a_baseline_is_weak() -> None:
    assert set(answered().weak) == {"emotion", "irony"}
