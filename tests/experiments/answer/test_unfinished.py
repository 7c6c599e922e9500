"""What a study lacks, as its records and its folder tell."""

from hf_mtl.experiments.answer.unfinished import Unfinished, parts_of, unfinished
from hf_mtl.experiments.results import Record
from tests.experiments.answer.records import LIFT, TASKS, asked, study

FAILED = {"kind": "failed", "arm": "single_task", "task": "hate", "fold": None, "seed": 0}


def without_hate() -> list[Record]:
    return [record for record in study({"ew": LIFT}, seeds=2) if record["task"] != "hate"]


def test_a_run_that_failed_is_one_of_its_arms_runs() -> None:
    question = asked("ew", seeds=2)
    assert parts_of(without_hate(), question) == {"single_task": 3, "ew": 1}
    records = [*without_hate(), FAILED]
    assert parts_of(records, question) == {"single_task": 4, "ew": 1}
    found = unfinished(records, question, parts_of(records, question))
    assert found == Unfinished(("single_task seed 0 hate",), ("single_task seed 1",))


def test_the_folder_tells_how_many_runs_there_are_to_be() -> None:
    question = asked("ew", "uw", seeds=2, parts={"single_task": len(TASKS), "uw": 1})
    assert parts_of(without_hate(), question) == {"single_task": 4, "ew": 1, "uw": 1}
    found = unfinished(without_hate(), question, question.parts)
    assert found.missing == ("single_task seed 0", "single_task seed 1", "uw seed 0", "uw seed 1")


def test_what_is_lacking_is_one_sentence_and_of_many_runs_the_first() -> None:
    assert Unfinished().sentence() == ""
    assert Unfinished(("a seed 0",)).sentence() == "The study is not whole: 1 run failed (a seed 0)."
    names = tuple(f"a seed {seed}" for seed in range(6))
    assert Unfinished(("b",), names).sentence() == (
        "The study is not whole: 1 run failed (b) and 6 runs are missing (a seed 0, a seed 1, a seed 2, a seed 3 "
        "and 2 more)."
    )
