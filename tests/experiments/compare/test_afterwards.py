import shutil
from dataclasses import replace
from pathlib import Path

from hf_mtl.experiments.answer.lines import read_records
from hf_mtl.experiments.compare.afterwards import add_baselines, add_merged, add_rows, report_on
from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trial_run import TRIAL
from hf_mtl.experiments.compare.trials import Trial
from hf_mtl.experiments.compare.work import Worker
from hf_mtl.reporting.json_files import write_json_atomic
from tests.experiments.compare.conftest import Done
from tests.experiments.compare.world import write_study
from tests.experiments.merging.singles import backbone


def without_rows(done: Done, folder: Path) -> Ledger:
    """The records of a study, without its comparisons by rows, in a folder of their own."""
    ledger = Ledger(folder)
    for record in done.ledger.results.all():
        if record["kind"] != "rows":
            ledger.add(record)
    return ledger


def test_every_arm_is_compared_with_the_reference_by_rows_once(done: Done, trials: list[Trial]) -> None:
    for _ in range(2):
        add_rows(done.study, done.ledger, trials)
    rows = [record for record in done.ledger.results.all() if record["kind"] == "rows"]
    assert [(record["arm"], record["against"], record["task"]) for record in rows] == [
        ("uw", "single_task", "topic"),
        ("uw", "single_task", "mood"),
        ("uw", "single_task", None),
    ]
    runs = {(record["arm"], record["task"]): record for record in done.ledger.results.all() if "scores" in record}
    scores = [runs[key]["scores"]["test"]["topic"] for key in (("uw", None), ("single_task", "topic"))]
    assert abs(rows[0]["evidence"]["difference"] - 100 * (scores[0] - scores[1])) < 1e-6


def test_what_a_killed_process_has_left_out_of_the_rows_is_added(
    done: Done, trials: list[Trial], tmp_path: Path
) -> None:
    add_rows(done.study, done.ledger, trials)
    every = done.ledger.results.all()
    lines = [record for record in every if record["kind"] != "rows" or record["against"] == "single_task"]
    rows = [record for record in lines if record["kind"] == "rows"]
    for left in range(len(rows)):
        ledger = Ledger(tmp_path / str(left))
        for record in lines[: len(lines) - len(rows) + left]:
            ledger.add(record)
        for _ in range(2):
            add_rows(done.study, ledger, trials)
        assert [record for record in ledger.results.all() if record["kind"] == "rows"] == rows


def test_rows_of_another_run_in_a_trials_place_are_not_compared(
    done: Done, trials: list[Trial], tmp_path: Path
) -> None:
    ledger = without_rows(done, tmp_path)
    place = next(done.study.folder / trial.place for trial in trials if trial.arm.name == "uw") / TRIAL
    before = place.read_text()
    try:
        write_json_atomic(place, {"identity": "of other settings"})
        add_rows(done.study, ledger, trials)
        assert not [record for record in ledger.results.all() if record["kind"] == "rows"]
    finally:
        place.write_text(before)


def test_a_task_without_test_rows_takes_none_from_others(tmp_path: Path) -> None:
    path = write_study(
        tmp_path, set={"tasks.mood.test_fraction": None}, arms={"single_task": "single_task", "ew": {}}
    )
    worker = Worker(load_study(path), lambda text: None)
    worker.work()
    for _ in range(2):
        add_rows(worker.study, worker.ledger, worker.trials)
    rows = [record for record in worker.ledger.results.all() if record["kind"] == "rows"]
    assert [record["task"] for record in rows] == ["topic", None]
    assert rows[0]["evidence"] is not None


def test_with_another_reference_rows_are_compared_too_and_earlier_comparisons_stay(
    done: Done, trials: list[Trial], tmp_path: Path
) -> None:
    ledger = without_rows(done, tmp_path)
    turned = replace(done.study, reference="uw")
    before = add_rows(done.study, ledger, trials)
    assert add_rows(turned, ledger, trials) == before
    found = [record for record in ledger.results.all() if record["kind"] == "rows"]
    assert [(record["arm"], record["against"], record["task"]) for record in found] == [
        (arm, against, task)
        for arm, against in (("uw", "single_task"), ("single_task", "uw"))
        for task in ("topic", "mood", None)
    ]
    ledger.add({**found[0], "identity": "of other runs"})
    assert ledger.set_aside(trials, before) == 0  # no run has changed
    for study in (done.study, turned):
        add_rows(study, ledger, trials)
    assert [record for record in ledger.results.all() if record["kind"] == "rows"] == found


def test_baselines_that_are_asked_for_later_are_scored_beside_the_reference(
    done: Done, trials: list[Trial], tmp_path: Path
) -> None:
    first = next(record for record in done.ledger.results.all() if record["task"] == "topic")
    ledger = Ledger(tmp_path)
    ledger.add({**first, "baselines": None})
    for _ in range(2):
        add_baselines(done.study, ledger, trials, print)
    assert len(ledger.results.all()) == 2
    assert ledger.records(trials)[trials[0].claim]["baselines"] == first["baselines"]


def test_what_is_merged_is_compared_by_rows_too(tmp_path: Path) -> None:
    model = {"backbone": str(backbone(tmp_path / "bert")), "pooling": "mean", "head": "linear"}
    path = write_study(tmp_path, {"model": model}, arms={"single_task": "single_task"}, merging=["average"])
    said: list[str] = []
    worker = Worker(load_study(path), said.append)
    worker.work()
    merged = add_merged(worker.study, worker.ledger, worker.trials, said.append)
    rows = add_rows(worker.study, worker.ledger, worker.trials, merged)
    records = {record["kind"]: record for record in worker.ledger.results.all()}
    found = [record for record in worker.ledger.results.all() if record["kind"] == "rows"]
    assert [(record["arm"], record["against"], record["task"]) for record in found] == [
        ("average", "single_task", "topic"),
        ("average", "single_task", "mood"),
        ("average", "single_task", None),
    ]
    single = next(record for record in worker.ledger.results.all() if record["task"] == "topic")
    difference = records["merged"]["scores"]["test"]["topic"] - single["scores"]["test"]["topic"]
    assert abs(found[0]["evidence"]["difference"] - 100 * difference) < 1e-6
    assert worker.ledger.set_aside(worker.trials, merged | rows) == 0
    assert read_records(worker.ledger.results.path) == worker.ledger.results.all()
    # Of models that were merged of other runs nothing is said.
    assert add_rows(worker.study, worker.ledger, worker.trials) == set()
    # What is known stays known where the models are gone.
    shutil.rmtree(worker.study.folder / "runs")
    said.clear()
    assert add_merged(worker.study, worker.ledger, worker.trials, said.append) == merged
    assert add_rows(worker.study, worker.ledger, worker.trials, merged) == rows
    assert said == []


def test_the_report_is_written_into_the_studys_folder(done: Done) -> None:
    said: list[str] = []
    report_on(done.study.folder, said.append)
    assert "single_task" in said[0]
    assert (done.study.folder / "answer.json").exists()
    folder = done.study.folder
    assert said[0].splitlines()[-1] == (
        f"The report is {folder / 'report.html'}. The figures are in {folder / 'figures'}."
    )
