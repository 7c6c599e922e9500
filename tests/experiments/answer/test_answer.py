"""The answer of a study: what is said of each task, of the whole, of its costs and its budget."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.as_json import as_json
from hf_mtl.experiments.answer.headline import headline, subject
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.question import Question, read_question
from hf_mtl.experiments.answer.tables import verdict_of, verdicts_table
from hf_mtl.experiments.answer.trials import is_single
from hf_mtl.experiments.answer.words import build, cause_lines
from hf_mtl.experiments.evidence import from_folds, from_seeds
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import mean_interval
from hf_mtl.experiments.verdict import verdicts
from tests.experiments.answer.records import LIFT, TASKS, ZERO, asked, evidence, run, study, words, write

PAIRS = (TASKS[:2], TASKS[2:])
PRICES = {"merged": 1200, "ensemble": 4000}


def test_each_task_and_the_whole_are_judged_by_paired_seeds() -> None:
    records = study({"ew": {**LIFT, "irony": 0.0005}}, noise=0.0005)
    found = answer(records, asked("ew"))
    assert words(found, "ew") == {
        "emotion": "helps",
        "irony": "equivalent",
        "stance": "harms",
        "hate": "equivalent",
    }
    item = found.comparisons["ew", "emotion"]
    of_task = [record for record in records if "emotion" in record["test"]]
    ours, theirs = (
        [record["scores"]["test"]["emotion"] for record in of_task if record["arm"] == arm]
        for arm in ("ew", "single_task")
    )
    expected = from_seeds([100 * (a - b) for a, b in zip(ours, theirs, strict=True)])
    assert item.evidence[:6] == pytest.approx(expected[:6])
    assert item.outcomes == (5, 0, 0)
    assert item.cliff == 1
    relative = [100 * (a - b) / b for a, b in zip(ours, theirs, strict=True)]
    assert item.delta_p.difference == pytest.approx(sum(relative) / 5)
    overall = found.comparisons["ew", None]
    each = [found.comparisons["ew", task].evidence.difference for task in TASKS]
    assert overall.evidence.difference == pytest.approx(sum(each) / 4)
    assert overall.outcomes == (5, 10, 5)
    assert headline(found).startswith(
        "Training together (ew) helped 1 of 4 tasks, harmed 1 and made no difference that matters on 2."
    )


def test_the_same_difference_in_every_seed_shows_nothing() -> None:
    found = answer(study({"ew": LIFT}, seeds=3, noise=0.0), asked("ew", seeds=3))
    assert words(found, "ew") == dict.fromkeys(TASKS, "no evidence")
    assert found.comparisons["ew", "emotion"].evidence.difference == pytest.approx(4)
    [note] = [note for note in found.notes if "the same difference each time" in note]
    assert note.startswith("ew on emotion, irony, stance, hate: the same difference each time")
    assert headline(found).endswith("of differences that are all the same nobody can tell how sure that is.")


def test_the_first_sentence_is_of_the_arm_that_is_best_on_validation() -> None:
    records = study({"low": LIFT, "high": ZERO}, seeds=3)
    for record in records:
        if record["arm"] == "low":
            record["scores"]["validation"] = dict.fromkeys(TASKS, 0.9)
    found = answer(records, asked("low", "high", seeds=3))
    assert found.best == "low"
    assert "(low)" in headline(found)
    records += [{**record, "kind": "merged", "arm": "average"} for record in records if record["arm"] == "low"]
    assert answer(records, asked("average", "high", seeds=3)).best == "high"  # which was trained


def test_one_seed_is_judged_by_its_rows_and_says_so() -> None:
    records = study({"ew": LIFT}, seeds=1)
    bare = answer(records, asked("ew", seeds=1))
    assert set(words(bare, "ew").values()) == {"no evidence"}
    assert "left all 4 tasks undecided at this budget, which is not to say that nothing changed" in headline(bare)
    assert verdict_of(bare, ("ew", "irony")) == "no evidence; more seeds are needed"
    assert "there are none of one seed whose test rows were not compared" in build(bare).text()
    assert "bootstrap" not in build(bare).text()
    assert bare.comparisons["ew", "emotion"].evidence.difference == pytest.approx(4, abs=2)
    for task in (*TASKS, None):
        key = {"kind": "rows", "arm": "ew", "against": "single_task", "seed": 0, "fold": None}
        records.append({**key, "task": task, "evidence": evidence(3.0 if task == "emotion" else 0.1, 0.3)})
    found = answer(records, asked("ew", seeds=1))
    assert found.comparisons["ew", "emotion"].evidence.by == "rows"
    assert "up to 10,000 draws" in build(found).text()
    assert verdict_of(found, ("ew", "emotion")) == "helps (these models)"
    assert (
        "scored better on 1 of 4 tasks and made no difference that matters on 3, by the rows of the one"
        in headline(found)
    )
    [record] = [item for item in records if item["kind"] == "run" and item["arm"] == "ew"]
    record["scores"]["test"]["emotion"] = None  # it diverged: rows of before say nothing
    assert verdict_of(answer(records, asked("ew", seeds=1)), ("ew", "emotion")) == "no evidence (no score)"
    assert "for these trained models alone; what another seed would give is not known" in headline(found)


def test_rows_stand_beside_several_seeds_and_do_not_judge() -> None:
    records = study({"ew": ZERO}, seeds=3)
    key = {"kind": "rows", "arm": "ew", "task": "irony", "against": "single_task", "seed": 1, "fold": None}
    found = answer([*records, {**key, "evidence": evidence(9)}], asked("ew", seeds=3))
    item = found.comparisons["ew", "irony"]
    assert item.evidence.by == "seeds"
    assert item.rows["seed 1"].difference == 9
    noted = answer([*records, {**key, "evidence": None, "note": "the rows differ"}], asked("ew", seeds=3))
    assert "the rows differ" in noted.notes


def test_what_is_said_of_rows_against_another_reference_is_left_out() -> None:
    rows = {"kind": "rows", "arm": "ew", "seed": 0, "task": None, "fold": None, "evidence": None}
    notes = [{**rows, "against": against, "note": f"against {against}"} for against in ("uw", "single_task")]
    found = answer([*study({"ew": ZERO}, seeds=1), *notes], asked("ew", seeds=1))
    assert [note for note in found.notes if note.startswith("against")] == ["against single_task"]


def test_a_reference_near_0_has_no_delta_p_in_the_first_sentence() -> None:
    records = study({"ew": ZERO}, seeds=3, noise=0.001)
    assert "delta-p" in headline(answer(records, asked("ew", seeds=3)))
    for value, seed in ((-0.01, 1), (0.9, 1)):
        near = json.loads(json.dumps(records))
        [record] = [item for item in near if (item["task"], item["seed"]) == ("irony", seed)]
        record["test"]["irony"]["f1_macro"] = value
        if value > 0:  # far from 0, with an interval that holds everything
            for item in (item for item in near if item["arm"] == "ew"):
                item["test"]["irony"]["f1_macro"] = 3.0 * item["seed"]
        found = answer(near, asked("ew", seeds=3))
        assert "delta-p" not in headline(found)
        assert found.comparisons["ew", None].delta_p.n == 3


def test_groups_are_served_by_a_model_each_and_are_no_single_tasks() -> None:
    records = study({"ew": LIFT}, seeds=2)
    groups = [run("pairs", seed, {name: 0.6 for name in pair}, "+".join(pair)) for seed in range(2) for pair in PAIRS]
    found = answer([*records, *groups], asked("ew", "pairs", seeds=2))
    assert {arm: (cost.runs, cost.models) for arm, cost in found.costs.items()} == {
        "single_task": (4, 4),
        "ew": (1, 1),
        "pairs": (2, 2),
    }
    assert (is_single(found.trials["single_task"]), is_single(found.trials["pairs"])) == (True, False)


def test_an_arm_of_single_tasks_trains_nothing_together() -> None:
    frozen = [{**record, "arm": "frozen"} for record in study({}, seeds=3, random=1)]
    found = answer([*study({"ew": ZERO}, seeds=3), *frozen], asked("frozen", "ew", seeds=3))
    assert subject(found, "frozen") == "frozen, against single_task,"
    assert subject(found, "ew") == "Training together (ew)"


def test_an_ensembles_price_is_said_beside_that_of_what_was_merged() -> None:
    price = {name: {"parameters": count, "flops_per_row": count * 100.0} for name, count in PRICES.items()}
    records = study({"ew": LIFT}, seeds=2)
    merged = [
        {**record, "kind": "merged", "arm": "ties", "price": price} for record in records if record["arm"] == "ew"
    ]
    notes = answer([*records, *merged], asked("ew", "ties", seeds=2)).notes
    assert [note for note in notes if "ensemble" in note] == [
        "An ensemble of the single-task models keeps 4,000 parameters and takes 4e+05 FLOPs to answer all tasks for "
        "a row; one merged model keeps 1,200 and takes 1.2e+05."
    ]


def test_folds_are_judged_by_the_corrected_test() -> None:
    records: list[Record] = []
    for seed in range(2):
        for record in study({"ew": LIFT}, seeds=3, random=seed):
            records.append({**record, "fold": record["seed"], "seed": seed})
    found = answer(records, asked("ew", seeds=2, folds=3))
    item = found.comparisons["ew", "irony"]
    values = list(item.differences.values())  # of the three folds with one seed, then with the other
    assert item.evidence == from_folds(np.mean([values[:3], values[3:]], axis=0), 2000, 600)
    assert (len(values), item.evidence.n, item.evidence.by) == (6, 3, "folds")
    assert "seed 1, fold 2" in item.differences
    text = " ".join(build(found).text().split())
    assert "corrected resampled t-test" in text
    assert "behind ± stands half of their plain 95% interval over splits." in text


def test_the_last_record_of_a_run_counts() -> None:
    records = study({"ew": ZERO}, seeds=2)
    again = run("ew", 1, dict.fromkeys(TASKS, 0.9))
    found = answer([*records, again], asked("ew", seeds=2))
    assert found.trials["ew"][list(found.trials["ew"])[1]].score("irony") == 0.9
    assert "1 earlier record of the same runs is left out: the last of each counts." in found.notes


def test_budgets_that_differ_and_baselines_that_win_are_said() -> None:
    records = study({"ew": ZERO}, seeds=2, flops=8e12)
    for record in records:
        if record["task"] == "irony":
            record["baselines"] = {"tfidf": {"test": {"irony": 0.99}}, "majority": {"test": {"irony": 0.1}}}
    found = answer(records, asked("ew", seeds=2, budget="floating-point operations"))
    assert "On 1 of 4 tasks single_task does not beat a simple baseline" in headline(found)
    notes = found.notes
    assert any("ew took 200% of the floating-point operations of single_task" in note for note in notes)
    [said] = [note for note in notes if "does not beat" in note]
    assert said.startswith("irony: single_task (64.")
    assert "tfidf (99.0)" in said


@pytest.mark.parametrize(("took", "begins"), [(8e12, "The budget was missed: ew took 200% of"), (4.3e12, "Training")])
def test_a_budget_that_was_missed_is_the_first_thing_that_is_said(took: float, begins: str) -> None:
    found = answer(study({"ew": LIFT}, flops=took), asked("ew", budget="floating-point operations"))
    assert headline(found).startswith(begins)


@pytest.mark.parametrize(("rows", "noted"), [(lambda seed: "x", False), (str, True)])
def test_test_rows_that_differ_from_seed_to_seed_are_said(rows: Callable[[int], str], noted: bool) -> None:
    records = [
        {**record, "test_rows": dict.fromkeys(record["rows"], rows(record["seed"]))} for record in study({"ew": ZERO})
    ]
    found = [note for note in answer(records, asked("ew")).notes if "the seeds have different test rows" in note]
    assert bool(found) == noted
    folds = [{**record, "fold": record["seed"], "seed": 0} for record in records]
    assert not any("different test rows" in note for note in answer(folds, asked("ew", seeds=1, folds=5)).notes)


def test_a_seed_takes_what_all_of_its_folds_take() -> None:
    runs = study({"ew": ZERO}, seeds=2)
    records = [{**record, "fold": fold} for record in runs for fold in range(3) if (fold, record["seed"]) != (2, 1)]
    costs = answer(records, asked("ew", seeds=2, folds=3)).costs
    assert {arm: (item.runs, item.steps, item.models) for arm, item in costs.items()} == {
        "single_task": (12, 4800, 4),
        "ew": (3, 1200, 1),
    }


def test_a_question_is_read_from_the_study_or_else_from_its_records(tmp_path: Path) -> None:
    records = study({"ew": LIFT}, seeds=2)
    said = write(tmp_path / "a", records, ["single_task", "ew", "uw"], smallest=0.3, folds=5, repeats=2)
    found = read_question(said, records)
    assert (found.arms, found.reference, found.smallest) == (("single_task", "ew", "uw"), "single_task", 0.3)
    assert (found.seeds, found.folds, found.units, found.budget) == (
        (0, 1, 2, 3, 4),
        10,
        50,
        "floating-point operations",
    )
    (said / "study.yaml").unlink()
    bare = read_question(said, records)
    assert (bare.arms, bare.reference, bare.seeds) == (("single_task", "ew"), "single_task", (0, 1))
    assert "names no arms" in bare.notes[0]


def test_of_one_and_two_tasks_and_arms_is_spoken_as_of_few() -> None:
    def said(count: int, **more: Any) -> str:
        given = {"seeds": 3, "noise": 0.001, "tasks": TASKS[:count], **more}
        return headline(answer(study({"ew": dict.fromkeys(TASKS, 0.04)}, **given), asked("ew", seeds=3)))

    assert said(1).startswith("Training together (ew) helped emotion. The difference is +")
    assert said(2).startswith("Training together (ew) helped both tasks. Over both tasks it is +")
    assert said(3).startswith("Training together (ew) helped 3 of 3 tasks. Over all tasks it is +")
    assert "left emotion undecided" in said(1, noise=0.1)
    assert "left both tasks undecided" in said(2, noise=0.1)
    assert "left all 3 tasks undecided" in said(3, noise=0.1)


def test_a_baseline_that_wins_on_every_task_is_said_of_one_and_two() -> None:
    for count, on in ((1, "On emotion "), (2, "On both tasks ")):
        records = study({"ew": ZERO}, seeds=2, tasks=TASKS[:count])
        for record in records:
            record["baselines"] = {"tfidf": {"test": dict.fromkeys(record["rows"], 0.99)}}
        assert f"{on}single_task does not beat a simple baseline" in headline(answer(records, asked("ew", seeds=2)))


def test_the_reference_that_a_file_does_not_name_is_the_arm_that_compare_takes(tmp_path: Path) -> None:
    groups = [run("groups", 0, {"a": 0.5, "b": 0.5}, "a+b"), run("groups", 0, {"c": 0.5}, "c")]
    records = [*groups, *(run(arm, 0, {task: 0.5}, task) for arm in ("frozen", "own") for task in "abc")]
    arms = {"groups": {"groups": [["a", "b"], ["c"]]}, "frozen": {"single_task": True}, "own": "single_task"}
    assert read_question(tmp_path, records, {"arms": arms}).reference == "frozen"
    assert read_question(tmp_path, records, {"arms": {"groups": {}, "own": {}}}).reference == "own"
    assert read_question(tmp_path, records).reference == "frozen"
    assert read_question(tmp_path, records, {"arms": {"groups": {}}}).reference == "groups"


def test_the_very_same_runs_are_compared_with_nothing() -> None:
    records = study({"pairs": LIFT}, seeds=3, noise=0.001)
    alone = [{**item, "arm": "pairs"} for item in records if item["task"] in ("stance", "hate")]
    for record in records:
        if record["arm"] == "pairs":
            record["task"] = "emotion+irony"
    found = answer([*records, *alone], asked("pairs", seeds=3))
    assert words(found, "pairs")["stance"] == verdict_of(found, ("pairs", "stance")) == "same runs"
    assert found.comparisons["pairs", "stance"].outcomes == (0, 0, 0)
    assert sum(found.comparisons["pairs", None].outcomes) == 6
    assert "for the 2 comparisons" in build(found).text()
    two = {key: item.evidence for key, item in found.comparisons.items() if key[1] in ("emotion", "irony")}
    assert found.verdicts["pairs", "emotion"] == verdicts(two)["pairs", "emotion"]
    assert "of 2 tasks" in headline(found)
    assert "stance, hate: the very same runs." in headline(found)
    again = [{**item, "arm": "again"} for item in records if item["arm"] == "single_task"]
    twice = answer([*records, *again], asked("again", seeds=3))
    assert "its runs are the very same as those of single_task" in headline(twice)
    assert '"verdict": "same runs"' in json.dumps(as_json(twice))


def test_seeds_that_would_show_the_smallest_difference_are_said_to_be_that() -> None:
    found = answer(study({"ew": LIFT}, seeds=3, noise=0.02), asked("ew", seeds=3))
    assert "seeds would show 0.5 points" in verdict_of(found, ("ew", "irony"))
    assert "the smallest difference of interest, not the one that was seen" in build(found).text()
    folds = [{**record, "fold": record["seed"], "seed": 0} for record in study({"ew": LIFT}, seeds=3)]
    assert "is not said of folds" in build(answer(folds, asked("ew", seeds=1, folds=3))).text()


def test_a_merged_arm_is_called_so_wherever_people_read_and_keeps_its_name_in_json() -> None:
    records = study({"ew": LIFT}, seeds=3, noise=0.001)
    merged = [{**item, "kind": "merged", "arm": "average"} for item in records if item["arm"] == "ew"]
    found = answer([*records, *merged], asked("ew", "average", seeds=3))
    text, document = build(found).text(), page(found, [])
    assert "average (merged): stance" in text
    assert "average (merged): all tasks" in text
    assert "<td>average (merged)</td>" in document
    assert "average:" not in text
    assert "<td>average</td>" not in document
    assert {"average", "ew"} == as_json(found)["arms"].keys()


def test_a_cause_of_several_losses_is_said_once() -> None:
    low = dict.fromkeys(TASKS, -0.1)
    records = study({"average": low, "ties": low}, seeds=3, noise=0.001)
    merged = [{**item, "kind": "merged"} if item["task"] is None else item for item in records]
    found = answer(merged, asked("average", "ties", seeds=3))
    [line] = cause_lines(found)
    assert line.count("Merging: ") == 1
    assert line.count("(merged), ") == 2 * len(TASKS)
    assert page(found, []).count("Merging: ") == 1


def test_two_seeds_are_said_to_be_too_few_once_and_not_in_a_document() -> None:
    def said(seeds: int) -> tuple[int, ...]:
        found = answer(study({"ew": LIFT}, seeds=seeds), asked("ew", seeds=seeds))
        report = build(found)
        texts = (report.text(), page(found, []), report.markdown())
        return tuple(text.count("2 seeds can hardly show anything") for text in texts)

    assert (said(1), said(2), said(3)) == ((0, 0, 0), (1, 1, 0), (0, 0, 0))
    alone = [record for record in study({"ew": LIFT}, seeds=2) if record["arm"] == "ew"]
    assert "take at least 3" in build(answer(alone, Question("study", ("ew",), "ew", (0, 1)))).text()
    low, high = np.array(mean_interval([0.0, 1.0]))[[1, 2]]
    assert round(high - low) == 13  # as the sentence has it


def test_of_very_many_seeds_no_number_is_said() -> None:
    found = answer(study({"ew": LIFT}, seeds=3), asked("ew", seeds=3))
    verdict, key = found.verdicts["ew", "irony"], ("ew", "irony")
    for seeds, shown in ((1000, "1,000 seeds"), (1001, "more than 1,000 seeds")):
        found.verdicts[key] = replace(verdict, word="no evidence", seeds=seeds)
        assert verdict_of(found, key) == f"no evidence; {shown} would show 0.5 points"


def test_of_nothing_decided_it_is_said_what_is_possible() -> None:
    found = answer(study({"ew": LIFT}, seeds=2, noise=0.05), asked("ew", seeds=2))
    low = min(found.comparisons["ew", task].evidence.low for task in TASKS)
    assert f"left all 4 tasks undecided at this budget: anything from {low:+.1f} to +" in headline(found)


def test_by_rows_is_the_difference_of_the_seed_that_is_named() -> None:
    key = {"kind": "rows", "arm": "ew", "task": "irony", "against": "single_task", "seed": 0, "fold": None}
    rows = [{**key, "evidence": evidence(9)}, {**key, "seed": 1, "task": "hate", "evidence": evidence(3)}]
    found = answer([*study({"ew": ZERO}, seeds=3), *rows], asked("ew", seeds=3))
    table = verdicts_table(found)
    place = list(table.header).index("by rows, seed 0")
    assert [row[place] for row in table.rows] == ["-", "+9.00 [+8.00, +10.00]", "-", "-"]
    assert not [name for name in verdicts_table(answer(study({"ew": ZERO}), asked("ew"))).header if "rows" in name]


def test_why_delta_p_is_undefined_is_said_once_and_by_whom() -> None:
    records = study({"ew": LIFT, "uw": LIFT}, seeds=2)
    for record in records:
        if record["task"] == "irony":
            record["test"]["irony"]["f1_macro"] = 0.0
    notes = answer(records, asked("ew", "uw", seeds=2)).notes
    said = "delta-p over all tasks is undefined: f1_macro of irony is 0 in a run of single_task, of"
    assert [note.startswith(said) for note in notes if "delta-p" in note] == [True]
    records = study({"ew": LIFT}, seeds=2)
    records[-1]["test"]["hate"]["f1_macro"] = None
    [note] = [note for note in answer(records, asked("ew", seeds=2)).notes if "delta-p" in note]
    assert note.endswith("f1_macro of hate is undefined in a run of ew.")


def test_the_scores_of_one_arm_alone_are_the_answer() -> None:
    records = [record for record in study({"ew": LIFT}, seeds=3) if record["arm"] == "ew"]
    found = answer(records, Question("study", ("ew",), "ew", (0, 1, 2)))
    mean = found.average("ew")
    assert mean is not None
    assert headline(found) == (
        "ew is the only arm of the study, so that it is compared with nothing. Its mean test score over 4 tasks is "
        f"{mean.mean:.1f} points."
    )
    text, document = build(found).text(), page(found, [])
    assert "test score" in text
    assert "against" not in text
    assert "delta-p" not in text
    assert "<h1>study: what it scores</h1>" in document
    assert "4 tasks, ew alone, 3 seeds" in document
    assert "against" not in document
    failed = [{**records[0], "kind": "failed", "reason": "no memory", "final": False}]
    said = headline(answer(failed, found.question))
    assert said.startswith(
        "The study is not whole: 1 run failed (ew seed 0) and 2 runs are missing (ew seed 1, ew seed 2)."
    )
    assert "Nothing can be said yet: there are no finished" in said
