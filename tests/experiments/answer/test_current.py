"""Runs of a study's recipes as they were stand beside newer ones until compare ends; a report mixes them never."""

from pathlib import Path

import pytest

from hf_mtl.errors import CheckpointError
from hf_mtl.experiments.answer.current import TRIALS, current, parts_in
from hf_mtl.experiments.answer.report import read_answer
from hf_mtl.reporting.json_files import write_json_atomic
from tests.experiments.answer.records import LIFT, TASKS, ZERO, evidence, run, study, write

ROWS = {"kind": "rows", "arm": "ew", "against": "single_task", "task": "irony", "fold": None}


def test_a_report_in_the_middle_has_none_of_the_older_runs_and_of_what_was_made_of_them(tmp_path: Path) -> None:
    records = study({"ew": LIFT}, seeds=3)
    again = run("ew", 0, dict.fromkeys(TASKS, 0.9), identity="1")
    rows = [{**ROWS, "seed": seed, "evidence": evidence(3.0), "identity": "2"} for seed in (0, 1)]
    folder = write(tmp_path, [*records, *rows, again], ["single_task", "ew"], seeds=3)
    mixed = read_answer(folder)
    assert mixed.comparisons["ew", "irony"].evidence.n == 3
    write_json_atomic(
        folder / TRIALS,
        {"ew,seed-0": "1", **{item["identity"]: item["identity"] for item in records if item["task"]}},
    )
    for record in records:
        if record["arm"] == "ew":
            record["identity"] = "older"
    (folder / "results.jsonl").unlink()
    found = read_answer(write(folder, [*records, *rows, again], ["single_task", "ew"], seeds=3))
    item = found.comparisons["ew", "irony"]
    assert list(item.differences) == ["seed 0"]
    assert item.rows == {}
    assert any(note.startswith("5 records of recipes or data that have changed since") for note in found.notes)


def test_runs_of_an_arm_that_is_gone_leave_what_was_made_of_others(tmp_path: Path) -> None:
    records = study({"ew": LIFT, "gone": LIFT}, seeds=1)
    for record in records:
        record["identity"] = record["arm"]
    made = [
        {**ROWS, "arm": "ew", "seed": 0, "identity": "1"},
        {**ROWS, "arm": "gone", "seed": 0, "identity": "2"},
        {"kind": "merged", "arm": "average", "seed": 0, "identity": "3"},
    ]
    kept, _ = current([*records, *made], {"single_task", "ew"}, None)
    assert [record["arm"] for record in kept[-2:]] == ["ew", "average"]
    kept, _ = current([*records, *made], {"ew", "gone"}, None)
    assert {record["arm"] for record in kept} == {"ew", "gone"}
    assert not [record for record in kept if record["kind"] != "run"]


@pytest.mark.parametrize("method", ["average", "task_arithmetic", "ties"])
def test_an_arm_with_the_name_of_a_method_has_nothing_of_what_was_merged(tmp_path: Path, method: str) -> None:
    runs = study({}, seeds=2)
    merged = [{**record, "kind": "merged"} for record in study({method: ZERO}, seeds=2) if record["arm"] == method]
    made = [{**ROWS, "arm": method, "seed": seed, "identity": "m", "evidence": evidence(3.0)} for seed in (0, 1)]
    before = [*runs, *merged, *made]
    folder = write(tmp_path / "before", before, ["single_task"], seeds=2, merging=[method])
    assert len(read_answer(folder).comparisons[method, "irony"].differences) == 2
    folder = write(tmp_path / "edited", before, ["single_task", method], seeds=2, merging=[])
    found = read_answer(folder)
    assert method not in found.trials
    assert f"{method} has no finished run: nothing is said of it." in found.notes
    assert any(note.startswith("4 records of ") and "merging that are not asked" in note for note in found.notes)
    trained = run(method, 0, dict.fromkeys(TASKS, 0.9))
    compared = {**ROWS, "arm": method, "seed": 0, "identity": "r", "evidence": evidence(5.0)}
    assert current([*before, trained, compared], None, []) == ([*runs, trained, compared], found.notes[:1])


def test_what_was_merged_and_is_not_asked_for_is_no_contender(tmp_path: Path) -> None:
    records = study({"ew": LIFT, "ties": ZERO}, seeds=2)
    for record in records:
        record["kind"] = "merged" if record["arm"] == "ties" else "run"
    folder = write(tmp_path, records, ["single_task", "ew"], seeds=2)
    assert read_answer(folder).arms == ["ew"]
    (folder / "study.yaml").unlink()
    assert read_answer(folder).arms == ["ew", "ties"]
    (folder / "study.yaml").write_text("arms: {ew: {}}\nmerging: ties\n")
    with pytest.raises(CheckpointError, match="study.yaml: merging: found 'ties'. Allowed: a list of methods"):
        read_answer(folder)


def test_without_identities_or_with_all_of_them_nothing_is_left_out(tmp_path: Path) -> None:
    records = study({"ew": LIFT}, seeds=2)
    assert current(records, None, None) == (records, [])
    assert current(records, {item["identity"] for item in records}, []) == (records, [])
    folder = write(tmp_path, records, ["single_task", "ew"])
    (folder / TRIALS).write_text("{")
    with pytest.raises(CheckpointError, match="trials.json"):
        read_answer(folder)


def test_the_folder_tells_the_runs_of_a_seed(tmp_path: Path) -> None:
    assert parts_in(tmp_path) == {}
    names = [f"single_task,seed-{seed}-fold-{fold},{task}" for seed in (0, 1) for fold in (0, 1) for task in TASKS]
    write_json_atomic(tmp_path / TRIALS, dict.fromkeys([*names, "ew,seed-0", "ew,seed-1"], "1"))
    assert parts_in(tmp_path) == {"single_task": 4, "ew": 1}
