"""A study from its beginning to its answer, also where workers are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.data.columns import name_count
from hf_mtl.errors import HfMtlError, RunError
from hf_mtl.experiments.answer.current import identities_in
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare import compare as compare_study
from hf_mtl.experiments.compare import show
from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import trials_of
from tests.experiments.compare.conftest import Done
from tests.experiments.compare.world import write_study
from tests.training import runs
from tests.training.killing import ROOT, last_record

compare: Any = sys.modules["hf_mtl.experiments.compare.compare"]


def test_a_finished_study_is_only_answered(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "report_on", lambda folder, say: [say(f"the answer of {folder}")])
    said: list[str] = []
    # One of its runs has failed: the answer is given, and the exit code says that it is not of the whole study.
    with pytest.raises(HfMtlError, match=r"1 of 4 runs failed; the answer is without it\. Why: --list") as raised:
        compare_study(done.path, say=said.append)
    assert raised.value.exit_code == 1
    assert said == [f"the answer of {done.study.folder}"]
    assert show(done.path).endswith("Nothing is left to do.")
    assert load_study(done.study.folder / "study.yaml").reference == "single_task"
    assert identities_in(done.study.folder) == {trial.identity for trial in trials_of(done.study)}


def failing(path: Path) -> None:
    """Note that every run of a study has diverged."""
    study = load_study(path)
    for trial in trials_of(study):
        said = {**trial.key, "identity": trial.identity}
        Ledger(study.folder).add({"kind": "failed", **said, "reason": "nan", "final": True})


def test_a_study_whose_runs_have_failed_ends_with_an_error(tmp_path: Path) -> None:
    arms: dict[str, Any] = {"ew": {"balancing.weighting": "ew"}, "uw": {}}
    for name, some in {"two": arms, "one": {"uw": {}}}.items():
        (tmp_path / name).mkdir()
        path, said = write_study(tmp_path / name, arms=some), list[str]()
        failing(path)
        failed = f"{len(some)} of {name_count(len(some), 'run')} failed. Why: --list"
        with pytest.raises(HfMtlError, match=f"nothing could be answered, as {failed}"):
            compare_study(path, say=said.append)
        assert said[0].startswith("The study is not whole: ")


def test_one_worker_at_a_time_gives_the_answer(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "report_on", lambda folder, say: [say("the answer")])
    said: list[str] = []
    with claim(done.ledger.claims / "answer"):
        compare_study(done.path, say=said.append)
    assert said[-1] == "Another worker is about to give the answer."
    with pytest.raises(HfMtlError):
        compare_study(done.path, say=said.append)
    assert said[-1] == "the answer"


def test_printing_the_commands_does_and_writes_nothing(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    said: list[str] = []
    with runs.inside(tmp_path):
        compare_study(path.name, ["seeds=1"], workers=2, executor="print", say=said.append)
    lines = said[0].splitlines()
    # Whoever starts one stands anywhere.
    assert [line.startswith(f"cd {tmp_path} && ") for line in lines] == [True, True, False, False]
    assert all(str(path) in line for line in (lines[0], lines[-1]))
    assert not (tmp_path / "out").exists()


def test_workers_that_end_and_finish_nothing_are_not_started_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, started = write_study(tmp_path), []

    def run_local(worker: list[str], workers: int) -> list[int]:
        started.append(workers)
        return [-9, 0]

    monkeypatch.setattr(compare, "run_local", run_local)
    with pytest.raises(HfMtlError, match="workers ended with the codes -9, 0 again and again; 4 runs are missing"):
        compare_study(path, workers=2)
    assert started == [2] * 4
    monkeypatch.setattr(compare, "run_local", lambda *given: [2, 2])
    with pytest.raises(RunError, match="a worker ended with a mistake, which it has said"):
        compare_study(path, workers=2)


def test_an_unfinished_study_has_no_answer_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "run_local", lambda *given: [0, 0])
    said: list[str] = []
    compare_study(write_study(tmp_path), workers=2, say=said.append)
    assert said[0].startswith("Not finished: 4 of 4 runs, of which running elsewhere: 0.")


# ---- In processes of their own ----


def start(path: Path, *words: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HOME": str(path.parent / "hf")}
    return subprocess.Popen(
        [sys.executable, "-m", "hf_mtl", "compare", str(path), *words],
        start_new_session=True,
        env=environment,
        stdout=(path.parent / "out.txt").open("ab"),
        stderr=(path.parent / "err.txt").open("ab"),
    )


def wait_for(is_so: Any, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def outcomes(folder: Path) -> dict[str, Any]:
    """What each trial came to, but for times."""
    lines = (folder / "results.jsonl").read_text().splitlines()
    records = [record for line in lines if (record := json.loads(line))["kind"] == "run"]
    keys = ("validation", "test", "scores", "steps", "step", "flops", "backward_passes", "rows", "passes")
    found = {f"{item['arm']} {item['seed']} {item['task']}": {key: item[key] for key in keys} for item in records}
    assert len(found) == len(records)  # no trial was done twice
    return found


def long(folder: Path) -> Path:
    path = write_study(folder, seeds=2, arms={"single_task": "single_task", "uw": {}})
    path.write_text(path.read_text() + "set: {training: {max_steps: 60, eval_steps: 6, save_steps: 6}}\n")
    return path


def steps_of(folder: Path) -> int:
    return int(last_record(folder).get("step", 0))


@pytest.mark.slow
def test_a_killed_workers_run_is_resumed_by_another_and_the_records_are_the_same(tmp_path: Path) -> None:
    whole = start(long(tmp_path / "whole"))
    assert whole.wait() == 0, (tmp_path / "whole" / "err.txt").read_text()[-2000:]
    path = long(tmp_path / "killed")
    out = tmp_path / "killed" / "out"
    first, second = start(path, "--no-report"), start(path, "--no-report")
    wait_for(lambda: any(steps_of(folder) > 12 for folder in out.glob("runs/*/seed-*")))
    # Whoever is at the joint run, which is in its middle.
    holders = (json.loads(line) for file in (out / "claims").glob("uw,*") for line in file.read_text().splitlines())
    victim = next(holder["pid"] for holder in holders)
    os.kill(victim, signal.SIGKILL)
    codes = sorted([first.wait(), second.wait()])
    assert codes == [-9, 0], (path.parent / "err.txt").read_text()[-2000:]
    resumed = [file for file in out.glob("runs/uw/*/output.txt") if "Going on from step" in file.read_text()]
    assert len(resumed) == 1
    assert outcomes(out) == outcomes(tmp_path / "whole" / "out")


@pytest.mark.slow
def test_a_study_that_was_killed_with_all_its_workers_goes_on(tmp_path: Path) -> None:
    path = long(tmp_path / "study")
    out = tmp_path / "study" / "out"
    process = start(path, "--workers", "2")
    wait_for(lambda: any(steps_of(folder) > 12 for folder in out.glob("runs/*/seed-*")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "running" not in show(path)
    again = start(path, "--workers", "2")
    assert again.wait() == 0, (path.parent / "err.txt").read_text()[-2000:]
    assert len(outcomes(out)) == len(trials_of(load_study(path)))
    assert (out / "answer.json").exists()


@pytest.mark.slow
def test_a_study_that_is_asked_to_stop_keeps_a_checkpoint_of_every_run(tmp_path: Path) -> None:
    path = long(tmp_path / "study")
    out = tmp_path / "study" / "out"
    process = start(path, "--workers", "2")
    wait_for(lambda: any(steps_of(folder) > 2 for folder in out.glob("runs/*/seed-*")))
    process.terminate()
    assert process.wait() == 143
    assert list(out.glob("runs/**/checkpoint-*"))
    assert "running" not in show(path)
