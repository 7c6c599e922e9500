"""Rows to score that are trained on, from a file or a Dataset to results: in recipes and in Python."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from hf_mtl import load_recipe
from hf_mtl.data import load
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.errors import DataError, UserError
from hf_mtl.reporting.plan import PlanSummary
from hf_mtl.reporting.plan_table import plan_table
from hf_mtl.training.run.evaluate import evaluate_run
from hf_mtl.training.run.plan import plan_recipe
from tests import tiny
from tests.training import runs
from tests.training.trainers import SMALL, make, parameters, same

ROOT = Path(__file__).parents[2]
DROP = {"contamination": "drop"}
COPIED = 5  # rows of mood, as validation of topic


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The first rows that mood trains on are validation rows of topic, written otherwise."""
    path = runs.write_recipe(tmp_path / "data", max_steps=2, save_strategy="no", eval_strategy="no")
    rows = (tmp_path / "data" / "mood.train.jsonl").read_text().splitlines()[:COPIED]
    copied = [json.dumps({"text": f"{json.loads(row)['text'].upper()} !", "label": 0}) for row in rows]
    validation = tmp_path / "data" / "topic.validation.jsonl"
    # Of the others no short text, which is in some training rows by chance.
    others = [row for row in validation.read_text().splitlines() if json.loads(row)["text"].count(" ") > 3]
    validation.write_text("\n".join([*copied, *others]))
    return path


def counts(folder: Path, dropped: bool) -> list[dict[str, Any]]:
    rows = len((folder / "topic.validation.jsonl").read_text().splitlines())
    found = Overlap("topic", "validation", rows, COPIED, "mood", COPIED, dropped)
    return [found.to_dict()]


def test_a_run_says_what_it_found_once_and_keeps_the_counts(
    recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results = runs.train(recipe, tmp_path / "run")
    expected = counts(recipe.parent, dropped=False)
    assert results["contamination"] == expected
    assert runs.results(tmp_path / "run")["contamination"] == expected
    note = f"topic: {COPIED} of {expected[0]['rows']} validation rows stand in the training rows of mood"
    (said,) = {record.getMessage() for record in caplog.records if record.getMessage().startswith(note)}
    assert said.count(" !'") + said.count("...'") == 3


def test_rows_that_are_dropped_are_not_trained_on_and_scoring_again_knows(
    recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results = runs.train(recipe, tmp_path / "run", "data.contamination=drop")
    assert results["contamination"] == counts(recipe.parent, dropped=True)
    size = len((recipe.parent / "mood.train.jsonl").read_text().splitlines())
    assert json.loads((tmp_path / "run" / "data.json").read_text())["tasks"]["mood"]["train"]["rows"] == size - COPIED
    caplog.clear()
    again = evaluate_run(tmp_path / "run", split="validation")
    assert again["tasks"] == results["tasks"]
    assert not any("stand in" in text or "was trained on" in text or "not those" in text for text in caplog.messages)


@pytest.mark.slow
def test_nobody_looks_where_it_is_off(recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    results = runs.train(recipe, tmp_path / "run", "data.contamination=off")
    assert "contamination" not in results
    assert "stand in" not in caplog.text


@pytest.mark.parametrize("work", [runs.train, lambda path, folder, *overrides: plan(path, folder, *overrides)])
def test_a_run_that_refuses_such_rows_writes_nothing(recipe: Path, tmp_path: Path, work: Any) -> None:
    with pytest.raises(DataError, match=r"data\.contamination: is 'error', and topic: 5 of \d+ validation rows"):
        work(recipe, tmp_path / "run", "data.contamination=error")
    assert not (tmp_path / "run").exists()


def plan(path: Path, folder: Path, *overrides: str) -> PlanSummary:
    return plan_recipe(load_recipe(path, [f"training.output_dir={folder}", *overrides]))[0]


def test_a_plan_shows_what_a_run_would_find_and_take_out(recipe: Path, tmp_path: Path) -> None:
    found, dropped, off = (
        plan(recipe, tmp_path / "run", f"data.contamination={option}") for option in ("warn", "drop", "off")
    )
    assert found.overlaps is not None
    assert dropped.overlaps is not None
    for summary, out in ((found, "no"), (dropped, "yes")):
        (line,) = [line for line in plan_table(summary).splitlines() if line.startswith("topic     validation  mood")]
        assert line.split()[-1] == out
    assert off.overlaps is None
    sizes = [{task.name: task.rows for task in summary.tasks} for summary in (found, dropped)]
    assert sizes[0]["mood"] - sizes[1]["mood"] == COPIED


def copied() -> dict[str, Dataset]:
    """Validation rows of topic of which mood trains on the first."""
    data = tiny.datasets(SMALL, seed=1)
    texts = [f"{text}." for text in tiny.datasets(SMALL)["mood"]["text"][:COPIED]]
    rows = {"text": [*texts, *data["topic"]["text"]], "label": [0] * COPIED + data["topic"]["label"][:]}
    return {**data, "topic": Dataset.from_dict(rows)}


def test_a_trainer_says_what_it_found_among_the_rows_that_it_was_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = make(tmp_path, evaluation=copied())
    (item,) = trainer.overlaps
    assert (item.task, item.split, item.found, item.trained) == ("topic", "validation", COPIED, "mood")
    assert f"topic: {COPIED} of {SMALL['topic'] + COPIED} validation rows stand in" in caplog.text
    assert make(tmp_path, evaluation=copied(), data={"contamination": "off"}).overlaps == ()
    assert make(tmp_path).overlaps == ()


def test_a_trainer_drops_training_rows_as_if_they_had_not_been_given(tmp_path: Path) -> None:
    train = tiny.datasets(SMALL)
    dropping = make(tmp_path / "a", train=train, evaluation=copied(), data=DROP)
    assert dropping.mixture.sizes == {**SMALL, "mood": SMALL["mood"] - COPIED}
    assert len(dropping.eval_dataset["topic"]) == SMALL["topic"] + COPIED
    fewer = {**train, "mood": train["mood"].select(range(COPIED, SMALL["mood"]))}
    without = make(tmp_path / "b", train=fewer, evaluation=copied(), data=DROP)
    for trainer in (dropping, without):
        trainer.train()
    assert same(parameters(dropping), parameters(without))
    encoded = make(tmp_path / "c", train=make(tmp_path).train_dataset, evaluation=copied(), data=DROP)
    assert encoded.mixture.sizes == SMALL, "the tokens of a text with a point are others"


def test_a_trainer_refuses_such_rows_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.contamination: is 'error', and topic: 5 of 35 validation rows"):
        make(tmp_path / "run", evaluation=copied(), data={"contamination": "error"})
    assert not (tmp_path / "run").exists()


def test_a_trainer_hashes_the_rows_of_another_one_no_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, evaluation = tiny.datasets(SMALL), copied()
    make(tmp_path, train=train, evaluation=evaluation)
    monkeypatch.setattr(load, "text_keys", lambda *args: pytest.fail("rows were hashed again"))
    assert make(tmp_path, train=train, evaluation=evaluation).overlaps


@pytest.mark.slow
def test_one_process_compares_for_all_of_a_machine(tmp_path: Path) -> None:
    worker, output = ROOT / "tests/training/contamination_worker.py", tmp_path / "found.json"
    subprocess.run(
        [*(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"), worker, output],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
    )
    first, second = json.loads(output.read_text())
    assert (first.pop("hashed"), second.pop("hashed")) == (2 * len(SMALL), 0)
    assert first == second
    assert first["rows"] == SMALL["mood"] - COPIED
    assert first["overlaps"] == [item.to_dict() for item in make(tmp_path, evaluation=copied(), data=DROP).overlaps]
    assert first["refused"].startswith("data.contamination: is 'error', and topic: 5 of 35 validation rows stand")
