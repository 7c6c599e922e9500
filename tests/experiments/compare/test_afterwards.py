from hf_mtl.experiments.compare.afterwards import add_rows, report_on
from hf_mtl.experiments.compare.trials import Trial
from tests.experiments.compare.conftest import Done


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


def test_the_report_is_written_into_the_studys_folder(done: Done) -> None:
    said: list[str] = []
    report_on(done.study.folder, said.append)
    assert "single_task" in said[0]
    assert (done.study.folder / "answer.json").exists()
