"""A sweep from its file to its answer: chosen beside default, workers, kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import DataError, DiskError, RecipeError, RunError, UserError
from hf_mtl.experiments.compare import load_study
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep import answer as answers
from hf_mtl.experiments.sweep import run as sweeps
from hf_mtl.experiments.sweep import trial as trials
from hf_mtl.experiments.sweep.arms import value_in
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.place import identity
from hf_mtl.experiments.sweep.run import run_sweep
from hf_mtl.experiments.sweep.studies import Job, Studies
from hf_mtl.experiments.sweep.work import work
from hf_mtl.experiments.workers import OUTPUT
from hf_mtl.reporting.json_files import read_jsonl
from tests.experiments.sweep import worlds
from tests.training import runs

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with runs.own_cache(tmp_path_factory.getbasetemp()):
        yield


@pytest.fixture
def tested(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Score the test by the trial's number, and note which were scored."""
    seen: list[Path] = []

    def evaluate(path: Path, split: str, allow_code: bool) -> dict[str, Any]:
        assert split == "test"
        seen.append(path)
        value = int(path.name.split("-")[1]) / 100
        return {"tasks": {"topic": {"f1_macro": value}}, "average": value, "macro": value, "worst": value}

    monkeypatch.setattr(answers, "evaluate_run", evaluate)
    return seen


def test_the_chosen_trial_stands_beside_the_default_and_the_test_is_scored_once(
    tmp_path: Path, tested: list[Path]
) -> None:
    path = worlds.write(tmp_path, trials=8)
    said: list[Record] = []
    for _ in range(2):
        sweep, found = run_sweep(path, run=worlds.recording([]), say=said.append)
    assert found is not None
    arm = found["arms"]["base"]
    records = [item for item in read_jsonl(tmp_path / "out" / "results.jsonl") if item["kind"] == "trial"]
    assert len(said) == len(records) == 8
    best = max(records, key=lambda item: float(item["value"]))
    assert (arm["chosen"]["trial"], arm["default"]["trial"]) == (best["trial"], 0)
    assert best["trial"] > 0
    assert [place.name for place in tested] == ["trial-0", f"trial-{best['trial']}"]
    assert arm["chosen"]["test_value"] == best["trial"] / 100
    assert arm["tested"] == [0, best["trial"]]
    laid = load_study(_study_of(tmp_path, sweep.output_dir / arm["overlay"])).arms["tuned"].whole.recipe
    assert value_in(laid, "training.learning_rate") == best["values"]["training.learning_rate"]
    assert laid.balancing.weighting.chosen == best["values"]["balancing.weighting"]
    assert set(arm["importance"]) == {"training.learning_rate", "balancing.weighting"}
    assert json.loads((sweep.output_dir / "answer.json").read_text()) == json.loads(json.dumps(found))
    assert (sweep.output_dir / "figures" / "sweep.png").stat().st_size > 10_000


def test_a_test_that_could_not_be_scored_is_tried_again(
    tmp_path: Path, tested: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = worlds.write(tmp_path, trials=2)

    def gone(path: Path, split: str, allow_code: bool) -> dict[str, Any]:
        raise RunError("the model is away")

    with monkeypatch.context() as patched:
        patched.setattr(answers, "evaluate_run", gone)
        _, found = run_sweep(path, run=worlds.recording([]))
    assert found is not None
    assert found["arms"]["base"]["default"]["test_note"] == "the model is away."
    _, again = run_sweep(path, run=worlds.recording([]))
    assert again is not None
    assert again["arms"]["base"]["default"]["test_value"] == 0


def test_fewer_trials_than_there_are_are_said(tmp_path: Path, tested: list[Path]) -> None:
    run_sweep(worlds.write(tmp_path, trials=3), run=worlds.recording([]))
    _, found = run_sweep(worlds.write(tmp_path, trials=2), run=worlds.recording([]))
    assert found is not None
    assert any(
        "3 trials from before, of which all count; 2 were asked for" in n for n in found["arms"]["base"]["notes"]
    )


def _study_of(folder: Path, overlay: Path) -> Path:
    """Write a study whose arm extends a file."""
    path = folder / "study.yaml"
    path.write_text(f"base: recipe.yaml\narms: {{tuned: {{extends: {overlay}}}, single_task: single_task}}\n")
    return path


def test_less_is_better_of_a_loss(tmp_path: Path, tested: list[Path]) -> None:
    path = worlds.write(tmp_path, trials=5, metric="topic_loss")
    _, found = run_sweep(path, run=worlds.recording([]))
    assert found is not None
    records = [item for item in read_jsonl(tmp_path / "out" / "results.jsonl") if item["kind"] == "trial"]
    assert found["arms"]["base"]["chosen"]["value"] == min(item["value"] for item in records)


def test_an_arm_whose_trials_all_failed_has_no_answer(tmp_path: Path, tested: list[Path]) -> None:
    path = worlds.write(tmp_path, trials=3)
    _, found = run_sweep(path, run=worlds.recording([], fails=lambda job: True))
    assert found is not None
    arm = found["arms"]["base"]
    assert (arm["chosen"], arm["default"], arm["importance"], tested) == (None, None, None, [])
    assert arm["states"] == {"complete": 0, "failed": 3, "pruned": 0}


def test_nothing_is_answered_while_others_run_trials(tmp_path: Path, tested: list[Path]) -> None:
    path = worlds.write(tmp_path, trials=2)
    run_sweep(worlds.write(tmp_path, trials=1), run=worlds.recording([]))
    sweep = worlds.read(tmp_path, trials=2)
    with Studies(sweep, identity(sweep)).next() as job:
        assert job is not None
        assert run_sweep(path, run=worlds.recording([]))[1] is None


def test_data_that_cannot_be_used_end_a_sweep_before_it_begins(tmp_path: Path) -> None:
    path = worlds.write(tmp_path, set={"tasks.topic.text": "no_such_column"})
    with pytest.raises(DataError, match="no_such_column"):
        run_sweep(path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "keys",
    [
        {"set": {"model.freeze": 99}},
        {"search": {"model.freeze": {"choices": [1, 99]}}},
        {"arms": {"base": {}, "last": {"model.freeze": 99}}},
    ],
    ids=["everywhere", "searched", "an arm"],
)
def test_a_model_that_cannot_be_made_ends_it_likewise(keys: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep.yaml:\d+: (arms\.(base|last)\.)?model\.freeze: found 99"):
        run_sweep(worlds.write(tmp_path, **keys))
    assert not (tmp_path / "out").exists()


def test_a_value_is_refused_only_where_it_goes_with_no_other_that_is_searched(tmp_path: Path) -> None:
    size = {"choices": [16, 18]}  # the backbone of the tests has 2 heads of attention
    keys = {"model.backbone.num_attention_heads": {"choices": [2, 3]}}
    with pytest.raises(UserError, match=r"sweep.yaml:\d+: .*attention heads.*searched for model.backbone.num_atten"):
        run_sweep(worlds.write(tmp_path, trials=1, search=keys), run=worlds.recording([]))
    assert not (tmp_path / "out").exists()
    both = worlds.write(tmp_path, trials=1, search={**keys, "model.backbone.hidden_size": size})
    run_sweep(both, run=worlds.recording([]), report=False)


def test_a_score_without_validation_rows_ends_it_likewise(tmp_path: Path) -> None:
    none = {"tasks.topic.dataset.data_files.validation": None, "tasks.topic.validation_fraction": 0}
    path = worlds.write(tmp_path, set=none, metric="topic_f1_macro")
    with pytest.raises(RecipeError, match="no validation rows of base for 'topic_f1_macro'"):
        run_sweep(path, run=worlds.recording([]))


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/x.db", "nosuch://x"])
def test_a_storage_that_cannot_be_opened_leaves_no_folder_and_the_corrected_file_runs(
    tmp_path: Path, tested: list[Path], url: str
) -> None:
    with pytest.raises(RunError, match="storage: cannot be opened"):
        run_sweep(worlds.write(tmp_path, trials=1, storage=url), run=worlds.recording([]))
    assert not (tmp_path / "out").exists()
    inside = f"sqlite:///{tmp_path}/out/study.db"
    for _ in range(2):
        assert run_sweep(worlds.write(tmp_path, trials=1, storage=inside), run=worlds.recording([]))[1] is not None


def test_a_database_with_other_studies_or_whose_folder_is_lost_leaves_no_folder(
    tmp_path: Path, tested: list[Path]
) -> None:
    keys = {"trials": 1, "storage": f"sqlite:///{tmp_path}/study.db"}
    run_sweep(worlds.write(tmp_path, **keys), run=worlds.recording([]))
    shutil.move(tmp_path / "out", tmp_path / "moved")
    with pytest.raises(RunError, match="lacks 1 of the trials of 'base' that the study has"):
        run_sweep(worlds.write(tmp_path, **keys), run=worlds.recording([]))
    with pytest.raises(RunError, match="of another sweep"):
        run_sweep(worlds.write(tmp_path, **keys, seed=7), run=worlds.recording([]))
    assert not (tmp_path / "out").exists()


def test_a_sweep_in_a_database_goes_on_where_its_folder_is_moved_or_written_otherwise(
    tmp_path: Path, tested: list[Path]
) -> None:
    done: list[tuple[str, int]] = []
    places = [tmp_path / "out", f"{tmp_path}/out/../out", os.path.relpath(tmp_path / "out"), tmp_path / "moved"]
    for count, place in enumerate(places, start=1):
        if place == tmp_path / "moved":
            shutil.move(tmp_path / "out", place)
        path = worlds.write(tmp_path, trials=count, storage=f"sqlite:///{tmp_path}/study.db", output_dir=str(place))
        assert run_sweep(path, run=worlds.recording(done))[1] is not None
    assert done == [("base", number) for number in range(len(places))]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="output_dir: .*cannot be written"):
        run_sweep(worlds.write(tmp_path, output_dir=str(tmp_path / "file" / "out")), run=worlds.recording([]))


def test_launched_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunError, match="was launched as several processes of one run"):
        run_sweep(worlds.write(tmp_path))


def test_without_a_report_trials_are_run_and_the_test_is_left_alone(tmp_path: Path, tested: list[Path]) -> None:
    path = worlds.write(tmp_path, trials=2)
    assert run_sweep(path, run=worlds.recording([]), report=False)[1] is None
    assert len(read_jsonl(tmp_path / "out" / "results.jsonl")) == 2
    assert (tested, (tmp_path / "out" / "answer.json").exists()) == ([], False)
    assert run_sweep(path, run=worlds.recording([]))[1] is not None


@pytest.mark.parametrize(("codes", "ends"), [([0, 2], True), ([3, -9], True), ([-9, 143], False), ([0, 130], False)])
def test_a_worker_that_was_killed_is_replaced_and_one_that_failed_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tested: list[Path], codes: list[int], ends: bool
) -> None:
    started: list[list[str]] = []

    def run_local(worker: list[str], workers: int) -> list[int]:
        started.append(worker[3:])
        return codes

    monkeypatch.setattr(sweeps, "run_local", run_local)
    path, done = worlds.write(tmp_path, trials=2), list[tuple[str, int]]()
    if ends:
        with pytest.raises(RunError, match="a worker ended with an error"):
            run_sweep(path, ["seed=1"], workers=2, run=worlds.recording(done))
    else:
        run_sweep(path, ["seed=1"], workers=2, run=worlds.recording(done))
    assert started == [["sweep", str(path), "seed=1", "--no-report"]]
    assert len(done) == (0 if ends else 2)


# ---- Trials that are real runs ----


def test_trials_are_ordinary_runs_that_are_pruned_tested_and_listed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pruning = {"name": "threshold", "lower": 2.0}  # no score is as high: all but the default are given up
    path = worlds.write(tmp_path, test=True, trials=2, pruning=pruning)
    sweep, found = run_sweep(path)
    assert found is not None
    arm = found["arms"]["base"]
    assert arm["states"] == {"complete": 1, "failed": 0, "pruned": 1}
    assert arm["chosen"]["trial"] == 0
    assert set(arm["chosen"]["test"]) == {"topic", "mood", "score"}
    assert arm["chosen"]["value"] == runs.results(sweep.folder("base", 0))["average"]
    assert arm["chosen"]["flops"] > 0
    assert "step 2/2" in (sweep.folder("base", 0) / OUTPUT).read_text()  # a line, and no bar
    assert "step 2/2" not in "".join(capfd.readouterr())
    pruned = next(item for item in read_jsonl(tmp_path / "out" / "results.jsonl") if item["trial"] == 1)
    assert (pruned["state"], pruned["why"]) == ("pruned", "given up after step 1")
    assert "last" in pruned
    assert not (sweep.folder("base", 1) / "results.json").exists()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("CUDA out of memory. Tried"), "RuntimeError: CUDA out of memory"),
        (RunError("no good"), "no good."),
    ],
)
def test_a_trial_that_fails_is_recorded_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(trials, "run_recipe", fail)
    sweep = worlds.read(tmp_path, trials=2)
    studies = Studies(sweep, "me")
    work(sweep, studies, trials.run_trial)
    records = studies.results.all()
    assert [(item["trial"], item["state"], item["why"]) for item in records] == [
        (0, "failed", why),
        (1, "failed", why),
    ]


def test_a_full_disk_ends_the_worker_and_not_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise DiskError("no room", full=True)

    monkeypatch.setattr(trials, "run_recipe", full)
    sweep = worlds.read(tmp_path, trials=2)
    studies = Studies(sweep, "me")
    with pytest.raises(DiskError):
        work(sweep, studies, trials.run_trial)
    assert studies.results.all() == []
    assert [trial.state.name for trial in studies.trials("base")] == ["RUNNING"]


def test_an_undefined_score_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {"tasks": {"topic": {"f1_macro": 0.1}}, "average": float("nan"), "macro": 0.1, "worst": 0.1}
    monkeypatch.setattr(trials, "run_recipe", lambda *args, **kwargs: scores)
    sweep = worlds.read(tmp_path, trials=1)
    studies = Studies(sweep, "me")
    work(sweep, studies, trials.run_trial)
    (found,) = studies.results.all()
    assert (found["state"], found["value"]) == ("failed", None)
    assert found["why"].startswith("the validation score average is undefined")


def start(path: Path, *words: str) -> "subprocess.Popen[bytes]":
    """Begin `hf-mtl sweep` in a process group of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HOME": str(path.parent / "hf")}
    return subprocess.Popen(
        [sys.executable, "-m", "hf_mtl", "sweep", str(path), *words],
        start_new_session=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def values_of(folder: Path) -> dict[int, Any]:
    found = read_jsonl(folder / "results.jsonl")
    return {item["trial"]: (item["values"], item["value"]) for item in found if item["kind"] == "trial"}


@pytest.mark.slow
def test_two_workers_share_a_study(tmp_path: Path) -> None:
    path = worlds.write(tmp_path, test=True, trials=5, startup=5)
    sweep, found = run_sweep(path, workers=2)
    run_sweep(path, [f"output_dir={tmp_path / 'alone'}"])
    assert found is not None
    assert found["arms"]["base"]["states"]["complete"] == 5
    shared, alone = values_of(sweep.output_dir), values_of(tmp_path / "alone")
    assert {number: values for number, (values, _) in shared.items()} == {
        number: values for number, (values, _) in alone.items()
    }
    assert {number: value for number, (_, value) in shared.items()} == pytest.approx(
        {number: value for number, (_, value) in alone.items()}
    )
    printed = [(sweep.folder("base", number) / OUTPUT).read_text() for number in range(5)]
    assert all("step 2/2" in text for text in printed)


@pytest.mark.slow
def test_a_killed_workers_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    training = {"max_steps": 60, "eval_steps": 10, "save_steps": 5}
    path = worlds.write(tmp_path, test=True, trials=3, training=training)
    _, undisturbed = run_sweep(path, [f"output_dir={tmp_path / 'alone'}"])
    process = start(path)
    folder = tmp_path / "out" / "runs" / "base" / "trial-1"
    deadline = time.monotonic() + 300
    while not (folder / "checkpoint-10").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "results.json").exists()
    done: list[tuple[str, int]] = []

    def run(sweep: Sweep, job: Job) -> Record:
        done.append((job.arm.name, job.number))
        return trials.run_trial(sweep, job)

    _, found = run_sweep(path, run=run)
    assert done == [("base", 1), ("base", 2)]
    steps = [item["step"] for item in read_jsonl(folder / "log.jsonl") if "loss" in item]
    assert steps == list(range(1, 61))  # and none of them twice, though the killed worker had done more than 10
    assert values_of(tmp_path / "out") == values_of(tmp_path / "alone")
    assert found is not None
    assert undisturbed is not None
    chosen, expected = (item["arms"]["base"]["chosen"] for item in (found, undisturbed))
    assert (chosen["trial"], chosen["test"]) == (expected["trial"], expected["test"])
