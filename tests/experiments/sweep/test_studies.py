"""Workers that share the studies of a sweep: equal trials, none lost, none twice."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest

from hf_mtl.errors import RunError
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.studies import Job, Studies
from hf_mtl.experiments.sweep.work import work
from tests.experiments.sweep import worlds

ARMS: dict[str, Any] = {"uw": {}, "ew": {"balancing.weighting": "ew"}}


def records(studies: Studies) -> list[Record]:
    return studies.results.all()


def test_every_arm_has_as_many_trials_in_turn(tmp_path: Path) -> None:
    sweep, done = worlds.read(tmp_path, arms=ARMS, trials=4), list[tuple[str, int]]()
    studies = Studies(sweep, "me")
    work(sweep, studies, worlds.recording(done))
    assert done == [(arm, number) for number in range(4) for arm in ARMS]
    assert studies.is_done()
    assert [record["stage"] for record in records(studies) if record["arm"] == "uw"] == [
        "default",
        "random",
        "random",
        "tpe",
    ]


def test_one_worker_draws_the_same_trials_with_the_same_seed(tmp_path: Path) -> None:
    drawn = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        sweep = worlds.read(tmp_path, trials=8, seed=seed, output_dir=str(tmp_path / name))
        studies = Studies(sweep, name)
        work(sweep, studies, worlds.recording([]))
        drawn.append([record["values"] for record in records(studies)])
    assert drawn[0] == drawn[1]
    assert drawn[0][0] == drawn[2][0] == {"training.learning_rate": 0.001, "balancing.weighting": "uw"}
    assert all(first != other for first, other in zip(drawn[0][1:], drawn[2][1:], strict=True))


def test_arms_with_one_space_see_the_same_random_points(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, arms=ARMS, trials=3)
    studies = Studies(sweep, "me")
    work(sweep, studies, worlds.recording([]))
    uw, ew = ([item["values"] for item in records(studies) if item["arm"] == arm] for arm in ARMS)
    assert uw[1:] == ew[1:]
    assert uw[0] != ew[0]


def test_a_failed_trial_counts_and_is_not_repeated(tmp_path: Path) -> None:
    sweep, done = worlds.read(tmp_path, trials=5), list[tuple[str, int]]()
    studies = Studies(sweep, "me")
    work(sweep, studies, worlds.recording(done, fails=lambda job: job.number in (1, 4)))
    work(sweep, Studies(sweep, "me"), worlds.recording(done))
    assert done == [("base", number) for number in range(5)]
    states = [trial.state.name for trial in studies.trials("base")]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "FAIL"]


def test_more_trials_go_on_where_there_were_fewer(tmp_path: Path) -> None:
    done: list[tuple[str, int]] = []
    for trials in (2, 5):
        sweep = worlds.read(tmp_path, trials=trials)
        work(sweep, Studies(sweep, "me"), worlds.recording(done))
    assert done == [("base", number) for number in range(5)]


def ending(number: int) -> Any:
    """Return what runs trials, until its process is ended in one."""

    def run(sweep: Sweep, job: Job) -> Record:
        if job.number == number:
            raise KeyboardInterrupt
        return worlds.record(sweep, job)

    return run


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_trial_whose_worker_has_ended_is_taken_up_with_its_values(tmp_path: Path, number: int) -> None:
    sweep = worlds.read(tmp_path, trials=6)
    with pytest.raises(KeyboardInterrupt):
        work(sweep, Studies(sweep, "me"), ending(number))
    left = Studies(sweep, "me").trials("base")[number]
    done: list[tuple[str, int]] = []
    studies = Studies(sweep, "me")
    work(sweep, studies, worlds.recording(done))
    assert done[0] == ("base", number)
    assert len(studies.trials("base")) == 6
    found = next(record for record in records(studies) if record["trial"] == number)
    assert found["values"]["training.learning_rate"] == left.params["training.learning_rate"]
    assert Counter(record["trial"] for record in records(studies)) == dict.fromkeys(range(6), 1)


def test_a_trial_of_which_only_the_study_was_not_told_is_not_run_again(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, trials=3)
    studies = Studies(sweep, "me")
    with studies.next() as job:
        assert job is not None
        studies.results.add(worlds.record(sweep, job))
    done: list[tuple[str, int]] = []
    work(sweep, Studies(sweep, "me"), worlds.recording(done))
    assert done == [("base", 1), ("base", 2)]
    assert studies.trials("base")[0].value == records(studies)[0]["value"]


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("results.jsonl", r"results\.jsonl lacks 2 of the trials of 'base' that the study has"),
        ("study.journal", r"the study lacks 2 of the trials of 'base' that results\.jsonl has"),
    ],
)
def test_one_of_the_two_files_without_the_other_is_refused(tmp_path: Path, lost: str, said: str) -> None:
    sweep = worlds.read(tmp_path, trials=2)
    work(sweep, Studies(sweep, "me"), worlds.recording([]))
    (sweep.output_dir / lost).unlink()
    with pytest.raises(RunError, match=said):
        Studies(sweep, "me")


def test_a_default_that_was_only_enqueued_is_taken_up(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, trials=2)
    studies = Studies(sweep, "me")
    studies.study("base").enqueue_trial(sweep.arms[0].default())
    work(sweep, studies, worlds.recording([]))
    assert [trial.state.name for trial in studies.trials("base")] == ["COMPLETE", "COMPLETE"]


def test_what_another_runs_is_left_to_it(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, trials=2)
    done: list[tuple[str, int]] = []
    with Studies(sweep, "me").next() as job:
        assert job is not None
        other = Studies(sweep, "me")
        work(sweep, other, worlds.recording(done))
        assert done == [("base", 1)]
        assert not other.is_done()


@pytest.mark.parametrize("storage", ["journal", pytest.param("sqlite:///{}/study.db", marks=pytest.mark.slow)])
def test_several_workers_run_as_many_trials_as_were_asked_for(tmp_path: Path, storage: str) -> None:
    done: list[tuple[str, int]] = []
    sweep = worlds.read(tmp_path, arms=ARMS, trials=4, storage=storage.format(tmp_path))
    studies = [Studies(sweep, "me") for _ in range(3)]
    workers = [threading.Thread(target=work, args=(sweep, item, worlds.recording(done))) for item in studies]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == sorted((arm, number) for number in range(4) for arm in ARMS)
    assert len(records(studies[0])) == 8
    assert studies[0].is_done()


def test_a_study_of_another_sweep_is_refused(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, storage=f"sqlite:///{tmp_path}/study.db")
    Studies(sweep, "me")
    with pytest.raises(RunError, match=r"storage: holds a study '.*/out/base' of another sweep. Give an"):
        Studies(sweep, "somebody else")


def test_a_database_that_cannot_be_opened_is_a_mistake(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, storage="sqlite:////nowhere/at/all/study.db")
    with pytest.raises(RunError, match=r"storage: cannot be opened \(.*\). Give the URL of a database"):
        Studies(sweep, "me")


def test_tpe_finds_what_random_trials_do_not(tmp_path: Path) -> None:
    search = {"training.learning_rate": {"low": 1e-8, "high": 0.9, "log": True}}
    sweep = worlds.read(tmp_path, trials=30, startup=10, search=search)
    studies = Studies(sweep, "me")
    work(sweep, studies, worlds.recording([]))
    values = [trial.value for trial in studies.trials("base")]
    assert sum(values[20:]) / 10 > sum(values[1:11]) / 10 + 0.05
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
