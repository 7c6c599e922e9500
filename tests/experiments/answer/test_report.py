"""The files of a report: written from a study's files alone, the same each time, with nothing from elsewhere."""

import json
import re
from pathlib import Path

import pytest

from hf_mtl.errors import CheckpointError, UserError
from hf_mtl.experiments.answer.report import write_report
from tests.experiments.answer.records import LIFT, TASKS, study, write

COSINES = {"emotion/irony": 0.2, "emotion/stance": -0.3, "irony/hate": 0.1}


def report(folder: Path) -> str:
    return write_report(folder).text


def test_a_report_is_written_and_written_again_the_same(tmp_path: Path) -> None:
    folder = write(
        tmp_path, study({"ew": LIFT, "uw": LIFT}, seeds=3, noise=0.001, cosines=COSINES), ["single_task", "ew", "uw"]
    )
    text = report(folder)
    first = {path.name: path.read_bytes() for path in (folder / "answer.json", folder / "report.html")}
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "intervals.png",
        "costs.png",
        "curves.png",
        "conflicts.png",
    }
    assert report(folder) == text
    assert {name: (folder / name).read_bytes() for name in first} == first
    found = json.loads(first["answer.json"])
    assert found["arms"]["ew"]["tasks"]["emotion"]["verdict"] == "helps"
    assert text.startswith(found["headline"])


def test_the_page_holds_all_it_needs_and_runs_nothing(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    records = study({evil: LIFT}, seeds=3, notes=["x"])
    for record in records:
        record["scores"]["test"] = {f"{task}<b>": value for task, value in record["scores"]["test"].items()}
        record["task"] = record["task"] and f"{record['task']}<b>"
    page = (
        write(tmp_path, records, ["single_task", evil]),
        report(tmp_path),
        (tmp_path / "report.html").read_text(),
    )[2]
    assert "<script" not in page
    assert "<b>" not in page
    assert "emotion&lt;b&gt;" in page
    assert "default-src 'none'" in page
    sources = re.findall(r'(?:src|href)="([^"]{0,22})', page)
    assert sources
    assert all(source.startswith("data:image/png;base64") for source in sources)
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert "not corrected for the number of comparisons" in page


def test_a_report_of_what_is_left_drops_figures_of_other_records(tmp_path: Path) -> None:
    folder = write(tmp_path, study({"ew": LIFT}, seeds=2, cosines=COSINES), ["single_task", "ew"])
    report(folder)
    (folder / "results.jsonl").write_text("")
    assert "Nothing can be said yet" in report(folder)
    assert not list((folder / "figures").iterdir())
    assert (folder / "report.html").read_text().count("<img") == 0


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no results\.jsonl"):
        report(tmp_path)
    folder = write(tmp_path, study({"ew": LIFT}, seeds=1, tasks=TASKS[:2]), ["single_task", "ew"])
    (folder / "study.yaml").write_text("- a\n")
    with pytest.raises(CheckpointError, match=r"study\.yaml: is no study"):
        report(folder)
    for edited in ("smallest: small", "smallest: -1", "seeds: [a]", "folds: 5\nrepeats: many"):
        (folder / "study.yaml").write_text(edited + "\n")
        with pytest.raises(CheckpointError, match=r"study\.yaml: seeds, folds, repeats and smallest must be numbers"):
            report(folder)
