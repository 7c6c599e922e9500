"""Answers where runs, tasks, test rows or scores are missing: what is there is compared, and what is not is named."""

import json
import math
from pathlib import Path

import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.as_json import as_json
from hf_mtl.experiments.answer.headline import headline
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.question import Question, read_question
from hf_mtl.experiments.answer.tables import verdict_of
from hf_mtl.experiments.answer.words import build
from tests.experiments.answer.records import LIFT, TASKS, ZERO, asked, run, study, words, write

UNTESTED = "hate: no test rows, so nothing is compared there; test_fraction makes some."


def test_without_validation_scores_no_arm_is_called_the_best_on_them() -> None:
    records = study({"low": LIFT, "high": ZERO}, seeds=3)
    for record in records:
        record["scores"]["validation"] = None
    found = answer(records, asked("low", "high", seeds=3))
    assert found.best is None
    assert "(low)" in headline(found)
    assert headline(found).endswith("It is the first of 2 arms, as neither has validation scores of all tasks.")
    assert as_json(found)["best_on_validation"] is None
    assert "best on validation" not in page(found, [])
    assert "The first sentence is of the first arm, as no arm that can be compared on all" in build(found).text()


def test_tasks_that_the_reference_does_not_train_are_left_out_and_named() -> None:
    records = study({"ew": LIFT, "alone": ZERO}, seeds=3)
    for record in records:
        if record["arm"] == "alone":
            record["scores"]["test"] = {"emotion": record["scores"]["test"]["emotion"]}
    found = answer(records, Question("study", ("alone", "ew"), "alone", (0, 1, 2)))
    assert found.tasks == ["emotion"]
    assert found.verdicts["ew", None].word == "helps"
    assert "alone does not train irony, stance, hate: nothing is compared on that." in found.notes
    assert headline(found).startswith("ew, against alone, helped emotion. The difference is +")


def test_tasks_without_a_run_in_common_are_not_counted_as_undecided() -> None:
    records = [record for record in study({"ew": LIFT}, seeds=3) if record["task"] in (None, "emotion")]
    found = answer([*records, run("single_task", 5, {"irony": 0.5}, "irony")], asked("ew", seeds=6))
    assert found.tasks == ["emotion", "irony", "stance", "hate"]  # those of single-task runs may come
    assert "(ew) helped emotion. irony, stance, hate: not compared. Over all tasks nothing" in headline(found)
    nothing = answer([run("single_task", 5, {"irony": 0.5}, "irony"), *records[1:2]], asked("ew", seeds=6))
    assert "Nothing can be said yet of ew: " in headline(nothing)


def test_a_run_that_diverged_makes_its_task_undecided_and_is_named() -> None:
    records = study({"ew": LIFT}, seeds=3)
    [record] = [item for item in records if item["arm"] == "ew" and item["seed"] == 1]
    record["scores"]["test"]["emotion"] = None
    found = answer(records, asked("ew", seeds=3))
    assert found.verdicts["ew", "emotion"].word == "no evidence"
    assert verdict_of(found, ("ew", "emotion")) == "no evidence (no score)"
    assert math.isnan(found.comparisons["ew", None].evidence.difference)
    assert any("ew has no score of emotion in seed 1" in note for note in found.notes)
    assert "Over all tasks nothing can be said" in headline(found)
    assert "could not be judged on 1" in headline(found)
    record["scores"], record["test"] = None, None
    gone = answer(records, asked("ew", seeds=3))
    assert all(verdict_of(gone, ("ew", task)) == "no evidence (no score)" for task in TASKS)
    assert "(ew) could not be judged on any of the 4 tasks, as scores are missing." in headline(gone)


def test_a_run_that_has_failed_for_good_is_one_that_diverged_and_another_is_missing() -> None:
    key = {"kind": "failed", "arm": "ew", "task": None, "fold": None, "identity": "0"}
    records = study({"ew": LIFT}, seeds=4)
    runs = [item for item in records if item["arm"] != "ew" or item["seed"] < 2]
    short = {**key, "seed": 2, "reason": "out of memory", "final": False}
    missing = answer([*runs, short], asked("ew", seeds=4))
    assert missing.comparisons["ew", "emotion"].evidence.n == 2
    assert "ew, seed 2: the run failed. out of memory" in missing.notes
    diverged = answer([*runs, {**key, "seed": 3, "reason": "nan since step 5", "final": True}], asked("ew", seeds=4))
    assert verdict_of(diverged, ("ew", "emotion")) == "no evidence (no score)"
    assert "ew, seed 3: the run failed. nan since step 5" in diverged.notes
    assert diverged.costs["ew"].steps == 400
    again = answer([*runs, {**key, "seed": 3, "final": True}, *records[-5:]], asked("ew", seeds=4))
    assert again.verdicts["ew", "emotion"].word == "helps"


def test_runs_that_the_study_no_longer_asks_for_are_left_out(tmp_path: Path) -> None:
    records = study({"ew": LIFT, "old": LIFT}, seeds=3)
    merged = [{**record, "kind": "merged", "arm": "ties"} for record in records if record["arm"] == "ew"]
    folder = write(tmp_path, [*records, *merged], ["single_task", "ew"], seeds=2)
    found = answer([*records, *merged], read_question(folder, [*records, *merged]))
    assert found.arms == ["ew", "ties"]
    assert found.comparisons["ew", "emotion"].evidence.n == 2
    assert "9 records of arms, seeds or folds that the study does not name are left out." in found.notes


def test_missing_trials_are_counted_and_the_others_compared() -> None:
    records = study({"ew": LIFT}, seeds=3)
    fewer = [item for item in records if (item["arm"], item["seed"], item["task"]) != ("single_task", 2, "irony")]
    found = answer(fewer, asked("ew", "uw", seeds=3))
    assert found.comparisons["ew", "irony"].evidence.n == 2
    assert found.comparisons["ew", "emotion"].evidence.n == 3
    assert found.comparisons["ew", None].evidence.n == 2
    assert "ew on irony: 2 of 3 runs to compare (single_task lacks 1)." in found.notes
    assert "ew over all tasks: 2 of 3 runs to compare; not all have irony." in found.notes
    assert "uw has no finished run: nothing is said of it." in found.notes
    assert verdict_of(found, ("ew", "emotion")) == "helps"


def test_where_a_run_of_the_reference_failed_that_comes_first_and_no_budget_was_missed() -> None:
    records = study({"uw": LIFT}, seeds=1, tasks=TASKS[:2], flops=2e12)
    failed = {"kind": "failed", "arm": "single_task", "seed": 0, "task": "irony", "fold": None, "reason": "no memory"}
    lacking = [item for item in records if item["task"] != "irony"]
    budget = {"seeds": 1, "budget": "floating-point operations"}
    found = answer([*lacking, failed], asked("uw", **budget))
    assert headline(found).startswith(
        "The study is not whole: 1 run failed (single_task seed 0 irony). Training together (uw) "
    )
    assert as_json(found)["failed_runs"] == ["single_task seed 0 irony"]
    assert (found.costs["single_task"].runs, found.costs["single_task"].models) == (2, 2)
    assert math.isnan(found.costs["single_task"].flops)
    assert "budget" not in headline(found).replace("at this budget", "")
    assert not any("to be equal" in note for note in found.notes)
    # Of a run without any record the study's folder tells.
    missing = answer(lacking, asked("uw", parts={"single_task": 2, "uw": 1}, **budget))
    assert headline(missing).startswith("The study is not whole: 1 run is missing (single_task seed 0). ")
    assert math.isnan(missing.costs["single_task"].flops)
    # What is whole is compared with what is whole.
    doubled = answer(study({"uw": LIFT}, seeds=1, tasks=TASKS[:2], flops=4e12), asked("uw", **budget))
    assert headline(doubled).startswith("The budget was missed: uw took 200%")


def test_a_task_that_an_arm_does_not_train_is_not_compared() -> None:
    records = study({"ew": LIFT}, seeds=3)
    for record in records:
        if record["arm"] == "ew":
            del record["scores"]["test"]["hate"]
    found = answer(records, asked("ew", seeds=3))
    assert verdict_of(found, ("ew", "hate")) == "not compared"
    assert verdict_of(found, ("ew", None)) == "not compared"
    assert "ew on hate: 0 of 3 runs to compare (ew lacks 3)." in found.notes
    assert words(found, "ew")["emotion"] == "helps"


def test_nothing_is_said_where_there_is_nothing(tmp_path: Path) -> None:
    for records in ([], study({"ew": LIFT}, seeds=2)[4:5]):
        found = answer(records, asked("ew"))
        assert headline(found).endswith("Nothing can be said yet: there are no finished runs to compare.")
        assert "single_task has no finished run: nothing can be compared with it." in found.notes
        assert "Nothing can be said yet" in build(found).text()
        json.dumps(as_json(found))


@pytest.mark.parametrize("reference", ["single_task", "ew"])
def test_a_task_without_test_rows_is_left_out_and_the_others_are_judged(reference: str) -> None:
    records = study({"ew": LIFT}, seeds=3)
    for record in records:
        record["scores"]["test"].pop("hate", None)
        if "hate" in record["rows"]:
            del record["rows"]["hate"]["test"]
    found = answer(records, Question("study", ("single_task", "ew"), reference, (0, 1, 2)))
    assert (found.tasks, found.untested) == (["emotion", "irony", "stance"], ("hate",))
    assert found.notes == [UNTESTED]
    assert "hate: left out, without test rows. Over all tasks it is" in headline(found)
    assert UNTESTED in page(found, [])
    assert UNTESTED in build(found).text()
    assert as_json(found)["without_test_rows"] == ["hate"]


def test_a_run_without_test_rows_is_none_that_diverged() -> None:
    records = study({"ew": LIFT}, seeds=3)
    [record] = [item for item in records if (item["seed"], item["task"]) == (1, "hate")]
    record["scores"]["test"], record["rows"]["hate"] = {}, {"train": 2000}
    found = answer(records, asked("ew", seeds=3))
    assert found.untested == ()
    assert "ew on hate: 2 of 3 runs to compare (single_task lacks 1)." in found.notes
    assert not any("diverged" in note for note in found.notes)
