from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import DataError, DivergedError, Mistake, UserError
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare import costs, work
from hf_mtl.experiments.compare.cost import Cost
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.work import Worker
from tests.experiments.compare.conftest import Done
from tests.experiments.compare.world import write_study

COST = Cost(6, 1.0, {"topic": 30.0, "mood": 10.0}, {"topic": 30.0, "mood": 10.0}, ["topic", "mood"])


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker whose runs take no time."""
    monkeypatch.setattr(costs, "cost_of", lambda *given: COST)
    monkeypatch.setattr(work, "train", lambda *given, **wishes: None)
    record = {"scores": {"test": {"topic": 0.5}}, "steps": 1, "flops": 1.0, "seconds": 1.0, "notes": []}
    monkeypatch.setattr(work, "record_of", lambda *given: dict(record))
    return Worker(load_study(write_study(tmp_path)), lambda text: None)


def fails(error: Exception, arm: str) -> Any:
    def train(recipe: Any, folder: Path, *given: Any, **wishes: Any) -> None:
        if folder.parts[-2] == arm:
            raise error

    return train


def test_what_is_done_is_not_done_again(done: Done) -> None:
    said: list[str] = []
    before = done.ledger.results.all()
    Worker(done.study, said.append).work()
    assert said == []
    assert done.ledger.results.all() == before


def test_a_run_that_diverges_is_recorded_and_the_others_go_on(done: Done) -> None:
    (failed,) = [record for record in done.ledger.results.all() if record["kind"] == "failed"]
    assert failed["arm"] == "broken"
    assert failed["final"] is True
    assert "training has diverged" in failed["reason"]
    assert sum(record["kind"] == "run" for record in done.ledger.results.all()) == 3


def test_a_finished_run_leaves_its_model_lines_and_test_rows_and_no_checkpoint(done: Done) -> None:
    folder = done.study.folder / "runs" / "uw" / "seed-0"
    assert {"model.safetensors", "results.json", "output.txt", "test_rows.safetensors"} <= {
        path.name for path in folder.iterdir()
    }
    assert not list(folder.glob("checkpoint-*"))
    assert "step 6/6" in (folder / "output.txt").read_text()


def test_a_trial_that_another_is_at_is_left_to_it(worker: Worker) -> None:
    with claim(worker.ledger.claims / worker.trials[1].claim):
        worker.work()
    states = worker.ledger.states(worker.trials)
    assert list(states.values()) == ["done", "missing", "done", "done"]
    worker.work()
    assert set(worker.ledger.states(worker.trials).values()) == {"done"}


def test_an_error_that_may_pass_is_tried_again_by_the_next_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "train", fails(MemoryError("no room. More."), "ew"))
    worker.work()
    assert list(worker.ledger.states(worker.trials).values()) == ["done", "done", "failed", "done"]
    assert worker.ledger.records(worker.trials)["ew,seed-0"]["reason"] == "MemoryError: no room"
    monkeypatch.setattr(work, "train", lambda *given, **wishes: None)
    worker.work()  # the same has tried it
    assert worker.ledger.states(worker.trials)["ew,seed-0"] == "failed"
    Worker(worker.study, lambda text: None).work()
    assert worker.ledger.states(worker.trials)["ew,seed-0"] == "done"


def test_a_run_that_has_diverged_is_not_tried_again(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "train", fails(DivergedError("training has diverged"), "ew"))
    worker.work()
    monkeypatch.setattr(work, "train", lambda *given, **wishes: None)
    Worker(worker.study, lambda text: None).work()
    assert worker.ledger.states(worker.trials)["ew,seed-0"] == "failed"


def test_a_mistake_in_the_data_ends_the_study_before_anything_is_trained(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> Cost:
        raise DataError(Mistake("tasks.topic.text", "no column 'text'"))

    monkeypatch.setattr(costs, "cost_of", refuse)
    with pytest.raises(UserError, match="tasks.topic.text: no column 'text'"):
        worker.work()
    assert worker.ledger.results.all() == []


def test_a_run_of_another_recipe_in_the_same_folder_is_replaced_and_its_record_set_aside(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"uw": {}}, set={"training.eval_strategy": "no"}, keep="checkpoints")
    keys = ["set.training.load_best_model_at_end=false", "set.training.max_steps=2", "set.training.save_steps=1"]
    Worker(load_study(path, keys), lambda text: None).work()
    assert list((tmp_path / "out").glob("runs/uw/seed-0/checkpoint-*"))
    worker = Worker(load_study(path, [*keys, "arms.uw={model.dropout: 0.3}"]), lambda text: None)
    worker.work()
    assert "dropout: 0.3" in (tmp_path / "out" / "runs" / "uw" / "seed-0" / "recipe.yaml").read_text()
    assert len(worker.ledger.results.all()) == 2
    assert worker.ledger.set_aside(worker.trials, ()) == 1
    assert [record["identity"] for record in worker.ledger.results.all()] == [worker.trials[0].identity]
    assert (tmp_path / "out" / "earlier.jsonl").exists()
