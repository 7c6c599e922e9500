"""What was compared, as a study's folder tells it."""

import json
from pathlib import Path

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.compared import compared, compared_lines
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.report import read_answer, write_report
from hf_mtl.experiments.answer.words import build
from tests.experiments.answer.records import LIFT, TASKS, asked, study, write

TWO = TASKS[:2]


def test_arms_and_tasks_are_told_from_the_folder_alone(tmp_path: Path) -> None:
    records = study({"uw": LIFT}, seeds=3, tasks=TWO)
    for record in records:
        if "irony" in record["lower_is_better"]:
            record["lower_is_better"]["irony"] = {"f1": False, "loss": True, "accuracy": False}
            record["rows"]["irony"]["test"] = 1200 + record["seed"]
    records += [{**item, "kind": "merged", "arm": "ties"} for item in records if item["arm"] == "uw"]
    folder = write(tmp_path, records, ["single_task", "uw"], seeds=3, merging=["ties"], set={"training.max_steps": 9})
    said = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(said.replace("uw: {}", "uw: {balancing: {weighting: uw}}"))
    lines = [
        "The base recipe is x.yaml, with training.max_steps: 9.",
        "single_task: one run per task",
        "uw: balancing.weighting: uw",
        "ties (merged): merged by ties out of the runs of single_task, without training",
        "emotion: scored by f1_macro on 600 test rows",
        "irony: scored by the mean of f1 and accuracy on 1,200 to 1,202 test rows",
    ]
    found = read_answer(folder)
    assert compared_lines(found) == lines
    assert "What was compared:\n" + "\n".join(lines) in build(found).text()
    assert "<h2>What was compared</h2>\n<ul><li>The base" in page(found, [])
    assert "What was compared" not in build(found).markdown()
    write_report(folder)
    kept = json.loads((folder / "answer.json").read_text())["compared"]
    assert kept == compared(found)
    assert kept["base"] == ["x.yaml", "training.max_steps: 9"]
    assert kept["arms"]["uw"] == ["balancing.weighting: uw"]
    assert kept["tasks"]["irony"] == {"metrics": ["f1", "accuracy"], "test_rows": [1200, 1201, 1202]}


def test_what_is_not_known_is_left_out() -> None:
    records = study({"uw": LIFT}, seeds=2, tasks=TWO)
    for record in records:
        del record["lower_is_better"]
        record["rows"].pop("irony", None)
    found = answer(records, asked("uw", seeds=2))
    assert compared_lines(found) == ["emotion: scored on 600 test rows"]
    assert compared(found) == {"base": [], "arms": {}, "tasks": {"emotion": {"test_rows": [600]}, "irony": {}}}
    nothing = answer([{**record, "rows": {}} for record in records], asked("uw", seeds=2))
    assert "What was compared" not in build(nothing).text()
