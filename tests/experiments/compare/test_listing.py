from pathlib import Path

from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.listing import listing
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import trials_of
from tests.experiments.compare.conftest import Done


def test_a_study_is_listed_with_what_is_left_and_the_time_for_it(done: Done) -> None:
    lines = listing(done.study).splitlines()
    assert lines[0].startswith(" failed  broken seed 0: training has diverged")
    assert [line.split(" s ")[0].rstrip("0123456789") for line in lines[1:4]] == [
        "",
        "single_task: 2 done, ",
        "uw: 1 done, ",
    ]
    assert lines[4] == "broken: 1 failed"
    assert lines[-3:] == [
        f"4 runs in {done.study.folder}: 3 done, 1 failed",
        "1 run has diverged and would again: not tried again unless the recipe changes, as by a lower "
        "training.learning_rate.",
        "Nothing is left to do.",
    ]
    more = load_study(done.path, ["seeds=2", "arms.other={model.head: mlp}"])
    lines = listing(more, workers=2).splitlines()
    assert lines[-3].endswith("10 runs in " + str(done.study.folder) + ": 3 done, 1 failed, 6 missing")
    assert lines[-1].startswith("About ")
    assert lines[-1].endswith(" left with 2 workers.")
    elsewhere = load_study(done.path, [f"output_dir={done.path.parent / 'nothing'}"])
    assert listing(elsewhere).endswith("How long that takes is known once a run is finished.")
    assert not (done.path.parent / "nothing").exists()


def test_runs_that_failed_and_may_not_again_are_left_to_do(done: Done, tmp_path: Path) -> None:
    study = load_study(done.path, [f"output_dir={tmp_path / 'other'}", "seeds=2"])
    trials, ledger = trials_of(study), Ledger(study.folder)
    for place, trial in enumerate(trials):
        key = {**trial.key, "identity": trial.identity}
        failed = {"kind": "failed", **key, "reason": "no memory", "final": False}
        ledger.add({"kind": "run", **key, "wall": 4.0} if place < 6 else failed)
    assert listing(study).splitlines()[-3:] == [
        f"8 runs in {study.folder}: 6 done, 2 failed",
        "2 failed runs are tried again by the same command without --list.",
        "About 8 s left with 1 worker.",
    ]
